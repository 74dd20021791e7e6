# SPDX-License-Identifier: GPL-3.0-or-later
"""`leaks` names leaks of many shapes, first of all suspects, and names none in a healthy program."""
import json
import os
import subprocess
import unittest

import pythons
import support

MORE = 300

# Shape: the path of the first suspect, or how it starts.
SHAPES = {
    "tuple_keys": "sys.modules['__main__'].CACHE",
    "class_attribute": "sys.modules['__main__'].Registry.items",
    "lru_cache": "sys.modules['__main__'].compute.<cache>",
    "handlers": "sys.modules['__main__'].LOG.handlers",
    "thread_local": "sys.modules['__main__'].LOCAL.",
    "tasks": "sys.modules['__main__'].TASKS",
    "deque": "sys.modules['__main__'].QUEUE",
    "cycles": "<unreachable>",
    "generators": "sys.modules['__main__'].GENERATORS",
    "exceptions": "sys.modules['__main__'].ERRORS",
    "defaults": "sys.modules['__main__'].default_argument.__defaults__[0]",
    "closure": "sys.modules['__main__'].CLOSURE.__closure__[0].cell_contents",
    "attributes": "sys.modules['__main__'].ATTRIBUTES.__dict__",
    "callbacks": "sys.modules['__main__'].CALLBACKS",
    "linked_list": "sys.modules['__main__'].HEAD",
    "module_globals": "sys.modules['__main__'].__dict__",
    "class_dict": "sys.modules['__main__'].Registry.__dict__",
    "long_string": "sys.modules['__main__'].CACHE['text']",
    "buffer": "sys.modules['__main__'].BUFFER",
    "nested": "sys.modules['__main__'].NESTED",
    "ordered_dict": "sys.modules['__main__'].ORDERED",
    "grouped": "sys.modules['__main__'].GROUPED['key']",
    "at_exit": "<held by C code>",
    "threads": "<threads>",
}


class Leaks(support.LiveTest):
    def grow(self, target, shape):
        target.stdin.write("%s %d\n" % (shape, MORE))
        target.stdin.flush()
        self.assertEqual(target.stdout.readline(), "OK\n")

    def dumps(self, shape, count):
        """Dumps of a program between which the shape leaks."""
        folder, files = self.folder(), []
        command = pythons.main().command + [str(pythons.TARGETS / "leak_shapes.py")]
        target = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, universal_newlines=True)
        try:
            self.assertEqual(target.stdout.readline(), "READY\n")
            for number in range(count):
                if number:
                    self.grow(target, shape)
                files.append(os.path.join(folder, "%d.jsonl" % number))
                self.good(support.remora("dump", str(target.pid), "-o", files[-1]))
        finally:
            target.kill()
            target.communicate()
        return files

    def suspects(self, files):
        return json.loads(self.good(support.remora("leaks", "--format", "json", *files)).out)

    def test_shapes(self):
        for shape, path in SHAPES.items():
            files = self.dumps(shape, 3)
            for count in (2, 3):
                with self.subTest(shape=shape, dumps=count):
                    found = self.suspects(files[:count])
                    self.assertTrue(found, "no suspect")
                    self.assertTrue(found[0]["path"].startswith(path), [s["prose"] for s in found])

    def test_strings_are_replaced(self):
        """A string that gets longer is another one in each dump."""
        files = self.dumps("long_string", 4)
        for first in (0, 1):
            found = self.suspects(files[first:])
            self.assertIn("It took the place of a smaller one from dump to dump, and keeps 585.9 KiB more than the "
                          "first.", found[0]["prose"])
        self.assertIn("It is new since the first dump.", self.suspects(files[:2])[0]["prose"])

    def test_caches_turn_over(self):
        """What comes and goes in a bounded cache of the library, which grew as a table, is no growth."""
        files = self.dumps("regexes", 4)
        self.assertEqual(self.suspects(files[1:]), [])

    def test_two_in_one_module(self):
        """One is not taken for another like it."""
        files = self.dumps("two_places", 2)
        for count in (1, 2):
            with self.subTest(dumps=count):
                found = {s["path"] for s in self.suspects(files[2 - count:])}
                self.assertLessEqual({"sys.modules['__main__'].CACHE", "sys.modules['__main__'].QUEUE"}, found)

    def test_two_indexes_of_the_same_objects(self):
        """Neither keeps them alive: what holds both is the suspect, and both are told."""
        found = self.suspects(self.dumps("two_indexes", 2))
        self.assertEqual(found[0]["path"], "sys.modules['__main__'].INDEX")
        for name in ("by_number", "by_body"):
            self.assertIn("sys.modules['__main__'].INDEX.%s by %d objects" % (name, MORE), found[0]["prose"])

    def test_healthy(self):
        files = self.dumps("nothing", 4)
        for count in (2, 3, 4):
            with self.subTest(dumps=count):
                self.assertEqual(self.suspects(files[:count]), [])


if __name__ == "__main__":
    unittest.main()
