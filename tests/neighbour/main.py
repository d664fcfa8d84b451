"""Root acts on a queue whose owner is hostile: nothing outside the spool and the vault may be touched or read into a case."""

import argparse
import hashlib
import os
import random
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time

SECRET = b"CANARY-of-root-7f3b1c"
SHARED = b"CANARY-of-another-program-51d2aa"
OWNER = 60123           # nobody's account; the queue belongs to it
MESSAGES = 80


def spool_files(spool):
    found = []
    for top, _, names in os.walk(spool):
        found += [os.path.join(top, name) for name in names if not name.startswith(".")]
    return found


def spool_dirs(spool):
    return [os.path.join(top, name) for top, names, _ in os.walk(spool) for name in names if len(name) == 1 or name in ("qf", "df")]


class Neighbour:
    """What the hostile user does, one trick after the other. Each puts back what it took, so that the queue stays worth acting on."""

    def __init__(self, spool, outside):
        self.spool = spool
        self.outside = outside
        self.aside = os.path.join(spool, ".aside")
        self.tricks = [self.symlink, self.symlink_to_shared, self.hard_link, self.fifo, self.other, self.directory, self.replace, self.logs]
        self.count = 0
        self.stopped = False

    def away(self, path):
        os.rename(path, self.aside)

    def back(self, path):
        """The planted thing goes, the message's file returns; if root moved the planted thing, only the latter."""
        try:
            os.unlink(path)
        except OSError:
            pass
        try:
            os.link(self.aside, path)
        except OSError:
            return
        os.unlink(self.aside)

    def plant(self, path, make):
        self.away(path)
        try:
            make(path)
            for _ in range(random.choice((1, 200, 2000))):
                pass
        finally:
            self.back(path)

    def symlink(self, path):
        self.plant(path, lambda p: os.symlink(os.path.join(self.outside, "secret"), p))

    def symlink_to_shared(self, path):
        self.plant(path, lambda p: os.symlink(os.path.join(self.outside, "shared"), p))

    def hard_link(self, path):
        self.plant(path, lambda p: os.link(os.path.join(self.outside, "shared"), p))

    def fifo(self, path):
        self.plant(path, os.mkfifo)

    def other(self, path):
        other = random.choice(spool_files(self.spool))
        if other != path and os.path.dirname(other) == os.path.dirname(path):
            self.plant(path, lambda p: os.link(other, p))

    def replace(self, path):
        """A new file of the same name: what was selected is no longer there."""
        self.plant(path, lambda p: open(p, "wb").close())

    def directory(self, path):
        dirs = spool_dirs(self.spool)
        if not dirs:
            return
        path = random.choice(dirs)
        moved = path + ".moved"
        os.rename(path, moved)
        try:
            os.symlink(os.path.join(self.outside, "dir"), path)
            for _ in range(random.choice((1, 200, 2000))):
                pass
        finally:
            try:
                os.unlink(path)
                os.rename(moved, path)
            except OSError:
                pass

    def logs(self, _):
        """Parts that no identity covers: many at a time, long enough for a whole batch to meet them."""
        paths = [p for p in spool_files(self.spool) if "/msglog/" in p or "/defer/" in p or "/bounce/" in p or "/-J" in p or "/df" in p]
        chosen = random.sample(paths, min(len(paths), 30))
        target = os.path.join(self.outside, "shared")
        make = random.choice((os.symlink, os.link))
        moved = []
        for path in chosen:
            aside = os.path.join(os.path.dirname(path), ".aside-" + os.path.basename(path))
            try:
                os.rename(path, aside)
                make(target, path)
                moved.append((aside, path))
            except OSError:
                pass
        time.sleep(0.05)        # not waiting for anything: this is how long the trap stays
        for aside, path in moved:
            try:
                os.unlink(path)
            except OSError:
                pass
            try:
                os.link(aside, path)
                os.unlink(aside)
            except OSError:
                pass

    def stop(self, _signal, _frame):
        self.stopped = True

    def run(self, until):
        while not self.stopped and time.monotonic() < until:
            files = spool_files(self.spool)
            if not files:
                time.sleep(0.01)    # not waiting for anything: only not to spin on an empty queue
                continue
            for _ in range(20):
                try:
                    random.choice(self.tricks)(random.choice(files))
                    self.count += 1
                except OSError:
                    pass


