# SPDX-License-Identifier: GPL-3.0-or-later
"""Payloads interrupted at any moment, and signals to the target while they begin, run and end: its
streams, threading, handlers and masks are as before each time, no signal is lost, no garbage is left."""
import random
import select
import signal
import subprocess
import time
import unittest

import pythons
import support

ROUNDS = 100 if support.LONG else 8
MOMENT = 0.010  # seconds in which a remora begins, runs and ends; and a little more
SIGNALLED = support.Kind("signalled")
# What may be under way when the interrupt comes. "on" tells that the payload has begun. None defines
# a function: that refers to the payload's names and they to it, which is garbage, the payload's own.
PAYLOADS = (
    "pass",
    "print('on')\nwhile True:\n    print('more')",
    "print('on')\nwhile True:\n    pass",
    "import sys\nprint('on')\nwhile True:\n    sys.stdout.buffer.write(b'more')\n    sys.stderr.write('too')",
    "print('on')\nmax([0], key=lambda n: 1 / n)",
    "print('on')\nraise SystemExit('text')",
    "import threading\nprint('on')\nthreading.current_thread()\nwhile True:\n    sum(range(100))",
    "import signal\nsignal.setitimer(signal.ITIMER_REAL, 0.0005)\nprint('on')\nsum(range(30000))",
    "import signal\nsignal.alarm(1)\nprint('on')\nsum(range(30000))\nsignal.alarm(0)",
)
# What threading notes of the agent's thread, and a Thread of the payload's, have remora's stderr.
HOLDERS = (
    "import threading\nthreading.current_thread()",
    "import threading\nthreading.current_thread()\n1 / 0",
    "import threading\nt = threading.Thread(target=int)",
)
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR2, signal.SIGUSR1)  # the last asks for a report


class Interrupts(support.LiveTest):
    def one(self, target, code, number, generator):
        """One payload; at random moments remora is interrupted and the target signalled. True if the
        interrupt came before the end."""
        process = subprocess.Popen(support.command("run", target, "-c", code), stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, env=support.environment())
        try:
            if number % 3 == 1 and "on" in code:  # from the first byte on
                self.assertTrue(select.select([process.stdout], [], [], 20)[0], target.condition())
            start = time.monotonic()
            acts = [(generator.uniform(0, MOMENT), sent) for sent in SIGNALS if generator.random() < 0.5]
            acts.append((generator.uniform(0, MOMENT), None))
            for moment, sent in sorted(acts, key=lambda act: act[0]):
                time.sleep(max(0, start + moment - time.monotonic()))
                if sent is None:
                    came = process.poll() is None
                    process.send_signal(signal.SIGINT)
                elif sent == signal.SIGUSR1:
                    target.report()
                else:
                    target.process.send_signal(sent)
            process.communicate(timeout=20)
        finally:
            process.kill()
        self.assertNotIn(process.returncode, (-signal.SIGSEGV, -signal.SIGABRT), code)
        return came, sum(sent not in (None, signal.SIGUSR1) for _, sent in acts)

    def garbage(self, target):
        """How many objects were garbage, how many there are now, and how many signals it has seen."""
        target.signal(signal.SIGWINCH)
        return target.answer("GARBAGE")

    def check(self, interpreter):
        seed = random.randrange(1 << 30)
        generator, came = random.Random(seed), 0
        with support.Target(interpreter, SIGNALLED) as target:
            target.arenas = 3
            before = support.Snapshot(target)
            for code in HOLDERS:
                self.assertIn(support.remora("run", target, "-c", code).status, (0, 1))
                support.assert_unharmed(self, target, before, 10)
                self.assertEqual(self.garbage(target)[0], 0, code)
            self.garbage(target)
            objects = self.garbage(target)[1]
            for number in range(ROUNDS * len(PAYLOADS)):
                code = PAYLOADS[number % len(PAYLOADS)]
                seen = self.garbage(target)[2]
                early, sent = self.one(target, code, number, generator)
                came += early
                support.assert_unharmed(self, target, before, 10)
                said = "%r, round %d, seed %d" % (code, number, seed)
                garbage, _, now = self.garbage(target)
                self.assertEqual((garbage, now - seen), (0, sent), said)
            self.assertLess(self.garbage(target)[1], objects + 30)
            # The interrupts came while remora was there, so that this was a test.
            self.assertGreater(came, ROUNDS * len(PAYLOADS) // 3)
            target.signal(signal.SIGHUP)
            self.assertEqual(target.answer("ENDS"), 1)
            target.finish(self)


for _python in pythons.supported():
    setattr(Interrupts, "test_%s" % _python, lambda self, python=_python: self.check(python))

if __name__ == "__main__":
    unittest.main()
