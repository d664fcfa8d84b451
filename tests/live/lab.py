"""The live lab: real MTAs in throw-away rooms, read by mqgrep, compared with what was put in.

    lab.py [--suite bookworm|trixie|all] [--mta NAME] [--part read|act|relays] [--minutes N]
           [--bin DIR] [--keep DIR] [--jobs N]

Builds the rooms (rooms.py), starts one process per MTA, release and part in namespaces of its own,
and adds up what they found.  The part "read" compares records with what was injected; the part
"act" (acting.py) works on the queue beside the MTA; the part "relays" (relays.py) has no MTA, but several hosts.  The truths stay in the state directory, under results/; with --keep DIR
the spools, their truths and their records are copied there.
"""

import argparse
import ctypes
import importlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback

import compare
import inside
import loglines
import rooms

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
LIMIT = 480     # seconds for one part, MTA and release, from empty room to result, beside --minutes
PARTS = ("read", "act", "relays")
COMMANDS = ("mqgrep", "mqstat", "mqquarantine", "mqpurge")


def say(text):
    print(text, flush=True)


# --- outside: all of it ------------------------------------------------------------------------

def missing():
    """One sentence, or nothing: what this machine lacks for the lab."""
    if os.geteuid() != 0:
        return "the live lab makes chroots and namespaces: run it as root"
    need = {"debootstrap": "debootstrap", "unshare": "util-linux", "mount": "mount",
            "chroot": "coreutils"}
    absent = [p for c, p in need.items() if not shutil.which(c, path=os.environ["PATH"] +
                                                             ":/usr/sbin:/sbin")]
    if absent:
        return "missing: %s (scripts/deps live installs them)" % ", ".join(absent)
    if not inside_load().ipv6_works():
        return "the live lab needs IPv6 on the loopback device"
    return None


def inside_load():
    return importlib.import_module("load")


def start(part, mta, suite, options, result):
    argv = inside.ENTER + [sys.executable, "-B", os.path.join(HERE, "lab.py"), "--inside",
                           "--part", part, "--mta", mta, "--suite", suite, "--bin", options.bin,
                           "--result", result, "--minutes", str(options.minutes)]
    if options.keep:
        argv += ["--keep", options.keep]
    return subprocess.Popen(argv, stdin=subprocess.DEVNULL, preexec_fn=die_with_parent)


def die_with_parent():
    """The kernel kills this process, and with it the namespaces, should the lab be killed."""
    PR_SET_PDEATHSIG = 1
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def next_free(waiting, running):
    """The next part whose room nobody is in; None when all of them are occupied."""
    occupied = {job[1:] for job in running}
    return next((job for job in waiting if job[1:] not in occupied), None)


def run_all(jobs, options):
    """Every (part, mta, suite), a few at a time; returns their results."""
    waiting, running, results = list(jobs), {}, []
    limit = LIMIT + 120 * options.minutes
    where = os.path.join(rooms.state_dir(), "results")
    shutil.rmtree(where, ignore_errors=True)
    os.makedirs(where)
    try:
        while waiting or running:
            while len(running) < options.jobs and next_free(waiting, running):
                job = next_free(waiting, running)
                waiting.remove(job)
                result = os.path.join(where, "%s-%s-%s.json" % (*job[1:], job[0]))
                running[job] = (start(*job, options, result), result, time.monotonic())
            for job, (child, result, begun) in list(running.items()):
                late = time.monotonic() - begun > limit
                if child.poll() is None and not late:
                    continue
                if late:
                    child.kill()
                child.wait()
                del running[job]
                results.append(outcome(job, result, limit if late else 0))
                say("%s %s, %s: %d passed, %d failed, %.0f s" % (
                    *job[1:], job[0], results[-1].passed, len(results[-1].failures),
                    time.monotonic() - begun))
            time.sleep(0.05)
    finally:
        for child, _, _ in running.values():
            child.kill()
            child.wait()
    return sorted(results, key=lambda s: (s.suite, s.mta))


