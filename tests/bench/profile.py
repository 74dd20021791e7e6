#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shows where the time goes, function by function.

  tests/bench/profile.py BUILD dump [N]          the walker in the twin, and remora that writes (N: 1M)
  tests/bench/profile.py BUILD load [N]          the first load of a synthetic dump
  tests/bench/profile.py BUILD QUERY [N] [WORD...]   any query: dominators, why, waste, ...; DUMP and
                                                 ADDRESS among the words stand for the dump and an object

The build has targets for the first of them: make profile-dump, profile-load, profile-dominators.
perf samples where it is there and allowed; else callgrind counts instructions (of N/10 objects; for
dump only the writer, as the twin cannot run under it).
"""
import argparse
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(ROOT / "tests" / "e2e"))

import counts
import pythons
from machine import parse_size
from target import Target

RATE = "9973"
LINES = 40


def can_perf(folder):
    probe = ["perf", "record", "-q", "-o", os.path.join(folder, "probe"), "true"]
    return shutil.which("perf") is not None and subprocess.call(
        probe, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) == 0


def record(data, *words):
    return ["perf", "record", "-q", "-F", RATE, "-g", "-o", data] + list(words)


def kept(build, name):
    """Where the samples are kept, for a closer look."""
    os.makedirs(os.path.join(build, "profile"), exist_ok=True)
    path = os.path.join(build, "profile", name + ".data")
    if os.path.exists(path):
        os.unlink(path)
    return path


def show(title, data, options=()):
    """A flat profile."""
    print("\n" + title)
    text = subprocess.run(["perf", "report", "--stdio", "-q", "--no-children", "-g", "none", "--percent-limit",
                           "0.4", "-F", "overhead,dso,sym", "-i", data] + list(options),
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout.decode()
    lines = [line.rstrip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    print("\n".join(lines[:LINES]))
    print("(perf report -i %s shows who calls them)" % data)


def name_the_twin(build, log, pid):
    """Tells perf the functions of the agent, which is mapped from no file, by /tmp/perf-PID.map: the
    target's PID, as the twin has its mappings from there. The file stays, for later looks at the
    data. Returns the twin's PID."""
    agent = re.search(r"the agent stands at (0x[0-9a-f]+)", log)
    twin = re.search(r"the twin is PID ([0-9]+)", log)
    if not agent or not twin:
        raise SystemExit("profile: remora did not say where agent and twin are:\n" + log)
    base, path = int(agent.group(1), 16), "/tmp/perf-%d.map" % pid
    names = subprocess.check_output(["nm", "-S", os.path.join(build, "inject/agent/rmr_agent.so")]).decode()
    with open(path, "w") as file:
        for line in names.splitlines():
            words = line.split()
            if len(words) == 4 and words[2] in "tT":
                file.write("%x %s %s\n" % (base + int(words[0], 16), words[1].lstrip("0") or "0", words[3]))
    return twin.group(1)


def wait_for(test, what):
    end = time.monotonic() + 20
    while not test():
        if time.monotonic() > end:
            raise SystemExit("profile: not in time: " + what)
        time.sleep(0.01)


def profile_dump(build, folder, objects):
    remora, out = os.path.join(build, "cli/remora"), os.path.join(folder, "heap.json")
    twin_data, own_data = kept(build, "twin"), kept(build, "remora")
    with Target(pythons.main(), "workload", objects) as target:
        watch = subprocess.Popen(record(twin_data, "-p", str(target.pid)), stderr=subprocess.PIPE)
        # perf has opened its file once it samples; the target's heart gives it samples.
        wait_for(lambda: os.path.exists(twin_data) and os.path.getsize(twin_data) > 0, "perf on the target")
        run = subprocess.run(record(own_data, remora, "-v", "dump", str(target.pid), "-o", out),
                             stderr=subprocess.PIPE)
        watch.send_signal(signal.SIGINT)
        watch.wait(60)
    log = run.stderr.decode()
    if run.returncode:
        raise SystemExit("profile: " + log)
    twin = name_the_twin(build, log, target.pid)
    print(log.strip().splitlines()[-2])
    show("the twin, that walks the heap", twin_data, ["--pid", twin])
    show("remora, that writes the dump", own_data)


def profile_query(build, folder, query, objects, perf):
    counter = counts.Counter(build, folder)
    path, address = counter.dump(objects)
    remora = os.path.join(build, "cli/remora")
    words = [{"DUMP": path, "ADDRESS": address}.get(word, word) for word in query]
    subprocess.check_call([remora, "summary", path], stdout=subprocess.DEVNULL)
    if query[0] == "referrers":
        counter.remove("*.remora-index*")
    if perf:
        data = kept(build, query[0])
        subprocess.check_call(record(data, remora, *words), stdout=subprocess.DEVNULL)
        show("remora " + " ".join(query), data)
        return
    callgrind(folder, [remora] + words, "remora " + " ".join(query))


def callgrind(folder, command, title):
    data = os.path.join(folder, "callgrind.out")
    subprocess.check_call(["valgrind", "-q", "--tool=callgrind", "--callgrind-out-file=" + data] + command,
                          stdout=subprocess.DEVNULL)
    print("\n" + title)
    text = subprocess.check_output(["callgrind_annotate", data]).decode()
    print("\n".join(text.splitlines()[:LINES + 20]))


def profile_writer(build, folder, objects):
    """The dump writer under callgrind, on a ring that a Python fills natively."""
    counter = counts.Counter(build, folder)
    data = os.path.join(folder, "callgrind.out")
    counter.walk(objects, False, "--callgrind-out-file=" + data)
    print("\nremora, that writes the dump")
    print("\n".join(subprocess.check_output(["callgrind_annotate", data]).decode().splitlines()[:LINES + 20]))


def main():
    parser = argparse.ArgumentParser(prog="profile.py", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build")
    parser.add_argument("what")
    parser.add_argument("objects", nargs="?", default="1M", type=parse_size)
    parser.add_argument("words", nargs="*", help="of the query, in place of just DUMP")
    options = parser.parse_intermixed_args()
    build = os.path.abspath(options.build)
    with tempfile.TemporaryDirectory(prefix="remora-profile-") as folder:
        perf = can_perf(folder)
        if not perf and not shutil.which("valgrind"):
            raise SystemExit("profile: neither perf (linux-perf) nor valgrind can be used here")
        objects = options.objects if perf else options.objects // 10
        if options.what == "dump" and perf:
            profile_dump(build, folder, objects)
        elif options.what == "dump":
            profile_writer(build, folder, objects)
        elif options.what == "load":
            profile_query(build, folder, ["referrers", "DUMP", "ADDRESS"], objects, perf)
        else:
            query = [options.what] + (options.words or ["DUMP"])
            if not options.words and options.what in ("why", "referrers", "children", "show", "tree"):
                query.append("ADDRESS")
            profile_query(build, folder, query, objects, perf)


if __name__ == "__main__":
    main()
