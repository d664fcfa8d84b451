"""What is on disk for sure: plays a power failure from what faults.so wrote down, in place, keeping inodes.

The model. The disk is what was there at the start (the baseline), and every change of a directory that is known to have arrived.
A change of names is known to have arrived when a directory that it touches, or its whole file system, was synced afterwards; a rename
touches two directories and arrives in both or in none, as on every journaling file system.  A file's content, mode and times are those
of its last sync, else those of the baseline, else (a new file) nothing.

  synced   only what must be there; of the rest nothing arrived
  lists    the same, but each directory for itself: a rename is a new name here and a lost name there, as without a journal
  mixed    of the rest something arrived: each directory up to some moment, each file or not, by a seeded choice

Trees are put into such a state with the inodes they had (Postfix takes names from them): whatever lost its last name is in a
graveyard outside the trees.  Knows nothing of mail.
"""

import os
import stat
from urllib.parse import unquote_to_bytes


class Lost(Exception):
    """An inode that the wanted state needs is gone: the machinery, not the tested program, is at fault."""


def key_of(st):
    return (st.st_dev, st.st_ino)


class Unit:
    """A file but for its names."""

    __slots__ = ("mode", "uid", "gid", "mtime", "data")

    def __init__(self, mode, uid, gid, mtime, data):
        self.mode, self.uid, self.gid, self.mtime, self.data = mode, uid, gid, mtime, data

    @classmethod
    def of(cls, path, st):
        with open(path, "rb", opener=_quietly) as f:
            return cls(stat.S_IMODE(st.st_mode), st.st_uid, st.st_gid, st.st_mtime_ns, f.read())

    def put(self, path):
        now = Unit.of(path, os.lstat(path))
        if now.data != self.data:
            with open(path, "r+b") as f:
                f.truncate(0)
                f.write(self.data)
        if (now.uid, now.gid) != (self.uid, self.gid):
            os.chown(path, self.uid, self.gid)
        if now.mode != self.mode or (now.uid, now.gid) != (self.uid, self.gid):
            os.chmod(path, self.mode)
        os.utime(path, ns=(self.mtime, self.mtime))


def _quietly(path, flags):
    try:
        return os.open(path, flags | os.O_NOATIME | os.O_NOFOLLOW)
    except PermissionError:
        return os.open(path, flags | os.O_NOFOLLOW)


class Tree:
    """Directories by key: name -> key; and everything that a key can be told of."""

    def __init__(self, tops=None):
        self.tops = tops or {}          # path of a root -> key
        self.dirs = {}                  # key -> {name: key}
        self.modes = {}                 # key of a directory -> (mode, uid, gid)
        self.units = {}                 # key of a file -> Unit

    def copy(self):
        new = Tree(self.tops)
        new.dirs = {k: dict(v) for k, v in self.dirs.items()}
        new.modes = dict(self.modes)
        new.units = dict(self.units)
        return new


def scan(roots, contents=True):
    """Reads the trees below the roots."""
    tree = Tree()

    def walk(path, key):
        tree.dirs[key] = {}
        with os.scandir(path) as entries:
            for e in list(entries):
                st = e.stat(follow_symlinks=False)
                k = key_of(st)
                tree.dirs[key][e.name] = k
                if stat.S_ISDIR(st.st_mode):
                    tree.modes[k] = (stat.S_IMODE(st.st_mode), st.st_uid, st.st_gid)
                    walk(e.path, k)
                elif stat.S_ISREG(st.st_mode) and contents and k not in tree.units:
                    tree.units[k] = Unit.of(e.path, st)

    for root in roots:
        tree.tops[root] = key_of(os.lstat(root))
        walk(root, tree.tops[root])
    return tree


class Change:
    """One change of names: slots (directory, name) and the key that is there afterwards, or None."""

    __slots__ = ("time", "effects")

    def __init__(self, time, *effects):
        self.time, self.effects = time, effects

    def dirs(self):
        return {slot[0] for slot, _ in self.effects}

    def slots(self):
        return [slot for slot, _ in self.effects]


