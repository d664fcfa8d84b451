"""The same scenarios on real file systems, as root: full ones, ones with a quota, ones that turn read-only under the command's feet (XFS: that are
gone), and ones losing power.

Power: the command is killed at a call, the file system is shut down without writing its journal, and mounted again, so that ext4 or XFS itself
decides what is left; of btrfs that is what it had written to its disk.  That is one state for each call, where shadow.py plays several; it also shows that shadow.py's model of a disk
is not milder than a real one.
"""

import fcntl
import os
import shutil
import signal
import struct
import subprocess

import driver
import mail

# mkfs.xfs makes none that is smaller.
SIZES = {"xfs": 320 << 20, "btrfs": 64 << 20, "quota": 64 << 20}
SIZE = 16 << 20

# reserve: root may write a little longer. btrfs: names, small files and large ones share what there is, so that all of them meet its end.
MKFS = {
    "ext4": ["mkfs.ext4", "-q", "-b", "1024", "-m", "0"],
    "reserve": ["mkfs.ext4", "-q", "-b", "1024", "-m", "10"],
    "xfs": ["mkfs.xfs", "-q"],
    "btrfs": ["mkfs.btrfs", "-q", "--mixed"],
}
TYPES = {"reserve": "ext4", "quota": "btrfs"}

# EXT4_IOC_SHUTDOWN and EXT4_GOING_FLAGS_NOLOGFLUSH; XFS_IOC_GOINGDOWN and its flag are the same numbers (Linux 6.18).
SHUTDOWN, WITHOUT_LOG = 0x8004587D, 2

# Bytes left on a full disk. The vault's reserve file alone is a megabyte.
ROOM = [0, 1 << 10, 2 << 10, 4 << 10, 6 << 10, 8 << 10, 12 << 10, 16 << 10, 24 << 10, 32 << 10, 48 << 10, 64 << 10, 128 << 10, 256 << 10,
        1 << 20, (1 << 20) + (16 << 10), (1 << 20) + (64 << 10)]

# btrfs sets aside more for each change than it needs.
ROOM_BTRFS = [n << 16 for n in (0, 1, 2, 4, 8, 12, *range(16, 48, 2))]

# How a command ends that had no room: what helps is in it.
TOLD = ("make room for the vault and for the queue, on the disk or in the quota", "no room for the undo case", "no room to unpack",
        "cannot unpack")


def sh(*argv):
    p = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if p.returncode != 0:
        raise driver.Trouble("%s: %s" % (" ".join(argv), p.stdout.strip()))
    return p.stdout


def missing(kind):
    """What is not here that disks of this kind need; None: nothing."""
    fs = TYPES.get(kind, kind)
    if fs in MKFS and not shutil.which(MKFS[fs][0]):
        return "%s is missing (scripts/deps check installs it)" % MKFS[fs][0]
    if shutil.which("modprobe"):
        subprocess.run(["modprobe", "-q", fs], stderr=subprocess.DEVNULL, check=False)
    with open("/proc/filesystems") as f:
        return None if fs in f.read().split() else "this kernel has no " + fs


class Disk:
    """A small file system in a file, or tmpfs."""

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
        _blank(self.image, self.kind)
        self.mount()
        if os.path.isdir(os.path.join(self.path, "lost+found")):
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

    def shut_down(self):
        fd = os.open(self.path, os.O_RDONLY)
        fcntl.ioctl(fd, SHUTDOWN, struct.pack("I", WITHOUT_LOG))
        os.close(fd)

    def lose_power(self):
        if self.kind == "btrfs":
            self._back_to_what_was_written()
        else:
            self.shut_down()
            self.again()

    def _back_to_what_was_written(self):
        """btrfs cannot be shut down; what it has not written by now is not in the copy."""
        copy = self.image + ".cut"
        sh("cp", "--sparse=always", self.image, copy)
        self.unmount()
        os.rename(copy, self.image)
        self.mount()

    def turn_read_only(self):
        if self.kind == "xfs":
            self.shut_down()
        else:
            sh("mount", "-o", "remount,abort", self.path)

    def fill(self, room):
        spare = self.filler + "-spare"
        with open(spare, "wb") as f:
            if room:
                os.posix_fallocate(f.fileno(), 0, room)
        with open(self.filler, "wb") as f:
            self._allocate(f)
            try:
                while True:
                    f.write(bytes(1 << 16))
                    f.flush()
            except OSError:
                pass
            try:
                f.close()
            except OSError:
                pass
        # A full btrfs can remove a file, but not shorten one. root's own reserve counts as room where root works.
        os.unlink(spare)
        self._settle()

    def _allocate(self, f):
        """Most of it without writing it, where a disk is large."""
        step = SIZES.get(self.kind, 0) // 2
        while step >= 1 << 12:
            try:
                os.posix_fallocate(f.fileno(), f.seek(0, os.SEEK_END), step)
            except OSError:
                step //= 2
        f.seek(0, os.SEEK_END)

    def _settle(self):
        """XFS and btrfs give back what was freed with the next transaction."""
        if self.kind in SIZES:
            sh("sync", "-f", self.path)

    def empty(self):
        if os.path.exists(self.filler):
            os.unlink(self.filler)
            self._settle()


