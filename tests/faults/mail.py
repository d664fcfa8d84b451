"""Scenarios of the real commands: each verb, for each mail server, with the vault on the queue's file system or another one.

Knows which files make a message, in a queue and in a case, and what may be true of it after recovery: whole, with the bytes, modes and
times it had, in exactly one place.
"""

import hashlib
import io
import json
import os
import re
import shutil
import stat
import subprocess
import tarfile
from collections import Counter
from urllib.parse import unquote

import driver

# Small queues: every kind of part, several directories.
SPOOLS = {
    "exim": ["good-partly-done", "good-long-id", "good-bounce"],
    "postfix": ["good-a", "good-b", "good-d"],
    "sendmail": ["good-deferred", "good-esmtp", "good-quarantined"],
}

# Without any that is held already.
UNHELD = {
    "exim": ["good-long-id", "good-local", "good-wireformat"],
    "postfix": ["good-a", "good-d"],
    "sendmail": ["good-deferred", "good-esmtp"],
}

# Who owns a queue that is not root's.
OWNER, GROUP = 4321, 4322

EXIM_ID = r"(?:[0-9A-Za-z]{6}-[0-9A-Za-z]{6}-[0-9A-Za-z]{2}|[0-9A-Za-z]{6}-[0-9A-Za-z]{11}-[0-9A-Za-z]{4})"
NAMES = {
    "exim": re.compile("(?P<id>" + EXIM_ID + ")(?P<role>-[HDJ]|)$"),
    "postfix": re.compile("(?P<role>)(?P<id>[0-9A-Za-z]{6,})$"),
    "sendmail": re.compile("(?P<role>[dqhQ]f)(?P<id>[0-9A-Za-z]+)$"),
}

# The file that makes the server see a message.
KEYS = {
    "exim": lambda f: f.role == "-H",
    "postfix": lambda f: f.place in ("incoming", "active", "deferred", "hold"),
    "sendmail": lambda f: f.role in ("qf", "hf"),
}

# Texts about a message that no delivery needs.
LOGS = ("msglog", "defer", "bounce", "trace")

# What holding writes into a control file, and differs from run to run.
MOMENTS = re.compile(rb"^-frozen \d+$", re.M)

# A qf with a quarantine reason: the next run of sendmail makes an hf of it, and delivers neither.
QUARANTINED = re.compile(rb"^q", re.M)

CASE_NAME = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{4}$")
# Files that a vault has of its own.
VAULT_OWN = re.compile(r"(jobs/[^/]+\.ndjson|ledger/[^/]+\.ndjson|reserve)$")
CASE_OWN = re.compile(r"(bagit\.txt|bag-info\.txt|(tag)?manifest-sha256\.txt|spools\.ndjson|records\.ndjson|journal\.ndjson|INCOMPLETE)$")


class File:
    """What of a file must not change."""

    def __init__(self, path, place, role, data, mode, mtime, owner):
        self.path, self.place, self.role, self.mode, self.mtime, self.owner = path, place, role, mode, mtime, owner
        self.exact = (place, role, hashlib.sha256(data).hexdigest(), mode, mtime)
        role = "hf" if role == "qf" and QUARANTINED.search(data) else role
        self.loose = (place, role, hashlib.sha256(MOMENTS.sub(b"-frozen T", data)).hexdigest(), mode)


class Message:
    def __init__(self, mail_id, files):
        self.id = mail_id
        self.files = files
        self.exact = tuple(sorted(f.exact for f in files))
        self.without_logs = tuple(sorted(f.exact for f in files if f.place not in LOGS))
        self.loose = tuple(sorted(f.loose for f in files))

    def __str__(self):
        return "%s (%s)" % (self.id, ", ".join(sorted(f.place + "/*" + f.role for f in self.files)))


class Pile:
    """Messages of one place, and names that belong to none."""

    def __init__(self, mta, files):
        parts, self.strays = {}, []
        for path, data, st in files:
            m = NAMES[mta].match(os.path.basename(path))
            if not m:
                self.strays.append(path)
                continue
            place = os.path.dirname(path)
            # Hashed directories follow from the id, which a copy changes.
            place = place.split("/")[0] if mta == "postfix" else place
            parts.setdefault(m["id"], []).append(File(path, place, m["role"], data, *st))
        self.messages = [Message(i, f) for i, f in sorted(parts.items())]


