# SPDX-License-Identifier: GPL-3.0-or-later
"""The paths that `why` calls Python are: evaluated in the target, each gives the very object."""
import json
import re
import unittest

import heap
import pythons
import support

EACH = 20 if support.LONG else 1

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


def of_each_kind(found):
    """Addresses of objects: EACH of every pair of types of which one refers to the other."""
    chosen, counts = {}, {}
    for holder in found.objects.values():
        for address in holder["refs"] + holder.get("hidden", []) + holder.get("keys", []):
            held = found.objects.get(address, {"type": "lazy"})
            kind = holder["type"], held["type"]
            # What Python 3.15 imports lazily becomes another object when it is looked at.
            if "lazy" not in held["type"] and counts.get(kind, 0) < EACH and address not in chosen:
                counts[kind] = counts.get(kind, 0) + 1
                chosen[address] = kind
    return list(chosen)


class Paths(support.LiveTest):
    def test_paths_evaluate(self):
        for interpreter in pythons.supported():
            with self.subTest(python=interpreter.name), self.start("known_heap", interpreter=interpreter) as target:
                self.check(target)
                target.finish(self)

    def check(self, target):
        path = self.folder() + "/heap.jsonl"
        self.good(support.remora("dump", target, "-o", path))
        addresses = of_each_kind(heap.Heap(path))
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
