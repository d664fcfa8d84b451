"""Breaks one command at each of its calls, in every way, and looks at what is left.

A scenario says how to prepare a small world, what to run, what to run for recovery, and what must be true afterwards.  Here it is run
once undisturbed, to count its calls, and then once for each cell: a call and a way to break it.  The world is put back to its
beginning after each cell, with the same inodes.  Knows nothing of mail; what does is in mail.py.
"""

import errno
import os
import random
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time

import shadow

HERE = os.path.dirname(os.path.realpath(__file__))
SRC = os.path.dirname(os.path.dirname(HERE))
TIMEOUT = 60

ERRNOS = ("ENOSPC", "EIO", "EACCES", "EINTR", "ENOENT")

# The ways of a group of cells. Each is tried at every call.
WAYS = {
    "errno": [("errno", e) for e in ERRNOS],
    "kill": [("kill", "before"), ("kill", "after")],
    "power": [("power", "synced"), ("power", "lists"), ("power", "mixed 1"), ("power", "mixed 2")],
    "full": [("from", "ENOSPC"), ("from", "EDQUOT"), ("from", "EROFS")],
    "read": [("read", "EIO"), ("read", "EACCES")],
    "deliver": [("kill", "before, then delivered"), ("power", "synced, then delivered"), ("power", "mixed 1, then delivered"),
                ("power", "mixed 2, then delivered")],
}


# Killed before a call: what is there then is the same, whatever else happens to it.
KILLED = {"FAULT_KILL": "before"}

# What recover says when no job was interrupted; a scenario without our commands says nothing then.
NOTHING = "nothing to recover: no job was interrupted\n"


class Trouble(Exception):
    """The scenario or the machinery does not work at all."""


class Server:
    """A program that was loaded once and forks for each run (faults.c)."""

    def __init__(self, argv, env):
        self.orders, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.orders.settimeout(TIMEOUT)
        with theirs:
            self.process = subprocess.Popen(argv, env={**env, "FAULT_SERVE": str(theirs.fileno()), "LD_BIND_NOW": "1"}, cwd="/",
                                            stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()])

    def run(self, out, settings):
        """The status."""
        self.orders.send("\0".join([out, *("%s=%s" % item for item in settings.items())]).encode())
        pid = struct.unpack("i", self._answer())[0]
        late = False
        try:
            status = self._answer()
        except socket.timeout:
            late = True
            os.killpg(pid, signal.SIGKILL)
            status = self._answer()
        return "timeout" if late else os.waitstatus_to_exitcode(struct.unpack("i", status)[0])

    def _answer(self):
        answer = self.orders.recv(4)
        if len(answer) != 4:
            raise Trouble("a server of runs ended: status %s" % self.process.wait())
        return answer

    def close(self):
        self.orders.close()
        self.process.wait()


