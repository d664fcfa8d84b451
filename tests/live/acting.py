"""Acting beside a running MTA: mail goes in without a pause, the sink counts what comes out, and the
commands take, put back, hold, release, purge and return it all the while.  Then the balance: every
message was delivered exactly once, or is in a case, or was purged on purpose, or its sender got one
report about it.

Knows the commands and nothing of an MTA.  Each act_*.py is an Acting that fills in

    configure  start  stop  run_queue  native  files  log_lines

and says which lines of its MTA's log are about locks (LOCKS) or fine though new (QUIET).
"""

import collections
import glob
import json
import os
import random
import re
import subprocess
import threading
import time

import block
import inside
import load
import scene
import sink

VAULT = "/var/spool/mqtools"
QUEUE_RUN = 400         # seconds that one run may take on a busy machine
NEVER = 99              # attempts after which such a recipient is taken: only when the sink drains
MESSAGE_ID = re.compile(rb"<act-\d+@lab\.example>")
JOB = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{4}")

# Whose mail is whose: the part of the sender's address after the @ tells what is done to it.
POOLS = ("take", "hold", "undo", "gone", "kept", "calm", "back")


class ActSink(sink.Sink):
    """Takes a recipient at the attempt that its address names (a3-17@... at the fourth), or at once
    while it drains.  Counts attempts, and deliveries by (Message-ID, recipient)."""

    def __init__(self, port, mute_port):
        self.draining = False
        self.attempts = collections.Counter()
        self.delivered = collections.Counter()
        super().__init__(port, mute_port)

    def answer(self, address):
        with self.lock:
            self.attempts[address] += 1
            tries = self.attempts[address]
        m = re.match(r"a(\d+)-", address)
        if self.draining or (m and tries > int(m.group(1))):
            return "250 2.1.5 fine"
        return sink.DEFAULT % address

    def keep(self, sender, recipients, data):
        m = MESSAGE_ID.search(data.split(b"\r\n\r\n", 1)[0])
        with self.lock:
            for recipient in recipients:
                self.delivered[(m.group(0).decode() if m else None, recipient)] += 1


class Done:
    """How a command ended."""

    def __init__(self, code, out, err):
        self.code, self.err = code, err
        self.lines = [json.loads(l) for l in out.splitlines() if l.startswith(b"{")]
        self.outcomes = [o for o in self.lines if "result" in o]
        names = JOB.findall(err)
        self.job = names[-1] if names else None

    def ids(self, result="done"):
        return [o["queue_id"] for o in self.outcomes if o["result"] == result]


