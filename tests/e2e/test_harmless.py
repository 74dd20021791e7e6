# SPDX-License-Identifier: GPL-3.0-or-later
"""The target survives everything: many attaches in a row, and remora killed at any moment.

REMORA_LONG=1: 200 attaches of each kind on every interpreter and 100 kills (else 12 on three
interpreters, and 20)."""
import contextlib
import mmap
import os
import pathlib
import random
import signal
import struct
import subprocess
import sys
import time
import unittest

import pythons
import support

ATTACHES = 200 if support.LONG else 12
KILLS = 100 if support.LONG else 20
POINTS = 22  # attach/points.h
SIGNALS = (signal.SIGKILL, signal.SIGINT, signal.SIGTERM, signal.SIGSEGV)
KINDS = ("sleep", "busy", "accept", "locked", "threads", "malloc1", "malloc9", "malloc_c1", "malloc_c2", "forks",
         "forks_quick", "subprocesses", "signals",
         "small_stacks", "recursion", "dlopens", "setids", "floats", "busy_c", "calls", "calls_c", "vforks",
         "signals_c", "deep")
CALLS = ("epoll_wait", "epoll_infinite", "sigtimedwait", "semtimedop", "recv", "poll", "select",
         "nanosleep", "futex", "read", "futex_absolute", "flock")


def interpreters():
    """All in the long form; else the oldest, the system's and the newest."""
    found = sorted(pythons.supported(), key=lambda p: (p.version, p.debug))
    if support.LONG:
        return found
    short = [found[0], pythons.main(), [p for p in found if not p.debug][-1]]
    return [p for n, p in enumerate(short) if p not in short[:n]]


class InARow(support.LiveTest):
    def attaches(self, interpreter, kind):
        with support.Target(interpreter, kind) as target:
            before = support.Snapshot(target)
            early = None
            for number in range(ATTACHES):
                if number % 4 == 3:
                    result = support.remora("dump", target, "-o", "/dev/null")
                    self.good(result)
                else:
                    result = support.remora("run", target, "-c", "print(6*7)")
                    self.assertEqual(self.good(result).out, "42\n", repr(result))
                if number == ATTACHES // 2:
                    early = target.resident_kb()
                    support.assert_unharmed(self, target, before)
            support.assert_unharmed(self, target, before)
            if not target.kind.vary - {"state"}:
                # Each thread that was stopped once has touched a little more of its stack and arena.
                most = 4096 if kind == "threads" else 512
                self.assertLess(target.resident_kb() - early, most, "kB of growth of %s" % target.name)
            target.finish(self)


def in_a_row(interpreter, kind):
    return lambda self: self.attaches(interpreter, kind)


for _interpreter in interpreters():
    for _kind in KINDS:
        setattr(InARow, "test_%s_%s" % (_kind, _interpreter), in_a_row(_interpreter, _kind))


class Signals(support.LiveTest):
    """A signal to the process wakes a program of one thread, at whatever point of an attach it comes."""

    CALLS = 400

    def test_wake(self):
        with self.start("called") as target:
            for number in range(self.CALLS):
                line = ("run", target, "-c", "pass") if number % 4 else ("dump", target, "-o", "/dev/null")
                # Python itself may miss one that comes just before its call.
                support.wait_for(lambda: target.status()["State"][0] == "S", "it sleeps")
                process = subprocess.Popen(support.command(*line), stderr=subprocess.DEVNULL,
                                           env=support.environment())
                with process:
                    try:
                        time.sleep(random.uniform(0, 0.006))  # the length of an attach
                        os.kill(target.pid, signal.SIGHUP)
                        self.assertEqual(process.wait(20), 0)
                    finally:
                        process.kill()
                target.answer("CALLED", 20)
            target.finish(self)


    def test_wake_main_thread(self):
        """A program of several threads: a signal to it wakes its main thread, while others come out of a stop
        and the machine is busy. A few are left to chance (README); they were 30 of 300."""
        calls, lost = 150, 0
        spin = [sys.executable, "-c", "while True: pass"]
        with contextlib.ExitStack() as stack:
            for _ in range(2 * os.cpu_count()):
                stack.callback(stack.enter_context(subprocess.Popen(spin)).kill)
            target = stack.enter_context(self.start(support.Kind("called", "lock", "2")))
            for _ in range(calls):
                support.wait_for(lambda: target.status()["State"][0] == "S", "its main thread waits")
                attach = stack.enter_context(subprocess.Popen(
                    support.command("run", target, "-c", "pass"), env=support.environment()))
                stack.callback(attach.kill)
                time.sleep(random.uniform(0, 0.03))
                os.kill(target.pid, signal.SIGHUP)
                self.assertEqual(attach.wait(60), 0)
                try:
                    target.answer("CALLED", 2)
                except AssertionError:
                    lost += 1
                    os.kill(target.pid, signal.SIGHUP)
                    target.answer("CALLED")
        self.assertLessEqual(lost, 3)


