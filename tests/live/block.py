"""What `--block` prints, pasted where it says: the server, and the firewall, refuse who is named in it
and nobody else.

Each act_*.py says in paste(part) how its server is given its part; one that has no such place (a
Sendmail without access_db) has no paste.
"""

import re
import shutil
import smtplib
import socket
import subprocess

import acting
import inside
import load
import scene

CLIENT, CLIENT6, OTHER = "127.0.0.11", "::1", "127.0.0.12"
ACCOUNT, STRANGER = ("PLAIN", "lab1", "secret1"), ("PLAIN", "lab2", "secret2")
SENDER = "s@block.example"


def attempt(tag, bind, auth=None):
    """The code of the first refusal, or 250."""
    message = load.Message("block-" + tag, bind=bind, auth=auth, sender=SENDER,
                           rcpts=["a%d-block-%s@r.example" % (acting.NEVER, tag)])
    try:
        load.send("127.0.0.1", scene.SMTP_PORT, message)
    except smtplib.SMTPResponseException as error:
        return error.smtp_code
    return 250


def part(text, title):
    """The lines below the line that begins so, to the next comment."""
    m = re.search(r"(?m)^# %s.*\n((?:[^#\n].*\n)+)" % title, text)
    return m.group(1) if m else ""


def connects(bind, port):
    """Whether somebody at that address gets a connection; what is dropped is never answered."""
    family = socket.AF_INET6 if ":" in bind else socket.AF_INET
    with socket.create_server(("::1" if ":" in bind else "127.0.0.1", port), family=family):
        with socket.socket(family) as s:
            s.bind((bind, 0))
            s.settimeout(1)
            try:
                s.connect(("::1" if ":" in bind else "127.0.0.1", port))
                return True
            except socket.timeout:
                return False


def firewall(scene_, text):
    lines = part(text, "any server, at the firewall")
    nft = shutil.which("nft", path="/usr/sbin:/sbin:/usr/bin")
    if not nft:
        scene_.score.plain("the firewall", False, "nft is missing (scripts/deps live)")
        return
    before = [connects(b, 25) for b in (CLIENT, CLIENT6, OTHER)]
    done = subprocess.run(["sh", "-ec", lines], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=60,
                          env={"PATH": "/usr/sbin:/sbin:/usr/bin:/bin", "LC_ALL": "C"})
    scene_.score.plain("nft takes it", lines and done.returncode == 0, done.stderr[:300])
    after = [connects(b, 25) for b in (CLIENT, CLIENT6, OTHER)]
    elsewhere = connects(CLIENT, 2225)
    subprocess.run([nft, "delete", "table", "inet", "mqtools"], check=False,
                   stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    scene_.score.plain("the firewall", before == [True] * 3 and after == [False, False, True] and elsewhere,
                       "before %r, after %r, another port %r" % (before, after, elsewhere))


def blocking(scene_):
    """On an empty queue: three messages of a client, of one with IPv6 and of an account, then the block."""
    scene_.sink.draining = False
    codes = [attempt("4", CLIENT), attempt("6", CLIENT6)]
    if hasattr(scene_, "paste"):
        codes.append(attempt("account", OTHER, ACCOUNT))
    scene_.score.plain("before the block", codes == [250] * len(codes), codes)
    inside.wait_until("their place in the queue", lambda: scene_.in_queue() >= len(codes))
    code, out, err = scene_.room.ended([*scene_.commands["mqquarantine"], "hold", "-f",
                                        "@block.example", "-n", "--block"])
    text = out.decode()
    scene_.score.plain("a block", code in (0, 3) and CLIENT in text, err.decode()[:300])
    if hasattr(scene_, "paste"):
        # An account's own address is blocked as a client, too: it comes back from another one.
        scene_.paste(text)
        codes = [attempt("again", CLIENT), attempt("again6", CLIENT6),
                 attempt("account-again", "127.0.0.13", ACCOUNT),
                 attempt("stranger", "127.0.0.13", STRANGER), attempt("nobody", "127.0.0.13")]
        scene_.score.plain("refused by the server", [c // 100 for c in codes] == [5, 5, 5, 2, 2], codes)
        text = text.replace(", " + OTHER, "").replace(OTHER + ", ", "")
    firewall(scene_, text)
