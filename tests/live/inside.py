"""Life inside a room: the namespaces, the chroot, daemons, and waiting for them.

Knows Linux, knows no mail.  Everything here runs in namespaces of its own (processes, mounts,
network with nothing but lo, host name), so when the process that entered them ends, for whatever
reason, its daemons, mounts and sockets end with it.
"""

import fcntl
import os
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time

HOST = "mx.lab.example"
# forged.lab.example leads to another address than the one it is the name of.
HOSTS = """127.0.0.1 localhost
::1 localhost ip6-localhost
127.0.1.1 %s mx
127.0.0.9 nine.lab.example
127.0.0.13 forged.lab.example
127.0.0.11 forged.lab.example
""" % HOST

# The shell is there to be process 1: it buries orphans, and Exim takes a child of process 1 for a
# daemon that was told to start again, and stays in the foreground.
ENTER = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "--mount",
         "--propagation", "unchanged", "--net", "--uts", "--",
         "sh", "-c", '"$@"; exit $?', "sh"]

SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 0x1


class LabError(Exception):
    """A sentence for the person who runs the lab."""


def settle():
    """First act of a process started through ENTER."""
    subprocess.run(["mount", "--make-rprivate", "/"], stderr=subprocess.DEVNULL)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        request = struct.pack("16sh14x", b"lo", 0)
        flags = struct.unpack("16sh14x", fcntl.ioctl(s, SIOCGIFFLAGS, request))[1]
        fcntl.ioctl(s, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | IFF_UP))
    socket.sethostname(HOST)


def wait_until(what, test, timeout=30.0):
    """Waits for a fact about somebody else's process; returns what the test returned."""
    end = time.monotonic() + timeout
    while True:
        value = test()
        if value:
            return value
        if time.monotonic() > end:
            raise LabError("waited %d s in vain for %s" % (timeout, what))
        time.sleep(0.02)


def can_connect(address, port):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as s:
        s.settimeout(5)
        return s.connect_ex((address, port)) == 0


def wait_port(address, port):
    wait_until("port %s:%d" % (address, port), lambda: can_connect(address, port))


class Syslog(threading.Thread):
    """Collects what is sent to the room's /dev/log: Sendmail logs nowhere else."""

    def __init__(self, path):
        super().__init__(daemon=True)
        self.lines, self.lock = [], threading.Lock()
        if os.path.lexists(path):
            os.unlink(path)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self.socket.bind(path)
        os.chmod(path, 0o666)
        self.start()

    def run(self):
        while True:
            line = self.socket.recv(65536).decode("utf-8", "replace")
            with self.lock:
                self.lines.append(line)

    def find(self, *parts):
        with self.lock:
            return [l for l in self.lines if all(p in l for p in parts)]


class Room:
    """One chroot, with what is running in it."""

    def __init__(self, path):
        self.path = os.path.realpath(path)
        self.mounts, self.children = [], []

    def host(self, inner):
        return self.path + inner

    def open(self):
        """Mounts, a clean spool, a hosts file that knows this host alone."""
        self.mount("proc", "proc", "/proc")
        shutil.rmtree(self.host("/var/spool"), ignore_errors=True)
        subprocess.run(["cp", "-a", self.host("/var/spool.fresh"), self.host("/var/spool")],
                       check=True)
        self.write("/etc/hosts", HOSTS)
        self.write("/etc/nsswitch.conf", "passwd: files\ngroup: files\nshadow: files\n"
                   "hosts: files\nservices: files\nprotocols: files\n")
        self.write("/etc/host.conf", "multi off\n")
        self.write("/etc/hostname", HOST + "\n")
        self.write("/etc/mailname", HOST + "\n")
        self.write("/etc/resolv.conf", "")
        self.log = Syslog(self.host("/dev/log"))

    def mount(self, kind, source, inner, *options):
        os.makedirs(self.host(inner), exist_ok=True)
        subprocess.run(["mount", "-t", kind, *options, source, self.host(inner)], check=True)
        self.mounts.append(inner)

    def close(self):
        for child in self.children:
            if child.poll() is None:
                child.kill()
                child.wait()
        for inner in reversed(self.mounts):
            subprocess.run(["umount", "-l", self.host(inner)], stderr=subprocess.DEVNULL)
        self.mounts = []

    def write(self, inner, text, mode=0o644, owner=None):
        path = self.host(inner)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if os.path.lexists(path):
            os.unlink(path)
        with open(path, "wb") as f:
            f.write(text if isinstance(text, bytes) else text.encode())
        os.chmod(path, mode)
        if owner:
            self.run(["chown", owner, inner])

    def read(self, inner):
        with open(self.host(inner), "rb") as f:
            return f.read()

    def _argv(self, argv, user):
        login = ["--userspec=%s:%s" % (user, user)] if user else []
        return ["chroot", *login, self.path, "/usr/bin/env", "-i", "LC_ALL=C",
                "HOME=" + ("/home/" + user if user else "/root"),
                "USER=" + (user or "root"), "LOGNAME=" + (user or "root"),
                "PATH=/usr/sbin:/usr/bin:/sbin:/bin", *argv]

    def ended(self, argv, stdin=b"", user=None, timeout=120):
        """Runs a command to its end: its exit status, output and complaints.  Files, not pipes: a
        daemon may inherit and keep them."""
        with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as out, \
                tempfile.TemporaryFile() as err:
            given.write(stdin)
            given.seek(0)
            code = subprocess.run(self._argv(argv, user), stdin=given, stdout=out, stderr=err,
                                  timeout=timeout).returncode
            out.seek(0)
            err.seek(0)
            return code, out.read(), err.read()

    def run(self, argv, stdin=b"", user=None, check=True, timeout=120):
        """Runs a command that should succeed; returns its output."""
        code, out, err = self.ended(argv, stdin, user, timeout)
        if check and code != 0:
            raise LabError("%s: exit %d: %s" % (" ".join(argv), code,
                                                (err or out).decode("utf-8", "replace")[-600:]))
        return out

    def start(self, argv, user=None):
        """A child that is meant to go on; close() ends it."""
        child = subprocess.Popen(self._argv(argv, user), stdin=subprocess.DEVNULL,
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.children.append(child)
        return child

    def talk(self, argv, user=None):
        """A child that speaks a protocol on its standard input and output."""
        child = subprocess.Popen(self._argv(argv, user), stdin=subprocess.PIPE,
                                 stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.children.append(child)
        return child

    def processes(self, *names):
        """Pids of this room's processes with one of these program names."""
        found = []
        for name in os.listdir("/proc"):
            if not name.isdigit():
                continue
            try:
                if os.readlink("/proc/%s/root" % name) != self.path:
                    continue
                program = os.path.basename(os.readlink("/proc/%s/exe" % name))
            except OSError:
                continue
            if not names or program in names:
                found.append(int(name))
        return found

    def here(self, pid):
        try:
            return os.readlink("/proc/%d/root" % pid) == self.path
        except OSError:
            return False

    def stop(self, pidfile, sig=signal.SIGTERM):
        """Ends a daemon by its own pid file, if that process lives in this room."""
        try:
            pid = int(self.read(pidfile).split()[0])
        except (OSError, IndexError, ValueError):
            return
        if self.here(pid):
            os.kill(pid, sig)
            wait_until("the end of process %d" % pid, lambda: not self.here(pid))

    def end(self, *names):
        """Kills this room's processes of these programs and waits until they are gone."""
        for pid in self.processes(*names):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        wait_until("the end of " + ", ".join(names), lambda: not self.processes(*names))
