# SPDX-License-Identifier: GPL-3.0-or-later
"""How long an attach stops a thread: python3 tests/e2e/stops.py [COUNT [INTERPRETER...]]

COUNT attaches (500) of `run -c pass` in turn to one thread asleep, 50 threads, and 8,000 nested calls; the longest stop
of any thread in each, unwinding included, as remora prints it, and the time of the whole command. Under two
minutes; on a machine with other work it measures the scheduler.
"""
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import pythons  # noqa: E402
import support  # noqa: E402
from torture_cells import HELD  # noqa: E402
from torture_table import quantile  # noqa: E402

KINDS = {"sleep": "1 thread, asleep", "threads": "50 threads", "deep": "8,000 nested calls"}


def measure(interpreter, count):
    targets = {kind: support.Target(interpreter, kind) for kind in KINDS}
    stops, whole = {kind: [] for kind in KINDS}, {kind: [] for kind in KINDS}
    try:
        for number in range(count + 5):
            for kind, target in targets.items():
                result = support.remora("run", target, "-c", "pass", env={"REMORA_DEBUG": "1"})
                if result.status:
                    sys.exit(repr(result))
                if number >= 5:
                    stops[kind].append(float(HELD.search(result.err).group(1)))
                    whole[kind].append(result.seconds * 1000)
    finally:
        for target in targets.values():
            target.close()
    for kind, name in KINDS.items():
        print("%-22s %-20s %7.3f %7.3f %7.3f   %8.1f" % (
            interpreter, name, quantile(stops[kind], 0.5), quantile(stops[kind], 0.99), max(stops[kind]),
            quantile(whole[kind], 0.5)), flush=True)


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    chosen = sys.argv[2:] or [pythons.main().name]
    print("%-22s %-20s %7s %7s %7s   %8s" % ("milliseconds", "", "median", "p99", "worst", "command"))
    for interpreter in pythons.supported():
        if interpreter.name in chosen:
            measure(interpreter, count)


if __name__ == "__main__":
    main()
