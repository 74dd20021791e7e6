# SPDX-License-Identifier: GPL-3.0-or-later
"""The tests can fail: without the search for a safe point, targets that allocate and that fork come to
harm, and the same checks see it. Needs the build with REMORA_UNSAFE_TEST=ON (REMORA_UNSAFE_BUILD).

What bites: the borrowed thread calls pthread_create, which allocates where no cached stack serves,
and waits for a lock of the C library that it holds itself. So each attach goes to a fresh target, one
that has had a thread (else the C library takes no locks), with one thread that does little else."""
import pathlib
import unittest

import pythons
import support

TARGETS = 40


class Bite(support.LiveTest):
    def setUp(self):
        if not support.UNSAFE_BUILD:
            support.skip("REMORA_UNSAFE_BUILD is not set: a build with -DREMORA_UNSAFE_TEST=ON")
        self.binary = support.find_binary(pathlib.Path(support.UNSAFE_BUILD))

    def attach(self, kind, environment):
        """One attach to a fresh target: was the thread caught in a lock, and what harm came of it?"""
        with support.Target(pythons.main(), kind) as target:
            before = support.Snapshot(target)
            result = support.remora("run", target, "-c", "pass", binary=self.binary, env=environment)
            caught = "lock" in result.err
            try:
                support.assert_unharmed(self, target, before)
            except AssertionError as error:
                return caught, str(error)
            return caught, None

    def bites(self, kind):
        for number in range(TARGETS):
            _, harm = self.attach(kind, {"REMORA_UNSAFE": "1"})
            if harm:
                print("%s: target %d was harmed" % (kind, number + 1), flush=True)
                break
        else:
            self.fail("%d fresh %s targets, and none was harmed" % (TARGETS, kind))
        # The same build with the search on, and as many targets as it took, three times over.
        for _ in range(3 * (number + 1)):
            self.assertEqual(self.attach(kind, {}), (False, None))

    def test_allocating(self):
        self.bites("malloc_c1")

    def test_forking(self):
        self.bites("forks_quick")

    def test_rescue(self):
        """A thread that was caught all the same is brought back: the target works on."""
        for _ in range(TARGETS):
            with support.Target(pythons.main(), "malloc_c1") as target:
                result = support.remora("run", target, "-c", "pass", binary=self.binary,
                                        env={"REMORA_UNSAFE": "1"})
                ticks = target.report()["ticks"]
                support.wait_for(lambda: target.report()["ticks"] > ticks, target.condition(), 20)
                self.assertEqual(target.report()["bad"], [])
                target.finish(self)
            if "lock" in result.err:
                self.assertEqual(result.status, 4, repr(result))
                return
        self.fail("%d fresh targets, and none was caught in a lock" % TARGETS)


if __name__ == "__main__":
    unittest.main()