class Acting:
    sink_class = ActSink
    WAITING = 300                   # messages that wait at most while the injectors go on
    LOCKS, QUIET = (), ()
    BY_ID, DOWN = (), ()            # options of ours: with ids, and while the MTA is down
    # What no log may say, whatever it said before.
    ALARMS = r"panic|fatal|corrupt|SYSERR|bogus|lost control|unrecognized|core dump|signal 11"

    # -- the mail -------------------------------------------------------------------------------

    def begin(self, score, commands, seconds):
        self.score, self.commands, self.seconds = score, commands, seconds
        self.lock = threading.Lock()
        self.sent = {}                  # Message-ID -> (pool, recipients, queue id)
        self.number = 0
        self.injecting = threading.Event()
        self.stopping = threading.Event()
        self.counts = collections.Counter()
        self.reasons = collections.Counter()
        self.purged = []                # ids that mqpurge --no-undo said are gone
        self.problems = []
        self.dice = random.Random(self.mta + self.suite)

    def compose(self, pool=None, attempts=None):
        """A message that leaves at its first attempt, at a later one, or not before the end."""
        with self.lock:
            self.number += 1
            n = self.number
        pool = pool or POOLS[n % len(POOLS)]
        attempts = (0, 1, 2, 4, NEVER, NEVER)[n // len(POOLS) % 6] if attempts is None else attempts
        rcpts = ["a%d-%d@%s" % (attempts, n, self.domain(n))]
        if n % 4 == 0:
            rcpts.append("a0-%d-too@%s" % (n, self.domain(n)))
        message = load.Message("act-%d" % n, sender=self.sender(n, pool), rcpts=rcpts,
                               body=b"line\r\n" * (1 + n % 400))
        message.message_id = "<act-%d@lab.example>" % n
        return pool, message

    def domain(self, n):
        return "r.example"

    @staticmethod
    def sender(n, pool):
        """Who gets reports takes them at once."""
        return "%ss%d@%s.example" % ("a0-" if pool == "back" else "", n, pool)

    PORTS = (scene.SMTP_PORT,)

    def inject_one(self, pool=None, attempts=None, port=None):
        pool, message = self.compose(pool, attempts)
        port = port or self.PORTS[hash(message.message_id) % len(self.PORTS)]
        text, _ = load.send("127.0.0.1", port, message)
        queue_id = re.search(self.ACCEPTED, text).group(1)
        with self.lock:
            self.sent[message.message_id] = (pool, message.rcpts, queue_id)
        return message, queue_id

    def inject_on(self):
        while self.injecting.is_set():
            with self.sink.lock:
                out = len(self.sink.delivered)
            if self.number - out > self.WAITING + len(self.purged):
                time.sleep(0.05)
                continue
            try:
                self.inject_one()
            except Exception as error:      # nobody may make an MTA drop a client
                self.problem("injection: %r" % error)
                return

    # -- the commands ---------------------------------------------------------------------------

    def problem(self, text):
        with self.lock:
            self.problems.append(text)

    def command(self, name, *argv, fine=(0, 1, 3)):
        """Runs one of ours in the room; any other end than these is a problem."""
        code, out, err = self.room.ended([*self.commands[name], *argv])
        done = Done(code, out, err.decode("utf-8", "replace"))
        verb = argv[0].lstrip("-") if name == "mqquarantine" or argv[0] == "--bounce" else name
        if code not in fine:
            self.problem("%s %s: exit %d: %s" % (name, " ".join(argv), code, done.err[-500:]))
        with self.lock:
            self.counts[verb] += 1
            for o in done.outcomes:
                self.counts[verb + " " + o["result"]] += 1
                if o.get("text"):
                    self.reasons["%s %s: %s" % (verb, o["result"], self.plain(o["text"]))] += 1
                if o["result"] == "failed":
                    self.problems.append("%s %s: %s" % (verb, o["queue_id"], o.get("text")))
        return done

    @staticmethod
    def plain(text):
        """A sentence without the names in it."""
        return re.sub(r"[\w./]*\d[\w./-]*", "…", text)

    def quarantine(self, verb, *argv, **more):
        return self.command("mqquarantine", verb, *argv, "--yes", "-j", **more)

    @staticmethod
    def pool(name):
        return ["-f", "@%s.example" % name]

    def restore(self, case):
        """Until all is back: a message that cannot come back now is told, and asked for again."""
        return self.quarantine("restore", case)

    def loop_take(self):
        done = self.quarantine("take", *self.pool("take"), "--why", "lab")
        if done.ids():
            self.restore(done.job)

    def loop_rival(self):
        """A second administrator, who does not care whose mail it is."""
        done = self.quarantine("take", "--all", "-m", "15", "--why", "another hand")
        if done.ids():
            self.restore(done.job)

    def loop_hold(self):
        self.quarantine("hold", *self.pool("hold"), "--why", "lab")
        self.quarantine("release", *self.pool("hold"), "--why", "lab")

    def loop_undo(self):
        done = self.command("mqpurge", *self.pool("undo"), "--why", "lab", "--yes", "-j")
        if done.ids():
            self.command("mqpurge", "--undo", done.job, "--yes", "-j")

    def loop_gone(self):
        done = self.command("mqpurge", "--no-undo", *self.pool("gone"), "--why", "lab", "--yes",
                            "-j")
        with self.lock:
            self.purged += done.ids()

    def loop_back(self):
        """Returned to who sent it."""
        self.command("mqpurge", "--bounce", *self.pool("back"), "-m", "10", "--why", "lab", "--yes",
                     "-j")

    def loop_kept(self):
        self.quarantine("take", *self.pool("kept"), "-m", "5", "--why", "to be kept")

    def loop_pack(self):
        """Evidence of mail that comes and goes meanwhile."""
        with self.lock:
            self.counts["packs"] += 1
            output = "/lab/evidence-%d.tar.zst" % self.counts["packs"]
        self.command("mqquarantine", "pack", *self.pool("calm"), "--output", output)

    LOOPS = ("take", "rival", "hold", "undo", "gone", "kept", "pack", "back")
    PAUSES = {"gone": 0.5, "kept": 1, "pack": 1, "back": 1}    # some mail must live long enough to meet the others

    def loop(self, name):
        while not self.stopping.is_set():
            try:
                getattr(self, "loop_" + name)()
            except Exception as error:
                self.problem("loop %s: %r" % (name, error))
                return
            self.stopping.wait(self.PAUSES.get(name, 0))

    def queue_runs(self):
        while not self.stopping.is_set():
            self.run_queue()
            self.stopping.wait(0.3)

    def together(self, loops, seconds):
        """Injection, queue runs and these loops for so long."""
        self.injecting.set()
        self.stopping.clear()
        threads = [threading.Thread(target=self.inject_on) for _ in range(2)]
        threads += [threading.Thread(target=self.loop, args=(l,)) for l in loops]
        threads.append(threading.Thread(target=self.queue_runs))
        for thread in threads:
            thread.start()
        self.stopping.wait(seconds)
        self.injecting.clear()
        self.stopping.set()
        for thread in threads:
            thread.join(QUEUE_RUN)
            if thread.is_alive():
                self.problem("a loop does not end")

    # -- commands that are killed ---------------------------------------------------------------

    def interrupted(self, verbs):
        """Kills one of ours at some moment, then asks for recovery, which must always succeed."""
        name, *argv = verbs[self.dice.randrange(len(verbs))]
        child = self.room.start([*self.commands[name], *argv, "--yes", "-j"])
        try:
            child.wait(self.dice.uniform(0, 0.25))
            self.counts["killed too late"] += 1
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
            self.counts["killed"] += 1
        self.command("mqquarantine", "recover", fine=(0,))

    def loop_killed(self):
        take = ("mqquarantine", "take", "--why", "lab", "-m", "40")
        self.interrupted([(*take, "--all"), (*take, *self.pool("take")),
                          ("mqquarantine", "hold", "--all", "--why", "lab"),
                          ("mqquarantine", "release", "--all", "--why", "lab"),
                          ("mqpurge", "--why", "lab", "--all", "-m", "40")])
        names, _ = self.cases()
        if names:
            self.interrupted([("mqquarantine", "restore", names[self.dice.randrange(len(names))])])
        purged = self.undoable()
        if purged:
            self.interrupted([("mqpurge", "--undo", purged[0])])

    def undoable(self):
        """Undo cases that still hold something."""
        listed = self.command("mqquarantine", "list", "-j", fine=(0, 1))
        return [c["case"] for c in listed.lines
                if c["custody"] == "purged" and c["restored"] < c["messages"]]

    # -- while the MTA is down ------------------------------------------------------------------

    def down(self):
        """The same on a queue that nobody runs: everything can be done, and nothing is in use."""
        self.pause()
        for argv in (["take", "--all", "-m", "20"], ["hold", "--all"], ["release", "--all"]):
            done = self.quarantine(*argv, *self.DOWN, "--why", "nobody is here")
            self.told_idle(argv[0], done)
            if argv[0] == "take" and done.ids():
                self.told_idle("restore", self.restore(done.job))
        done = self.command("mqpurge", "--all", "-m", "20", *self.DOWN, "--why", "nobody is here",
                            "--yes", "-j")
        self.told_idle("mqpurge", done)
        if done.ids():
            self.told_idle("undo", self.command("mqpurge", "--undo", done.job, "--yes", "-j"))
        self.go_on()

    def told_idle(self, verb, done):
        left = [o for o in done.outcomes if o["result"] != "done" and
                not re.search(self.NOTHING_TO_DO, o.get("text", ""))]
        self.score.plain(verb + " while the MTA is down", not left, left[:3])
        self.score.plain(verb + " while the MTA is down, at all", bool(done.ids()), done.err[-300:])

    # What may be said of a message although nobody works on it.
    NOTHING_TO_DO = r"is not (held|frozen|on hold)|(held|frozen|on hold) already"

    # -- the balance ----------------------------------------------------------------------------

    def in_queue(self):
        out = self.room.run([*self.commands["mqgrep"], "-i"], check=False)
        return len(out.split())

    def drain(self):
        """Everything that is in the queue leaves it."""
        self.sink.draining = True
        self.quarantine("release", "--all", "--why", "the end")

        def empty():
            self.run_queue()
            return self.in_queue() == 0

        try:
            inside.wait_until("an empty queue", empty, 90)
        except inside.LabError as error:
            self.problem("%s: %s" % (error, self.room.run(
                [*self.commands["mqgrep"], "-l"], check=False).decode("utf-8", "replace")[:1500]))

    def cases(self):
        """Names of the open cases, and the Message-IDs of what is in them."""
        names, found = [], set()
        for path in sorted(glob.glob(self.room.host(VAULT + "/*/data"))):
            here = set()
            for where, _, files in os.walk(path):
                for name in files:
                    with open(os.path.join(where, name), "rb") as f:
                        here.update(m.decode() for m in MESSAGE_ID.findall(f.read()))
            if here:
                names.append(os.path.basename(os.path.dirname(path)))
                found |= here
        return names, found

    def balance(self, what, cased):
        """Once, or in a case, or purged on purpose."""
        twice, lost, gone = [], [], []
        for message_id, (pool, rcpts, queue_id) in self.sent.items():
            got = [self.sink.delivered[(message_id, r)] for r in rcpts]
            if max(got) > 1:
                twice.append(message_id)
            if min(got) == 0 and message_id not in cased:
                (gone if queue_id in self.purged else lost).append(message_id)
            if pool == "back":
                self.check_report(message_id, lost, twice)
            if min(got) > 0 and message_id in cased:
                twice.append(message_id + " in a case, too")
        self.told(what + ", delivered twice", twice)
        self.told(what + ", neither delivered nor in a case", lost)
        purged = len(self.purged)
        self.score.plain(what + ", purged", len(gone) == purged,
                         "%d are missing, %d were purged" % (len(gone), purged))

    def reports(self, sender):
        """Exim's reports name the Message-ID in their header, others do not."""
        return sum(n for (_, rcpt), n in self.sink.delivered.items() if rcpt == sender)

    def check_report(self, message_id, lost, twice):
        """Who got no mail: then the sender got a report, one; else none."""
        number = int(re.search(r"\d+", message_id).group())
        reports = self.reports(self.sender(number, "back"))
        if message_id in lost and reports == 1:
            lost.remove(message_id)
        elif reports > (message_id in lost):
            twice.append("%s and %d reports" % (message_id, reports))

    def told(self, what, ids):
        self.score.plain("%s (of %d)" % (what, len(self.sent)), not ids,
                         "%d: %s" % (len(ids), ", ".join(
                             "%s (%s, %s)" % (i, *self.sent.get(i, ("?", "?", "?"))[::2])
                             for i in ids[:5])))

    def settle_accounts(self):
        self.drain()
        for job in self.undoable():
            self.command("mqpurge", "--undo", job, "--yes", "-j", fine=(0,))
        self.drain()
        names, cased = self.cases()
        self.score.plain("mail was kept in cases", bool(cased), "there is none: nothing was shown")
        self.balance("with cases", cased)
        left = []
        for name in names:
            self.command("mqquarantine", "verify", name, fine=(0,))
            left += [o for o in self.restore(name).outcomes if o["result"] != "done"]
        self.drain()
        names, cased = self.cases()
        self.told("still in a case after restoring all", sorted(cased))
        self.score.plain("all restored", not left, left[:3])
        self.balance("all restored", cased)

    # -- hold and release as the MTA does it ----------------------------------------------------

    def hold(self, queue_id):
        done = self.quarantine("hold", queue_id, *self.BY_ID, "--why", "lab",
                               "--hold-reason", self.WHY)
        self.score.plain("hold " + queue_id, done.code == 0, done.err)

    def release(self, queue_id):
        done = self.quarantine("release", queue_id, *self.BY_ID, "--why", "lab")
        self.score.plain("release " + queue_id, done.code == 0, done.err)

    WHY = "flood, ticket 7"

    def compare_holds(self, queue_id, rcpt):
        """Each way to hold with each way to release: the same files, and the same silence."""
        seen = {}
        for holder in ("theirs", "ours"):
            for freer in ("theirs", "ours"):
                (self.hold if holder == "ours" else self.native_hold)(queue_id)
                seen[holder, freer, "held"] = self.files(queue_id)
                before = self.sink.attempts[rcpt]
                self.run_queue()
                self.score.plain("held by %s: %s" % (holder, queue_id),
                                 self.sink.attempts[rcpt] == before, "it was tried all the same")
                (self.release if freer == "ours" else self.native_release)(queue_id)
                seen[holder, freer, "free"] = self.files(queue_id)
        for holder, freer, when in seen:
            told = self.differing(seen["theirs", "theirs", when], seen[holder, freer, when])
            self.score.plain("%s: held by %s, released by %s, %s" % (queue_id, holder, freer, when),
                             told is None, told)
        before = self.sink.attempts[rcpt]
        inside.wait_until("an attempt after release", lambda: (
            self.run_queue(), self.sink.attempts[rcpt] > before)[1])

    @staticmethod
    def differing(theirs, ours):
        if theirs == ours:
            return None
        for name in sorted(set(theirs) | set(ours)):
            a, b = theirs.get(name), ours.get(name)
            if a != b:
                return "%s: %r / %r" % (name, a and a[1:] or a, b and b[1:] or b) if not (
                    a and b and a[0] != b[0]) else "%s: %s" % (name, first_line(a[0], b[0]))

    def snapshot(self, spool, queue_id):
        """Content, mode and owner of all files whose name holds the id."""
        seen = {}
        for where, _, files in os.walk(self.room.host(spool)):
            for name in files:
                path = os.path.join(where, name)
                if queue_id not in name:
                    continue
                try:
                    with open(path, "rb") as f:
                        st = os.fstat(f.fileno())
                        seen[os.path.relpath(path, self.room.host(spool))] = (
                            f.read(), st.st_mode, st.st_uid, st.st_gid)
                except FileNotFoundError:
                    pass            # the server has just moved it
        return seen

    # -- returning what waits to its senders ------------------------------------------------------

    def letter(self, name, sender=None):
        """A message that waits, outside the balance."""
        message = load.Message("back-" + name, rcpts=["a%d-%s@r.example" % (NEVER, name)],
                               sender="a0-%s@back.example" % name if sender is None else sender)
        text, _ = load.send("127.0.0.1", scene.SMTP_PORT, message)
        queue_id = re.search(self.ACCEPTED, text).group(1)
        self.at_rest(message, queue_id)
        return message, queue_id

    def bounce(self, *ids):
        return self.command("mqpurge", "--bounce", *ids, *self.BY_ID, "--why", "lab", "--yes", "-j")

    HELD_TOO = True                 # what is held can be returned as it is

    def returned(self, message, queue_id):
        """Exactly one report to the sender, no further attempt at the recipient, and it is gone."""
        tries = self.sink.attempts[message.rcpts[0]]
        done = self.bounce(queue_id)
        self.score.plain("returned", done.code == 0 and done.ids() == [queue_id], done.err)
        inside.wait_until("a report", lambda: self.reports(message.sender))
        inside.wait_until("its end", lambda: not self.snapshot(self.HOME, queue_id))
        self.score.plain("one report", self.reports(message.sender) == 1,
                         "%d reports" % self.reports(message.sender))
        self.score.plain("no further attempt", self.sink.attempts[message.rcpts[0]] == tries,
                         "the recipient was tried once more")

    def left_alone(self, queue_id, done, why):
        texts = [o.get("text", "") for o in done.outcomes if o["queue_id"] == queue_id]
        self.score.plain("left alone", done.code == 3 and re.search(why, " ".join(texts)),
                         "exit %d: %r" % (done.code, texts))

    def put_off(self):
        """The report is refused for now, as greylisting does: it waits, and comes later."""
        message, queue_id = self.letter("grey", sender="a1-grey@back.example")
        self.bounce(queue_id)
        inside.wait_until("a refusal of the report", lambda: self.sink.attempts[message.sender])
        inside.wait_until("a report that had to wait",
                          lambda: (self.run_queue(), self.reports(message.sender))[1])

    def returning(self):
        """One that is meant, a neighbour, a report, and one that is held."""
        first, first_id = self.letter("first")
        other, other_id = self.letter("other")
        report, report_id = self.letter("report", sender="")
        held, held_id = self.letter("held")
        neighbours = [self.files(i) for i in (other_id, report_id)]
        self.left_alone(report_id, self.bounce(report_id), "null sender")
        self.returned(first, first_id)
        self.hold(held_id)
        if self.HELD_TOO:
            self.returned(held, held_id)
        else:
            self.left_alone(held_id, self.bounce(held_id), "quarantined")
        for before, queue_id in zip(neighbours, (other_id, report_id)):
            told = self.differing(before, self.files(queue_id))
            self.score.plain("the neighbour " + queue_id, told is None, told)
        self.put_off()
        self.run_queue()
        reports = sum(n for (_, r), n in self.sink.delivered.items() if r.endswith("@back.example"))
        self.score.plain("all reports", reports == 2 + self.HELD_TOO, "%d of them" % reports)
        self.command("mqpurge", "--no-undo", other_id, report_id, *([] if self.HELD_TOO else [held_id]),
                     *self.BY_ID, "--why", "lab", "--yes", "-j")

    # -- the log --------------------------------------------------------------------------------

    ID = re.compile(r"\b(?:[0-9A-Za-z]{6}-[0-9A-Za-z]{6,11}-[0-9A-Za-z]{2,4}"
                    r"|(?=\w*\d)[0-9A-Za-z]{9,18})\b")

    def kind(self, line):
        """A log line without what differs from message to message."""
        line = self.ID.sub("ID", line)
        line = re.sub(r'<[^>]*>|"[^"]*"|\[[^]]*\]', "<>", line)
        line = re.sub(r"\b[\w.+-]+@[\w.-]+", "ADDRESS", line)
        return re.sub(r"=\S+", "=", re.sub(r"\d+", "#", line))

    OURS = re.compile(r"mq(quarantine|purge)(\[\d+\])?: ")

    def our_lines(self):
        """One line in the system's log for each message that something was done to."""
        with self.room.log.lock:
            return sum(bool(self.OURS.search(l)) for l in self.room.log.lines)

    def log(self):
        return [l for l in self.log_lines() if not self.OURS.search(l)]

    def is_lock(self, line):
        return any(re.search(l, line) for l in self.LOCKS)

    def check_log(self, calm, claims):
        """Nothing new but lines about locks, and those no more than we gave reason for."""
        before = {self.kind(l) for l in calm}
        new, locks = collections.Counter(), -sum(map(self.is_lock, calm))
        for line in self.log():
            kind = self.kind(line)
            if re.search(self.ALARMS, line, re.I):
                self.problem("the log says: " + line[:300])
            elif self.is_lock(line):
                locks += 1
            elif kind not in before and not any(re.search(q, line) for q in self.QUIET):
                new[kind] += 1
                if new[kind] == 1:
                    new[kind + "\n      " + line[:300]] += 1
        self.score.plain("nothing new in the log", not new,
                         "\n    ".join("%d x %s" % (n, k) for k, n in new.most_common(20)))
        self.score.plain("lock lines", locks <= claims,
                         "%d of them, for %d messages claimed" % (locks, claims))
        return locks

    # -- all of it ------------------------------------------------------------------------------

    def act(self):
        self.returning()
        self.native()
        self.together((), 3 + self.seconds / 5)
        calm = self.log()
        self.together(self.LOOPS, self.seconds)
        told = sum(n for k, n in self.counts.items() if k.endswith((" done", " skipped")))
        self.score.plain("lines of ours in the system's log", self.our_lines() == told,
                         "%d lines for %d messages" % (self.our_lines(), told))
        self.score.plain("some were returned", self.counts["bounce done"] > 1 + self.HELD_TOO,
                         "only those of the quiet beginning")
        self.together(("killed",), self.seconds / 2)
        self.loop_kept()                # it may have been restored, all of it
        self.down()
        self.settle_accounts()
        claims = sum(n for k, n in self.counts.items() if k.endswith((" done", " skipped")))
        claims += 50 * self.counts["killed"]        # they did not live to tell how many
        locks = self.check_log(calm, claims)
        block.blocking(self)
        for text in self.problems[:20]:
            self.score.plain("beside the running MTA", False, text)
        self.score.plain("beside the running MTA", not self.problems,
                         "%d problems" % len(self.problems))
        self.summary(claims, locks)

    VERBS = ("take", "restore", "hold", "release", "mqpurge", "bounce", "recover", "verify", "pack")

    def summary(self, claims, locks):
        verbs = sorted(v for v in self.counts if v in self.VERBS)
        lines = ["%s %s: %d messages in, %d claims, %d lock lines in the log, %d commands killed" % (
            self.mta, self.suite, len(self.sent), claims, locks, self.counts["killed"])]
        for verb in verbs:
            lines.append("  %-8s %4d runs, %5d done, %5d skipped, %d failed" % (
                verb, self.counts[verb], self.counts[verb + " done"],
                self.counts[verb + " skipped"], self.counts[verb + " failed"]))
        lines += ["  %5d x %s" % (n, r) for r, n in self.reasons.most_common(12)]
        print("\n".join(lines), flush=True)


def first_line(a, b):
    x, y = a.split(b"\n"), b.split(b"\n")
    at = next((i for i, (p, q) in enumerate(zip(x, y)) if p != q), min(len(x), len(y)))
    return "line %d: %r / %r" % (at + 1, x[at:at + 1], y[at:at + 1])
