# SPDX-License-Identifier: GPL-3.0-or-later
"""The tests can fail: without the search for a safe point, targets that allocate and that fork come to
harm, and the same checks see it. Needs the build with REMORA_UNSAFE_TEST=ON (REMORA_UNSAFE_BUILD)."""
import pathlib
import time
import unittest

import pythons
import support

TRIES = 200
SECONDS = 120


class Bite(support.LiveTest):
    def harm(self, kind):
        """Attaches once to one fresh target after the other, until one is harmed; how many it took.
        (Only the first attaches to a process make the C library allocate.)"""
        if not support.UNSAFE_BUILD:
            support.skip("REMORA_UNSAFE_BUILD is not set: a build with -DREMORA_UNSAFE_TEST=ON")
        binary = support.find_binary(pathlib.Path(support.UNSAFE_BUILD))
        end = time.monotonic() + SECONDS
        for number in range(TRIES):
            with support.Target(pythons.main(), kind, env={"MALLOC_ARENA_MAX": "1"}) as target:
                before = support.Snapshot(target)
                for _ in range(5):
                    result = support.remora("run", target, "-c", "pass", binary=binary,
                                            env={"REMORA_UNSAFE": "1"})
                    try:
                        support.assert_unharmed(self, target, before, 1.0)
                    except AssertionError as error:
                        print("%s harmed on target %d: %s" % (kind, number + 1, str(error)[:300]), flush=True)
                        return number + 1
                    if result.status:
                        break
            if time.monotonic() > end:
                break
        self.fail("%d fresh %s targets, and none was harmed" % (number + 1, kind))

    def test_allocating(self):
        self.harm("malloc1")

    def test_forking(self):
        self.harm("forks")


if __name__ == "__main__":
    unittest.main()
