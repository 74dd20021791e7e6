# SPDX-License-Identifier: GPL-3.0-or-later
"""The cells of the torture suite: what is done to one target of one kind on one interpreter.

Each function here starts a fresh target, does its share of work, and returns a dict: how many attaches
there were, what harm was found (text, to be read by people), refusals (reason: count), and how long
each attach stopped a thread (milliseconds).
"""
import glob
import os
import platform
import random
import re
import signal
import subprocess
import threading
import time
import unittest

import pythons
import support

APPS = pythons.CACHE / "bookworm-apps" / "root"
HELD = re.compile(r"held for ([0-9.]+) ms")
ENVIRONMENT = {"REMORA_DEBUG": "1"}
NUMBERS = re.compile(r"0x[0-9a-f]+|[0-9]+")
PAYLOAD = ("import _thread\nlock = _thread.allocate_lock()\nlock.acquire()\nlock.acquire(True, %g)\n"
           "print(6 * 7)")
# A lock that gevent has patched would give our thread a hub, with descriptors that stay.
PAYLOADS = {"greenlets": "sum(range(300000))\nprint(6 * 7)", "setids": PAYLOAD % 0.15}
REFUSED = (3, 4, 5)  # README, exit status
FULL = 20  # the target is asked at every such attach; from outside it is looked at after each
GROWTH = (400, 2000)
GROWTH_KB = 256
FORMS = {"run": ("run", "-c", "pass"), "dump": ("dump", "-o", "/dev/null")}


def of_apps(pattern):
    found = glob.glob(str(APPS / pattern))
    return found[0] if found else ""


LIBRARIES = "/usr/lib/%s-linux-gnu/" % platform.machine()
# gevent's own libraries; the folder as a whole has another C library.
PACKAGES = {"LD_PRELOAD": ":".join(filter(None, (of_apps(LIBRARIES[1:] + name) for name in (
                "libev.so.4", "libcares.so.2")))),
            "PYTHONPATH": str(APPS) + "/usr/lib/python3/dist-packages",
            "LD_LIBRARY_PATH": ":".join(str(APPS) + LIBRARIES + name for name in ("blas", "lapack"))}


def preloaded(library, *args):
    return support.Kind("malloc", *args, busy=True, vary="state maps",
                        env={"LD_PRELOAD": of_apps(LIBRARIES[1:] + library)})


KINDS = {name: kind for name, kind in support.KINDS.items()
         if name not in ("known_heap", "called", "withheld", "gil_forever", "timed_calls", "stacks")}
KINDS.update({
    "asyncio": support.Kind("places/asyncio_loop", busy=True, vary="state"),
    "greenlets": support.Kind("places/gevent_loop", busy=True, vary="state", env=PACKAGES),
    "numpy": support.Kind("places/numpy_loop", busy=True, vary="state maps", env=PACKAGES),
    "jemalloc1": preloaded("libjemalloc.so.2", "1"),
    "jemalloc9": preloaded("libjemalloc.so.2", "9"),
    "tcmalloc9": preloaded("libtcmalloc_minimal.so.4", "9"),
    "mimalloc9": preloaded("libmimalloc.so.2", "9"),
    "exits": support.Kind("ends", "exit", reports=False),
    "execs": support.Kind("ends", "exec", reports=False),
})
# What a kind needs of its interpreter; the others take any.
NEEDS = {
    "asyncio": lambda p: p.version >= (3, 7),
    "greenlets": lambda p: p.version[:2] == (3, 11) and not p.copies and os.path.exists(PACKAGES["PYTHONPATH"]),
}
# 3.12 has a limit of its own for calls through C.
NEEDS["deep"] = lambda p: p.version[:2] != (3, 12)
NEEDS["numpy"] = NEEDS["greenlets"]
for _name in ("jemalloc1", "jemalloc9", "tcmalloc9", "mimalloc9"):
    NEEDS[_name] = lambda p, name=_name: not p.copies and KINDS[name].env["LD_PRELOAD"]


def has(kind, interpreter):
    """Whether this kind can be started on this interpreter here."""
    return bool(NEEDS.get(kind, lambda p: True)(interpreter))


