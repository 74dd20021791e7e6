#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Counts instructions, which no noise disturbs, and compares them with counts.json.

  tests/bench/counts.py BUILD [--store] [NAME...]

For each part of remora: the instructions for each object more, between 20,000 and 80,000 objects (so
that the start of the command does not count), and how much dearer an object is in the second half
than in the first; for the shell, the same for each question more. It fails where one of them is above its bound: WORSE times the stored count, which
another compiler stays below and a careless change does not; LINEAR for the growth.
--store writes the counts of this build as the new ones.
"""
import argparse
import glob
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import queries

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
STORED = HERE / "counts.json"
SIZES = (20000, 40000, 80000)
WORSE = 1.3
LINEAR = 1.15
FEW = 20  # so many have no growth to speak of: a part that does not depend on the size of the heap
DEADLINE = 300
COLLECTED = re.compile(rb"Collected : ([0-9]+)")

# The walker in a Python that holds N objects of the workload: argv: driver, reader, N.
WALK = '''
import runpy, sys
sys.path[:0] = [%r, %r]
driver, reader, wanted = sys.argv[1:4]
sys.argv = ["workload", wanted]
import kit
def ready(**facts):
    import walker
    status, _, out = walker.Walker(driver, reader).dump("/dev/null", in_place=True)
    print("WALKED", status, out.split()[0])
    sys.exit(status)
kit.ready = ready
runpy.run_path(%r, run_name="__main__")
''' % (str(ROOT / "tests" / "targets"), str(ROOT / "tests" / "heap_dump"),
       str(ROOT / "tests" / "targets" / "workload.py"))


def run(command, env=None):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          timeout=DEADLINE, env=env)
    if done.returncode:
        raise SystemExit("counts: %s: status %d: %s" % (
            " ".join(map(str, command)), done.returncode, done.stderr[-500:].decode("utf-8", "replace")))
    return done


def valgrind(*options):
    return ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"] + list(options)


def environment():
    return {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "HOME": "/nonexistent", "PYTHONHASHSEED": "0",
            "PYTHONDONTWRITEBYTECODE": "1"}


class Counter:
    """Counts the parts of one build on inputs of one size after the other."""

    def __init__(self, build, folder):
        self.build, self.folder = build, folder
        self.remora = self.binary("cli/remora")
        self.maker = self.binary("tests/bench/make_dump")

    def binary(self, name):
        """A copy with its symbols, but without the rest of what debuggers want: valgrind gives up on
        some of that which compilers newer than itself write."""
        path, copy = os.path.join(self.build, name), os.path.join(self.folder, os.path.basename(name))
        if not os.path.exists(path):
            raise SystemExit("counts: %s is not there: build it first" % path)
        if not os.path.exists(copy):
            run(["objcopy", "--strip-debug", path, copy])
        return copy

    def dump(self, size):
        """A synthetic dump, and the address of a record in its middle."""
        path = os.path.join(self.folder, "dump-%d.json" % size)
        if not os.path.exists(path):
            with open(path, "wb") as out:
                subprocess.check_call([self.maker, "workload", str(size)], stdout=out,
                                      stderr=subprocess.DEVNULL)
        with open(path, "rb") as lines:
            lines.seek(os.path.getsize(path) // 2)
            lines.readline()
            return path, str(json.loads(lines.readline())["address"])

    def remove(self, pattern):
        for path in glob.glob(os.path.join(self.folder, pattern)):
            os.unlink(path)

    def query(self, size, words, forget):
        path, address = self.dump(size)
        run([self.remora, "dominators", path], environment())
        self.remove("dump-%d%s" % (size, forget))
        words = [{"DUMP": path, "ADDRESS": address}.get(word, word) for word in words]
        found = COLLECTED.search(run(valgrind() + [self.remora] + words, environment()).stderr)
        return int(found.group(1)), size

    def walk(self, size, walker, *options):
        """Instructions of the walker (walker) or of the dump writer, and the objects that were there."""
        reader = self.binary("tests/heap_dump/dump_ring")
        driver = self.binary("tests/heap_dump/rmr_walker_driver.so")
        script = os.path.join(self.folder, "walk.py")
        with open(script, "w") as file:
            file.write(WALK)
        command = ["/usr/bin/python3", script, driver, reader, str(size)]
        log = os.path.join(self.folder, "log")
        if walker:
            command = valgrind("--log-file=" + log, "--toggle-collect=rmr_heap_dump_run") + command
        else:
            command[3] = os.path.join(self.folder, "reader.sh")
            with open(command[3], "w") as file:
                file.write("#!/bin/sh\nexec %s %s \"$@\"\n" % (
                    " ".join(valgrind("--log-file=" + log, *options)), reader))
            os.chmod(command[3], 0o755)
        out = run(command, environment()).stdout
        with open(log, "rb") as file:
            found = COLLECTED.search(file.read())
        return int(found.group(1)), int(re.search(rb"WALKED 0 ([0-9]+)", out).group(1))

    def shell(self, size):
        """Questions of one shell, in place of objects: size / 40 of them."""
        path, _ = self.dump(SIZES[0])
        run([self.remora, "summary", path], environment())
        script = os.path.join(self.folder, "script")
        asked = queries.some_addresses(path, size // 40)
        with open(script, "w") as file:
            file.write("".join("referrers %d\n" % address for address in asked))
        words = ["sh", "-c", 'exec "$@" <"$0"', script] + valgrind() + [self.remora, "shell", "-k", path]
        return int(COLLECTED.search(run(words, environment()).stderr).group(1)), len(asked)

    def parts(self):
        """name -> function of a size that tells (instructions, objects)."""
        index, kept = ".json.remora-index*", ".json.remora-index-dominators"

        def ask(forget, *words):
            return lambda size: self.query(size, words, forget)

        return {
            "walk the heap": lambda size: self.walk(size, True),
            "write the dump": lambda size: self.walk(size, False),
            "load": ask(index, "referrers", "DUMP", "ADDRESS"),
            "dominators": ask(kept, "dominators", "DUMP"),
            "why": ask(".none", "why", "DUMP", "ADDRESS"),
            "groups by owner": ask(".none", "groups", "DUMP", "--by", "owner"),
            "waste": ask(".none", "waste", "DUMP"),
            "cycles": ask(".none", "cycles", "DUMP"),
            "diff": ask(".none", "diff", "DUMP", "DUMP"),
            "shell, a question": self.shell,
            "sql": ask(".none", "sql", "DUMP", "select count(*), sum(size) from objects where type = 'str'"),
        }


def slopes(points):
    """Instructions for each object more, over all sizes, in the first step and in the last."""
    slope = lambda a, b: (b[0] - a[0]) / (b[1] - a[1])
    return slope(points[0], points[-1]), slope(points[0], points[1]), slope(points[-2], points[-1])


def judge(name, each, growth, stored):
    """None, or what is wrong."""
    if name not in stored:
        return "not in counts.json: run with --store"
    if each > stored[name] * WORSE + FEW:
        return "%.2f times the %.0f stored" % (each / stored[name], stored[name])
    if growth > LINEAR and each > FEW:
        return "not linear: an object more costs %.2f times as much in the larger heap" % growth
    return None


def main():
    parser = argparse.ArgumentParser(prog="counts.py", description=__doc__.split("\n")[0])
    parser.add_argument("build", help="the build folder")
    parser.add_argument("names", nargs="*", help="only these parts")
    parser.add_argument("--store", action="store_true", help="keep the counts of this build")
    options = parser.parse_intermixed_args()
    if not shutil.which("valgrind"):
        raise SystemExit("counts: valgrind is not installed")
    stored = json.loads(STORED.read_text()) if STORED.exists() else {}
    failed, found = 0, {}
    print("%-20s %14s %10s %8s" % ("instructions", "for one", "stored", "growth"))
    with tempfile.TemporaryDirectory(prefix="remora-counts-") as folder:
        for name, count in Counter(os.path.abspath(options.build), folder).parts().items():
            if options.names and name not in options.names:
                continue
            each, first, last = slopes([count(size) for size in SIZES])
            growth = last / first if first > 0 else 1.0
            found[name] = round(each, 1)
            wrong = None if options.store else judge(name, each, growth, stored)
            failed += wrong is not None
            print("%-20s %14.1f %10.1f %8.3f  %s" % (name, each, stored.get(name, 0), growth,
                                                    "FAILED: " + wrong if wrong else ""), flush=True)
    if options.store:
        STORED.write_text(json.dumps(dict(stored, **found), indent=1, sort_keys=True) + "\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
