# SPDX-License-Identifier: GPL-3.0-or-later
"""The long form of the proof that targets are not harmed: every kind of target on every interpreter,
attached to many times.

    python3 tests/e2e/torture.py                       # all of it: hours
    python3 tests/e2e/torture.py --minutes 60          # what an hour allows; run again to go on
    python3 tests/e2e/torture.py --kinds forks,malloc1 --pythons system
    python3 tests/e2e/torture.py --table               # only writes tests/e2e/TORTURE.md

Results are lines of JSON in a file outside the source folder; what stands there is not done again. The
work is handed out in shares of 100 attaches, each to a fresh target, the first share of every cell
before the second of any. Ends with status 1 if any target was harmed.
"""
import argparse
import concurrent.futures
import contextlib
import json
import os
import pathlib
import resource
import signal
import sys
import threading
import time
import traceback

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import pythons  # noqa: E402
import support  # noqa: E402
import torture_cells  # noqa: E402
import torture_table  # noqa: E402

MAIN = ("system", "pyenv-3.13.0", "pyenv-3.11.7")  # the first two of these that there are and serve
KILLED = ("sleep", "busy", "threads", "malloc1", "malloc_c2", "forks", "accept", "calls", "signals", "setids")
GROWN = ("sleep", "locked", "threads")


class Results:
    """The file of results: one line a share, appended when it is done."""

    def __init__(self, path):
        self.path, self.lock = pathlib.Path(path), threading.Lock()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.lines = [json.loads(line) for line in self.path.read_text().splitlines()] \
            if self.path.exists() else []

    def add(self, line):
        with self.lock, open(str(self.path), "a") as file:
            file.write(json.dumps(line) + "\n")
            self.lines.append(line)

    def done(self, what, kind, python):
        return sum(line["attaches"] for line in self.lines
                   if (line["what"], line["kind"], line["python"]) == (what, kind, python))


def two_main(found):
    main = [p for name in MAIN for p in found if p.name == name][:2]
    return main + [p for p in found if p not in main][:2 - len(main)]