class World:
    """Directories of one test: `here` and, on another file system, `there`, which the shadow watches."""

    serves = True           # runs may be forked from a program that was loaded before

    def __init__(self, build, base, far):
        self.build = build
        self.home = tempfile.mkdtemp(prefix="faults-", dir=base)
        self.away = tempfile.mkdtemp(prefix="faults-", dir=far)
        self.here, self.there = os.path.join(self.home, "here"), os.path.join(self.away, "there")
        self.state, self.trace = os.path.join(self.home, "state"), os.path.join(self.home, "trace")
        self.said = os.path.join(self.home, "said")
        self.servers = {}
        os.chmod(self.home, 0o755)
        os.chmod(self.away, 0o755)
        os.mkdir(self.here)
        os.mkdir(self.there)
        self.shadow = shadow.Shadow(os.path.join(self.home, "shadow"), [self.here, self.there],
                                    [os.path.join(self.home, "graves"), os.path.join(self.away, "graves")])

    def close(self):
        for server in self.servers.values():
            server.close()
        shutil.rmtree(self.home)
        shutil.rmtree(self.away)

    def clear(self):
        for root in (self.here, self.there):
            shutil.rmtree(root)
            os.mkdir(root)

    def program(self, name):
        return os.path.join(self.build, name)

    def run(self, argv, faults=None, watched=True):
        """Runs to the end. faults: FAULT_… of this run. (status, calls, what it said)"""
        if watched and self.serves:
            status, said = self.serve(argv, faults)
        else:
            status, said = self.finish(self.start(argv, faults, watched))
        return status, self.calls(), said

    def _environment(self, watched):
        with open(self.state, "wb") as f:
            f.write(bytes(8))
        os.chmod(self.state, 0o666)
        with open(self.trace, "w"):
            pass
        os.chmod(self.trace, 0o666)
        env = {"PATH": os.environ["PATH"], "HOME": "/", "TZ": "UTC", "LC_ALL": "C.UTF-8"}
        if watched:
            env.update(self.shadow.environment(), LD_PRELOAD=self.program("tests/faults.so"), FAULT_STATE=self.state,
                       FAULT_TRACE=self.trace)
        return env

    def serve(self, argv, faults):
        env = self._environment(True)
        if tuple(argv) not in self.servers:
            self.servers[tuple(argv)] = Server(argv, env)
        status = self.servers[tuple(argv)].run(self.said, faults or {})
        with open(self.said, "rb") as f:
            return status, f.read().decode("utf-8", "replace")

    def start(self, argv, faults=None, watched=True):
        env = self._environment(watched)
        if watched:
            env.update(faults or {})
            env = {name: value for name, value in env.items() if value}
        return subprocess.Popen(argv, env=env, cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                start_new_session=True)

    def finish(self, p):
        try:
            out = p.communicate(timeout=TIMEOUT)[0]
        except subprocess.TimeoutExpired:
            os.killpg(p.pid, signal.SIGKILL)
            p.communicate()
            return "timeout", ""
        return p.returncode, out.decode("utf-8", "replace")

    def run_until(self, argv, n, action):
        """Stops the command before call n, does the action, and lets it go on. (status, what it said)"""
        p = self.start(argv, {"FAULT_AT": str(n), "FAULT_KILL": "stop", "FAULT_SHADOW": "", "FAULT_NOSYNC": "0"})
        _, status = os.waitpid(p.pid, os.WUNTRACED)
        if os.WIFSTOPPED(status):
            action()
            os.kill(p.pid, signal.SIGCONT)
            return self.finish(p)
        return os.waitstatus_to_exitcode(status), ""

    def calls(self):
        with open(self.state, "rb") as f:
            return struct.unpack("Q", f.read(8))[0]

    def call_text(self, n):
        with open(self.trace, errors="replace") as f:
            for line in f:
                if line.startswith("%d " % n):
                    return line.strip().replace(self.home + "/", "").replace(self.away + "/", "")
        return "%d ?" % n


class Scenario:
    """What is tested. Subclasses fill in the rest."""

    name = "?"
    as_root = False         # nobody else can
    only = ()               # of the groups, if not all
    groups = ("errno", "kill", "power", "full", "read")

    def prepare(self, world):
        raise NotImplementedError

    def argv(self, world):
        raise NotImplementedError

    def recover(self, world):
        """The command that mends, or None."""
        raise NotImplementedError

    def look(self, world):
        """What is there, before the run."""
        raise NotImplementedError

    def complaints(self, world, before, end, finished):
        """What is wrong after recovery, as sentences. end: look() after an undisturbed run; finished: the command said that all was done."""
        raise NotImplementedError

    def deliver(self, world, before, end):
        """The server was faster than recovery and delivered what it could see. What is wrong with that, as sentences."""
        raise NotImplementedError

    def quiet(self, text):
        """Whether recover said that it had found nothing."""
        return text == "" or (text.endswith(NOTHING) and text.count("\n") == 1)

    def done(self, status):
        return status == 0

    def recovered(self, world, quiet=False):
        """Recovery that nothing watches. quiet: it must find nothing more. What is wrong, as sentences."""
        argv = self.recover(world)
        if argv is None:
            return []
        status, _, said = world.run(argv, watched=False)
        if not self.done(status):
            return ["recover ends with %s: %s" % (status, said.strip())]
        return ["the second recover still found something: " + said.strip()] if quiet and not self.quiet(said) else []

    def test(self, world, tally, budget):
        """All of it, with a line for each group; or as many cells as budget seconds allow, of all groups in turn."""
        try:
            bench = Bench(self, world)
        except Trouble as e:
            tally.bad("faults " + self.name, [str(e)])
            return
        rows = [bench.row(group) for group in self.groups if group in (self.only or self.groups)]
        if budget:
            rows = [Row(bench, "sample", in_turn([row.todo for row in rows]), bench.total)]
            run_rows(rows, budget)
        else:
            run_all(rows)
        for row in rows:
            row.report(tally)