class Tally:
    def __init__(self):
        self.attaches, self.harm, self.refusals, self.stops = 0, [], {}, []

    def result(self, result, out=""):
        """Counts one remora that has ended."""
        self.attaches += 1
        held = HELD.findall(result.err)
        if held:
            self.stops.append(max(float(ms) for ms in held))
        said = [line for line in result.err.splitlines() if line.startswith("remora: ") and "[" not in line]
        if result.status in REFUSED and said:
            reason = "%d: %s" % (result.status, NUMBERS.sub("N", said[-1][8:]))
            self.refusals[reason] = self.refusals.get(reason, 0) + 1
        elif result.status != 0 or result.out != out:
            self.harm.append("remora ended in an undocumented way: %r" % result)

    def facts(self):
        return {"attaches": self.attaches, "harm": self.harm, "refusals": self.refusals,
                "stops": [round(ms, 3) for ms in self.stops]}


def attach(tally, target, number, payload):
    """The number-th attach: by turns each form that there is."""
    out, line = "", ("run", "-c", "pass")
    turn = number % 10
    if turn in (2, 6):
        line, out = ("run", "-c", payload), "42\n"
    elif turn in (4, 7):
        line = ("dump", "-o", "/dev/null")
    elif turn == 9:
        line = ("dump", "-o", "/dev/null") + (("--in-place",) if number % 20 == 9 else ())
    result = support.remora(line[0], target, *line[1:], env=ENVIRONMENT)
    tally.result(result, out)


def sound(tally, target, before, seconds=5.0, inside=True):
    """Notes harm; True if there is none."""
    try:
        wrong = support.harm(target, before, seconds, inside)
    except AssertionError as error:
        wrong = str(error)
    if wrong:
        tally.harm.append(wrong)
    return not wrong


def finish(tally, target):
    try:
        target.finish(unittest.TestCase())
    except AssertionError as error:
        tally.harm.append(str(error))


def in_a_row(interpreter, kind, count):
    """Attaches to one target again and again."""
    tally = Tally()
    with support.Target(interpreter, KINDS[kind]) as target:
        before = support.Snapshot(target)
        for number in range(count):
            attach(tally, target, number, PAYLOADS.get(kind, PAYLOAD % 0.01))
            if tally.harm or not sound(tally, target, before, inside=number % FULL == FULL - 1):
                return tally.facts()
        if sound(tally, target, before):
            finish(tally, target)
    return tally.facts()


def kept_within(target, before, tally):
    """After exec: another program, that of nobody's business, sleeps and has nothing of ours."""
    support.wait_for(lambda: not target.alive() or target.status()["State"][0] == "S" and
                     "time.sleep" in support.read("/proc/%d/cmdline" % target.pid), "sleeps after exec", 20)
    after = support.Snapshot(target)
    wrong = [name for name in ("TracerPid", "SigIgn", "Seccomp") if before.lines[name] != after.lines[name]]
    wrong += ["%s: %s" % thread for thread in after.threads.items() if int(thread[1]["SigBlk"], 16)]
    wrong += [repr(m) for m in after.maps if "x" in m.perms and m.anonymous]
    if not target.alive() or len(after.threads) != 1 or wrong or after.errors:
        tally.harm.append("%s after exec: %s %s" % (target.name, wrong, target.condition()))


def endings(interpreter, kind, count):
    """One attach to each of many targets that exit, or become another program, at that moment."""
    tally, generator = Tally(), random.Random()
    for _ in range(count):
        moment = "%.4f" % generator.uniform(0.001, 0.06)
        with support.Target(interpreter, KINDS[kind], moment) as target:
            before = target.born
            result = support.remora("run", target, "-c", PAYLOAD % 0.02, env=ENVIRONMENT)
            # Where it came too late, or the payload was cut off, it says so.
            tally.result(result, result.out if result.status == 0 else "")
            try:
                if kind == "execs":
                    kept_within(target, before, tally)
                elif target.process.wait(20) != 0:
                    tally.harm.append("%s: %s" % (target.name, target.condition()))
            except (AssertionError, subprocess.TimeoutExpired) as error:
                tally.harm.append("%s: %s; %s" % (target.name, error, target.condition()))
        if tally.harm:
            break
    return tally.facts()


class Keeper(support.Target):
    """A target whose C code gives the GIL up at SIGUSR2 only."""

    def release(self):
        self.signal(signal.SIGUSR2)

    def report(self):
        self.signal(signal.SIGUSR1)
        self.release()
        return self.answer("STATE")

    def finish(self, test):
        self.signal(signal.SIGTERM)
        self.release()
        test.assertEqual(self.process.wait(20), 0, self.condition())


