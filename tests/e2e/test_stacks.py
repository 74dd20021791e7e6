# SPDX-License-Identifier: GPL-3.0-or-later
"""remora stacks: what it says is what the interpreter itself says, it needs no GIL, and it harms nothing."""
import csv
import io
import json
import os
import shutil
import signal
import subprocess

import pythons
import support

RUNS = 200 if support.LONG else 20


class Stacks(support.LiveTest):
    def stacks(self, target, *options):
        result = self.good(support.remora("stacks", target, "--format", "json", *options))
        self.assertEqual(result.err, "", repr(result))
        return json.loads(result.out)

    def threads(self, target, *options):
        """By the thread's name; every one was read whole."""
        threads = self.stacks(target, *options)["threads"]
        for thread in threads:
            self.assertEqual(thread["read"], "whole", thread)
        return {thread["name"]: thread for thread in threads}

    def check_natives(self, thread):
        """The C frames go up to the thread's start, and each frame of Python is run by one of them."""
        natives = thread["native"]
        self.assertTrue(natives, thread)
        runs = [native["runs"] for native in natives if "runs" in native]
        covered = [n for first, end in runs for n in range(first, end)]
        self.assertEqual(covered, list(range(len(thread["frames"]))), natives)
        for native in natives:
            self.assertIsNotNone(native["file"], native)


class Truth(Stacks):
    """File, line and function of every frame of every thread, compared with sys._current_frames()."""

    def compare(self, interpreter):
        with support.Target(interpreter, "stacks") as target:
            target.rest()
            with support.unharmed(self, target):
                target.rest()  # after the answer for the snapshot
                plain = self.stacks(target)
            with support.unharmed(self, target):
                target.rest()
                native = self.stacks(target, "--native")
            target.rest()
            target.signal(signal.SIGUSR2)
            said = target.answer("FRAMES")
            self.assertEqual(plain["python"], "%d.%d.%d" % interpreter.version)
            # The main thread may just begin its next sleep.
            self.assertLessEqual(plain["stops"], 1, "all of them wait")
            self.assertEqual(native["stops"], len(said))
            for stacks in plain, native:
                self.assertEqual(len(stacks["threads"]), len(said))
                for thread in stacks["threads"]:
                    name, frames = said.pop(thread["ident"]) if stacks is native else said[thread["ident"]]
                    self.assertEqual(thread["name"], name)
                    got = [(f["file"], f["line"], f["function"]) for f in thread["frames"]]
                    self.assertEqual(got, frames, name)
                    self.assertEqual((thread["read"], thread["gil"]), ("whole", False))
                    self.assertEqual(thread["interpreter"], 0)
                    if interpreter.version >= (3, 11):
                        self.assertTrue(all(f["qualname"].endswith(f["function"]) for f in thread["frames"]))
            self.assertEqual(said, {})
            tids = {str(t["tid"]) for t in plain["threads"]}
            self.assertEqual(tids, set(target.tids()))
            for thread in native["threads"]:
                self.check_natives(thread)
                self.assertGreater(len(thread["native"]), 5)
            target.finish(self)


for _interpreter in pythons.supported():
    setattr(Truth, "test_%s" % _interpreter,
            lambda self, interpreter=_interpreter: self.compare(interpreter))