def outcome(job, path, late):
    part, *pair = job
    score = compare.Score(*pair)
    score.part = part
    try:
        with open(path) as f:
            data = json.load(f)
        score.cells, score.passed, score.failures = (data["cells"], data["passed"],
                                                     data["failures"])
    except (OSError, ValueError, KeyError):
        score.failures = ["%s %s, %s: %s" % (*pair, part, "took more than %d s" % late if late
                                             else "ended without a result")]
    return score


def jobs_of(parts, mtas, suites):
    """Every (part, room, suite); the relays' room is none of an MTA."""
    return [(p, m, s) for p in parts for s in suites for m in (["relays"] if p == "relays" else mtas)]


def main(options):
    sentence = missing()
    if sentence:
        say("SKIP live lab: " + sentence)
        say("0 passed, 1 failed")
        return 1
    absent = [c for c in COMMANDS if not os.access(os.path.join(options.bin, c), os.X_OK)]
    if absent:
        say("SKIP live lab: no %s in %s; build it first (make)" % (absent[0], options.bin))
        say("0 passed, 1 failed")
        return 1
    asked = options.suite or ["all"]
    suites = [s for s in rooms.SUITES if "all" in asked or s in asked]
    mtas = [options.mta] if options.mta else list(rooms.MTAS)
    jobs = jobs_of([options.part] if options.part else PARTS, mtas, suites)
    for other in rooms.SUITES:
        if other not in suites:
            say("note: %s is not part of this run (--suite all)" % other)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        lock = rooms.lock()
        rooms.build(suites, sorted({room for _, room, _ in jobs}), say)
        scores = run_all(jobs, options)
    except rooms.RoomError as error:
        say("SKIP live lab: %s" % error)
        say("0 passed, 1 failed")
        return 1
    lock.close()
    return report(scores)


def report(scores):
    failures = [f for s in scores for f in s.failures]
    for line in failures:
        say("FAIL " + line)
    reading = [s for s in scores if s.part == "read"]
    lines, bad = compare.matrix(reading) if reading else ([], [])
    say("\nValues compared, by field:\n" + "\n".join(lines) + "\n")
    for line in bad:
        say("FAIL " + line)
    failed = len(failures) + len(bad)
    say("%d passed, %d failed" % (sum(s.passed for s in scores), failed))
    return 1 if failed else 0


# --- inside: one MTA of one release ------------------------------------------------------------

def mqgrep(options, *argv):
    return subprocess.run([options.mqgrep, *argv], stdin=subprocess.DEVNULL, capture_output=True,
                          timeout=120, env={"PATH": "/usr/bin:/bin", "TZ": "UTC", "LC_ALL": "C"})


def records(options, score, spool, *more):
    done = mqgrep(options, "--spool", spool, "-j", *more)
    score.plain("mqgrep %s" % os.path.basename(spool), done.returncode == 0,
                "exit %d: %s" % (done.returncode, done.stderr.decode("utf-8", "replace")[:300]))
    out = []
    for line in done.stdout.decode("utf-8").splitlines():
        out.append(json.loads(line))
    return out


def read_and_compare(options, score, scene, phase):
    """Every spool of the scene, as it stands now."""
    for name, inner in scene.spools():
        spool = scene.room.host(inner)
        truths = [t for t in scene.truths if t["spool"] == name]
        found = records(options, score, spool)
        if options.keep:
            keep(options, scene, name, spool, phase, found)
        if phase == "stopped":
            same_with_threads(options, score, spool, found)
        for truth, record in compare.pair(score, truths, found, name + " " + phase):
            compare.compare(score, truth, record, spool)
            if phase == "running" or "listed" in truth:
                compare.listing(score, truth, record)


def carry_in(programs, room):
    """Copies programs into the room with their libraries and their loader, which may be newer than
    the room's own; returns the command that runs each there, by name."""
    shutil.rmtree(room.host("/lab"), ignore_errors=True)
    os.makedirs(room.host("/lab"))
    return {os.path.basename(p): carry_one(p, room) for p in programs}


