# SPDX-License-Identifier: GPL-3.0-or-later
"""Running a payload makes no interpreter intern a string that it does not have already.

Each such string takes a slot of the table of interned strings, which is not given back, and a full
table is built anew, in the malloc arena of the agent's thread: attach after attach the program grows.
"""
import json
import os
import re
import subprocess
import unittest

import pythons
import support

AGENT = support.ROOT / "inject" / "agent"
# What compiling a source interns. A string is interned if interning a copy of it gives the very string.
COMPILE = """
import ast, json, sys

def strings(value):
    if isinstance(value, str):
        yield value
    elif isinstance(value, (tuple, list, frozenset)):
        for member in value:
            yield from strings(member)
    elif isinstance(value, ast.AST):
        for _, member in ast.iter_fields(value):
            yield from strings(member)
    elif hasattr(value, "co_code"):
        for name in dir(value):
            if name.startswith("co_"):
                yield from strings(getattr(value, name))

source = sys.stdin.buffer.read().decode()
found = list(strings(compile(source, sys.argv[1], "exec", 0, True))) + list(strings(ast.parse(source)))
print(json.dumps(sorted({text for text in found if sys.intern(text[:1] + text[1:]) is text})))
"""
# Which of the words that it reads are not interned. Its own names are of one letter: such strings are
# kept by Python in any case, once they were there. Beside -S -E a script's file: -c would bring "<string>".
ASK = ("import sys as s\nfor x in s.stdin.buffer.read().decode().split():\n"
       " if s.intern(x) is x and len(x) > 1: s.stdout.write(x + '\\n')")
# How many blocks 60 compilations of a source leave allocated. Python 3.11 and 3.12 put tuples of 20 items
# on a list of free ones and never take them from it.
LEAVE = """
import sys
source, blocks = sys.stdin.buffer.read().decode(), []
for _ in range(2):
    for _ in range(60):
        compile(source, "<unknown>", "exec", 0, True)
    blocks.append(sys.getallocatedblocks())
print(blocks[1] - blocks[0])
"""
NEW = "no_python_has_this_name"


class Interned(support.LiveTest):
    def output(self, interpreter, given, *line):
        done = subprocess.run(interpreter.command + list(line), input="\n".join(given).encode(),
                              stdout=subprocess.PIPE, timeout=support.DEADLINE, check=True)
        return done.stdout.decode()

    def interned_by(self, interpreter, source, name):
        return set(json.loads(self.output(interpreter, [source], "-W", "ignore", "-c", COMPILE, name)))

    def not_there(self, interpreter, words):
        """Those of words that the interpreter has not interned after the least start that there is."""
        folder, there = interpreter.folder()
        with open(os.path.join(folder, "ask.py"), "w") as file:
            file.write(ASK)
        return set(self.output(interpreter, words, "-S", "-E", os.path.join(there, "ask.py")).split())

    def test_payloads_bring_no_new_names(self):
        source = (AGENT / "runner.py").read_text()
        c = (AGENT / "python.c").read_text()
        name = re.search(r'\(rmr_runner_source, "(.*)"', c).group(1)
        keys = set(re.findall(r'\(dict, "(\w+)"', c))
        self.assertTrue({"ns", "fd", "args", "source"} <= keys, keys)
        for interpreter in pythons.supported():
            with self.subTest(interpreter=interpreter.name):
                names = self.interned_by(interpreter, source, name) | self.interned_by(interpreter, "pass", "<string>")
                # What makes names is looked at, and a new one is found.
                self.assertTrue({"stream", "state", "getrefcount", "backslashreplace", "encoding"} <= names, names)
                more = self.interned_by(interpreter, "def %s():\n    def f(): pass\n" % NEW, NEW + "_file")
                self.assertIn(NEW, more)
                if interpreter.version >= (3, 13):
                    self.assertTrue({NEW + ".<locals>.f", NEW + "_file"} <= more)
                self.assertEqual(self.not_there(interpreter, names | keys | {NEW}), {NEW})

    def test_compiling_leaves_nothing(self):
        source = (AGENT / "runner.py").read_text()
        for interpreter in pythons.supported():
            if interpreter.version[:2] in ((3, 11), (3, 12)):
                with self.subTest(interpreter=interpreter.name):
                    self.assertLess(int(self.output(interpreter, [source], "-c", LEAVE)), 20)
                    names = ["n%d" % n for n in range(20)]
                    self.assertGreater(int(self.output(interpreter, names, "-c", LEAVE)), 40)


if __name__ == "__main__":
    unittest.main()
