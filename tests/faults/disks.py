"""The same scenarios on real file systems, as root: full ones, ones that turn read-only under the command's feet, and ext4 losing power.

Power: the command is killed at a call, the file system is shut down without writing its journal, and mounted again, so that ext4 itself
decides what is left.  That is one state for each call, where shadow.py plays several; it also shows that shadow.py's model of a disk
is not milder than a real one.
"""

import fcntl
import os
import signal
import struct
import subprocess

import driver
import mail

SIZE = 16 << 20
EXT4_SHUTDOWN, WITHOUT_LOG = 0x8004587D, 2      # EXT4_IOC_SHUTDOWN, EXT4_GOING_FLAGS_NOLOGFLUSH

# Bytes left on a full disk. The vault's reserve file alone is a megabyte.
ROOM = [0, 1 << 10, 2 << 10, 4 << 10, 6 << 10, 8 << 10, 12 << 10, 16 << 10, 24 << 10, 32 << 10, 48 << 10, 64 << 10, 128 << 10, 256 << 10,
        1 << 20, (1 << 20) + (16 << 10), (1 << 20) + (64 << 10)]


def sh(*argv):
    p = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if p.returncode != 0:
        raise driver.Trouble("%s: %s" % (" ".join(argv), p.stdout.strip()))


class Disk:
    """A small file system in a file. kind: ext4, reserve (root may write a little longer), tmpfs."""

    MKFS = {"ext4": ["-m", "0"], "reserve": ["-m", "10"]}

    def __init__(self, kind, image, path):
        self.kind, self.image, self.path = kind, image, path
        self.filler = os.path.join(path, ".filler")
        self.mounted = False
        os.makedirs(path, exist_ok=True)

    def make(self):
        self.unmount()
        if self.kind == "tmpfs":
            sh("mount", "-t", "tmpfs", "-o", "size=%d,mode=755" % SIZE, "tmpfs", self.path)
            self.mounted = True
            return
        with open(self.image, "wb") as f:
            f.truncate(SIZE)
        sh("mkfs.ext4", "-q", "-b", "1024", *self.MKFS[self.kind], self.image)
        self.mount()
        os.rmdir(os.path.join(self.path, "lost+found"))

    def mount(self):
        sh("mount", "-o", "loop", self.image, self.path)
        self.mounted = True

    def unmount(self):
        if self.mounted:
            sh("umount", self.path)
        self.mounted = False

    def again(self):
        self.unmount()
        self.mount()

    def lose_power(self):
        fd = os.open(self.path, os.O_RDONLY)
        fcntl.ioctl(fd, EXT4_SHUTDOWN, struct.pack("I", WITHOUT_LOG))
        os.close(fd)
        self.again()

    def turn_read_only(self):
        sh("mount", "-o", "remount,abort", self.path)

    def fill(self, room):
        with open(self.filler, "wb") as f:
            block = bytes(1 << 16)
            try:
                while True:
                    f.write(block)
                    f.flush()
            except OSError:
                pass
            try:
                f.close()
            except OSError:
                pass
        # root's own reserve counts as room where root works.
        os.truncate(self.filler, max(0, os.lstat(self.filler).st_size - room))

    def empty(self):
        if os.path.exists(self.filler):
            os.unlink(self.filler)


class DiskWorld(driver.World):
    """Both sides are disks of their own."""

    serves = False          # each run begins with what is mounted then

    def __init__(self, build, base, far, kind):
        super().__init__(build, base, far)
        self.disks = [Disk(kind, os.path.join(self.away, "disk%d" % i), path) for i, path in enumerate((self.here, self.there))]

    def close(self):
        for d in self.disks:
            d.unmount()
        super().close()

    def clear(self):
        for d in self.disks:
            d.make()


class OnDisk(driver.Scenario):
    """A scenario of mail.py and what happens to its disks."""

    as_root = True

    def __init__(self, scenario, trial, kind="ext4"):
        self.inner, self.trial, self.kind = scenario, trial, kind
        self.name = "-".join([scenario.name, kind, trial])

    def test(self, world, tally, budget):
        disks = DiskWorld(world.build, world.home, world.away, self.kind)
        try:
            self._test(disks, tally, budget)
        except driver.Trouble as e:
            tally.bad("faults " + self.name, [str(e)])
        finally:
            disks.close()

    def _test(self, world, tally, budget):
        self._begin(world)
        status, total, said = self._run(world)
        self.end = self.inner.look(world)
        if not self.inner.done(status) or total == 0:
            raise driver.Trouble("undisturbed: status %s, %d calls: %s" % (status, total, said))
        cells = list(range(len(ROOM))) if self.trial == "full" else driver.spread(total)
        row = driver.Row(self, self.trial, [("disk", c) for c in cells], total)
        driver.run_rows([row], budget)
        row.report(tally)

    @property
    def scenario(self):
        return self

    def _begin(self, world):
        self.world = world
        world.clear()
        self.inner.prepare(world)
        for d in world.disks:
            fd = os.open(d.path, os.O_RDONLY)
            os.fsync(fd)
            os.close(fd)
        os.sync()
        self.before = self.inner.look(world)

    def _run(self, world, **faults):
        return world.run(self.inner.argv(world), {"FAULT_SHADOW": "", "FAULT_NOSYNC": "0", **faults})

    def cell(self, _way, n):
        self._begin(self.world)
        status, said, wrong = getattr(self, "_" + self.trial.replace("-", "_"))(n)
        if status == "timeout" or (status < 0 and self.trial != "power"):
            wrong.append("the command died: %s" % status)
        what = "%d bytes left" % ROOM[n] if self.trial == "full" else "at call " + self.world.call_text(n)
        finished = self.trial != "power" and self.inner.done(status)
        wrong += self.inner.recovered(self.world) + self.inner.complaints(self.world, self.before, self.end, finished)
        wrong += self.inner.recovered(self.world, quiet=True)
        return "%s\n        %s\n        the command said (%s): %s" % (what, "\n        ".join(wrong), status, " / ".join(said.strip().splitlines()[-4:])) if wrong else None

    def _full(self, n):
        for d in self.world.disks:
            d.fill(ROOM[n])
        status, _, said = self._run(self.world)
        for d in self.world.disks:
            d.empty()
        return status, said, []

    def _power(self, n):
        status, _, said = self._run(self.world, FAULT_AT=str(n), FAULT_KILL="before")
        for d in self.world.disks:
            d.lose_power()
        return status, said, [] if status == -signal.SIGKILL else ["not killed: status %s" % status]

    def _read_only(self, n):
        status, said = self.world.run_until(self.inner.argv(self.world), n, lambda: [d.turn_read_only() for d in self.world.disks])
        for d in self.world.disks:
            d.again()
        return status, said, []


def scenarios():
    kinds = [(kind, far) for kind in (mail.Take, mail.Restore, mail.Purge, mail.Undo) for far in (False, True)]
    found = [OnDisk(kind(mta, far), "power") for kind, far in kinds + [(mail.Hold, False), (mail.Pack, False)] for mta in mail.SPOOLS]
    found += [OnDisk(kind(mta, far), "read-only") for kind, far in kinds for mta in mail.SPOOLS]
    found += [OnDisk(kind(mta, far, owned=owned), "full", fs) for kind, far in kinds + [(mail.Hold, False)] for mta, fs, owned in (
        ("exim", "ext4", False), ("postfix", "reserve", True), ("sendmail", "tmpfs", False))]
    return found
