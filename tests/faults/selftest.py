"""The machinery's own test: moves of files that are right must pass, and each wrong one must be caught, by the way that shows it."""

import hashlib
import os

import driver

FILES = 3

# How build/tests/moves moves, on one file system or two, and what must find it wrong: the undisturbed run, or a group of cells.
# None: it is right.
HOWS = [
    ("rename", False, None),
    ("copy", True, None),
    ("rename-from-first", False, "power"),
    ("copy-in-place", True, "kill"),
    ("copy-content-late", True, "power"),
    ("copy-names-late", True, "power"),
    ("copy-careless", True, "errno"),
    ("copy-plain-times", True, "undisturbed"),
    ("copy-together", True, None),
    ("copy-named-early", True, "power"),
]


class Moves(driver.Scenario):
    def __init__(self, how, far, caught):
        self.how, self.far = how, far
        self.caught = caught
        self.name = "moves-%s-%s" % (how, "across" if far else "same")

    def dirs(self, world):
        return os.path.join(world.here, "from"), os.path.join(world.there if self.far else world.here, "to")

    def prepare(self, world):
        source, target = self.dirs(world)
        os.mkdir(source)
        os.mkdir(target)
        for i in range(FILES):
            path = os.path.join(source, "m%d" % i)
            with open(path, "w") as f:
                f.write("message %d\n" % i * 5000)
            os.chmod(path, 0o640)
            os.utime(path, (10**9, 10**9 + i))

    def argv(self, world):
        return [world.program("tests/moves"), self.how, *self.dirs(world)]

    def recover(self, world):
        return [world.program("tests/moves"), "recover", *self.dirs(world)]

    def look(self, world):
        return [{name: _file(os.path.join(d, name)) for name in os.listdir(d)} for d in self.dirs(world)]

    def complaints(self, world, before, end, finished):
        source, target = self.look(world)
        wrong = ["%s is left over" % n for n in [*source, *target] if n not in before[0]]
        for name, was in before[0].items():
            copies = [d[name] for d in (source, target) if name in d]
            if len(copies) != 1:
                wrong.append("%s is in %d places" % (name, len(copies)))
            wrong += ["%s is not what it was" % name for c in copies if c != was]
        if finished and [source, target] != end:
            wrong.append("all was said to be done, and is not")
        return wrong


def _file(path):
    st = os.lstat(path)
    with open(path, "rb") as f:
        return hashlib.sha256(f.read()).hexdigest(), st.st_mode, st.st_mtime_ns


class Wrong(Moves):
    """A scenario that passes when the machinery says that it fails."""

    def test(self, world, tally, _budget):
        try:
            bench = driver.Bench(self, world)
        except driver.Trouble as e:
            found, said = "undisturbed", [str(e)]
        else:
            row = bench.row(self.caught) if self.caught in driver.WAYS else None
            while row and row.todo and not row.failures:
                row.step()
            found, said = (self.caught, row.failures) if row and row.failures else ("nobody", [])
        if found == self.caught:
            tally.ok("faults %s: caught by %s" % (self.name, found))
        else:
            tally.bad("faults %s: caught by %s, not by %s" % (self.name, found, self.caught), said)


def scenarios():
    return [(Wrong if caught else Moves)(how, far, caught) for how, far, caught in HOWS]
