"""The shipped programs, as they are, under strace, which fails or kills at single system calls.

faults.so breaks calls of the C library, and knows only those that it stands in front of; strace sees what the kernel is asked,
whoever asks.
"""

import collections
import os
import re
import shutil
import signal

import driver
import mail

# What changes something: fails, kills, or fails from there on as on a full disk.
CHANGES = ("renameat", "renameat2", "linkat", "unlinkat", "mkdirat", "write", "pwrite64", "fsync", "fdatasync", "syncfs", "ftruncate",
           "fallocate", "fchown", "fchownat", "fchmod", "utimensat", "copy_file_range", "sendfile")
HOWS = ("error=ENOSPC:when=%d", "error=EIO:when=%d", "signal=SIGKILL:when=%d", "error=ENOSPC:when=%d+", "error=EINTR:when=%d")

# What only looks, but may fail all the same; more often than anybody has time to try.
LOOKS = {"openat": "EMFILE", "openat2": "ENOMEM", "newfstatat": "EIO", "fstat": "EIO", "getdents64": "EIO", "read": "EIO", "pread64": "EIO",
         "flock": "ENOLCK", "fcntl": "ENOLCK"}
LOOKS_EACH = 12

CALL = re.compile(r"^\d+ +(?:\d+\.\d+ )?([a-z0-9_]+)\(")


class Traced(driver.Scenario):
    """A scenario of mail.py."""

    def __init__(self, scenario):
        self.inner = scenario
        self.name = scenario.name + "-strace"

    def test(self, world, tally, budget):
        if not shutil.which("strace"):
            tally.bad("faults %s: strace is missing (scripts/deps check installs it)" % self.name)
            return
        self.world = TracedWorld(world.build, world.home, world.away)
        try:
            self._test(tally, budget)
        except driver.Trouble as e:
            tally.bad("faults " + self.name, [str(e)])
        finally:
            self.world.close()

    def _test(self, tally, budget):
        self._begin()
        status, said = self.world.traced(self.inner.argv(self.world), ["-e", "trace=" + ",".join(("?" + c for c in (*CHANGES, *LOOKS)))])
        counts = self.world.counts()
        self.end = self.inner.look(self.world)
        if not self.inner.done(status) or not any(counts[c] for c in CHANGES):
            raise driver.Trouble("undisturbed: status %s: %s" % (status, said))
        ways = [[(call, how % n) for n in driver.spread(counts[call])] for call in CHANGES for how in HOWS]
        ways += [[(call, "error=%s:when=%d" % (error, n)) for n in driver.spread(counts[call])[:LOOKS_EACH]] for call, error in LOOKS.items()]
        cells = [(way, None) for way in driver.in_turn(ways)]
        row = driver.Row(self, "strace", cells, sum(counts.values()))
        driver.run_rows([row], budget)
        row.report(tally)

    @property
    def scenario(self):
        return self

    def _begin(self):
        self.world.clear()
        self.inner.prepare(self.world)
        self.before = self.inner.look(self.world)

    def cell(self, way, _n):
        call, how = way
        self._begin()
        status, said = self.world.traced(self.inner.argv(self.world), ["-e", "trace=" + call, "-e", "inject=%s:%s" % way])
        wrong = []
        killed = "SIGKILL" in how
        if status == "timeout" or (isinstance(status, int) and status < 0 and not (killed and status == -signal.SIGKILL)):
            wrong.append("the command died: %s" % status)
        # A killed command may have been at its end.
        wrong += self.inner.recovered(self.world)
        wrong += self.inner.complaints(self.world, self.before, self.end, not killed and self.inner.done(status))
        wrong += self.inner.recovered(self.world, quiet=True)
        return "%s %s\n        %s\n        the command said (%s): %s" % (
            call, how, "\n        ".join(wrong), status, " / ".join(said.strip().splitlines()[-4:])) if wrong else None


class TracedWorld(driver.World):
    serves = False

    def traced(self, argv, options):
        """(status, what it said)"""
        self.traced_to = os.path.join(self.home, "strace")
        return self.finish(self.start(["strace", "-f", "-qq", "-o", self.traced_to, *options, *argv], watched=False))

    def counts(self):
        with open(self.traced_to, errors="replace") as f:
            return collections.Counter(m.group(1) for m in map(CALL.match, f) if m)


def scenarios():
    kinds = [(kind, far) for kind in (mail.Take, mail.Restore, mail.Purge, mail.Undo) for far in (False, True)]
    kinds += [(mail.Hold, False), (mail.Release, False), (mail.Pack, False), (mail.PurgeForGood, False)]
    return [Traced(kind(mta, far)) for kind, far in kinds for mta in mail.SPOOLS]
