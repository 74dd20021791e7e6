#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures remora beside what a Python can be asked otherwise, in one interleaved run.

  tests/bench/bench.py [--sizes 100k,1M] [--runs 5] [--python PYTHON] [--remora BINARY] [--json FILE]

Each size gets a fresh tests/targets/workload.py; each measurement is made --runs times after one
warm-up, in turn with all others, and shown as its median with the smallest and largest value.
Wall and processor time are those of the whole command; "gap" is the longest time that the target's
1 ms heartbeat stood still meanwhile; "stop" the longest ptrace stop of a thread.
The walks in plain Python run inside the target as payloads of `remora run` (about 5 ms of their time).
objgraph (Debian's python3-objgraph) and gdb are measured where they are installed.
"""
import argparse
import contextlib
import json
import math
import mmap
import os
import pathlib
import re
import select
import shutil
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
WORKLOAD = ROOT / "tests" / "targets" / "workload.py"
DEADLINE = 600

WALK = '''
import gc, sys
seen, todo, total = set(), gc.get_objects(), 0
while todo:
    o = todo.pop()
    if id(o) not in seen:
        seen.add(id(o))
        total += sys.getsizeof(o, 0)
        todo += gc.get_referents(o)
'''
WALK_JSON = '''
import gc, json, sys
seen, todo = set(), gc.get_objects()
with open(argv[1], "w") as out:
    while todo:
        o = todo.pop()
        if id(o) not in seen:
            seen.add(id(o))
            refs = gc.get_referents(o)
            out.write(json.dumps({"address": id(o), "type": type(o).__name__,
                                  "size": sys.getsizeof(o, 0), "refs": [id(r) for r in refs]}) + "\\n")
            todo += refs
'''
REFERRERS = "import gc, sys\nfor i in range(1):\n    gc.get_referrers(sys.modules['__main__'].__dict__)\n"
OBJGRAPH = "import objgraph\nobjgraph.most_common_types(limit=20)\n"


def parse_size(text):
    scale = {"k": 1000, "M": 1000000}.get(text[-1:], 1)
    return int(float(text.rstrip("kM")) * scale)


def status_kib(pid, key):
    with open("/proc/%d/status" % pid) as file:
        for line in file:
            if line.startswith(key + ":"):
                return int(line.split()[1])
    return 0


class Target:
    """A workload of one size, with its heartbeat."""

    def __init__(self, python, size, folder):
        beats = os.path.join(folder, "beats-%d" % size)
        self.process = subprocess.Popen([python, str(WORKLOAD), str(size), "--hb", beats],
                                        stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
        if not select.select([self.process.stdout], [], [], DEADLINE)[0]:
            raise SystemExit("the workload did not get ready")
        words = self.process.stdout.readline().split()
        if not words or words[0] != b"READY":
            raise SystemExit("the workload failed")
        self.pid = self.process.pid
        self.resets = 0.0
        self.file = open(beats, "r+b")
        self.map = mmap.mmap(self.file.fileno(), 4096)

    def reset(self):
        self.resets += 1
        struct.pack_into("<d", self.map, 32, self.resets)
        end = time.monotonic() + 10
        while struct.unpack_from("<d", self.map, 24)[0] != self.resets:
            if time.monotonic() > end:
                raise SystemExit("the target's heart does not beat")
            time.sleep(0.002)

    def gap_ms(self):
        return struct.unpack_from("<d", self.map, 0)[0] * 1000

    def end(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


def measure(command, target=None):
    """Runs a command to its end; a dict of figures."""
    if "-o" in command:  # to remove a large file takes as long as to write one
        with contextlib.suppress(OSError):
            os.unlink(command[command.index("-o") + 1])
    if target:
        target.reset()
        before = status_kib(target.pid, "VmRSS")
    start = time.monotonic()
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, env=dict(os.environ, REMORA_DEBUG="1"))
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    figures = {"wall": time.monotonic() - start, "cpu": usage.ru_utime + usage.ru_stime,
               "rss": usage.ru_maxrss / 1024.0}
    if process.returncode:
        raise RuntimeError("%s: status %d: %s" % (
            " ".join(command[:4]), process.returncode, output[-300:].decode("utf-8", "replace")))
    stop = re.findall(rb"borrowed at try [0-9]+, held for ([0-9.]+) ms", output)
    if stop:
        figures["stop"] = max(map(float, stop))
    gil = re.findall(rb"GIL was held for ([0-9.]+) ms", output)
    if gil:
        figures["gil"] = max(map(float, gil))
    if target:
        figures["gap"] = target.gap_ms()
        figures["grown"] = (status_kib(target.pid, "VmRSS") - before) / 1024.0
    return figures


def payload(folder, name, text):
    path = os.path.join(folder, name + ".py")
    with open(path, "w") as file:
        file.write(text)
    return path


def largest_object(remora, dump):
    rows = json.loads(subprocess.check_output(
        [remora, "objects", dump, "--type", "list", "--limit", "1", "--format", "json"]))
    rows = rows if isinstance(rows, list) else rows.get("objects", [])
    return str(rows[0]["address"])


def plan(options, target, folder, dump):
    """(name, command, target or None) of every measurement on a live process."""
    pid, run = str(target.pid), [options.remora, "run", str(target.pid)]
    rows = [
        ("remora run -c pass", run + ["-c", "pass"]),
        ("remora dump", [options.remora, "dump", pid, "-o", dump]),
        ("remora dump .zst", [options.remora, "dump", pid, "-o", dump + ".zst"]),
        ("python: walk + getsizeof", run + [payload(folder, "walk", WALK)]),
        ("python: gc.get_referrers", run + [payload(folder, "referrers", REFERRERS)]),
    ]
    if target_size(dump) < 5000000:
        rows.append(("python: walk + json", run + [payload(folder, "json", WALK_JSON), dump + ".py"]))
    if subprocess.call([options.python, "-c", "import objgraph"], stderr=subprocess.DEVNULL) == 0:
        rows.append(("objgraph.most_common_types", run + [payload(folder, "objgraph", OBJGRAPH)]))
    else:
        print("skipped: objgraph is not installed for " + options.python)
    if shutil.which("gdb"):
        rows.append(("gdb: call into the target", [
            "gdb", "-p", pid, "-batch", "-ex", "set debuginfod enabled off",
            "-ex", "call (int)PyGILState_Ensure()", "-ex", "call (int)PyRun_SimpleString(\"pass\")",
            "-ex", "call (void)PyGILState_Release($1)"]))
    else:
        print("skipped: gdb is not installed")
    return rows


def target_size(dump):
    return int(re.search(r"dump-(\d+)", dump).group(1))


def queries(options, dump):
    address = largest_object(options.remora, dump)
    cold = ["sh", "-c", 'rm -f "$1".remora-index; exec "$0" summary "$1"', options.remora, dump]
    ask = lambda *words: [options.remora, words[0], dump] + list(words[1:])
    return [
        ("load, first time (summary)", cold),
        ("load, index there (summary)", ask("summary")),
        ("referrers", ask("referrers", address)),
        ("why", ask("why", address)),
        ("dominators", ask("dominators")),
    ]


def run_all(rows, runs, target):
    """name -> list of figures, all measurements in turn."""
    results = {}
    for number in range(runs + 1):
        for name, command in rows:
            try:
                figures = measure(command, target)
            except RuntimeError as error:
                print("failed: " + str(error))
                continue
            if number:
                results.setdefault(name, []).append(figures)
    return results


def median(list_of_figures, key):
    values = [figures[key] for figures in list_of_figures if key in figures]
    return statistics.median(values) if values else None


def show(title, results, base):
    print("\n" + title)
    print("%-30s %21s %8s %8s %8s %8s %8s %7s" % (
        "", "wall s (min-max)", "cpu s", "RSS MB", "gap ms", "stop ms", "grown MB", "ratio"))
    reference = median(results[base], "wall") if base in results else None
    for name, figures in results.items():
        walls = [f["wall"] for f in figures]
        wall = statistics.median(walls)
        cell = lambda key, form: "-" if median(figures, key) is None else form % median(figures, key)
        print("%-30s %7.3f (%5.3f-%6.3f) %8s %8s %8s %8s %8s %7s" % (
            name, wall, min(walls), max(walls), cell("cpu", "%.3f"), cell("rss", "%.0f"),
            cell("gap", "%.1f"), cell("stop", "%.2f"), cell("grown", "%.1f"),
            "%.2f" % (wall / reference) if reference else "-"))


def show_growth(sizes, everything):
    if len(sizes) < 2:
        return
    print("\ngrowth exponents, from %d to %d objects (1 = linear)" % (sizes[0], sizes[-1]))
    for name in everything[sizes[-1]]:
        if name in everything[sizes[0]]:
            few = median(everything[sizes[0]][name], "wall")
            many = median(everything[sizes[-1]][name], "wall")
            print("%-30s %.2f" % (name, math.log(many / few) / math.log(sizes[-1] / sizes[0])))


def bench_size(options, size, folder):
    dump = os.path.join(folder, "dump-%d.json" % size)
    target = Target(options.python, size, folder)
    try:
        rss = status_kib(target.pid, "VmRSS") / 1024
        live = run_all(plan(options, target, folder, dump), options.runs, target)
    finally:
        target.end()
    title = "%d objects, target of %.0f MB" % (size, rss)
    show(title + ": live", live, "remora dump")
    asked = run_all(queries(options, dump), options.runs, None)
    show("%s: queries on its dump of %.0f MB" % (title, os.path.getsize(dump) / 1e6), asked,
         "load, first time (summary)")
    for name in os.listdir(folder):
        if name.startswith("dump-"):
            os.unlink(os.path.join(folder, name))
    return dict(live, **asked)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sizes", default="100k,1M")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--python", default="/usr/bin/python3")
    parser.add_argument("--remora", default=str(ROOT / "build" / "cli" / "remora"))
    parser.add_argument("--json", help="write every single figure there")
    parser.add_argument("--folder", help="where dumps go (default: a temporary folder)")
    options = parser.parse_args()
    sizes = sorted(parse_size(word) for word in options.sizes.split(","))
    print("%s, %d processors, load %.2f %.2f %.2f; target: %s" % (
        (os.uname().sysname + " " + os.uname().release, os.cpu_count()) + os.getloadavg() +
        (options.python,)))
    everything = {}
    with tempfile.TemporaryDirectory(prefix="remora-bench-", dir=options.folder) as folder:
        for size in sizes:
            everything[size] = bench_size(options, size, folder)
    show_growth(sizes, everything)
    if options.json:
        with open(options.json, "w") as file:
            json.dump({"load": os.getloadavg(), "python": options.python,
                       "sizes": {str(size): rows for size, rows in everything.items()}}, file)
    return 0


if __name__ == "__main__":
    sys.exit(main())
