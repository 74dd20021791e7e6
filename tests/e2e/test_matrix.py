# SPDX-License-Identifier: GPL-3.0-or-later
"""Every interpreter times sleeping, busy, blocked in accept, 50 threads: the main commands work, and
the target is unharmed by each."""
import os
import unittest

import heap
import pythons
import support


class Matrix(support.LiveTest):
    def commands(self, interpreter, kind):
        with support.Target(interpreter, kind) as target:
            with support.unharmed(self, target):
                result = self.good(support.remora("run", target, "-c", "print(1+1)"))
                self.assertEqual(result.out, "2\n", repr(result))
            file = os.path.join(self.folder(), "heap.jsonl")
            with support.unharmed(self, target):
                self.good(support.remora("dump", target, "-o", file))
            self.check_dump(interpreter, target, file)
            with support.unharmed(self, target):
                result = self.good(support.remora("summary", "--limit", "0", target))
                self.assertRegex(result.out, r"(?m)\bdict\b", repr(result))
            target.finish(self)

    def check_dump(self, interpreter, target, file):
        dump = heap.Heap(file)
        self.assertEqual(dump.header["pid"], target.pid)
        self.assertEqual(dump.header["python"].split("+")[0], "%d.%d.%d" % interpreter.version)
        self.assertIsNone(dump.trailer["partial"])
        self.assertGreater(len(dump.objects), 3000)
        self.assertEqual(os.stat(file).st_mode & 0o777, 0o600)
        kit, = dump.named("module", "kit")
        result = self.good(support.remora("summary", "--limit", "0", file))
        self.assertRegex(result.out, r"(?m)\bmodule\b")
        result = self.good(support.remora("referrers", file, kit["address"]))
        self.assertIn("dict", result.out, repr(result))
        result = self.good(support.remora("why", file, kit["address"]))
        self.assertIn("sys.modules['kit']", result.out, repr(result))


def case(interpreter, kind):
    return lambda self: self.commands(interpreter, kind)


for _interpreter in pythons.supported():
    for _kind in ("sleep", "busy", "accept", "threads"):
        setattr(Matrix, "test_%s_%s" % (_interpreter, _kind), case(_interpreter, _kind))


class Containers(support.LiveTest):
    """The same from outside: PID, mount, network and user namespaces of the target's own."""

    def check(self, interpreter, env):
        with support.Target(interpreter, "sleep", container=True, env=env) as target:
            with support.unharmed(self, target):
                self.assertEqual(self.good(support.remora("run", target, "-c", "print(1+1)")).out, "2\n")
            with support.unharmed(self, target):
                self.assertIn("dict", self.good(support.remora("summary", target)).out)

    def interpreters(self):
        found = [p for p in pythons.supported() if p.root]
        if os.getuid() != 0:
            support.skip("needs root to make namespaces")
        if not found:
            support.skip("tests/get-pythons has fetched no interpreter")
        return found

    def test_namespaces(self):
        for interpreter in self.interpreters():
            with self.subTest(case=interpreter):
                self.check(interpreter, {})

    def test_user_namespace(self):
        for interpreter in self.interpreters()[:2]:
            with self.subTest(case=interpreter):
                self.check(interpreter, {"CT_USER": "1"})


if __name__ == "__main__":
    unittest.main()