class Held(Stacks):
    """Where code in the process could not answer."""

    def test_gil_never_given_up(self):
        for interpreter in pythons.supported():
            with self.subTest(interpreter), support.Target(interpreter, "gil_forever") as target:
                # READY is written without the GIL, just before.
                support.wait_for(lambda: "rmr_spin" in self.good(
                    support.remora("stacks", target, "--native")).out, "it spins")
                with support.unharmed(self, target):
                    threads = self.threads(target)
                main = threads["MainThread"] if "MainThread" in threads else threads[None]
                self.assertEqual((main["doing"], main["gil"]), ("running", True))
                self.assertRegex(main["frames"][-1]["file"], r"busy_c\.py$")
                with support.unharmed(self, target):
                    natives = self.stacks(target, "--native")["threads"][0]["native"]
                self.assertIn("rmr_spin", [n["symbol"] for n in natives])

    def test_deadlock(self):
        target = self.start("stacks")
        target.rest()
        threads = self.threads(target)
        lines = []
        for name in "one", "other":
            self.assertEqual((threads[name]["doing"], threads[name]["call"]), ("call", "futex"))
            self.assertEqual(threads[name]["frames"][0]["function"], "deadlock")
            lines.append(threads[name]["frames"][0]["line"])
        self.assertEqual(lines[0], lines[1])
        text = self.good(support.remora("stacks", target)).out
        self.assertRegex(text, r"thread \d+ one waits in futex\n    \S+stacks\.py:\d+ deadlock\n")
        self.assertIn("none was stopped", text)

    def waiting_for_the_gil(self, target):
        return [t for t in self.stacks(target)["threads"] if t["doing"] == "gil"]

    def test_waiting_for_the_gil(self):
        target = self.start("small_stacks")  # two busy threads
        support.wait_for(lambda: self.waiting_for_the_gil(target), "a thread that waits for the GIL")

    def all_stopped(self, target):
        return all(target.status(tid=int(tid))["State"][0] == "T" for tid in target.tids())

    def test_stopped(self):
        target = self.start("stacks")
        target.rest()
        said = self.threads(target)
        os.kill(target.pid, signal.SIGSTOP)
        for options in ((), ("--native",)):
            # Each thread stops when it next gets a processor: after the signal, and after remora let it go.
            support.wait_for(lambda: self.all_stopped(target), "all threads stop")
            threads = self.threads(target, *options)
            for name, thread in threads.items():
                self.assertEqual(thread["frames"], said[name]["frames"])
                self.assertEqual((thread["state"], thread["doing"]), ("T", "stopped"))
                if options:
                    self.check_natives(thread)
            for tid in target.tids():
                self.assertEqual(target.status(tid=int(tid))["TracerPid"].strip(), "0")
            support.wait_for(lambda: self.all_stopped(target), "all threads are still stopped")
        os.kill(target.pid, signal.SIGCONT)
        target.report()
        self.assertEqual(self.threads(target)["one"]["frames"], said["one"]["frames"])
        target.finish(self)

    def test_traced(self):
        with support.Target(pythons.main(), "sleep") as target:
            tracer = subprocess.Popen([support.helper("tracer"), str(target.pid)], stdout=subprocess.PIPE)
            self.addCleanup(tracer.stdout.close)
            try:
                self.assertEqual(tracer.stdout.readline(), b"READY\n")
                threads = self.threads(target)
                self.assertRegex(threads[list(threads)[0]]["frames"][-1]["file"], r"sleep\.py$")
                self.refused(support.remora("stacks", target, "--native"), 3,
                             "(?i)traced.*%d" % tracer.pid)
            finally:
                tracer.kill()
                tracer.wait(20)

    def test_hang_at_the_end(self):
        code = ("import atexit, threading, time, sys\n"
                "def hang():\n"
                "    print('READY', flush=True)\n"
                "    threading.Event().wait()\n"
                "atexit.register(hang)\n")
        process = subprocess.Popen(pythons.main().command + ["-c", code], stdout=subprocess.PIPE)
        self.addCleanup(process.stdout.close)
        try:
            self.assertEqual(process.stdout.readline(), b"READY\n")
            support.wait_for(lambda: support.read("/proc/%d/syscall" % process.pid).startswith("202 "), "futex")
            threads = self.stacks(process.pid)["threads"]
            self.assertEqual([f["function"] for f in threads[0]["frames"]], ["wait", "wait", "hang"])
        finally:
            process.kill()
            process.wait(20)

    def test_sub_interpreter(self):
        module = "_interpreters" if pythons.main().version >= (3, 13) else "_xxsubinterpreters"
        if pythons.main().version < (3, 8):
            support.skip("needs a newer Python")
        code = ("import %s as i\n"
                "def main():\n"
                "    i.run_string(i.create(), 'import time, sys\\n"
                "def inner():\\n    print(\"READY\", flush=True)\\n    time.sleep(1000)\\ninner()')\n"
                "main()\n" % module)
        process = subprocess.Popen(pythons.main().command + ["-c", code], stdout=subprocess.PIPE)
        self.addCleanup(process.stdout.close)
        try:
            self.assertEqual(process.stdout.readline(), b"READY\n")
            support.wait_for(lambda: not support.read("/proc/%d/syscall" % process.pid).startswith("r"), "sleep")
            threads = self.stacks(process.pid)["threads"]
            found = {t["interpreter"]: [f["function"] for f in t["frames"]] for t in threads}
            self.assertEqual(found, {0: ["main", "<module>"], 1: ["inner", "<module>"]})
            self.assertEqual({t["tid"] for t in threads}, {process.pid})
        finally:
            process.kill()
            process.wait(20)