class TimedCalls(support.LiveTest):
    """A program in C that sees what its system calls return: no EINTR, no short wait."""

    def counters(self, call, work):
        """Runs work(target) against a target blocked in call; returns what it counted."""
        fd = os.memfd_create("counters")
        self.addCleanup(os.close, fd)
        os.truncate(fd, 4096)
        page = mmap.mmap(fd, 4096)
        target = self.start("timed_calls", call, fd, interpreter=pythons.main(), pass_fds=(fd,))
        read = lambda n: struct.unpack_from("q", page, 8 * n)[0]
        support.wait_for(lambda: read(1) >= 2, "two calls of " + call)
        with support.unharmed(self, target):
            work(target)
        calls = read(1)
        support.wait_for(lambda: read(1) >= calls + 2, "%s goes on: %s" % (call, target.condition()))
        struct.pack_into("q", page, 0, 1)
        support.wait_for(lambda: read(8) == 1, "%s ends: %s" % (call, target.condition()))
        target.process.wait(20)
        return dict(zip(("calls", "eintr", "wrong", "short", "late", "errno", "worst_us"),
                        struct.unpack_from("7q", page, 8)))

    def check(self, call):
        def attach(target):
            for _ in range(ATTACHES):
                self.good(support.remora("run", target, "-c", "pass"))
                self.good(support.remora("stacks", target, "--native"))
        counted = self.counters(call, attach)
        self.assertEqual([counted[k] for k in ("eintr", "wrong", "short")], [0, 0, 0],
                         "%s: %s" % (call, counted))


for _call in CALLS:
    setattr(TimedCalls, "test_" + _call, lambda self, call=_call: self.check(call))


class Survives:
    """Kills remora at random moments, during attaches, payloads and dumps."""

    def kills(self, kind, sent=signal.SIGKILL):
        generator = random.Random(kind)
        lines = [("run", "-c", "print(1)"), ("run", "-c", "import time; time.sleep(0.03)"),
                 ("dump", "-o", "/dev/null"), ("stacks", "--native")]
        with support.Target(pythons.main(), kind) as target:
            target.arenas = 3
            before = support.Snapshot(target)
            usual = []
            for line in lines:
                usual.append(self.good(support.remora(line[0], target, *line[1:])).seconds)
            for number in range(KILLS):
                line = lines[number % len(lines)]
                process = subprocess.Popen(support.command(line[0], target, *line[1:]),
                                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                           env=support.environment())
                time.sleep(generator.uniform(0, usual[number % len(lines)] * 1.1))
                process.send_signal(sent)
                process.wait(20)
                self.survived(target, before)
            result = self.good(support.remora("run", target, "-c", "print('still')"))
            self.assertEqual(result.out, "still\n")
            self.survived(target, before)
            ticks = support.Snapshot(target).inside["ticks"]
            if target.kind.busy:
                support.wait_for(lambda: target.report()["ticks"] > ticks, "work; " + target.condition())
            target.finish(self)

    def survived(self, target, before):
        """Unharmed, before the next attach: two agents at once would take two arenas. (That the target
        goes on working is asked at the end.)"""
        end = time.monotonic() + 10
        while True:
            self.assertTrue(target.alive(), target.condition())
            wrong = support.differences(target, before, support.Snapshot(target))
            if not wrong or time.monotonic() > end:
                break
            time.sleep(0.02)
        self.assertFalse(wrong, "%s after a kill: %s\n%s" % (
            target.name, "\n".join(wrong), target.condition()))


class Kills(Survives, support.LiveTest):
    """SIGKILL, and the signals that remora itself answers."""