def start_neighbour(spool, outside, limit):
    """Goes on until SIGTERM, which ends it well; at most for so many seconds."""
    pid = os.fork()
    if pid:
        return pid
    try:
        os.setgroups([])
        os.setgid(OWNER)
        os.setuid(OWNER)
        neighbour = Neighbour(spool, outside)
        signal.signal(signal.SIGTERM, neighbour.stop)
        neighbour.run(time.monotonic() + limit)
        os._exit(0 if neighbour.count > 100 else 9)
    except BaseException as error:      # the child must never return into the caller
        print("neighbour:", repr(error), file=sys.stderr)
        os._exit(8)


def snapshot(outside):
    seen = {}
    for top, dirs, names in os.walk(outside):
        for name in dirs + names:
            path = os.path.join(top, name)
            st = os.lstat(path)
            content = b"" if stat.S_ISDIR(st.st_mode) else open(path, "rb").read()
            seen[path] = (st.st_ino, st.st_mode, st.st_uid, st.st_gid, st.st_size, st.st_mtime_ns, st.st_nlink,
                          hashlib.sha256(content).hexdigest())
    return seen


def make_outside(base):
    outside = os.path.join(base, "outside")
    os.makedirs(os.path.join(outside, "dir"))
    with open(os.path.join(outside, "secret"), "wb") as f:
        f.write(SECRET)
    os.chmod(os.path.join(outside, "secret"), 0o600)
    with open(os.path.join(outside, "shared"), "wb") as f:
        f.write(SHARED)
    # Another program's file of the same user: he may link to it, so only we can know that it is no message.
    os.chown(os.path.join(outside, "shared"), OWNER, OWNER + 1)
    os.chmod(os.path.join(outside, "shared"), 0o644)
    with open(os.path.join(outside, "dir", "secret"), "wb") as f:
        f.write(SECRET)
    os.chmod(os.path.join(outside, "dir", "secret"), 0o600)
    return outside


def holding(vault, marker):
    found = []
    for top, _, names in os.walk(vault):
        for name in names:
            path = os.path.join(top, name)
            if stat.S_ISREG(os.lstat(path).st_mode) and marker in open(path, "rb").read():
                found.append(path)
    return found


def odd_things(vault):
    odd = []
    for top, dirs, names in os.walk(vault):
        for name in dirs + names:
            mode = os.lstat(os.path.join(top, name)).st_mode
            if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
                odd.append(os.path.join(top, name))
    return odd


def inherit_group(spool):
    """As Debian makes Sendmail's queues. Only so can a body's link to a foreign file be told from one that envelopes share."""
    for top, dirs, _ in os.walk(spool):
        for path in [top] + [os.path.join(top, name) for name in dirs]:
            os.chmod(path, 0o2750)


def act(build, mta, spool, vault, log, turn):
    common = ["--spool", spool, "--mta", mta, "--vault", vault]
    case = newest_case(vault)
    verbs = [
        ["mqquarantine", "take", "-m", "15", "--all", "--why", "test", "--yes"],
        ["mqquarantine", "hold", "-m", "15", "--all", "--yes"],
        ["mqquarantine", "release", "-z", "--yes"],
        ["mqpurge", "-m", "1", "--all", "--no-undo", "--why", "test", "--yes"],
    ]
    command = ["mqquarantine", "restore", case, "--yes"] if case and turn % 2 else random.choice(verbs)
    args = [os.path.join(build, "sbin", command[0])] + command[1:] + (["--vault", vault] if "restore" in command else common)
    done = subprocess.run(args, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60, check=False)
    log.append((done.returncode, " ".join(command), done.stdout.decode("utf-8", "replace")))
    return done.returncode