def settings(way, n):
    kind, what = way
    if kind in ("errno", "read"):
        return {"FAULT_AT": str(n), "FAULT_ERRNO": str(getattr(errno, what)), "FAULT_READS": "1" if kind == "read" else "0"}
    if kind == "kill":
        return {"FAULT_AT": str(n), "FAULT_KILL": what.split(",")[0]}
    if kind == "power":
        return {"FAULT_AT": str(n), **KILLED}
    return {"FAULT_FROM": str(n), "FAULT_ERRNO": str(getattr(errno, what)), "FAULT_GROWING": "0" if what == "EROFS" else "1"}


def spread(n):
    """1..n so that each beginning of the list is spread evenly: for whom time ends early."""
    order, step = [], 1
    while step < n:
        step *= 2
    seen = set()
    while step >= 1:
        for i in range(n, 0, -step):
            if i not in seen:
                seen.add(i)
                order.append(i)
        step //= 2
    return order


def in_turn(lists):
    """One of each, then the next of each."""
    order = []
    for i in range(max(map(len, lists))):
        order += [cells[i] for cells in lists if i < len(cells)]
    return order


class Bench:
    """A scenario in its world, ready to be broken again and again."""

    def __init__(self, scenario, world):
        self.scenario, self.world = scenario, world
        self.marked = None      # (call, status, what it said) of a run killed before that call, to which the shadow can go back
        self._begin()
        _, self.total_with_reads, _ = world.run(scenario.argv(world), {"FAULT_READS": "1"})
        world.shadow.rewind()
        status, self.total, said = world.run(scenario.argv(world))
        if not scenario.done(status) or self.total == 0:
            raise Trouble("%s: undisturbed: status %s, %d calls: %s" % (scenario.name, status, self.total, said))
        self.end = scenario.look(world)
        wrong = self._judge(True, {})
        if wrong:
            raise Trouble("%s: undisturbed: %s" % (scenario.name, "; ".join(wrong)))
        world.shadow.rewind()

    def _begin(self):
        self.world.clear()
        self.marked = None
        self.scenario.prepare(self.world)
        self.world.shadow.begin()
        self.before = self.scenario.look(self.world)

    def _recover(self, faults=None):
        """(complaints, what it said)"""
        argv = self.scenario.recover(self.world)
        if argv is None:
            return [], ""
        self.world.shadow.forget()
        status, _, said = self.world.run(argv, faults)
        if faults and isinstance(status, int) and status >= 0:
            return [], said
        return ([] if self.scenario.done(status) else ["recover ends with %s: %s" % (status, said.strip())]), said

    def row(self, group):
        calls = self.total_with_reads if group == "read" else self.total
        # Power may also fail when all was said to be done.
        ways, places = WAYS[group], spread(calls + (group == "power"))
        return Row(self, group, [(ways[(i + turn) % len(ways)], n) for turn in range(len(ways)) for i, n in enumerate(places)], calls)

    def _judge(self, finished, first):
        """Recover, look; recover again, which must find nothing. first: faults of a recovery that comes before."""
        wrong = []
        if first:
            wrong += self._recover(first)[0]
        found, said = self._recover()
        wrong += found
        wrong += self.scenario.complaints(self.world, self.before, self.end, finished)
        if not self.scenario.quiet(said):
            found, again = self._recover()
            wrong += found
            if not self.scenario.quiet(again):
                wrong.append("the second recover still found something: " + again.strip())
        if wrong:
            wrong.append("the first recover said: " + (said.strip() or "nothing"))
        return wrong

    def cell(self, way, n):
        """None, or why this cell fails."""
        kind, what = way
        self._back(n if KILLED.items() <= settings(way, n).items() else None)
        status, said, call = self._break(way, n)
        killed = kind in ("kill", "power")
        wrong = []
        if n > self.total and kind == "power":
            call, killed = "the end", False
        if killed and status != -signal.SIGKILL:
            wrong.append("not killed: status %s (fewer calls than when undisturbed?)" % status)
        if not killed and (status == "timeout" or status < 0):
            wrong.append("the command died: %s" % status)
        if kind == "power":
            how = what.split(",")[0]
            self.world.shadow.power_failure(how.split()[0], random.Random("%s %s %d" % (self.scenario.name, how, n)))
        if what.endswith("delivered"):
            wrong += self.scenario.deliver(self.world, self.before, self.end)
        first = settings(way, 1) if kind == "from" else {}
        wrong += self._judge(not killed and self.scenario.done(status), first)
        if not wrong:
            return None
        return "%s %s at call %s\n        %s\n        the command said (%s): %s" % (
            kind, what, call, "\n        ".join(wrong), status, " / ".join(said.strip().splitlines()[-4:]))

    def _break(self, way, n):
        """Run the command into this fault, unless it lies killed there already. (status, what it said, the call)"""
        if self.marked:
            return self.marked[1:]
        status, _, said = self.world.run(self.scenario.argv(self.world), settings(way, n))
        found = status, said, self.world.call_text(n)
        if KILLED.items() <= settings(way, n).items():
            self.world.shadow.mark()
            self.marked = n, *found
        return found

    def _back(self, n):
        """To the run that was killed before call n, if the last one was, else to the beginning."""
        try:
            if self.marked and self.marked[0] == n:
                self.world.shadow.back_to_mark()
                return
            self.marked = None
            self.world.shadow.rewind()
        except shadow.Lost:
            self._begin()