class KillPoints(Survives, support.LiveTest):
    """The same at each numbered point of attach/points.h: a test build sends itself the signal there."""

    def points(self, kind, signals=(signal.SIGKILL,)):
        if not support.UNSAFE_BUILD:
            support.skip("REMORA_UNSAFE_BUILD is not set: a build with -DREMORA_UNSAFE_TEST=ON")
        binary = support.find_binary(pathlib.Path(support.UNSAFE_BUILD))
        reached = set()
        with support.Target(pythons.main(), kind) as target:
            target.arenas = 3
            before = support.Snapshot(target)
            for sent in SIGNALS if support.LONG else signals:
                for point in list(range(1, POINTS + 1)) * (10 if support.LONG else 1):
                    line = ("dump", "-o", "/dev/null") if point == 19 else ("run", "-c", "print(1)")
                    result = support.remora(line[0], target, *line[1:], binary=binary, env={
                        "REMORA_KILL_AT": str(point), "REMORA_KILL_WITH": str(int(sent))})
                    gentle = sent in (signal.SIGINT, signal.SIGTERM)
                    self.assertIn(result.status, (0, 5) if gentle else (0, -sent), repr(result))
                    if result.status:
                        reached.add(point)
                    self.survived(target, before)
            self.assertGreater(len(reached), POINTS * 3 // 4 - 2, reached)
            support.assert_unharmed(self, target, before)
            target.finish(self)


for _kind in ("sleep", "busy", "threads", "malloc1", "forks", "accept"):
    setattr(Kills, "test_" + _kind, lambda self, kind=_kind: self.kills(kind))
    setattr(KillPoints, "test_points_" + _kind, lambda self, kind=_kind: self.points(kind))
KillPoints.test_signals_sleep = lambda self: self.points("sleep", SIGNALS[1:])
Kills.test_term_sleep = lambda self: self.kills("sleep", signal.SIGTERM)
Kills.test_interrupt_threads = lambda self: self.kills("threads", signal.SIGINT)


class Ends(support.LiveTest):
    """Targets that exit or become another program while remora is at work."""

    def test_exit_and_exec(self):
        generator = random.Random(1)
        for number in range(KILLS):
            how = ("exit", "exec")[number % 2]
            with self.subTest(number=number, how=how):
                target = self.start(support.Kind("ends", reports=False), how,
                                    "%.4f" % generator.uniform(0.005, 0.06))
                result = support.remora("run", target, "-c", "import time; time.sleep(0.02)")
                self.assertIn(result.status, (0, 3, 5), repr(result))
                if result.status:
                    self.assertRegex(result.err, "(?m)^remora: ")
                if how == "exit":
                    self.assertEqual(target.process.wait(20), 0, target.condition())
                else:
                    support.wait_for(lambda: not target.alive() or target.status()["State"][0] == "S",
                                     "the program after exec sleeps")
                    self.assertTrue(target.alive(), target.condition())
                target.close()


class Traces(support.LiveTest):
    def collector(self, interpreter):
        """Attaches to an idle target make no work for its collector, and leave no objects, once there was
        a first. (torture.py shows that Python's blocks of memory are as many at attach 2,000 as at 400.)"""
        with support.Target(interpreter, "sleep") as target:
            lines = [("run", "-c", "pass"), ("dump", "-o", "/dev/null"), ("dump", "-o", "/dev/null", "--in-place")]
            seen = []
            for line in lines * 4:
                self.good(support.remora(line[0], target, *line[1:]))
                seen.append(target.report()["collector"])
            (_, collections, objects, blocks), (_, collections2, objects2, blocks2) = seen[len(lines) - 1], seen[-1]
            self.assertEqual(collections2[1:], collections[1:], seen)
            self.assertLessEqual(collections2[0] - collections[0], 1, seen)
            self.assertLess(objects2 - objects, 200, seen)
            self.assertLess(blocks2 - blocks, 100, seen)
            target.finish(self)

    def test_user_ids_change_during_a_payload(self):
        """setuid() and setgroups() are carried out in every thread, those of the agent too."""
        with self.start("setids") as target:
            code = ("import _thread, os\nlock = _thread.allocate_lock()\nlock.acquire()\nprint(0)\n"
                    "while not os.path.exists(argv[1]):\n    lock.acquire(True, 0.2)\nprint(1)")
            end = os.path.join(self.folder(), "end")
            with support.unharmed(self, target):
                process = subprocess.Popen(support.command("run", target, "-c", code, end),
                                           stdout=subprocess.PIPE, env=support.environment())
                self.assertEqual(process.stdout.readline(), b"0\n")
                ticks = target.report()["ticks"]
                support.wait_for(lambda: target.report()["ticks"] > ticks + 10, target.condition(), 20)
                open(end, "w").close()
                self.assertEqual(process.communicate(timeout=20)[0], b"1\n")
            target.finish(self)


for _interpreter in pythons.supported():
    setattr(Traces, "test_collector_%s" % _interpreter, lambda self, python=_interpreter: self.collector(python))


class Together(support.LiveTest):
    def test_second_remora_is_refused(self):
        """At once, in one line that names the first, which goes on."""
        with support.Target(pythons.main(), "threads") as target:
            with support.unharmed(self, target):
                code = "import os, time\nprint(1)\nwhile not os.path.exists(argv[1]): time.sleep(0.02)\nprint(2)"
                end = os.path.join(self.folder(), "end")
                first = subprocess.Popen(support.command("run", target, "-c", code, end),
                                         stdout=subprocess.PIPE, env=support.environment())
                self.assertEqual(first.stdout.readline(), b"1\n")
                for line in (("run", target, "-c", "pass"), ("dump", target, "-o", "/dev/null")):
                    # Before the limit of 5 s for an attach: it does not wait for the first.
                    self.refused(support.remora(*line), 3,
                                 r"another remora \(process %d\) is attached" % first.pid, 4)
                open(end, "w").close()
                self.assertEqual(first.communicate(timeout=20)[0], b"2\n")
            target.finish(self)

    def test_many_remoras_on_one_target(self):
        with support.Target(pythons.main(), "threads") as target:
            before = support.Snapshot(target)
            for _ in range(5):
                processes = [subprocess.Popen(support.command("run", target, "-c", "print(1)"),
                                              stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                              env=support.environment()) for _ in range(3)]
                for process in processes:
                    out, err = process.communicate(timeout=60)
                    if process.returncode == 0:
                        self.assertEqual(out, b"1\n")
                    else:
                        self.assertEqual((process.returncode, out), (3, b""), err)
                        self.assertRegex(err.decode(), "traced|another remora|busy")
            support.assert_unharmed(self, target, before)
            target.finish(self)


if __name__ == "__main__":
    unittest.main()