def gil_kept(interpreter, kind, count):
    """The GIL comes at a random moment around the time limit: before it, while remora gives up, or only
    when it has gone."""
    tally, generator = Tally(), random.Random()
    with Keeper(interpreter, KINDS[kind]) as target:
        target.arenas = 3
        before = support.Snapshot(target)

        def is_left():
            target.release()
            return len(target.tids()) == len(before.threads)

        for number in range(count):
            line = ("dump", "-o", "/dev/null") if number % 4 == 3 else ("run", "-c", "print(6 * 7)")
            timer = threading.Timer(2 if number % 50 == 49 else generator.uniform(0.01, 0.3), target.release)
            timer.start()
            result = support.remora(line[0], "--timeout", "0.1", target, *line[1:], env=ENVIRONMENT)
            timer.join()
            tally.result(result, result.out if result.out == "42\n" and line[0] == "run" else "")
            support.wait_for(is_left, "the agent leaves %s; %s" % (target.name, target.condition()), 10)
            if tally.harm or not sound(tally, target, before, 10, number % FULL == FULL - 1):
                return tally.facts()
        if sound(tally, target, before, 10):
            finish(tally, target)
    return tally.facts()


SPECIAL = {"exits": endings, "execs": endings, "gil_kept": gil_kept}


def attaches(interpreter, kind, count):
    """One share of a cell."""
    return SPECIAL.get(kind, in_a_row)(interpreter, kind, count)


def kills(interpreter, kind, count):
    """remora is ended by each signal in turn, at random moments of each of its forms."""
    tally, generator = Tally(), random.Random()
    lines = [("run", "-c", "pass"), ("run", "-c", PAYLOAD % 0.03), ("dump", "-o", "/dev/null"),
             ("dump", "-o", "/dev/null", "--in-place")]
    signals = (signal.SIGKILL, signal.SIGINT, signal.SIGTERM, signal.SIGSEGV)
    with support.Target(interpreter, KINDS[kind]) as target:
        target.arenas = 3
        before = support.Snapshot(target)
        usual = []
        for line in lines:
            result = support.remora(line[0], target, *line[1:])
            tally.result(result, result.out)
            usual.append(result.seconds)
        tally.attaches = 0
        for number in range(count):
            which = generator.randrange(len(lines))
            line = lines[which]
            process = subprocess.Popen(support.command(line[0], target, *line[1:]), stdout=subprocess.DEVNULL,
                                       stderr=subprocess.DEVNULL, env=support.environment())
            time.sleep(generator.uniform(0, usual[which] * 1.1))
            process.send_signal(signals[number % 4])
            process.wait(60)
            tally.attaches += 1
            # Two agents at once would take two arenas: the next one comes when this has left.
            if not sound(tally, target, before, 15, number % FULL == FULL - 1):
                return tally.facts()
        result = support.remora("run", target, "-c", "print(6 * 7)")
        if result.out != "42\n":
            tally.harm.append("no attach afterwards: %r" % result)
        if sound(tally, target, before, 15):
            finish(tally, target)
    return tally.facts()


def growth(interpreter, what, count):
    """Whether the target is as large after many attaches as after some: memory and Python's blocks. what
    is a kind, and which form of attach."""
    tally, sizes = Tally(), []
    kind, form = what.split()
    line = FORMS[form]
    with support.Target(interpreter, KINDS[kind]) as target:
        before = support.Snapshot(target)
        for number in range(count):
            tally.result(support.remora(line[0], target, *line[1:], env=ENVIRONMENT))
            if tally.harm:
                return dict(tally.facts(), sizes=sizes)
            if number + 1 in GROWTH:
                status = target.status()
                blocks = target.report()["collector"][-1]
                sizes.append([int(status[n].split()[0]) for n in ("VmRSS", "VmData")] + [blocks])
        if any(last - first > GROWTH_KB for first, last in zip(sizes[0][:2], sizes[1][:2])):
            tally.harm.append("%s grew: (VmRSS, VmData, blocks) %s" % (target.name, sizes))
        if sound(tally, target, before):
            finish(tally, target)
    return dict(tally.facts(), sizes=sizes)