def carry_one(program, room):
    libraries = subprocess.run(["ldd", program], capture_output=True, text=True).stdout
    paths = re.findall(r"(?:=> |^\s+)(/\S+) \(0x", libraries, re.M)
    for path in paths + [program]:
        shutil.copy(path, room.host("/lab"))
    inner = "/lab/" + os.path.basename(program)
    if not paths:
        return [inner]      # static
    loader = next(os.path.basename(p) for p in paths if os.path.basename(p).startswith("ld"))
    return ["/lab/" + loader, "--library-path", "/lab", inner]


def find_in_room(options, score, scene):
    """mqgrep inside the room, with no --spool: it must find what its MTA is configured for."""
    command = carry_in([options.mqgrep], scene.room)["mqgrep"]
    out = scene.room.run(command + ["-j"], check=False)
    found = [json.loads(l) for l in out.decode("utf-8").splitlines()]
    for name, inner in scene.found_spools():
        truths = [t for t in scene.truths if t["spool"] == name and not t.get("optional")]
        mine = {r["queue_id"]: r for r in found if r["spool"] == inner}
        missing = [t["tag"] for t in truths if t["queue_id"] not in mine]
        score.plain("finding %s" % inner, not missing, "not found: " + ", ".join(missing[:5]))
        for truth in truths:
            record = mine.get(truth["queue_id"], {})
            score.check("host", record.get("host") == inside.HOST, True, truth["tag"],
                        "found as %r" % record.get("host"))
            queue = truth.get("found_queue")
            if queue:
                score.plain("finding " + truth["tag"], record.get("queue_name") == queue,
                            "queue_name %r" % record.get("queue_name"))


def snapshot(spool):
    """Everything about a tree that reading must not change."""
    seen = {}
    for where, directories, files in os.walk(spool):
        for path in [where] + [os.path.join(where, f) for f in files]:
            st = os.lstat(path)
            seen[path] = (st.st_ino, st.st_mode, st.st_size, st.st_mtime_ns, st.st_ctime_ns)
    return seen


def same_with_threads(options, score, spool, found):
    """The same bytes for any number of threads, and a spool that nobody touched."""
    before = snapshot(spool)
    outputs = [mqgrep(options, "--spool", spool, "-j", "--threads", n).stdout
               for n in ("1", "2", "8")]
    what = "mqgrep %s, " % os.path.basename(spool)
    score.plain(what + "--threads 1, 2, 8", len(set(outputs)) == 1, "differ")
    score.plain(what + "order", [json.loads(l) for l in outputs[0].splitlines()] == found,
                "another run gave other records")
    score.plain(what + "read only", snapshot(spool) == before, "something in the spool changed")


def keep(options, scene, name, spool, phase, found):
    """For people and for other tests: the spool, the truths and the records."""
    where = os.path.join(options.keep, "%s-%s" % (scene.mta, scene.suite))
    os.makedirs(where, exist_ok=True)
    target = os.path.join(where, name + ("-live" if phase == "running" else ""))
    shutil.rmtree(target, ignore_errors=True)
    subprocess.run(["cp", "-a", spool, target], check=True)
    live = "-live" if phase == "running" else ""
    scene.dump(os.path.join(where, "truth%s.ndjson" % live))
    with open(os.path.join(where, "records-%s%s.ndjson" % (name, live)), "w") as f:
        f.writelines(json.dumps(r, ensure_ascii=False) + "\n" for r in found)


def rebuild(options, score, scene):
    """--eml and data_size against what the MTA sent, prints, or was given."""
    for name, inner in scene.spools():
        spool = scene.room.host(inner)
        sizes = {r["queue_id"]: r.get("data_size")
                 for r in records(options, score, spool, "--fields", "queue_id,data_size")}
        for truth in scene.truths:
            if truth["spool"] == name and truth.get("message"):
                rebuilt(options, score, scene, truth, spool, sizes.get(truth["queue_id"]))


