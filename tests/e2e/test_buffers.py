# SPDX-License-Identifier: GPL-3.0-or-later
"""Small views that keep large buffers alive: whose bytes they show, how many, who owns them, and how the
owner is reached. (That each record is what the interpreter says is shown by tests/heap_dump/buffers.py.)"""
import json
import os
import platform
import unittest

import heap
import pythons
import support
import test_places

# Python has no attribute for the bytes object of a BytesIO.
NO_PATH = ("BytesIO",)


class Buffers(support.LiveTest):
    def ask(self, path, questions):
        """What one shell answers: a JSON value for each question."""
        lines = "\n".join("%s --format json" % question for question in questions)
        out, at, answers = self.good(support.remora("shell", path, stdin=lines.encode())).out, 0, []
        while out[at:].strip():
            at += len(out[at:]) - len(out[at:].lstrip())
            answer, at = json.JSONDecoder().raw_decode(out, at)
            answers.append(answer)
        self.assertEqual(len(answers), len(questions), out[:2000])
        return answers

    def check(self, interpreter, with_numpy=False):
        with support.Target(interpreter, support.Kind("buffers")) as target:
            path = os.path.join(self.folder(), "heap.jsonl")
            with support.unharmed(self, target):
                self.good(support.remora("dump", target, "-o", path))
            facts = target.facts
            self.assertTrue(facts["numpy"] or not with_numpy)
            dump, views = heap.Heap(path), facts["views"]
            asked = ["waste --limit 0"] + ["show %d" % view["view"] for view in views.values()]
            waste, *shown = self.ask(path, asked)
            rows = {row["example"]: row for row in waste["worst"] if row["kind"] == "buffers pinned by views"}
            paths = self.ask(path, ["why %d" % answer["owner"] for answer in shown])
            python = {}
            for (name, view), answer, why in zip(views.items(), shown, paths):
                with self.subTest(view=name):
                    self.check_view(dump, rows, view, answer)
                    expression = why["paths"][0]["expression"]
                    self.assertTrue(expression.startswith("sys.modules['__main__'].PINNED["), expression)
                    self.assertEqual(why["paths"][0]["python"], name not in NO_PATH, expression)
                    if name not in NO_PATH:
                        python[answer["owner"]] = expression
            self.assertNotIn(facts["kept"], rows)
            self.assertNotIn(facts["most"], rows)
            code = "import sys; print([%s])" % ", ".join("id(%s)" % e for e in python.values())
            self.assertEqual(json.loads(self.good(support.remora("run", target, "-c", code)).out), list(python))
            target.finish(self)

    def own(self, dump, address):
        return dump.objects[address]["size"] + dump.objects[address].get("owned", 0)

    def check_view(self, dump, rows, facts, shown):
        owner = shown["owner"]
        record = dump.objects[owner]
        total = facts["bytes"] or record["len"]
        self.assertEqual(shown["buffer"], facts["shown"])
        self.assertEqual(record["type"], facts["type"])
        if facts["owner"]:
            self.assertEqual(owner, facts["owner"])
        self.assertEqual(record.get("buffer", record.get("len")), total)
        # The owner's own memory holds the bytes, the view's does not, and all of it goes with the view.
        own, view = self.own(dump, owner), self.own(dump, facts["view"])
        self.assertTrue(total <= own < total + 1000, own)
        self.assertLess(view, 1000)
        self.assertGreaterEqual(shown["retained"], own + view)
        self.assertLess(shown["retained"], total + 20000)
        self.assertEqual((rows[owner]["bytes"], rows[owner]["count"]), (total - facts["shown"], 1))
        self.assertIn("at %#x" % facts["view"], rows[owner]["what"])

    def test_numpy(self):
        libraries = "LD_LIBRARY_PATH=" + ":".join("/usr/lib/%s-linux-gnu/%s" % (platform.machine(), name)
                                                  for name in ("blas", "lapack"))
        test_places.apps().target("buffers")
        self.check(test_places.Program("numpy", "/usr/bin/python3.11", env=(libraries,)), with_numpy=True)


def check(interpreter):
    return lambda self: self.check(interpreter)


for _interpreter in pythons.supported():
    setattr(Buffers, "test_%s" % _interpreter, check(_interpreter))

if __name__ == "__main__":
    unittest.main()