class Subvolume(Disk):
    """
    One of two on one btrfs: no rename goes from one to the other though the disk is the same, and what may be written is a limit of its
    own (EDQUOT, for root, too), which statvfs() does not tell.
    """

    NAMES = ("one", "other")

    def __init__(self, index, image, path):
        super().__init__("quota", image, path)
        self.index = index
        # Nobody whose limit is reached can ask for another one, unless he asks from outside.
        self.top = image + "-top"
        os.makedirs(self.top, exist_ok=True)

    def make(self):
        self.unmount()
        if self.index == 0:
            _blank(self.image, "btrfs")
        for command in (["subvolume", "create", os.path.join(self.top, self.NAMES[self.index])], ["quota", "enable", self.top]):
            self._on_top("btrfs", *command)
        self.mount()

    def mount(self):
        sh("mount", "-o", "loop,subvol=" + self.NAMES[self.index], self.image, self.path)
        self.mounted = True

    def _on_top(self, *argv):
        sh("mount", "-o", "loop", self.image, self.top)
        try:
            return sh(*argv)
        finally:
            sh("umount", self.top)

    def _limit(self, limit):
        group = "0/" + sh("btrfs", "inspect-internal", "rootid", self.path).strip()
        self._on_top("btrfs", "qgroup", "limit", limit, group, self.top)

    def fill(self, room):
        self._settle()
        # A warning may come first: that what was counted is not sure.
        rows = [line.split() for line in sh("btrfs", "qgroup", "show", "--raw", "-f", self.path).splitlines() if line.startswith("0/")]
        self._limit(str(int(rows[0][1]) + room))

    def empty(self):
        self._limit("none")


def _blank(image, kind):
    with open(image, "wb") as f:
        f.truncate(SIZES.get(kind, SIZE))
    sh(*MKFS[kind], image)


class DiskWorld(driver.World):
    """Both sides are disks of their own."""

    serves = False          # each run begins with what is mounted then

    def __init__(self, build, base, far, kind):
        super().__init__(build, base, far)
        paths = (self.here, self.there)
        if kind == "quota":
            self.disks = [Subvolume(i, os.path.join(self.away, "disk"), path) for i, path in enumerate(paths)]
        else:
            self.disks = [Disk(kind, os.path.join(self.away, "disk%d" % i), path) for i, path in enumerate(paths)]

    def close(self):
        for d in self.disks:
            d.unmount()
        super().close()

    def clear(self):
        for d in self.disks[::-1]:
            d.unmount()
        for d in self.disks:
            d.make()


class OnDisk(driver.Scenario):
    """A scenario of mail.py and what happens to its disks."""

    as_root = True

    def __init__(self, scenario, trial, kind="ext4"):
        self.inner, self.trial, self.kind = scenario, trial, kind
        self.name = "-".join([scenario.name, kind, trial])

    def test(self, world, tally, budget):
        lacks = missing(self.kind)
        if lacks:
            tally.skip("faults %s: %s" % (self.name, lacks))
            return
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
        cells = list(self._rooms(world)) if self.trial == "full" else driver.spread(total)
        row = driver.Row(self, self.trial, [("disk", c) for c in cells], total)
        driver.run_rows([row], budget)
        row.report(tally)

    def _rooms(self, world):
        """(bytes left, on which disks): where each has its own limit, on one and on the other."""
        sides = [world.disks[:1], world.disks[1:]] if self.kind == "quota" and self.inner.far else [world.disks]
        return [(room, disks) for room in (ROOM_BTRFS if self.kind in ("btrfs", "quota") else ROOM) for disks in sides]

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
        what = "%d bytes left on %s" % (n[0], ", ".join(d.path for d in n[1])) if self.trial == "full" else "at call " + self.world.call_text(n)
        finished = self.trial != "power" and self.inner.done(status)
        wrong += self.inner.recovered(self.world) + self.inner.complaints(self.world, self.before, self.end, finished)
        wrong += self.inner.recovered(self.world, quiet=True)
        return "%s\n        %s\n        the command said (%s): %s" % (what, "\n        ".join(wrong), status, " / ".join(said.strip().splitlines()[-4:])) if wrong else None

    def _full(self, n):
        room, disks = n
        for d in disks:
            d.fill(room)
        status, _, said = self._run(self.world)
        for d in disks:
            d.empty()
        wrong = [] if self.inner.done(status) or any(told in said for told in TOLD) else ["nobody is told that there is no room, and what helps"]
        return status, said, wrong

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
        ("exim", "ext4", False), ("postfix", "reserve", True), ("sendmail", "tmpfs", False), ("postfix", "xfs", False),
        ("exim", "btrfs", False), ("sendmail", "quota", False), ("postfix", "quota", True))]
    found += [OnDisk(kind(mta, far), trial, fs) for kind, far in kinds for mta, fs, trial in (
        ("postfix", "xfs", "power"), ("sendmail", "xfs", "read-only"), ("exim", "btrfs", "power"))]
    return found
