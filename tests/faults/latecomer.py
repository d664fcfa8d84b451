"""A delivery that begins while a command works.

Postfix's agents lock a file in active, shared, for as long as they deliver it, and die if they cannot; so we have no lock there (postfix_act.c). Here
the command is stopped before each of its calls, and where the file still has its name an agent comes, opens and locks it. Whoever has got that far
delivers the message: while he does, it must be in active when the command has ended, as if nothing had been, and nowhere else. When he has
finished, and marked a recipient done, nothing may be left that does not know of it. Who has only opened it will lock it in his next call.
"""

import fcntl
import os

import driver
import mail


RECIPIENT = b"R\x0flee@example.net"


class Late(driver.Scenario):
    """A verb of mail.py on a queue with a message in active. agent: how far he is when the command ends."""

    def __init__(self, kind, far, agent="delivering"):
        self.inner, self.agent_is, self.stays = kind("postfix", far), agent, agent != "delivered"
        self.name = "-".join(["late", self.inner.name, agent])

    def argv(self, world):
        return self.inner.argv(world) + ["--active"]

    def prepare(self, world):
        world.clear()
        self.inner.prepare(world)
        spool = self.inner.spool(world)
        path = next(os.path.join(d, n) for d, _, names in sorted(os.walk(os.path.join(spool, "deferred"))) for n in sorted(names))
        self.file = os.path.join(spool, "active", os.path.basename(path))
        os.rename(path, self.file)
        self.ino = os.stat(self.file).st_ino

    def test(self, world, tally, budget):
        self.world = world
        self.prepare(world)
        status, said = world.finish(world.start(self.argv(world), {"FAULT_SHADOW": ""}))
        total = world.calls()
        if not self.inner.done(status) or os.path.exists(self.file):
            raise driver.Trouble("undisturbed: status %s: %s" % (status, said))
        row = driver.Row(self, "locked", [("locked", n) for n in driver.spread(total)], total)
        driver.run_rows([row], budget)
        row.report(tally)
        if not budget and not self.met:
            tally.bad("faults %s: no agent came in time" % self.name)

    met = 0

    @property
    def scenario(self):
        return self

    def arrive(self):
        try:
            self.agent = os.open(self.file, os.O_RDWR)
        except FileNotFoundError:
            return
        self.met += 1
        if self.agent_is != "opening":
            fcntl.flock(self.agent, fcntl.LOCK_SH | fcntl.LOCK_NB)
        if not self.stays:
            os.pwrite(self.agent, b"D", os.pread(self.agent, 10000, 0).index(RECIPIENT))
            os.close(self.agent)

    def cell(self, _way, n):
        self.prepare(self.world)
        self.agent = None
        status, said = self.world.run_until(self.argv(self.world), n, self.arrive)
        if self.agent is None:
            return None
        found = self.found()
        if self.stays:
            os.close(self.agent)
            fine = found == [(self.file, True)] and status == 3
        else:
            fine = len(found) == 1 and not found[0][1]
        return None if fine else "an agent came before call %s\n        then there was %s\n        the command said (%s): %s" % (
            self.world.call_text(n), found, status, " / ".join(said.strip().splitlines()[-3:]))

    def found(self):
        """(path, whether its recipient is still to be tried) of the message, wherever it is."""
        found = []
        for top in (self.inner.spool(self.world), self.inner.vault(self.world)):
            for here, _, names in os.walk(top):
                if os.path.basename(self.file) in names and not mail.LOGS.count(os.path.relpath(here, top).split("/")[0]):
                    path = os.path.join(here, os.path.basename(self.file))
                    with open(path, "rb") as f:
                        data = f.read()
                    found += [(path, RECIPIENT in data)] if data.startswith(b"C") else []
        return found


class Fenced(Late):
    """The queue manager wants to deliver what is claimed: it moves it into active, meets the lock, and puts it into incoming."""

    def __init__(self, kind):
        super().__init__(kind, False, "fenced")

    def argv(self, world):
        return self.inner.argv(world)

    def prepare(self, world):
        super().prepare(world)
        deferred = os.path.join(self.inner.spool(world), "deferred", os.path.basename(self.file)[0], os.path.basename(self.file))
        os.rename(self.file, deferred)
        self.log = deferred.replace("deferred", "defer")
        self.file, self.retry = deferred, os.path.join(self.inner.spool(world), "incoming", os.path.basename(deferred))

    def arrive(self):
        try:
            agent = os.open(self.file, os.O_RDONLY)
        except FileNotFoundError:
            return
        try:
            fcntl.flock(agent, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.rename(self.file, self.retry)
            self.met += 1
            self.agent = agent
        os.close(agent)

    def cell(self, _way, n):
        self.prepare(self.world)
        self.agent = None
        status, said = self.world.run_until(self.argv(self.world) + ["--each"], n, self.arrive)
        if self.agent is None:
            return None
        fine = [path for path, _ in self.found()] == [self.retry] and status == 3 and "moved to another queue" in said
        # Who was refused is told from the log; only between the last look and the two unlinks it goes too early.
        fine = fine and (os.path.exists(self.log) or self.world.call_text(n).split()[1] == "unlink")
        return None if fine else "the queue manager came before call %s\n        then there was %s\n        the command said (%s): %s" % (
            self.world.call_text(n), self.found(), status, " / ".join(said.strip().splitlines()[-3:]))


def scenarios():
    takes = [Late(mail.Take, far, agent) for far in (False, True) for agent in ("opening", "delivering", "delivered")]
    return takes + [Late(mail.Purge, True), Late(mail.Hold, False), Late(mail.Hold, False, "opening"), Fenced(mail.Take), Fenced(mail.Hold), Fenced(mail.PurgeForGood)]