class Tally:
    """What a scenario's test found, as lines like those of the other tests."""

    def __init__(self):
        self.name = ""
        self.passed = self.failed = self.cells = 0
        self.lines = []

    def ok(self, text):
        self.passed += 1
        self.lines.append("ok    " + text)

    def skip(self, text):
        """As bad as a failure: what is not tried is not known."""
        self.failed += 1
        self.lines.append("SKIP  " + text)

    def bad(self, text, why=()):
        self.failed += 1
        self.lines.append("FAIL  " + text)
        self.lines += ["    | " + line for sentence in why for line in sentence.split("\n")]


class Row:
    """The cells of a scenario and a group, with what became of them."""

    def __init__(self, bench, group, cells, calls):
        self.bench, self.group, self.todo, self.calls = bench, group, list(cells), calls
        self.size, self.tried, self.failures = len(self.todo), 0, []

    def step(self):
        self.attempt(*self.todo.pop(0))

    def attempt(self, way, n):
        self.tried += 1
        why = self.bench.cell(way, n)
        if why:
            self.failures.append(why)

    def report(self, tally):
        tally.cells += self.tried
        cells = "%d cells" % self.size if self.tried == self.size else "%d of %d cells" % (self.tried, self.size)
        text = "faults %s: %s (%s, %d calls)" % (self.bench.scenario.name, self.group, cells, self.calls)
        if self.failures:
            tally.bad("%s: %d broke" % (text, len(self.failures)), self.failures[:5])
        else:
            tally.ok(text)


def run_all(rows):
    """Every cell, those of one call together: what a run leaves that is killed before it serves several of them."""
    def order(cell):
        _, way, n = cell
        return n, KILLED.items() <= settings(way, n).items()

    for row, way, n in sorted(((row, *cell) for row in rows for cell in row.todo), key=order):
        row.attempt(way, n)


def run_rows(rows, budget):
    """In turns, so that each row gets as many cells as the others, and at least one."""
    deadline = time.monotonic() + budget if budget else None
    while any(row.todo for row in rows):
        for row in rows:
            if row.todo:
                row.step()
        if deadline is not None and time.monotonic() >= deadline:
            return