def shares(options, found, results):
    """All that is left to do: (order, whether it is second to others, what, kind, interpreter, count)."""
    work = []

    def want(what, kind, python, total, share, main):
        done = results.done(what, kind, python.name)
        for start in range(done, total, share):
            # The first share of all cells, then a share of each in turn.
            work.append((start // share, not main, what, kind, python, min(share, total - start)))

    for kind in options.kinds:
        fit = [p for p in found if torture_cells.has(kind, p)]
        main = two_main(fit)
        for python in fit:
            want("attach", kind, python, options.main if python in main else options.others, options.share,
                 python in main)
        for python in main:
            if kind in KILLED:
                want("kill", kind, python, options.kills // len(KILLED), 25, True)
            if kind in GROWN and options.growth:
                for form in torture_cells.FORMS:
                    count = torture_cells.GROWTH[1]
                    want("growth", kind + " " + form, python, count, count, True)
    return sorted(work, key=lambda share: (share[2] == "growth",) + share[:2])


def run_share(results, what, kind, python, count):
    function = {"attach": torture_cells.attaches, "kill": torture_cells.kills,
                "growth": torture_cells.growth}[what]
    start = time.monotonic()
    try:
        facts = function(python, kind, count)
    except Exception:  # a target that does not start, a remora that does not end: people must look
        facts = {"attaches": 0, "harm": [traceback.format_exc()], "refusals": {}, "stops": []}
    facts.update(what=what, kind=kind, python=python.name, seconds=round(time.monotonic() - start, 1),
                 time=int(time.time()))
    results.add(facts)
    print("%6.1f s  %s %s on %s: %d%s%s" % (
        facts["seconds"], what, kind, python, facts["attaches"],
        ", refusals %s" % facts["refusals"] if facts["refusals"] else "",
        "\nHARM: " + "\n".join(facts["harm"]) if facts["harm"] else ""), flush=True)


def run(options, found, results):
    work = shares(options, found, results)
    end = time.monotonic() + options.minutes * 60
    lock, broken = threading.Lock(), set()

    def worker():
        while True:
            with lock:
                left = [w for w in work if (w[3], w[4].name) not in broken]
                if not left or time.monotonic() > end:
                    return
                share = left[0]
                work.remove(share)
            harmed = len(results.lines)
            run_share(results, *share[2:])
            if any(line["harm"] for line in results.lines[harmed:]
                   if (line["kind"], line["python"]) == (share[3], share[4].name)):
                broken.add((share[3], share[4].name))

    print("%d shares to do" % len(work), flush=True)
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for future in [pool.submit(worker) for _ in range(options.jobs)]:
            future.result()
    print("%d shares left" % len(work))


def end_all(signum, frame):
    """Ctrl-C: what is under way is given up, and nothing of it stays."""
    def end_children(pid):
        for tid in os.listdir("/proc/%d/task" % pid):
            for child in support.read("/proc/%d/task/%s/children" % (pid, tid)).split():
                with contextlib.suppress(OSError):
                    os.kill(int(child), signal.SIGSTOP)
                    end_children(int(child))
                    os.kill(int(child), signal.SIGKILL)

    end_children(os.getpid())
    os._exit(130)


def main():
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kinds", help="only these, separated by commas (%s)" % " ".join(torture_cells.KINDS))
    parser.add_argument("--pythons", help="only these interpreters, separated by commas")
    parser.add_argument("--main", type=int, default=1000, help="attaches a kind on two interpreters (1000)")
    parser.add_argument("--others", type=int, default=100, help="attaches a kind on each other one (100)")
    parser.add_argument("--kills", type=int, default=500, help="on each of the two interpreters (500)")
    parser.add_argument("--no-growth", dest="growth", action="store_false", help="not the 2,000 attaches in a row")
    parser.add_argument("--share", type=int, default=100, help="attaches to one target (100)")
    parser.add_argument("--unsafe", action="store_true",
                        help="without the search for a safe point: must fail (REMORA_BUILD has REMORA_UNSAFE_TEST)")
    parser.add_argument("--minutes", type=float, default=1e6, help="hand out no more work after that long")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="targets at a time")
    parser.add_argument("--results", default=cache + "/remora/torture.jsonl", help="%(default)s")
    parser.add_argument("--table", action="store_true", help="only write the table")
    options = parser.parse_args()
    options.kinds = [k for k in (options.kinds or "").split(",") if k] or list(torture_cells.KINDS)
    chosen = [p for p in (options.pythons or "").split(",") if p]
    unknown = [k for k in options.kinds if k not in torture_cells.KINDS] + \
        [p for p in chosen if p not in [q.name for q in pythons.supported()]]
    if unknown:
        parser.error("no such kind or interpreter here: " + ", ".join(unknown))
    if not os.access(support.REMORA, os.X_OK):
        sys.exit("no remora at %s: build it, or set REMORA_BUILD to the build folder" % support.REMORA)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, end_all)
    if options.unsafe:
        torture_cells.ENVIRONMENT["REMORA_UNSAFE"] = "1"
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # remora is killed by SIGSEGV, among others
    results = Results(options.results)
    found = [p for p in pythons.supported() if not chosen or p.name in chosen]
    if not options.table:
        run(options, found, results)
    if not options.unsafe:
        left = [share[2:4] + (share[4].name, share[5]) for share in shares(options, found, results)]
        torture_table.write(results.lines, left)
    harmed = [line for line in results.lines if line["harm"]]
    print("%d attaches, %d kills, %d shares in which something was harmed" % (
        sum(line["attaches"] for line in results.lines if line["what"] != "kill"),
        sum(line["attaches"] for line in results.lines if line["what"] == "kill"), len(harmed)))
    sys.exit(bool(harmed))


if __name__ == "__main__":
    main()
