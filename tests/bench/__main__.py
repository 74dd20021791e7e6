#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures remora beside what else a Python can be asked with, in one interleaved run: see README.md.

  python3 tests/bench            the quick form: 100,000 objects, some minutes
  python3 tests/bench --full     100,000, 1 and 10 million objects; wants 6 GB of disk and of memory
"""
import argparse
import datetime
import json
import os
import pathlib
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(ROOT / "tests" / "e2e"))  # pythons.py: which interpreters there are

import baselines
import goals
import machine
import sections
import table

PARTS = ("sizes", "memory", "attach", "shapes", "service", "pythons", "tracemalloc", "peers")
SHAPES = ("chain", "star", "strings", "arrays")


def parse_options():
    parser = argparse.ArgumentParser(prog="tests/bench", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true", help="the three sizes, and shapes of a million")
    parser.add_argument("--sizes", help="sizes of the workload, such as 100k,1M")
    parser.add_argument("--shapes", help="size of the shapes and of the other Pythons (100k; --full: 1M)")
    parser.add_argument("--only", default=",".join(PARTS), help="parts: " + ",".join(PARTS))
    parser.add_argument("--runs", type=int, default=5, help="timed runs of each row (5)")
    parser.add_argument("--attaches", type=int, help="attaches to each target (100; --full: 300)")
    parser.add_argument("--python", help="name (as in tests/e2e) or path of the main interpreter")
    parser.add_argument("--remora", default=str(ROOT / "build" / "cli" / "remora"))
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=PATH",
                        help="also measure " + ", ".join(baselines.PEERS))
    parser.add_argument("--patience", type=float, default=60, help="seconds for all runs of a baseline (60)")
    parser.add_argument("--folder", help="where dumps go (a temporary folder)")
    parser.add_argument("-o", "--output", help="write OUTPUT.txt and OUTPUT.json (build/bench/DATE)")
    options = parser.parse_args()
    options.sizes = (options.sizes or ("100k,1M,10M" if options.full else "100k")).split(",")
    options.sizes.sort(key=machine.parse_size)
    options.shapes = machine.parse_size(options.shapes or ("1M" if options.full else "100k"))
    options.attaches = options.attaches or (300 if options.full else 100)
    options.load_limit = 1000000
    options.peers = baselines.parse_peers(options.peer)
    options.only = options.only.split(",")
    if set(options.only) - set(PARTS):
        parser.error("--only: want some of " + ",".join(PARTS))
    if not os.access(options.remora, os.X_OK):
        parser.error("no remora at %s: build it, or give --remora" % options.remora)
    return options


class Report:
    """Prints each line and keeps it for the file."""

    def __init__(self):
        self.lines = []

    def tell(self, text=""):
        self.lines.append(text)
        print(text, flush=True)

    def show(self, section):
        for line in table.lines_of(section):
            self.tell(line)


def measure(bench, options):
    only = options.only
    for name in options.sizes:
        if "sizes" in only:
            bench.size(machine.parse_size(name), name)
        if "memory" in only:
            bench.memory(machine.parse_size(name), name)
    if "attach" in only:
        with sections.Target(bench.main, "workload", 100000) as target:
            bench.attach("the workload of 100000 objects", target)
    if "shapes" in only:
        for shape in SHAPES:
            if shape == "arrays" and not bench.main.has("numpy"):
                bench.tell("skipped: arrays: %s has no numpy (python3-numpy)" % bench.main)
                continue
            bench.extreme(shape, options.shapes)
        bench.extreme("threads", 500)
    if "service" in only:
        bench.service(options.shapes // 10)
    if "pythons" in only:
        for version in sections.VERSIONS:
            bench.version(version, options.shapes)
    if "tracemalloc" in only:
        bench.tracing(options.shapes)
    if "peers" in only:
        for name in sorted(set(baselines.PEERS) - set(options.peers)):
            bench.tell("skipped: %s: give its path by --peer %s=PATH" % (name, name))
        for name in options.sizes:
            for peer in options.peers:
                bench.peer(peer, machine.parse_size(name), name)


def write(options, report, facts):
    output = options.output or str(
        ROOT / "build" / "bench" / datetime.datetime.now().strftime("%Y-%m-%d-%H%M%S"))
    os.makedirs(os.path.dirname(os.path.abspath(output)), exist_ok=True)
    with open(output + ".json", "w") as file:
        json.dump(facts, file, indent=1)
        file.write("\n")
    with open(output + ".txt", "w") as file:
        file.write("\n".join(report.lines) + "\n")
    print("\nwritten: %s.txt, %s.json" % (output, output))


def main():
    options, report, began = parse_options(), Report(), time.monotonic()
    about = machine.facts()
    report.tell("remora's benchmark, %s: %s, %d processors (%s), %d MB, load %.2f %.2f %.2f" % (
        (datetime.datetime.now().strftime("%Y-%m-%d %H:%M"), about["system"], about["processors"],
         about["model"], about["memory_mb"]) + tuple(about["load"])))
    if about["load"][0] > 0.5:
        report.tell("NOISY: others work on this machine; trust ratios and minimums, not times")
    with tempfile.TemporaryDirectory(prefix="remora-bench-", dir=options.folder) as folder:
        bench = sections.Bench(options, folder, report.show, report.tell)
        try:
            measure(bench, options)
        finally:
            bench.group.remove()
    for line in table.growth_lines(bench.sections):
        report.tell(line)
    found = goals.find(bench.sections)
    report.tell()
    for line in goals.lines_of(found):
        report.tell(line)
    noisy = [s for s in bench.sections if s.noise > machine.QUIET]
    report.tell()
    report.tell("%d of %d sections were noisy; load now %.2f %.2f %.2f; %.0f s in all" % (
        (len(noisy), len(bench.sections)) + os.getloadavg() + (time.monotonic() - began,)))
    failed = [row for section in bench.sections for row in section.rows if row.failure]
    for row in failed:
        report.tell("failed: %s: %s" % (row.name, row.failure))
    write(options, report, {
        "machine": about, "options": {k: v for k, v in vars(options).items()},
        "goals": [goal.facts() for goal in found], "growth": list(table.growth(bench.sections)),
        "sections": [{"key": s.key, "title": s.title, "noise": s.noise, "target": s.facts,
                      "rows": [row.facts() for row in s.rows]} for s in bench.sections]})
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
