"""Rooms: a Debian chroot for each MTA and release, made once and kept, and one for what has no MTA.

Knows how a base system is made from the archive this machine already uses, and which packages a
room needs.  Knows nothing of mail: what is done inside a room is up to the inject_*.py files.

A room is finished when it bears its last name: it is built under NAME.part and renamed.  Its stamp
holds the recipe, so a changed recipe builds it again.  The packages of two MTAs conflict, hence a
room each; sendmail's maintainer scripts stop the MTAs of other chroots, hence a process namespace.
"""

import fcntl
import glob
import hashlib
import os
import re
import shutil
import subprocess

SUITES = ("bookworm", "trixie")
MTAS = ("exim", "postfix", "sendmail")

PACKAGES = {
    "exim": ["exim4-daemon-heavy", "openssl"],
    "postfix": ["postfix", "postfix-pcre", "sasl2-bin", "libsasl2-modules", "openssl"],
    "sendmail": ["sendmail-bin", "sendmail-cf", "m4", "sasl2-bin", "libsasl2-modules", "openssl"],
    # No MTA: what carries records from host to host, and what reads them afterwards.
    "relays": ["openssh-server", "openssh-client", "clustershell", "iproute2", "jq", "postgresql",
               "openssl"],
}

PRESEED = "postfix postfix/main_mailer_type select No configuration\n"

# Users of local submissions; the numbers are ours to check in the records.
USERS = {"alice": 2001, "bob": 2002}

FINISH = r"""
for pair in %(users)s; do
    useradd --uid "${pair#*:}" --create-home --shell /bin/sh "${pair%%:*}"
done
openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -subj /CN=mx.lab.example \
    -keyout /etc/ssl/lab.key -out /etc/ssl/lab.crt
chmod 0644 /etc/ssl/lab.key
ln -snf /usr/share/zoneinfo/Etc/UTC /etc/localtime
rm -rf /var/spool.fresh && cp -a /var/spool /var/spool.fresh
"""

# A new process namespace, so that whatever a maintainer script starts ends with it; a new mount
# namespace, so that no mount outlives it.  In a chroot "/" is no mount point and its propagation
# cannot be changed: then it is left as it is and unmounting is done by hand.
BOX = ["unshare", "--pid", "--fork", "--kill-child", "--mount", "--propagation", "unchanged", "--"]

INSIDE = r"""
set -e
mount --make-rprivate / 2>/dev/null || true
root=$1
trap 'umount "$root/proc" 2>/dev/null || umount -l "$root/proc" 2>/dev/null || true' EXIT
mount -t proc proc "$root/proc"
chroot "$root" /usr/bin/env -i HOME=/root LC_ALL=C DEBIAN_FRONTEND=noninteractive \
    PATH=/usr/sbin:/usr/bin:/sbin:/bin sh -ec "$2"
"""


class RoomError(Exception):
    """A sentence for the person who runs the lab."""


def state_dir():
    return os.environ.get("MQ_LAB_DIR") or "/var/tmp/mqtools-lab"


def lock():
    """One lab at a time: two would empty each other's spools.  Held until the process ends."""
    os.makedirs(state_dir(), exist_ok=True)
    handle = open(os.path.join(state_dir(), "lock"), "w")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise RoomError("another live lab is using %s" % state_dir())
    return handle


# --- the archive -------------------------------------------------------------------------------

def _stanzas(text):
    """Paragraphs of a deb822 file as dictionaries with lower-case keys."""
    for paragraph in re.split(r"\n[ \t]*\n", text):
        fields, last = {}, None
        for line in paragraph.splitlines():
            if line.startswith("#"):
                continue
            if line[:1] in (" ", "\t") and last:
                fields[last] += " " + line.strip()
            elif ":" in line:
                last, value = line.split(":", 1)
                last = last.strip().lower()
                fields[last] = value.strip()
        if fields:
            yield fields


def _sources():
    """(uri, suites, components) of every binary source that apt uses here."""
    for path in sorted(glob.glob("/etc/apt/sources.list.d/*.sources")):
        with open(path, errors="replace") as f:
            for s in _stanzas(f.read()):
                if "deb" in s.get("types", "").split() and s.get("enabled", "yes").lower() != "no":
                    for uri in s.get("uris", "").split():
                        yield uri, s.get("suites", "").split(), s.get("components", "").split()
    lists = ["/etc/apt/sources.list"] + sorted(glob.glob("/etc/apt/sources.list.d/*.list"))
    for path in lists:
        if not os.path.exists(path):
            continue
        with open(path, errors="replace") as f:
            for line in f:
                m = re.match(r"deb\s+(?:\[[^]]*\]\s+)?(\S+)\s+(\S+)\s+(.*)", line.split("#")[0])
                if m:
                    yield m.group(1), [m.group(2)], m.group(3).split()


def _codename():
    try:
        with open("/etc/os-release") as f:
            m = re.search(r'^VERSION_CODENAME="?([a-z]+)', f.read(), re.M)
            return m.group(1) if m else ""
    except OSError:
        return ""


def _resolve(uri):
    """apt's mirror+file: names a file of archives; the first one is as good as any."""
    if uri.startswith("mirror+file:"):
        with open(uri[len("mirror+file:"):]) as f:
            for line in f:
                if line.strip() and not line.startswith("#"):
                    return line.split()[0]
    return uri


