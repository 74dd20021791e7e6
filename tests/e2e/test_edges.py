# SPDX-License-Identifier: GPL-3.0-or-later
"""Threads that must not be borrowed: the target lives on, and remora says why it does not attach."""
import resource
import shutil
import subprocess
import unittest

import pythons
import support

STACK = 512 << 10
STRANGE = "strange"


def strange(*args):
    return support.Kind(STRANGE, support.HELPERS, *args, reports=False, vary="state")


class Edges(support.LiveTest):
    def test_end_of_the_stack(self):
        """The main thread's stack grows, but not beyond RLIMIT_STACK: what is left must be enough."""
        old = resource.getrlimit(resource.RLIMIT_STACK)
        resource.setrlimit(resource.RLIMIT_STACK, (STACK, old[1]))
        try:
            results = set()
            # From too little for a signal frame, through too little for pthread_create, to enough.
            for left in list(range(2500, 12000, 500)) + [24000]:
                with self.start(strange("rmr_wait_deep", left)) as target:
                    result = support.remora("run", "--timeout", "0.5", target, "-c", "print(1)")
                    self.assertTrue(target.alive(), "%d: %s" % (left, target.condition()))
                    if result.status:
                        self.refused(result, 3, "short of stack")
                    results.add(result.status)
            self.assertEqual(results, {0, 3})
        finally:
            resource.setrlimit(resource.RLIMIT_STACK, old)

    def test_thread_that_is_not_the_librarys(self):
        with self.start(strange("rmr_wait_as_stranger")) as target:
            self.refused(support.remora("run", target, "-c", "print(1)"), 3, "emulator")
            self.assertTrue(target.alive(), target.condition())

    def test_valgrind(self):
        if not shutil.which("valgrind"):
            support.skip("no valgrind", impossible_in_ci=True)
        process = subprocess.Popen(
            ["valgrind", "-q"] + pythons.main().command +
            ["-c", "import time\nprint(1, flush=True)\nwhile True: time.sleep(0.1)"],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        with process:
            try:
                self.assertEqual(process.stdout.readline(), b"1\n")
                self.refused(support.remora("run", process.pid, "-c", "pass"), 3, "emulator")
                self.assertIsNone(process.poll())
            finally:
                process.kill()


if __name__ == "__main__":
    unittest.main()