def newest_case(vault):
    if not os.path.isdir(vault):
        return None
    cases = sorted(name for name in os.listdir(vault) if name[:2] == "20" and os.path.isdir(os.path.join(vault, name)))
    return cases[-1] if cases else None


class Totals:
    passed = failed = 0

    def check(self, name, fine, detail=""):
        if fine:
            self.passed += 1
            print("ok    " + name, flush=True)
        else:
            self.failed += 1
            print("FAIL  " + name, flush=True)
            for line in str(detail).splitlines()[:40]:
                print("    | " + line)


def other_file_system(base):
    """A directory that renames from base cannot reach, or None."""
    if os.stat("/dev/shm").st_dev == os.stat(base).st_dev:
        return None
    return tempfile.mkdtemp(prefix="mqtools-neighbour-", dir="/dev/shm")


def one(mta, build, seconds, totals, elsewhere):
    base = tempfile.mkdtemp(prefix="mqtools-neighbour-")
    os.chmod(base, 0o711)
    far = other_file_system(base) if elsewhere else None
    label = "neighbour %s%s" % (mta, ", vault on another file system" if elsewhere else "")
    if elsewhere and not far:
        totals.check(label + ": SKIP: /dev/shm is no other file system", False)
        shutil.rmtree(base)
        return
    pid = 0
    try:
        outside = make_outside(base)
        spool, vault = os.path.join(base, "spool"), os.path.join(far or base, "vault")
        subprocess.run([os.path.join(build, "tests", "mkspool"), "flood", mta, spool, "-n", str(MESSAGES)], check=True,
                       stdout=subprocess.DEVNULL)
        for top, dirs, names in os.walk(spool):
            for name in dirs + names:
                os.chown(os.path.join(top, name), OWNER, OWNER, follow_symlinks=False)
        os.chown(spool, OWNER, OWNER)
        if mta == "sendmail":
            inherit_group(spool)
        before = snapshot(outside)
        log, codes = [], []
        # On a busy machine the first few commands may take longer than that.
        limit = seconds * 20
        pid = start_neighbour(spool, outside, limit)
        begin = time.monotonic()
        while time.monotonic() < begin + (seconds if len(codes) > 3 else limit - 1):
            codes.append(act(build, mta, spool, vault, log, len(codes)))
        os.kill(pid, signal.SIGTERM)
        _, status = os.waitpid(pid, 0)
        pid = 0
        text = "\n".join("%d %s\n%s" % entry for entry in log[-6:])
        totals.check(label + ": the neighbour was busy", status == 0, "status %d" % status)
        totals.check("%s: %d commands ended by themselves" % (label, len(codes)),
                     len(codes) > 3 and all(code in (0, 1, 2, 3) for code in codes), text)
        totals.check(label + ": some messages were acted on", 0 in codes or 3 in codes, text)
        after = snapshot(outside)
        totals.check(label + ": nothing outside was changed, linked or removed", before == after,
                     "\n".join("%s\n  %s\n  %s" % (p, before.get(p), after.get(p)) for p in sorted(set(before) | set(after))
                               if before.get(p) != after.get(p)))
        totals.check(label + ": nothing from outside is in the vault",
                     not holding(vault, SECRET) and not holding(vault, SHARED), holding(vault, SECRET) + holding(vault, SHARED))
        totals.check(label + ": only files and directories are in the vault", not odd_things(vault), odd_things(vault))
    finally:
        if pid:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        shutil.rmtree(base, ignore_errors=True)
        if far:
            shutil.rmtree(far, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=6)
    parser.add_argument("--build", default="build")
    parser.add_argument("--mta", action="append")
    args = parser.parse_args()
    totals = Totals()
    if os.geteuid() != 0:
        print("SKIP  neighbour: only root can act on a queue of somebody else")
        totals.failed += 1
    else:
        for mta in args.mta or ("postfix", "exim", "sendmail"):
            one(mta, args.build, args.seconds, totals, False)
            one(mta, args.build, args.seconds, totals, True)
    print("%d passed, %d failed" % (totals.passed, totals.failed))
    return 1 if totals.failed else 0


sys.exit(main())
