# SPDX-License-Identifier: GPL-3.0-or-later
"""Times the heap engine on synthetic dumps, beside what plain Python needs to read the same file.

usage: bench_heap.py REMORA [OBJECTS ...]      (default: 100000 1000000; 10000000 takes 2 GB of disk)

Prints one table: each figure is the median of five runs of the whole command, from start to end;
"anon" is the largest RssAnon seen. The load of the machine is printed, as it spoils the figures.
"""
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
RUNS = 5


def run(*command):
    """Seconds that a command takes, and its largest RssAnon in MB."""
    start, peak = time.monotonic(), 0
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None:
        try:
            with open("/proc/%d/status" % process.pid) as status:
                found = re.search(r"RssAnon:\s+(\d+)", status.read())
            peak = max(peak, int(found.group(1)) if found else 0)
        except OSError:
            pass
        time.sleep(0.002)
    if process.returncode:
        sys.exit("failed: " + " ".join(command))
    return time.monotonic() - start, peak / 1024


def median(command, before=lambda: None):
    results = []
    for _ in range(RUNS):
        before()
        results.append(run(*command))
    return statistics.median(r[0] for r in results), max(r[1] for r in results)


def remove(*names):
    for name in names:
        if os.path.exists(name):
            os.unlink(name)


def plain_python(dump):
    """json.loads() of each line, nothing kept but the addresses and who refers to them."""
    start = time.monotonic()
    referrers = {}
    with open(dump, "rb") as lines:
        for line in lines:
            record = json.loads(line)
            for reference in record.get("refs", ()):
                referrers.setdefault(reference, []).append(record.get("address"))
    return time.monotonic() - start


def middle_address(dump):
    with open(dump, "rb") as lines:
        lines.seek(os.path.getsize(dump) // 2)
        lines.readline()
        return str(json.loads(lines.readline())["address"])


def measure(remora, maker, folder, objects):
    dump = os.path.join(folder, "dump.json")
    index = dump + ".remora-index"
    with open(dump, "wb") as out:
        subprocess.check_call([maker, "workload", str(objects)], stdout=out)
    address = middle_address(dump)

    def forget():
        remove(index, index + "-dominators")

    rows = [("first load, with referrers", median([remora, "referrers", dump, address], forget)),
            ("open again", median([remora, "summary", dump])),
            ("referrers of one object", median([remora, "referrers", dump, address])),
            ("why", median([remora, "why", dump, address])),
            ("dominators, computed", median([remora, "dominators", dump],
                                            lambda: remove(index + "-dominators"))),
            ("dominators, kept", median([remora, "dominators", dump])),
            ("sql by type", median([remora, "sql", dump,
                                    "select count(*), sum(size) from objects where type = 'Node'"])),
            ("plain Python: json.loads, referrers", (plain_python(dump) if objects <= 10**6
                                                     else float("nan"), 0))]
    remove(dump)
    forget()
    return rows


def main():
    remora, sizes = sys.argv[1], [int(a) for a in sys.argv[2:]] or [100000, 1000000]
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as folder:
        maker = os.path.join(folder, "make_dump")
        subprocess.check_call(["cc", "-O2", "-o", maker, os.path.join(HERE, "make_dump.c")])
        tables = [measure(remora, maker, folder, size) for size in sizes]
    print("%-38s" % "seconds (MB of anonymous memory)" + "".join("%18d" % s for s in sizes))
    for i, (name, _) in enumerate(tables[0]):
        print("%-38s" % name + "".join("%9.3f (%5.0f) " % t[i][1] for t in tables))
    base = [t[-1][1][0] / t[0][1][0] for t in tables]
    print("%-38s" % "plain Python's load / ours" + "".join("%16.0f x" % b for b in base))
    print("load of the machine: %.1f %.1f %.1f on %d CPUs" % (os.getloadavg() + (os.cpu_count(),)))


if __name__ == "__main__":
    main()
