"""The command line of tests/faults/run."""

import argparse
import fnmatch
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
import traceback

import disks
import driver
import latecomer
import mail
import meanwhile
import selftest
import traced


def everything():
    return selftest.scenarios() + mail.scenarios() + latecomer.scenarios() + meanwhile.scenarios() + disks.scenarios() + traced.scenarios()


def other_file_system(base):
    """A directory that is not on base's file system; None: there is none here."""
    here = os.stat(base).st_dev
    for path in ("/dev/shm", "/var/tmp", os.path.expanduser("~")):
        if os.path.isdir(path) and os.access(path, os.W_OK) and os.stat(path).st_dev != here:
            return path
    return None


def in_own_mounts():
    """As root: again, in a mount namespace that takes everything mounted with it. Comes back only where that cannot be, or was done."""
    if os.environ.get("FAULTS_INSIDE") or os.geteuid() != 0 or not shutil.which("unshare"):
        return
    # In a chroot "/" is no mount point, and its propagation cannot be changed.
    enter = ["unshare", "--mount", "--propagation", "private"]
    if subprocess.run([*enter, "true"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode != 0:
        enter[-1] = "unchanged"
    os.execvpe("unshare", [*enter, sys.executable, "-B", *sys.argv],
               {**os.environ, "FAULTS_INSIDE": "1"})


class Memory:
    """
    Two file systems of our own, in our own mount namespace: no disk is asked, and nothing but "/" lies above them, where commands
    look whether a directory above a vault is some server's.
    """

    def __init__(self):
        self.places = []
        top = "/mnt" if os.access("/mnt", os.W_OK) else None
        try:
            for _ in range(2):
                place = tempfile.mkdtemp(prefix="faults-", dir=top)
                self.places.append(place)
                subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", place], check=True)
        except (OSError, subprocess.CalledProcessError):
            self.close()
            raise

    def close(self):
        for place in self.places:
            subprocess.run(["umount", place], stderr=subprocess.DEVNULL, check=False)
            os.rmdir(place)


def file_systems():
    """(one, another, what to close)"""
    if os.environ.get("FAULTS_INSIDE"):
        memory = Memory()
        return (*memory.places, memory)
    base = tempfile.gettempdir()
    return base, other_file_system(base), None


def one(task):
    index, build, base, far, budget = task
    tally = driver.Tally()
    world = driver.World(build, base, far)
    try:
        everything()[index].test(world, tally, budget)
    except Exception:
        tally.bad("faults %s: the machinery stopped" % everything()[index].name, [traceback.format_exc()])
    finally:
        world.close()
    tally.name = everything()[index].name
    return tally


def main():
    p = argparse.ArgumentParser(prog="tests/faults/run")
    p.add_argument("--build", default=os.path.join(driver.SRC, "build"), metavar="DIR", help="where make built")
    p.add_argument("--budget", type=float, default=0, metavar="SECONDS", help="about that long, cells spread evenly; else all")
    p.add_argument("--only", default="*", metavar="PATTERN", help="scenarios by name")
    p.add_argument("--groups", default="", metavar="NAME,...", help="of faults: " + ", ".join(driver.WAYS))
    p.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    p.add_argument("--resume", metavar="FILE", help="leave out the scenarios whose results are there, and add the others to it")
    p.add_argument("--list", action="store_true", help="name the scenarios")
    args = p.parse_args()
    driver.Scenario.only = tuple(filter(None, args.groups.split(",")))
    chosen = [i for i, s in enumerate(everything()) if fnmatch.fnmatch(s.name, args.only)]
    if args.list:
        print("\n".join(everything()[i].name for i in chosen))
        return 0
    in_own_mounts()
    root = os.geteuid() == 0
    left_out = [i for i in chosen if everything()[i].as_root and not root]
    chosen = [i for i in chosen if i not in left_out]
    done = []
    if args.resume:
        with open(args.resume, "a+") as f:
            f.seek(0)
            done = f.read().splitlines()
    chosen = [i for i in chosen if "= " + everything()[i].name not in done]
    base, far, memory = file_systems()
    if not far:
        print("SKIP  faults: no second file system to test across")
        print("0 passed, 1 failed")
        return 1
    tasks = [(i, os.path.realpath(args.build), os.path.realpath(base), os.path.realpath(far),
              args.budget * args.jobs / max(1, len(chosen))) for i in chosen]
    try:
        return run(tasks, args, left_out)
    finally:
        if memory:
            memory.close()


def run(tasks, args, left_out):
    passed = failed = cells = 0
    if left_out:
        print("SKIP  faults: not root: %d scenarios with real disks or queues of another owner" % len(left_out))
        failed = 1
    with multiprocessing.Pool(args.jobs) as pool:
        for tally in pool.imap_unordered(one, tasks):
            print("\n".join(tally.lines), flush=True)
            if args.resume:
                with open(args.resume, "a") as f:
                    f.write("\n".join([*tally.lines, "= " + tally.name]) + "\n")
            passed += tally.passed
            failed += tally.failed
            cells += tally.cells
    print("%d cells tried" % cells)
    print("%d passed, %d failed" % (passed, failed))
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
