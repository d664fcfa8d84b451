"""The command line of tests/faults/run."""

import argparse
import fnmatch
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile

import driver
import mail
import selftest


def everything():
    return selftest.scenarios() + mail.scenarios()


def other_file_system(base):
    """A directory that is not on base's file system; None: there is none here."""
    here = os.stat(base).st_dev
    for path in ("/dev/shm", "/var/tmp", os.path.expanduser("~")):
        if os.path.isdir(path) and os.access(path, os.W_OK) and os.stat(path).st_dev != here:
            return path
    return None


def with_tmpfs():
    """Again, in a mount namespace with a tmpfs of our own. Comes back only if that cannot be."""
    if os.environ.get("FAULTS_FAR") or os.geteuid() != 0 or not shutil.which("unshare"):
        return
    far = tempfile.mkdtemp(prefix="faults-far-")
    code = subprocess.run(["unshare", "--mount", "sh", "-c", 'mount -t tmpfs tmpfs "$FAULTS_FAR" && exec "$@"', "sh",
                           sys.executable, "-B", *sys.argv], env={**os.environ, "FAULTS_FAR": far}).returncode
    os.rmdir(far)
    sys.exit(code)


def one(task):
    index, build, base, far, budget = task
    tally = driver.Tally()
    world = driver.World(build, base, far)
    try:
        everything()[index].test(world, tally, budget)
    finally:
        world.close()
    return tally


def main():
    p = argparse.ArgumentParser(prog="tests/faults/run")
    p.add_argument("--build", default=os.path.join(driver.SRC, "build"), metavar="DIR", help="where make built")
    p.add_argument("--budget", type=float, default=0, metavar="SECONDS", help="about that long, cells spread evenly; else all")
    p.add_argument("--only", default="*", metavar="PATTERN", help="scenarios by name")
    p.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    p.add_argument("--list", action="store_true", help="name the scenarios")
    args = p.parse_args()
    chosen = [i for i, s in enumerate(everything()) if fnmatch.fnmatch(s.name, args.only)]
    if args.list:
        print("\n".join(everything()[i].name for i in chosen))
        return 0
    base = tempfile.gettempdir()
    far = os.environ.get("FAULTS_FAR") or other_file_system(base)
    if not far:
        with_tmpfs()
        print("SKIP  faults: no second file system to test across")
        print("0 passed, 1 failed")
        return 1
    tasks = [(i, os.path.realpath(args.build), os.path.realpath(base), os.path.realpath(far),
              args.budget * args.jobs / max(1, len(chosen))) for i in chosen]
    passed = failed = 0
    with multiprocessing.Pool(args.jobs) as pool:
        for tally in pool.imap_unordered(one, tasks):
            print("\n".join(tally.lines), flush=True)
            passed += tally.passed
            failed += tally.failed
    print("%d passed, %d failed" % (passed, failed))
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