def rebuilt(options, score, scene, truth, spool, size):
    where = "%s (%s) --eml" % (truth["tag"], truth["queue_id"])
    done = mqgrep(options, "--spool", spool, "--eml", truth["queue_id"])
    eml = done.stdout
    score.plain(where, done.returncode == 0 and eml, "exit %d: %s" % (
        done.returncode, done.stderr.decode("utf-8", "replace")[:200]))
    crlf = eml if b"\r\n" in eml else eml.replace(b"\n", b"\r\n")
    differs = compare.same_message(scene.expected_message(truth), crlf)
    score.plain(where, differs is None, differs)
    exact = scene.sent_bytes(truth)
    if exact is not None:
        score.plain(where + " against the MTA's own bytes", crlf == exact,
                    first_difference(exact, crlf))
    score.check("data_size", size == (len(exact) if exact is not None else len(crlf)), True,
                where, "%s, the message has %d bytes" % (
                    size, len(exact) if exact is not None else len(crlf)))


def first_difference(a, b):
    at = next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))
    return "at byte %d: %r / %r (%d and %d bytes)" % (at, a[max(0, at - 20):at + 40],
                                                      b[max(0, at - 20):at + 40], len(a), len(b))


def read(options, score, scene):
    """Injects, reads beside the running MTA, stops it, reads again."""
    scene.configure()
    scene.start()
    scene.inject()
    read_and_compare(options, score, scene, "running")
    rebuild(options, score, scene)
    with tempfile.TemporaryDirectory() as directory:
        loglines.check(options.mqgrep, score, scene, directory)
    find_in_room(options, score, scene)
    scene.stop()
    scene.after_stop()
    read_and_compare(options, score, scene, "stopped")


def act(options, score, scene):
    """Injects without a pause, and works on the queue all the while."""
    commands = carry_in([os.path.join(options.bin, c) for c in COMMANDS], scene.room)
    scene.begin(score, commands, 60 * options.minutes)
    scene.configure()
    scene.start()
    scene.act()
    scene.stop()


def relays(options, score, scene):
    """Four hosts, one ranking; and their records in other programs."""
    scene.begin(score, carry_in([os.path.join(options.bin, c) for c in ("mqgrep", "mqstat")], scene.room), options.bin)
    scene.configure()
    scene.start()
    scene.rank()
    scene.trouble()
    scene.programs()


def one(options):
    suite = options.suite[0]
    score = compare.Score(options.mta, suite)
    inside.settle()
    room = inside.Room(rooms.path(options.mta, suite))
    module, work = {"read": ("inject_" + options.mta, read), "act": ("act_" + options.mta, act),
                    "relays": ("relays", relays)}[options.part]
    scene = None
    try:
        room.open()
        scene = importlib.import_module(module).SCENE(room, suite)
        work(options, score, scene)
    except BaseException:
        score.failures.append("%s %s: %s" % (options.mta, suite, traceback.format_exc()))
    finally:
        if scene:
            scene.close()
        room.close()
        if scene and options.part == "read":
            scene.dump(options.result.replace(".json", ".truth.ndjson"))
    with open(options.result + ".part", "w") as f:
        json.dump({"cells": score.cells, "passed": score.passed, "failures": score.failures}, f)
    os.rename(options.result + ".part", options.result)


def parse():
    p = argparse.ArgumentParser(prog="tests/live/run")
    p.add_argument("--suite", choices=list(rooms.SUITES) + ["all"], action="append")
    p.add_argument("--mta", choices=(*rooms.MTAS, "relays") if "--inside" in sys.argv else rooms.MTAS)
    p.add_argument("--part", choices=PARTS)
    p.add_argument("--minutes", type=float, default=1 / 3,
                   help="how long the commands work beside each MTA (default: 20 seconds)")
    p.add_argument("--bin", default=os.path.join(TOP, "build/sbin"))
    p.add_argument("--keep", help="copy spools and truths to this directory")
    p.add_argument("--jobs", type=int, default=2)
    p.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    p.add_argument("--result", help=argparse.SUPPRESS)
    given = p.parse_args()
    given.mqgrep = os.path.join(given.bin, "mqgrep")
    return given


if __name__ == "__main__":
    given = parse()
    if given.inside:
        one(given)
        sys.exit(0)
    try:
        sys.exit(main(given))
    except KeyboardInterrupt:
        say("interrupted\n0 passed, 1 failed")
        sys.exit(130)
