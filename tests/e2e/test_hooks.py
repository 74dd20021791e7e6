# SPDX-License-Identifier: GPL-3.0-or-later
"""Interpreters that a program has hooked or tuned: tracers, monitors, audit hooks, collector callbacks,
debugging allocators, development mode. They go on as before, and as fast as before."""
import os
import signal
import subprocess
import unittest

import pythons
import support

# How much slower a program may seem after an attach: the eval breaker that stays set makes it twice.
SLOWER = 1.5


def some():
    """One interpreter, or in the long form all."""
    return pythons.supported() if support.LONG else [pythons.main()]


class Hooks(support.LiveTest):
    def hooked(self, mode, interpreter, **more):
        kind = support.Kind("hooks", mode, busy=True)
        return support.Target(interpreter, kind, **more)

    def each(self, interpreters, *modes, env=None):
        for interpreter in interpreters:
            for mode in modes:
                with self.subTest(interpreter=interpreter.name, mode=mode), \
                        self.hooked(mode, interpreter, env=env) as target:
                    with support.unharmed(self, target):
                        result = self.good(support.remora("run", target, "-c", "print(2 * 3)"))
                        self.assertEqual(result.out, "6\n", repr(result))
                    target.finish(self)

    def test_tracing_and_monitoring(self):
        self.each(pythons.supported(), "trace", "profile", "monitor")

    def test_collector_and_tuning(self):
        self.each(some(), "collect_always", "frozen", "recursion", "switch", "no_streams")

    def test_development_mode(self):
        self.each(some(), "plain", env={"PYTHONDEVMODE": "1", "PYTHONWARNINGS": "error"})
        self.each(some(), "plain", env={"PYTHONMALLOC": "malloc_debug", "PYTHONTRACEMALLOC": "5"})
        self.each(some(), "plain", env={"PYTHONPERFSUPPORT": "1"})

    def test_audit_hooks(self):
        """One that refuses what a payload needs is told, and a dump needs nothing of it."""
        for mode, status in (("audit_exec", 1), ("audit_all", 5)):
            for interpreter in some():
                if interpreter.version < (3, 8):
                    continue
                with self.subTest(interpreter=interpreter.name, mode=mode), \
                        self.hooked(mode, interpreter) as target:
                    with support.unharmed(self, target):
                        result = self.good(support.remora("run", target, "-c", "print(2 * 3)"), status)
                        self.assertEqual(result.out, "", repr(result))
                        self.assertRegex(result.err, "audit refuses ")
                        path = os.path.join(self.folder(), "heap.jsonl")
                        self.good(support.remora("dump", target, "-o", path))
                    target.finish(self)


class AsFastAsBefore(support.LiveTest):
    def speed(self, target):
        target.signal(signal.SIGUSR2)
        return target.answer("SPEED")

    def check(self, interpreter, attach):
        with support.Target(interpreter, support.Kind("hooks", "plain", busy=True)) as target:
            before = min(self.speed(target) for _ in range(2))
            attach(target)
            after = self.speed(target)
            for _ in range(5):  # the machine may be busy just now; an interpreter stays slow
                if after < before * SLOWER:
                    break
                after = min(after, self.speed(target))
            self.assertLess(after, before * SLOWER, interpreter.name)

    def test_after_a_payload(self):
        for interpreter in pythons.supported():
            with self.subTest(interpreter=interpreter.name):
                self.check(interpreter, lambda target: self.good(
                    support.remora("run", target, "-c", "pass")))

    def test_after_an_interrupted_payload(self):
        def attach(target):
            process = subprocess.Popen(support.command("run", target, "-c", "print(1)\nwhile True: pass"),
                                       stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                       env=support.environment())
            with process:
                try:
                    self.assertEqual(process.stdout.readline(), b"1\n")
                    process.send_signal(signal.SIGINT)
                    self.assertNotEqual(process.wait(20), 0)
                finally:
                    process.kill()
        for interpreter in pythons.supported():
            with self.subTest(interpreter=interpreter.name):
                self.check(interpreter, attach)


if __name__ == "__main__":
    unittest.main()