class Containers(Stacks):
    """From outside: the target has a PID namespace of its own, in which its threads have other numbers."""

    def test_namespaces(self):
        found = [p for p in pythons.supported() if p.root]
        if os.getuid() != 0 or not found:
            support.skip("needs root, and an interpreter that tests/get-pythons fetched")
        for interpreter in found[:1] + found[-1:]:
            with self.subTest(interpreter), support.Target(interpreter, "stacks", container=True) as target:
                with support.unharmed(self, target):
                    plain = self.threads(target)
                with support.unharmed(self, target):
                    native = self.threads(target, "--native")
                self.assertEqual({str(t["tid"]) for t in plain.values()}, set(target.tids()))
                self.assertEqual(plain["one"]["frames"][0]["function"], "deadlock")
                for name in set(plain) - {"MainThread"}:  # which answers meanwhile
                    self.assertEqual(plain[name]["frames"], native[name]["frames"])
                self.assertIsNone(plain["one"]["native"])
                self.assertGreater(len(native["one"]["native"]), 5)


class Filters(Stacks):
    """Linux goes on with poll() after a stop by restart_syscall, for which some filters kill."""

    def check(self, prefix):
        binary = shutil.copy(support.REMORA, self.folder())
        code = ("import ctypes, select, struct\n"
                "rows = [(0x20, 0, 0, 0), (0x15, 0, 1, 219), (6, 0, 0, 0x80000000), (6, 0, 0, 0x7fff0000)]\n"
                "code = ctypes.create_string_buffer(b''.join(struct.pack('HBBI', *r) for r in rows))\n"
                "program = ctypes.create_string_buffer(struct.pack('HxxxxxxQ', 4, ctypes.addressof(code)))\n"
                "prctl = ctypes.CDLL(None).prctl\n"
                "assert prctl(38, 1, 0, 0, 0) == 0\n"
                "assert prctl(22, 2, ctypes.c_ulong(ctypes.addressof(program)), 0, 0) == 0\n"
                "print('READY', flush=True)\n"
                "select.poll().poll(1000000)\n")
        process = subprocess.Popen(list(prefix) + pythons.main().command + ["-c", code],
                                   stdout=subprocess.PIPE)
        try:
            self.assertEqual(process.stdout.readline(), b"READY\n")
            support.wait_for(lambda: support.read("/proc/%d/syscall" % process.pid).startswith("7 "), "poll")
            for _ in range(10):
                result = self.good(support.remora("stacks", process.pid, "--native", prefix=prefix,
                                                  binary=binary))
                self.assertIn("poll+", result.out)
                self.assertIsNone(process.poll())
                support.wait_for(lambda: support.read("/proc/%d/syscall" % process.pid).startswith("7 "),
                                 "poll again")
        finally:
            process.kill()
            process.wait(20)
            process.stdout.close()

    def test_kills_for_restart_syscall(self):
        self.check(())

    def test_that_cannot_be_read(self):
        if os.getuid() != 0:
            support.skip("needs root to become somebody else")
        self.check(("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"))


class Sizes(Stacks):
    def test_deep_recursion(self):
        for interpreter in pythons.supported():
            with self.subTest(interpreter), support.Target(interpreter, "deep_python") as target:
                with support.unharmed(self, target):
                    thread = support.wait_for(lambda: self.deepest_whole(target), "10 ms to read a stack")
                self.assertEqual([f["function"] for f in thread["frames"]].count("descend"), 8001)

    def deepest_whole(self, target, *options):
        """None: this time the thread ran, and the machine was too busy to read all of its stack in the 10 ms for
        which remora lets a thread stand still. It says so, and what it has read is right."""
        threads = self.stacks(target, *options)["threads"]
        thread = max(threads, key=lambda t: len(t["frames"]))
        self.assertIn(thread["read"], ("whole", "cut"))
        self.assertLessEqual({f["function"] for f in thread["frames"][:8001]}, {"descend", "tick"})
        return thread if thread["read"] == "whole" else None

    def test_deep_recursion_in_c(self):
        # In the older one each call of Python is one of C.
        for interpreter in [p for p in pythons.supported() if p.version < (3, 11)][:1] + [pythons.main()]:
            with self.subTest(interpreter), support.Target(interpreter, "deep") as target:
                with support.unharmed(self, target):
                    thread = support.wait_for(lambda: self.deepest_whole(target, "--native"),
                                              "10 ms to read a stack")
                self.assertEqual([f["function"] for f in thread["frames"]].count("descend"), 8001)
                self.check_natives(thread)

    def test_500_threads(self):
        target = self.start("threads500")
        for options in ((), ("--native",)):
            with support.unharmed(self, target):
                threads = self.stacks(target, *options)["threads"]
            self.assertEqual(len(threads), 501)
            self.assertEqual({t["read"] for t in threads}, {"whole"})
            self.assertEqual(len({t["ident"] for t in threads}), 501)
            self.assertTrue(all(t["frames"] and t["name"] for t in threads))

    def a_few_lines(self, target):
        """None: as above."""
        out = self.good(support.remora("stacks", target, "--limit", "20")).out
        self.assertRegex(out, r"\n    \.\.\. \S+ more \(--limit 0 shows all\)\n")
        self.assertLess(len(out.splitlines()), 40)
        return out if "deeper than remora reads" not in out else None

    def test_a_few_lines_of_many(self):
        target = self.start("deep")
        self.assertIn("_bootstrap", support.wait_for(lambda: self.a_few_lines(target), "10 ms to read a stack"))