class Shadow:
    def __init__(self, directory, roots, graves):
        self.dir, self.roots, self.graves = directory, roots, graves
        self.ops = os.path.join(directory, "ops")
        self.files = os.path.join(directory, "files")
        os.makedirs(self.files, exist_ok=True)
        for d in (directory, self.files, *graves):
            os.makedirs(d, exist_ok=True)
            os.chmod(d, 0o777)
        self.base = self.marked = None
        self.forget()

    def environment(self):
        return {"FAULT_ROOTS": ":".join(self.roots), "FAULT_GRAVES": ":".join(self.graves), "FAULT_SHADOW": self.dir,
                "FAULT_NOSYNC": "1"}

    def begin(self):
        """What is there now counts as synced, and is what rewind() brings back."""
        self.base = scan(self.roots)
        self.forget()

    def forget(self):
        """From here on nothing was noted."""
        with open(self.ops, "w"):
            pass
        os.chmod(self.ops, 0o666)
        for name in os.listdir(self.files):
            os.unlink(os.path.join(self.files, name))

    # --- what was noted ---

    def _read_ops(self):
        changes, syncs, whole, synced_units = [], {}, {}, {}

        def key(text):
            dev, ino = text.split(":")
            return (int(dev), int(ino))

        def name(text):
            return os.fsdecode(unquote_to_bytes(text))

        with open(self.ops) as f:
            for time, line in enumerate(f, 1):
                op, *w = line.split()
                if op in ("create", "link", "mkdir"):
                    changes.append(Change(time, ((key(w[0]), name(w[1])), key(w[2]))))
                elif op == "unlink":
                    changes.append(Change(time, ((key(w[0]), name(w[1])), None)))
                elif op == "rename":
                    changes.append(Change(time, ((key(w[0]), name(w[1])), None), ((key(w[3]), name(w[4])), key(w[2]))))
                elif op == "syncdir":
                    syncs[key(w[0])] = time
                elif op == "syncfs":
                    whole[int(w[0])] = time
                elif op == "syncfile":
                    synced_units[key(w[0])] = self._synced_unit(w)
                else:
                    raise ValueError("ops: " + line)
        for d in {d for change in changes for d in change.dirs()}:
            syncs[d] = max(syncs.get(d, 0), whole.get(d[0], 0))
        return changes, syncs, synced_units

    def _synced_unit(self, words):
        with open(os.path.join(self.files, words[0]), "rb") as f:
            data = f.read()
        seconds, nanos = words[4].split(".")
        return Unit(int(words[1], 8), int(words[2]), int(words[3]), int(seconds) * 10**9 + int(nanos), data)

    # --- states ---

    def mark(self):
        """Remember what is there now, so that back_to_mark() and power_failure() begin with it."""
        self.marked = Mark(self)

    def back_to_mark(self):
        self._put(self.marked.now)

    def power_failure(self, how, rng=None):
        """Puts the trees into a state that a power failure may leave at the moment that was marked."""
        changes, syncs, synced_units = self.marked.ops
        now = self.marked.now
        if how == "lists":
            changes = [Change(c.time, effect) for c in changes for effect in c.effects]
        if how == "mixed":
            arrived = _some(changes, syncs, rng)
        else:
            arrived = _certain(changes, syncs)
        state = self.base.copy()
        state.modes.update(now.modes)
        state.modes.update(self.marked.buried)
        for change in arrived:
            for (d, n), k in change.effects:
                names = state.dirs.setdefault(d, {})
                if k is None:
                    names.pop(n, None)
                else:
                    names[n] = k
        state.units.update(synced_units)
        for k, unit in now.units.items():
            if how == "mixed" and rng.random() < 0.5:
                state.units[k] = unit
            elif k not in state.units:
                state.units[k] = Unit(unit.mode, unit.uid, unit.gid, unit.mtime, b"")
        self._put(state)

    def buried(self):
        """What lies in the graves: {key: (mode, uid, gid) of a directory, None for a file}"""
        found = {}
        for yard in self.graves:
            with os.scandir(yard) as entries:
                for e in entries:
                    st = e.stat(follow_symlinks=False)
                    found[key_of(st)] = (stat.S_IMODE(st.st_mode), st.st_uid, st.st_gid) if stat.S_ISDIR(st.st_mode) else None
        return found

    def rewind(self):
        """Back to the baseline."""
        self.marked = None
        self._put(self.base)
        self.forget()

    def remove(self, path):
        """As somebody else would remove a file; it can come back."""
        st = os.lstat(path)
        os.rename(path, "%s/f%d" % (self._yards()[st.st_dev], st.st_ino))

    # --- making it so ---

    def _yards(self):
        return {os.lstat(g).st_dev: g for g in self.graves}

    def _put(self, state):
        wanted = list(_reachable(state))
        places = {path: k for path, k, _ in wanted}
        where_dirs, where_files, stays = self._gather(places)
        live = {k for _, k, is_dir in wanted if is_dir}
        self._bury_dirs(live, where_dirs)
        for path, k, is_dir in wanted:
            if is_dir:
                self._place_dir(path, k, state, where_dirs)
        done = set()
        for path, k, is_dir in wanted:
            if is_dir:
                continue
            if path not in stays:
                if k not in where_files:
                    raise Lost("%s %s" % (path, k))
                os.link(where_files[k], path, follow_symlinks=False)
            if k in state.units and k not in done:
                state.units[k].put(path)
                done.add(k)
        self._empty_graves({k for _, k, _ in wanted})

    def _gather(self, places):
        """
        Files that are not where they belong lose their names in the trees, but one in the graveyard; says where everything is, and
        which paths stay as they are. Below a directory that is another one than it should be, nothing stays.
        """
        yards = self._yards()
        dirs, files, stays = {}, {}, set()
        for yard in yards.values():
            for name in os.listdir(yard):
                path = os.path.join(yard, name)
                st = os.lstat(path)
                (dirs if stat.S_ISDIR(st.st_mode) else files)[key_of(st)] = path

        def walk(here, in_place):
            with os.scandir(here) as entries:
                for e in list(entries):
                    st = e.stat(follow_symlinks=False)
                    k = key_of(st)
                    if stat.S_ISDIR(st.st_mode):
                        dirs[k] = e.path
                        walk(e.path, in_place and places.get(e.path) == k)
                    elif in_place and places.get(e.path) == k:
                        stays.add(e.path)
                        files.setdefault(k, e.path)
                    elif k not in files:
                        files[k] = "%s/f%d" % (yards[k[0]], k[1])
                        os.rename(e.path, files[k])
                    else:
                        os.unlink(e.path)

        for root in self.roots:
            walk(root, True)
        return dirs, files, stays

    def _bury_dirs(self, live, where):
        """Directories that the state does not have; deepest first, so that what they hold has left them."""
        yards = self._yards()
        for k, path in sorted(where.items(), key=lambda item: -item[1].count("/")):
            tomb = "%s/d%d" % (yards[k[0]], k[1])
            if k not in live and where[k] != tomb:
                _move_dir(where[k], tomb, where)

    def _place_dir(self, path, k, state, where):
        if k not in where:
            raise Lost("%s %s" % (path, k))
        if where[k] != path:
            _move_dir(where[k], path, where)
        if k in state.modes:
            mode, uid, gid = state.modes[k]
            os.chown(path, uid, gid)
            os.chmod(path, mode)

    def _empty_graves(self, live):
        """Of what has its names again, and of what neither the baseline nor the mark can ask for."""
        for yard in self.graves:
            for name in os.listdir(yard):
                path = os.path.join(yard, name)
                st = os.lstat(path)
                if self.marked and key_of(st) not in live and self.marked.knows(key_of(st)):
                    continue
                if stat.S_ISDIR(st.st_mode):
                    os.rmdir(path)
                else:
                    os.unlink(path)