def tree_files(root):
    """(path below root, content, (mode, mtime, owner)) of everything that is no directory."""
    for here, dirs, names in os.walk(root):
        for name in names + [d for d in dirs if os.path.islink(os.path.join(here, d))]:
            path = os.path.join(here, name)
            st = os.lstat(path)
            data = b""
            if stat.S_ISREG(st.st_mode):
                with open(path, "rb") as f:
                    data = f.read()
            yield os.path.relpath(path, root), data, (st.st_mode, st.st_mtime_ns, (st.st_uid, st.st_gid))


def _nanoseconds(text):
    seconds, _, rest = str(text).partition(".")
    return int(seconds) * 10**9 + int((rest + "000000000")[:9])


def packed_files(path):
    """The same of a packed case; paths below the case."""
    if path.endswith(".zst"):
        p = subprocess.run(["zstd", "-dcq", path], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if p.returncode != 0:
            raise OSError("%s: not a whole archive" % path)
        raw = io.BytesIO(p.stdout)
        archive = tarfile.open(fileobj=raw)
    else:
        archive = tarfile.open(path)
    for m in archive:
        if m.isfile():
            yield (m.name.partition("/")[2], archive.extractfile(m).read(),
                   (stat.S_IFREG | m.mode, _nanoseconds(m.pax_headers.get("mtime", m.mtime)), None))


class Case:
    """A case in one of its forms. back: keys of messages that the ledger says are back in their queue."""

    def __init__(self, name, form, mta, files, back=()):
        self.name, self.form = name, form
        self.own = {path: data for path, data, _ in files if not path.startswith("data/")}
        data = [(p[len("data/"):], d, st) for p, d, st in files if p.startswith("data/")]
        # Parts that came up alone, of a message that is nowhere: kept aside by recover, because they might be the only ones.
        self.leftover = [os.path.basename(p) for p in self.own if p.startswith("leftover/")]
        gone = {NAMES[mta].match(os.path.basename(k))["id"] for k in back}
        self.pile = Pile(mta, [(p.partition("/")[2], d, st) for p, d, st in data])
        if form == "packed":
            self.pile.messages = [m for m in self.pile.messages if m.id not in gone]
        self.wrong = ["%s has a stray %s" % (name, p) for p in self.pile.strays]
        self.wrong += ["%s has a stray %s" % (name, p) for p in self.own if not CASE_OWN.match(p) and not p.startswith("leftover/")]
        if "INCOMPLETE" not in self.own and form == "open":
            self.wrong += self._check_manifest({p: hashlib.sha256(d).hexdigest() for p, d, _ in files})

    def _check_manifest(self, sums):
        if "manifest-sha256.txt" not in self.own:
            return ["%s is sealed without a manifest" % self.name]
        listed = {}
        for line in self.own["manifest-sha256.txt"].decode("utf-8", "surrogateescape").splitlines():
            digest, _, path = line.partition("  ")
            listed[unquote(path)] = digest
        # What was put back is listed still; nothing may be there that is not, or that differs.
        return ["%s: %s is not what the manifest says" % (self.name, p)
                for p, s in sums.items() if p.startswith("data/") and listed.get(p) != s]


class State:
    """A queue and a vault."""

    def __init__(self, mta, spool, vault):
        self.spool = Pile(mta, list(tree_files(spool)))
        self.cases = []
        self.wrong = ["a stray in the queue: " + p for p in self.spool.strays]
        if os.path.isdir(vault):
            self._read_vault(mta, vault)
        for c in self.cases:
            self.wrong += c.wrong

    def _read_vault(self, mta, vault):
        for name in sorted(os.listdir(vault)):
            path = os.path.join(vault, name)
            case, dot, end = name.partition(".")
            if CASE_NAME.match(name) and os.path.isdir(path):
                self.cases.append(Case(name, "open", mta, list(tree_files(path))))
            elif CASE_NAME.match(case) and dot + end in (".tar.zst", ".tar.gz"):
                try:
                    self.cases.append(Case(case, "packed", mta, list(packed_files(path)), _ledger(vault, case)))
                except (OSError, tarfile.TarError) as e:
                    self.wrong.append(str(e))
            elif os.path.isdir(path) and name in ("jobs", "ledger"):
                self.wrong += ["a stray in the vault: %s/%s" % (name, n) for n in os.listdir(path) if not VAULT_OWN.match(name + "/" + n)]
            elif not VAULT_OWN.match(name):
                self.wrong.append("a stray in the vault: " + name)

    def everywhere(self):
        """(message, place)"""
        for m in self.spool.messages:
            yield m, "queue"
        for c in self.cases:
            for m in c.pile.messages:
                yield m, c.form


def _ledger(vault, case):
    """Keys of the messages that went back."""
    back = set()
    try:
        with open(os.path.join(vault, "ledger", case + ".ndjson")) as f:
            for line in f:
                if line.endswith("\n"):
                    entry = json.loads(line)
                    (back.discard if entry.get("cancelled") else back.add)(unquote(entry["key"]))
    except FileNotFoundError:
        pass
    return back


class Mail(driver.Scenario):
    """A verb. vanishing: a message may be gone afterwards, on purpose. rewriting: it may be as the undisturbed run leaves it."""

    verb = "?"
    groups = ("errno", "kill", "power", "full", "read", "deliver")
    vanishing = rewriting = False
    setup = ()
    spools = SPOOLS

    def __init__(self, mta, far, owned=False):
        self.delivered = set()
        self.as_root = owned
        self.mta, self.far, self.owned = mta, far, owned
        self.name = "-".join([self.verb, mta, "across" if far else "same"] + ["owned"] * owned)

    # --- the world ---

    def spool(self, world):
        return os.path.join(world.here, "spool", *(["mqueue"] if self.mta == "sendmail" else []))

    def vault(self, world):
        return os.path.join(world.there if self.far else world.here, "vault")

    def case(self, world):
        names = {n.partition(".")[0] for n in os.listdir(self.vault(world))}
        return next(n for n in sorted(names) if CASE_NAME.match(n))

    def make(self, world, top):
        texts = [os.path.join(driver.SRC, "tests", "spool", self.mta, name + ".txt") for name in self.spools[self.mta]]
        subprocess.run([world.program("tests/mkspool"), "text", *texts, top], check=True, stdout=subprocess.DEVNULL)

    def prepare(self, world):
        top = os.path.join(world.here, "spool")
        self.make(world, top)
        if self.owned:
            for here, dirs, names in os.walk(top):
                for path in [here] + [os.path.join(here, n) for n in names]:
                    os.chown(path, OWNER, GROUP)
        for step in self.setup:
            self.do(world, self.command(world, step))

    def deliver(self, world, before, end):
        forms, wrong = self.allowed(before, end), []
        spool = self.spool(world)
        for m in Pile(self.mta, list(tree_files(spool))).messages:
            if any(f.role == "qf" and f.loose[1] == "hf" for f in m.files):
                continue        # with its reason in it: no server delivers that (Sendmail 8.17, 8.18: its next run renames it to hf)
            if any(map(KEYS[self.mta], m.files)):
                was = self.as_before(forms, m)
                wrong += [] if was else ["the server would have seen half a message: %s" % m]
                self.delivered.add(was)
                for f in m.files:
                    world.shadow.remove(os.path.join(spool, f.path))
        return wrong

    def do(self, world, argv):
        status, _, said = world.run(argv, watched=False)
        if status != 0:
            raise driver.Trouble("%s: preparing: %s ends with %s: %s" % (self.name, " ".join(argv), status, said))

    # --- commands ---

    def command(self, world, verb):
        queue = ["--mta", self.mta, "--spool", self.spool(world)]
        vault = ["--vault", self.vault(world)]
        quarantine, purge = world.program("sbin/mqquarantine"), world.program("sbin/mqpurge")
        every = ["--all", "--yes", "--why", "test"]
        if verb in ("take", "hold", "release"):
            return [quarantine, verb, *queue, *vault, *every]
        if verb == "purge":
            return [purge, *queue, *vault, *every]
        if verb == "purge-for-good":
            return [purge, *queue, *vault, *every, "--no-undo"]
        if verb == "undo":
            return [purge, "--undo", self.case(world), *vault, "--yes"]
        if verb == "restore":
            return [quarantine, "restore", self.case(world), *vault, "--yes"]
        if verb == "seal":
            return [quarantine, "seal", self.case(world), *vault]
        if verb == "pack":
            return [quarantine, "pack", self.case(world), *vault, "--output", os.path.join(world.here, "pack.tar.zst")]
        if verb == "drop":
            return [quarantine, "drop", self.case(world), *vault, "--why", "test", "--expect", "3"]
        if verb == "expire":
            return [quarantine, "expire", *vault]
        if verb == "recover":
            return [quarantine, "recover", *vault]
        raise ValueError(verb)

    def argv(self, world):
        return self.command(world, self.verb)

    def recover(self, world):
        """A vault that was not finished is; before its first part is there it holds nothing."""
        return self.command(world, "recover") if os.path.isdir(os.path.join(self.vault(world), "jobs")) else None

    # --- what must be true ---

    def look(self, world):
        state = State(self.mta, self.spool(world), self.vault(world))
        expected = {"spool", "vault"}
        state.wrong += ["left over: " + n for n in os.listdir(world.here) if n not in expected | self.extra()]
        return state

    def extra(self):
        return set()

    def allowed(self, before, end):
        """How a message may look: signature -> the message as it was."""
        forms = {m.exact: m.exact for m, _ in before.everywhere()}
        if self.vanishing:
            # Postfix's logs go before the message; others of a message that is to be deleted are not worth a sync.
            forms.update({m.without_logs: m.exact for m, _ in before.everywhere()})
        if self.rewriting:
            by_id = {m.id: m.exact for m, _ in before.everywhere()}
            forms.update({m.loose: by_id[m.id] for m, _ in end.everywhere()})
        return forms

    def as_before(self, forms, m):
        """The signature that the message had before, if it may look as it does."""
        return forms.get(m.exact) or (forms.get(m.loose) if self.rewriting else None)

    def complaints(self, world, before, end, finished):
        now = self.look(world)
        forms = self.allowed(before, end)
        wrong, places = list(now.wrong), {}
        delivered, self.delivered = self.delivered, set()
        ids = {m.id for m, _ in before.everywhere() if m.exact in delivered}
        wrong += ["%s keeps %s aside" % (c.name, n) for c in now.cases for n in c.leftover if NAMES[self.mta].match(n)["id"] not in ids]
        owners = {f.owner for m in before.spool.messages for f in m.files}
        for m, place in now.everywhere():
            was = self.as_before(forms, m)
            if was is None and self.vanishing and place == "queue" and not any(map(KEYS[self.mta], m.files)):
                continue        # what is left of a message that was deleted: no server looks at it
            if was is None:
                wrong.append("changed, half or new: %s in %s" % (m, place))
            else:
                places.setdefault(was, []).append(place)
            if owners and place == "queue":
                wrong += ["%s belongs to %s" % (m, f.owner) for f in m.files if f.owner not in owners]
        for m, _ in before.everywhere():
            n = len(places.get(m.exact, []))
            if m.exact in delivered:
                wrong += ["%s was delivered and is in %s" % (m, ", ".join(places[m.exact]))] if n else []
            elif n > 1 or (n == 0 and not self.vanishing):
                wrong.append("%s is in %d places: %s" % (m, n, ", ".join(places.get(m.exact, [])) or "lost"))
        if finished and self.summary(now) != self.summary(end):
            wrong.append("all was said to be done, and is not")
        return wrong

    def summary(self, state):
        return Counter((m.id if self.rewriting else m.exact, m.loose, place) if self.rewriting else (m.exact, place)
                       for m, place in state.everywhere())


class Wide:
    """More messages in more directories, so that the whole file system is synced where others sync directories one by one."""

    MESSAGES = 9

    def __init__(self, mta, far, owned=False):
        super().__init__(mta, far, owned)
        self.name += "-wide"

    def make(self, world, top):
        subprocess.run([world.program("tests/mkspool"), "flood", self.mta, top, "-n", str(self.MESSAGES)], check=True,
                       stdout=subprocess.DEVNULL)


class Take(Mail):
    verb = "take"


class Restore(Mail):
    verb = "restore"
    setup = ("take",)


class Purge(Mail):
    verb = "purge"


class Undo(Mail):
    verb = "undo"
    setup = ("purge",)


class PurgeForGood(Mail):
    verb = "purge-for-good"
    vanishing = True


class Hold(Mail):
    verb = "hold"
    rewriting = True
    spools = UNHELD


class Release(Mail):
    verb = "release"
    rewriting = True
    spools = UNHELD
    setup = ("hold",)


class WideTake(Wide, Take):
    pass


class WideRestore(Wide, Restore):
    pass


class WideHold(Wide, Hold):
    def make(self, world, top):
        super().make(world, top)
        # A flooded queue has held messages, too.
        self.do(world, [world.program("sbin/mqquarantine"), "release", "-z", "--yes", "--mta", self.mta, "--spool", top,
                        "--vault", os.path.join(world.here, "first")])
        shutil.rmtree(os.path.join(world.here, "first"))


class Drop(Mail):
    verb = "drop"
    vanishing = True
    setup = ("take",)


class Pack(Mail):
    """The messages stay in the case; the pack is there and whole, or not there."""

    verb = "pack"
    setup = ("take",)

    def extra(self):
        return {"pack.tar.zst"}

    def look(self, world):
        state = super().look(world)
        path = os.path.join(world.here, "pack.tar.zst")
        if os.path.exists(path):
            try:
                packed = Case("pack.tar.zst", "packed", self.mta, list(packed_files(path)))
                kept = {m.exact for m, place in state.everywhere() if place == "open"}
                if {m.exact for m in packed.pile.messages} != kept:
                    state.wrong.append("the pack has not the messages of the case")
            except (OSError, tarfile.TarError) as e:
                state.wrong.append(str(e))
        return state


class Recover(Mail):
    """A recovery that is interrupted itself: the verb before it was killed at a part of its calls."""

    verb = "recover"
    broken, part = "take", 0.6

    def __init__(self, mta, far, broken, part, **more):
        self.broken, self.part = broken, part
        super().__init__(mta, far, **more)
        self.name = "-".join(["recover", broken, mta, "across" if far else "same", "%d%%" % (part * 100)])
        self.setup = {"restore": ("take",), "undo": ("purge",), "release": ("hold",)}.get(broken, ())
        self.rewriting = broken in ("hold", "release")
        self.spools = UNHELD if self.rewriting else SPOOLS
        self.vanishing = broken in ("purge-for-good", "drop")

    def prepare(self, world):
        super().prepare(world)
        world.shadow.begin()
        status, total, said = world.run(self.command(world, self.broken))
        if status != 0:
            raise driver.Trouble("%s: preparing: %s ends with %s: %s" % (self.name, self.broken, status, said))
        self.done_state = self.look(world)
        world.shadow.rewind()
        self.first_state = self.look(world)
        world.run(self.command(world, self.broken), driver.settings(("kill", "after"), max(1, int(total * self.part))))

    def complaints(self, world, before, end, finished):
        return super().complaints(world, self.first_state, self.done_state, False)


def scenarios():
    kinds = [Take, Restore, Purge, Undo, Hold, Release, PurgeForGood, Pack, Drop]
    near_only = (Hold, Release, PurgeForGood, Drop)
    found = [kind(mta, far) for kind in kinds for mta in SPOOLS for far in ((False,) if kind in near_only else (False, True))]
    found += [kind(mta, False, owned=True) for kind in (Take, Restore, Hold, Undo) for mta in ("exim", "postfix")]
    found += [kind(mta, True, owned=True) for kind in (Take, Restore) for mta in ("exim", "postfix")]
    found += [kind("exim", False) for kind in (WideTake, WideRestore, WideHold)]
    found += [Recover(mta, far, verb, part) for verb in ("take", "restore", "undo") for mta in SPOOLS for far in (False, True)
              for part in (0.5, 0.75)]
    return found