class Options(Stacks):
    def test_one_thread(self):
        target = self.start("stacks")
        every = self.threads(target)
        for what in "other", every["other"]["tid"]:
            found = self.threads(target, "--thread", what)
            self.assertEqual(list(found), ["other"])
        self.refused(support.remora("stacks", target, "-t", "nobody"), 1, "no thread 'nobody'")
        self.refused(support.remora("stacks", target, "-t", "1"), 1, "no thread 1")

    def test_csv(self):
        target = self.start("stacks")
        result = self.good(support.remora("stacks", target, "--format", "csv", "--native"))
        rows = list(csv.DictReader(io.StringIO(result.out)))
        one = [r for r in rows if r["name"] == "one"]
        self.assertEqual({r["kind"] for r in one}, {"python", "c"})
        self.assertEqual(one[0]["function"], "deadlock")
        self.assertEqual(one[0]["doing"], "futex")

    def test_shell(self):
        target = self.start("sleep")
        result = self.good(support.remora("shell", target, "-c", "stacks; stacks --native"))
        self.assertEqual(result.out.count("sleep.py:"), 2, repr(result))
        # `py` stays attached: what waits can be read all the same.
        result = support.remora("shell", target, "-c", "py 1\nstacks\nstacks --native")
        self.assertEqual(result.status, 3, repr(result))
        self.assertEqual(result.out.count("sleep.py:"), 1, repr(result))
        self.assertIn("hint: `detach` first", result.err)


class Refusals(Stacks):
    def test_no_process(self):
        self.refused(support.remora("stacks", 2147483646), 3, "2147483646")

    def test_no_python(self):
        process = subprocess.Popen(["sleep", "600"])
        try:
            self.refused(support.remora("stacks", process.pid), 3, "(?i)python")
        finally:
            process.kill()
            process.wait(20)

    def test_other_pythons(self):
        for kind, test in (("PyPy", lambda p: p.kind == "pypy"), ("GIL", lambda p: p.free_threaded),
                           ("Python 2", lambda p: p.kind == "cpython" and p.version[0] == 2)):
            interpreter = pythons.first(test)
            if not interpreter:
                continue
            with self.subTest(kind):
                process = subprocess.Popen(
                    interpreter.command + ["-c", "import sys, time; sys.stdout.write('READY\\n'); "
                                           "sys.stdout.flush(); time.sleep(600)"], stdout=subprocess.PIPE)
                try:
                    self.assertEqual(process.stdout.readline(), b"READY\n")
                    self.refused(support.remora("stacks", process.pid), 3, kind)
                finally:
                    process.kill()
                    process.wait(20)
                    process.stdout.close()


class InARow(Stacks):
    """Again and again, alternately with and without C frames."""

    def runs(self, kind):
        target = self.start(kind)
        kinds = set()
        with support.unharmed(self, target):
            for number in range(RUNS):
                threads = self.stacks(target, *(("--native",) if number % 2 else ()))["threads"]
                kinds |= {t["read"] for t in threads}
                for thread in threads:
                    for frame in thread["frames"]:
                        self.assertNotIn("?", (frame["file"], frame["function"]), thread)
                        self.assertTrue(frame["line"] is None or frame["line"] > 0, thread)
        self.assertEqual(kinds, {"whole"})


for _kind in ("sleep", "busy", "accept", "locked", "threads", "malloc9", "forks", "subprocesses", "signals",
              "small_stacks", "dlopens", "setids", "floats", "busy_c", "calls", "calls_c", "vforks",
              "signals_c"):
    setattr(InARow, "test_" + _kind, lambda self, kind=_kind: self.runs(kind))