class Mark:
    """A moment: what the trees and the graves held, and what was noted until then."""

    def __init__(self, of):
        self.ops = of._read_ops()
        self.now = scan(of.roots)
        buried = of.buried()
        self.buried = {k: modes for k, modes in buried.items() if modes}
        self.keys = set(buried) | set(self.now.units) | set(self.now.dirs) | {k for d in self.now.dirs.values() for k in d.values()}

    def knows(self, key):
        return key in self.keys


def _move_dir(old, new, where):
    os.rename(old, new)
    for key, path in where.items():
        if path == old or path.startswith(old + "/"):
            where[key] = new + path[len(old):]


def _reachable(state):
    """(path, key, is directory), a directory before what is in it. A directory has one name, even where a rename was cut in two."""
    seen = set()
    todo = [(path, key) for path, key in state.tops.items()]
    while todo:
        path, key = todo.pop()
        for name, k in state.dirs.get(key, {}).items():
            below = os.path.join(path, name)
            if k not in state.modes:
                yield below, k, False
            elif k not in seen:
                seen.add(k)
                yield below, k, True
                todo.append((below, k))


def _certain(changes, syncs):
    """Those that arrived for sure, with whatever happened to the same names before."""
    arrived, slots = [], set()
    for change in reversed(changes):
        if any(syncs.get(d, 0) > change.time for d in change.dirs()) or slots.intersection(change.slots()):
            arrived.append(change)
            slots.update(change.slots())
    return arrived[::-1]


def _some(changes, syncs, rng):
    """Each directory up to a moment of its own, not before its last sync; a rename takes both its directories along."""
    end = max([c.time for c in changes], default=0)
    cuts = {}
    for change in changes:
        for d in change.dirs():
            low = syncs.get(d, 0)
            cuts.setdefault(d, rng.choice((low, end, rng.randint(low, max(low, end)))))
    again = True
    while again:
        again = False
        for change in changes:
            dirs = change.dirs()
            if any(change.time <= cuts[d] for d in dirs) and any(change.time > cuts[d] for d in dirs):
                for d in dirs:
                    cuts[d] = max(cuts[d], change.time)
                again = True
    return [c for c in changes if all(c.time <= cuts[d] for d in c.dirs())]