def mirror():
    """The Debian archive that this machine's own apt uses."""
    names = {_codename(), "bookworm", "trixie", "stable", "testing", "sid", "unstable"} - {""}
    for uri, suites, components in _sources():
        if "main" in components and names & set(suites) and "security" not in uri:
            return _resolve(uri).rstrip("/")
    raise RoomError("no Debian archive found in /etc/apt (sources.list, *.list, *.sources)")


def _apt_settings():
    """How apt reaches the archive from here (proxy, checks): the rooms need the same."""
    out = subprocess.run(["apt-config", "dump"], capture_output=True, text=True).stdout
    keep = [l for l in out.splitlines()
            if l.startswith("Acquire::") and not re.match(r"Acquire::(IndexTargets|Changelogs)", l)]
    return "\n".join(keep) + "\n"


def _proxy_env():
    env = dict(os.environ)
    out = subprocess.run(["apt-config", "dump", "Acquire::http::Proxy"],
                         capture_output=True, text=True).stdout
    m = re.search(r'Proxy "(http[^"]+)"', out)
    if m:
        env.setdefault("http_proxy", m.group(1))
    return env


# --- building ----------------------------------------------------------------------------------

def _stamp(*parts):
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def _finished(path, stamp):
    try:
        with open(os.path.join(path, ".lab-stamp")) as f:
            return f.read() == stamp
    except OSError:
        return False


def _remove(path):
    """Removes a tree; a mount left inside stops it rather than being emptied."""
    if os.path.lexists(path):
        subprocess.run(["rm", "-rf", "--one-file-system", path], check=True)


def _run(what, argv, log, timeout, env=None):
    with open(log, "ab") as out:
        out.write(("\n== %s\n" % what).encode())
        out.flush()
        try:
            rc = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                timeout=timeout, env=env).returncode
        except subprocess.TimeoutExpired:
            rc = "no end within %d s" % timeout
    if rc != 0:
        with open(log, errors="replace") as f:
            tail = "".join(f.readlines()[-15:])
        raise RoomError("%s failed (%s); the end of %s:\n%s" % (what, rc, log, tail))


def _write(path, text, mode=0o644):
    with open(path, "w") as f:
        f.write(text)
    os.chmod(path, mode)


def _seal(part, final, stamp):
    _write(os.path.join(part, ".lab-stamp"), stamp)
    _remove(final)
    os.rename(part, final)


def _base(suite, say):
    archive = mirror()
    final = os.path.join(state_dir(), "base-" + suite)
    stamp = _stamp("base", suite)
    if _finished(final, stamp):
        return final
    say("building the base system of %s" % suite)
    part = final + ".part"
    _remove(part)
    log = os.path.join(state_dir(), "base-%s.log" % suite)
    include = ["--include=ca-certificates"] if archive.startswith("https:") else []
    _run("debootstrap " + suite,
         BOX + ["debootstrap", "--variant=minbase"] + include + [suite, part, archive],
         log, 900, _proxy_env())
    for name in ("resolv.conf", "hosts"):
        if os.path.exists("/etc/" + name):
            shutil.copyfile("/etc/" + name, os.path.join(part, "etc", name))
    _write(os.path.join(part, "etc/apt/apt.conf.d/90lab"), _apt_settings() +
           'APT::Install-Recommends "false";\nAcquire::Languages "none";\n')
    _write(os.path.join(part, "usr/sbin/policy-rc.d"), "#!/bin/sh\nexit 101\n", 0o755)
    _seal(part, final, stamp)
    return final


def _room(mta, suite, say):
    users = " ".join("%s:%d" % u for u in sorted(USERS.items()))
    finish = FINISH % {"users": users}
    final = path(mta, suite)
    stamp = _stamp("room", mta, suite, PACKAGES[mta], PRESEED, finish)
    if _finished(final, stamp):
        return
    base = _base(suite, say)
    say("building the room %s-%s" % (mta, suite))
    part = final + ".part"
    _remove(part)
    log = os.path.join(state_dir(), "room-%s-%s.log" % (mta, suite))
    if os.path.exists(log):
        os.unlink(log)
    subprocess.run(["cp", "-a", base, part], check=True)
    _write(os.path.join(part, "etc/hosts"), "127.0.0.1 localhost\n127.0.1.1 mx.lab.example mx\n" +
           _kept_hosts())
    script = ("printf '%%s' '%s' | debconf-set-selections\n"
              "apt-get -q update\n"
              "apt-get -q -y --no-install-recommends install %s\n"
              "apt-get clean\n%s" % (PRESEED, " ".join(PACKAGES[mta]), finish))
    _run("room %s-%s" % (mta, suite), BOX + ["sh", "-c", INSIDE, "sh", part, script], log, 900)
    _seal(part, final, stamp)


def _kept_hosts():
    """Lines of /etc/hosts that may name the archive or its proxy; replaced before any MTA runs."""
    try:
        with open("/etc/hosts") as f:
            return "".join(l for l in f if not re.match(r"\s*(127\.|::1|#|$)", l))
    except OSError:
        return ""


def path(mta, suite):
    return os.path.join(state_dir(), "room-%s-%s" % (mta, suite))


def build(suites, mtas, say):
    for suite in suites:
        for mta in mtas:
            _room(mta, suite, say)
