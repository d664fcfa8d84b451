"""A delivery between a crash and recovery.

Who is killed leaves no lock, and hours may go by before recovery: its server goes on with whatever it can see. Here it tries each such message once and
writes that down as it does: Exim and Sendmail put a new control file over the old one, Postfix marks the recipient in place. After recovery
there must be one such message, as the server left it; what was written before the attempt must not come back, or recipients would get it again.
"""

import hashlib
import os
import re

import driver
import mail


def exim(data):
    """The number of delay warnings sent, at the end of the fourth line."""
    return re.sub(rb"\A((?:.*\n){3}\d+ )(\d+)", lambda m: m[1] + b"%d" % (int(m[2]) + 1), data)


def sendmail(data):
    """Its first recipient has it now, and it was tried once more."""
    return re.sub(rb"^N(\d+)", lambda m: b"N%d" % (int(m[1]) + 1), re.sub(rb"^R.*\n", b"", data, count=1, flags=re.M), flags=re.M)


def postfix(data):
    at = re.search(rb"R[\x01-\x7f][a-z]+@[a-z.]+", data).start()
    return data[:at] + b"D" + data[at + 1:]


TRIED = {"exim": exim, "postfix": postfix, "sendmail": sendmail}


def seen(mta, f, data):
    """Whether this server would deliver it now."""
    if mta == "sendmail":
        return f.role == "qf" and not mail.QUARANTINED.search(data)
    if mta == "exim":
        return f.role == "-H" and b"\n-frozen" not in data
    return f.place in ("incoming", "deferred")


class Meanwhile(driver.Scenario):
    def __init__(self, kind, mta, far):
        self.inner = kind(mta, far)
        self.inner.spools = mail.UNHELD
        self.mta, self.name = mta, "meanwhile-" + self.inner.name

    def test(self, world, tally, budget):
        self.world, self.met = world, 0
        world.clear()
        self.inner.prepare(world)
        status, total, said = world.run(self.inner.argv(world), watched=True)
        if not self.inner.done(status):
            raise driver.Trouble("undisturbed: status %s: %s" % (status, said))
        row = driver.Row(self, "tried", [("tried", n) for n in driver.spread(total)], total)
        driver.run_rows([row], budget)
        row.report(tally)
        if not budget and not self.met:
            tally.bad("faults %s: the server saw no message" % self.name)

    @property
    def scenario(self):
        return self

    def attempt(self):
        """(what was tried, before and after) as digests of control files."""
        tried, spool = {}, self.inner.spool(self.world)
        for m in mail.Pile(self.mta, list(mail.tree_files(spool))).messages:
            for f in m.files:
                path = os.path.join(spool, f.path)
                with open(path, "rb") as old:
                    data = old.read()
                if not mail.KEYS[self.mta](f) or not seen(self.mta, f, data):
                    continue
                new, mode = TRIED[self.mta](data), os.stat(path).st_mode
                if self.mta == "postfix":
                    with open(path, "r+b") as out:
                        out.write(new)
                else:
                    with open(path + ".new", "wb") as out:
                        out.write(new)
                    os.chmod(path + ".new", mode & 0o7777)
                    os.rename(path + ".new", path)
                tried[m.id] = (hashlib.sha256(data).hexdigest(), hashlib.sha256(new).hexdigest())
        return tried

    def cell(self, _way, n):
        self.world.clear()
        self.inner.prepare(self.world)
        status, _, said = self.world.run(self.inner.argv(self.world), driver.settings(("kill", "before"), n))
        call, tried = self.world.call_text(n), self.attempt()
        self.met += len(tried)
        wrong = self.inner.recovered(self.world)
        now = [f.exact[2] for m, _ in mail.State(self.mta, self.inner.spool(self.world), self.inner.vault(self.world)).everywhere() for f in m.files]
        for mail_id, (old, new) in tried.items():
            if old in now:
                wrong.append("%s is there as it was before it was tried" % mail_id)
            if now.count(new) != 1:
                wrong.append("%s as it was left by its server is there %d times" % (mail_id, now.count(new)))
        return "killed before call %s\n        then tried, then recovered: %s\n        the command said (%s): %s" % (
            call, "; ".join(wrong), status, said.strip()) if wrong else None


def scenarios():
    near = [Meanwhile(kind, mta, False) for kind in (mail.Hold, mail.Release) for mta in ("exim", "sendmail")]
    return near + [Meanwhile(kind, mta, far) for kind in (mail.Take, mail.Restore) for mta in mail.SPOOLS for far in (False, True)]
