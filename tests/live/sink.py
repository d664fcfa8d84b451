"""The sink: an SMTP server that takes, refuses, puts off or never answers, as the address says.

    ok*     taken, and the message kept: what an MTA really sends is the truth for --eml
    bad*    550
    hang*   no answer to RCPT until the lab ends: a delivery in flight
    other   a temporary refusal; the local part may name its kind (REPLIES)

A second port accepts connections and never says a word.
"""

import re
import socket
import socketserver
import threading

# Kinds of delay, with the class that such a text belongs to.
REPLIES = {
    "grey": ("451 4.7.1 %s: Recipient address rejected: Greylisted, try again in 300 seconds",
             "greylist"),
    "rate": ("450 4.7.1 %s: rate limit exceeded, too many messages from your host", "ratelimit"),
    "full": ("452 4.2.2 %s: mailbox full, user is over quota", "full"),
    "block": ("451 4.7.1 Service unavailable; Client host blocked using bl.lab.example; %s",
              "blocklist"),
    "dns": ("450 4.4.3 %s: host name lookup failure, try again later", "dns"),
    "multi": ("450-4.2.0 %s first line\r\n450 4.2.0 second line", "other"),
    "bare": ("451 %s no enhanced code here", "other"),
    "utf8": ("450 4.2.1 %s za\u017c\u00f3\u0142\u0107 g\u0119\u015bl\u0105", "other"),
    "esc": ("450 4.2.1 %s \x1b[31mred\x1b[0m \x07bell", "other"),
}
DEFAULT = "450 4.2.1 %s: mailbox busy, come back later"


def reply_to(address):
    """The sink's answer to RCPT TO:<address>, and the class of delay that its text is."""
    local = address.lower().lstrip('"')
    if local.startswith("ok"):
        return "250 2.1.5 fine", None
    if local.startswith("bad"):
        return "550 5.1.1 %s: no such user here" % address, None
    kind = re.match(r"defer-([a-z0-9]+)", local)
    text, reason_class = REPLIES.get(kind.group(1) if kind else "", (DEFAULT, "other"))
    return text % address, reason_class


class Session(socketserver.StreamRequestHandler):
    def say(self, line):
        self.wfile.write(line.encode("utf-8", "surrogateescape") + b"\r\n")

    def handle(self):
        try:
            self.converse()
        except (OSError, ValueError):
            pass

    def converse(self):
        self.say("220 sink.lab.example ESMTP")
        sender, taken = None, []
        while True:
            line = self.rfile.readline(65536)
            if not line:
                return
            text = line.decode("utf-8", "surrogateescape").rstrip("\r\n")
            verb = text[:4].upper()
            if verb == "EHLO":
                self.say("250-sink.lab.example\r\n250-PIPELINING\r\n250-8BITMIME\r\n"
                         "250-SMTPUTF8\r\n250-DSN\r\n250-ENHANCEDSTATUSCODES\r\n250 SIZE 100000000")
            elif verb == "MAIL":
                sender, taken = self.path_of(text), []
                self.say("250 2.1.0 fine")
            elif verb == "RCPT":
                address = self.path_of(text)
                if address.lower().startswith("hang"):
                    self.server.hanging.append(address)
                    self.server.finish.wait()
                    return
                answer = self.server.answer(address)
                if answer.startswith("250"):
                    taken.append(address)
                self.say(answer)
            elif verb == "DATA":
                if not taken:
                    self.say("554 5.5.1 no valid recipients")
                    continue
                self.say("354 go on")
                self.server.keep(sender, taken, self.body())
                self.say("250 2.0.0 taken")
                sender, taken = None, []
            elif verb == "QUIT":
                self.say("221 2.0.0 bye")
                return
            elif verb in ("RSET", "NOOP", "HELO"):
                self.say("250 2.0.0 fine")
            else:
                self.say("502 5.5.2 what?")

    @staticmethod
    def path_of(text):
        """The path of MAIL or RCPT; a quoted local part may hold a '>'."""
        m = re.search(r':\s*<((?:"(?:\\.|[^"\\])*"|[^>"])*)>', text)
        return m.group(1) if m else ""

    def body(self):
        lines = []
        while True:
            line = self.rfile.readline()
            if not line or line == b".\r\n":
                return b"".join(lines)
            lines.append(line[1:] if line.startswith(b".") else line)


class Sink(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 200

    def __init__(self, port, mute_port):
        super().__init__(("127.0.0.1", port), Session)
        self.finish = threading.Event()
        self.hanging, self.messages = [], []
        self.lock = threading.Lock()
        threading.Thread(target=self.serve_forever, daemon=True).start()
        self.mute = socket.create_server(("127.0.0.1", mute_port), backlog=200)

    @staticmethod
    def answer(address):
        return reply_to(address)[0]

    def keep(self, sender, recipients, data):
        with self.lock:
            self.messages.append({"sender": sender, "recipients": recipients, "data": data})

    def deliveries(self, message_id):
        """Every (recipients, data) taken with this Message-ID."""
        wanted = message_id.encode()
        with self.lock:
            return [m for m in self.messages
                    if wanted in m["data"].split(b"\r\n\r\n", 1)[0]]

    def close(self):
        self.finish.set()
        self.shutdown()
        self.server_close()
        self.mute.close()
