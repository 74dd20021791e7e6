# SPDX-License-Identifier: GPL-3.0-or-later
"""The statically linked remora is one file: copied into a container that has none of its libraries,
and a C library of another age, it does there all that it does elsewhere."""
import json
import os
import shutil
import unittest

import heap
import pythons
import support


class Portable(unittest.TestCase):
    def setUp(self):
        if os.getuid() != 0:
            support.skip("needs root")
        build = os.environ.get("REMORA_STATIC_BUILD")
        if not build:
            support.skip("REMORA_STATIC_BUILD names no build with -DREMORA_STATIC=ON")
        self.binary = os.path.join(build, "cli", "remora")

    def good(self, result):
        self.assertEqual(result.status, 0, result)
        return result.out

    def live_in(self, interpreter):
        """All of it inside the container of one target."""
        here, there = interpreter.folder()
        shutil.copy(self.binary, here)
        with support.Target(interpreter, "known_heap", container=True) as target:
            enter = ("nsenter", "-t", str(target.pid), "--mount", "--pid", "--net", "--root", "--wd")

            def ask(*args):
                return self.good(support.remora(*args, prefix=enter, binary=there + "/remora"))

            dump = there + "/dump.jsonl.zst"
            self.assertIn("root", ask("ps"))
            with support.unharmed(self, target):
                self.assertEqual(ask("run", "1", "-c", "print(6 * 7)"), "42\n")
            with support.unharmed(self, target):
                ask("dump", "1", "-o", dump)
            types = json.loads(ask("summary", dump, "--format", "json", "--limit", "0"))["types"]
            self.assertIn("dict", [row["type"] for row in types])
            nodes = json.loads(ask("objects", dump, "--type", "module", "--format", "json"))
            self.assertTrue(nodes)
            self.assertEqual(json.loads(ask("sql", dump, "select count(*) as n from types", "--format",
                                            "json"))[0]["n"], len(types))
            target.finish(self)


def trees():
    """One tree of each C library among the interpreters fetched."""
    seen = {}
    for interpreter in pythons.supported():
        if interpreter.root and not interpreter.debug:
            seen.setdefault(interpreter.name.split("-")[0], interpreter)
    return seen


for _suite, _interpreter in trees().items():
    setattr(Portable, "test_in_" + _suite,
            lambda self, interpreter=_interpreter: self.live_in(interpreter))
