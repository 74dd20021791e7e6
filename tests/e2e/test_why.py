# SPDX-License-Identifier: GPL-3.0-or-later
"""The paths that `why` calls Python are: evaluated in the target, each gives the very object."""
import json
import random
import re
import unittest

import heap
import pythons
import support

SAMPLE = 3000 if support.LONG else 500

EVALUATE = """
import sys
wrong = []
for address, path in %r:
    try:
        found = eval(path, {"sys": sys})
        if id(found) != address:
            wrong.append((path, "is a " + type(found).__name__))
    except Exception as error:
        wrong.append((path, repr(error)))
print(wrong)
"""


class Paths(support.LiveTest):
    def test_paths_evaluate(self):
        for interpreter in pythons.supported():
            with self.subTest(python=interpreter.name), self.start("known_heap", interpreter=interpreter) as target:
                self.check(target)
                target.finish(self)

    def check(self, target):
        path = self.folder() + "/heap.jsonl"
        self.good(support.remora("dump", target, "-o", path))
        # What Python 3.15 imports lazily becomes another object when it is looked at.
        addresses = sorted(a for a, o in heap.Heap(path).objects.items() if "lazy" not in o["type"])
        addresses = random.Random(5).sample(addresses, min(SAMPLE, len(addresses)))
        lines = "\n".join("why --format json %d" % address for address in addresses)
        out, at, paths = self.good(support.remora("shell", path, stdin=lines.encode())).out, 0, []
        while out[at:].strip():
            at += len(out[at:]) - len(out[at:].lstrip())
            answer, at = json.JSONDecoder().raw_decode(out, at)
            first = answer["paths"][0]
            # A payload's own streams stand in for the program's while it runs.
            if first["python"] and re.match(r"sys\.(?!__dict__\['std(out|err)'\])", first["expression"]):
                paths.append((answer["address"], first["expression"]))
        self.assertGreater(len(paths), len(addresses) // 2)
        result = self.good(support.remora("run", target, "-", stdin=(EVALUATE % paths).encode()))
        self.assertEqual(result.out.strip(), "[]")


if __name__ == "__main__":
    unittest.main()
