# SPDX-License-Identifier: GPL-3.0-or-later
"""A dump is true: size, type, len and refs of every object are what the interpreter itself says, and
paths are what Python would write."""
import ast
import os
import re
import unittest

import heap
import pythons
import support


class Truth(support.LiveTest):
    def told(self, target):
        """What truth.py says in the target: address -> (type, module, size, len, referents)."""
        result = self.good(support.remora("run", target, pythons.TARGETS / "truth.py"))
        return {row[0]: row[1:] for row in map(ast.literal_eval, result.out.splitlines())}

    def check_objects(self, interpreter):
        with support.Target(interpreter, "known_heap") as target:
            file = os.path.join(self.folder(), "heap.jsonl")
            before = support.Snapshot(target)
            first = self.told(target)
            self.good(support.remora("dump", target, "-o", file))
            second = self.told(target)
            support.assert_unharmed(self, target, before)
            target.finish(self)
        dump = heap.Heap(file)
        wrong, compared, other = [], 0, []
        for address, facts in first.items():
            if second.get(address) != facts or facts[2] is None:
                continue  # changed by the payload's own run
            kind, module, size, length, referents = facts
            found = dump.objects.get(address)
            if found is None:
                wrong.append("%#x: %s.%s is not in the dump" % (address, module, kind))
                continue
            compared += 1
            pairs = [("type", kind), ("size", size), ("refs", referents)]
            if length is not None:
                pairs.append(("len", length))
            for key, value in pairs:
                if found.get(key) != value:
                    where = wrong if module == "builtins" else other
                    where.append("%#x: %s of a %s.%s: dumped %s, is %s" % (
                        address, key, module, kind, found.get(key), value))
        self.assertGreater(compared, 3000)
        self.assertFalse(wrong, "%d of %d wrong on %s\n%s" % (
            len(wrong), compared, interpreter, "\n".join(sorted(wrong, key=lambda w: w[16:])[:25])))
        self.assertFalse(other, "%d of %d wrong (not built in) on %s\n%s" % (
            len(other), compared, interpreter, "\n".join(sorted(other, key=lambda w: w[16:])[:25])))

    def check_paths(self, interpreter):
        with support.Target(interpreter, "known_heap") as target:
            file = os.path.join(self.folder(), "heap.jsonl")
            with support.unharmed(self, target):
                self.good(support.remora("dump", target, "-o", file))
            paths, local = target.facts["paths"], target.facts["local"]
        for path, address in sorted(paths.items()):
            with self.subTest(path=path):
                result = self.good(support.remora("why", file, address))
                self.assertRegex(result.out, r"(?m)(^|\s)%s(\s|$)" % re.escape(path))
        with self.subTest(path="a local"):
            result = self.good(support.remora("why", file, local))
            self.assertRegex(result.out, r"local_list\[1\]")
            self.assertIn("rest", result.out)


def objects(interpreter):
    return lambda self: self.check_objects(interpreter)


def paths(interpreter):
    return lambda self: self.check_paths(interpreter)


for _interpreter in pythons.supported():
    setattr(Truth, "test_objects_%s" % _interpreter, objects(_interpreter))
    setattr(Truth, "test_paths_%s" % _interpreter, paths(_interpreter))

if __name__ == "__main__":
    unittest.main()
