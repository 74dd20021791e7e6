# SPDX-License-Identifier: GPL-3.0-or-later
"""What one has without remora: Python itself, gdb, objgraph, and the peers whose path is given.

What runs in the target is carried there by `remora run`, which costs it about 5 ms; a baseline that
says INSIDE tells the seconds that its own work took, and is compared by these.
"""
import os
import shutil

from measure import Row

HEAD = "import gc, sys, time\nstarted = time.perf_counter()\n"
TAIL = "print('INSIDE', time.perf_counter() - started)\n"
# The object that the target's address stands for, found without a search.
OBJECT = '''
import ctypes
x = ctypes.cast(%d, ctypes.py_object).value
started = time.perf_counter()
'''

TRACKED = '''
total = sum(sys.getsizeof(o, 0) for o in gc.get_objects())
'''
WALK = '''
seen, todo, total = set(), gc.get_objects(), 0
while todo:
    o = todo.pop()
    if id(o) not in seen:
        seen.add(id(o))
        total += sys.getsizeof(o, 0)
        todo += gc.get_referents(o)
del seen, todo
'''
WALK_JSON = '''
import json
seen, todo = set(), gc.get_objects()
with open(argv[1], "w") as out:
    while todo:
        o = todo.pop()
        if id(o) not in seen:
            seen.add(id(o))
            refs = gc.get_referents(o)
            out.write(json.dumps({"address": id(o), "type": type(o).__name__,
                                  "size": sys.getsizeof(o, 0), "refs": [id(r) for r in refs]}) + "\\n")
            todo += refs
del seen, todo
'''
TRACEMALLOC = '''
import tracemalloc
tracemalloc.take_snapshot().statistics("lineno")
'''
OBJGRAPH = '''
import objgraph
objgraph.most_common_types(limit=20)
'''
BACKREFS = '''
import objgraph
started = time.perf_counter()
objgraph.find_backref_chain(x, objgraph.is_proper_module)
'''
REFERRERS = "gc.get_referrers(x)\n"

# NAME: what --peer NAME=PATH is, and the script that runs in the target with PATH on sys.path; None
# where the peer is a program. MODULE in the scripts is the folder.
IN_TARGET = {
    "meliae": ('''
from meliae import scanner
started = time.perf_counter()
scanner.dump_all_objects(argv[1])
''', True),
    "guppy3": ('''
from guppy import hpy
started = time.perf_counter()
str(hpy().heap())
''', False),
    "pympler": ('''
from pympler import muppy, summary
started = time.perf_counter()
summary.summarize(muppy.get_objects())
''', False),
}
PROGRAMS = {
    "pyheap": (["{path}", "--pid", "{pid}", "--file", "{file}"], "remora dump"),
    "memray": (["{path}", "attach", "-f", "-o", "{file}", "{pid}"], "remora run -c pass"),
    "py-spy": (["{path}", "dump", "--pid", "{pid}"], "remora run -c pass"),
}
PEERS = sorted(list(IN_TARGET) + list(PROGRAMS))


class Kit:
    """Makes the rows of baselines. folder: ours and the target's path of a place for scripts."""

    def __init__(self, remora, folder, tell):
        self.remora, self.folder, self.tell = remora, folder, tell

    def script(self, name, text):
        path = os.path.join(self.folder, name + ".py")
        with open(path, "w") as file:
            file.write(HEAD + text + TAIL)
        return path

    def run(self, target, name, text, versus, *args, partial=False):
        key = "".join(c if c.isalnum() else "-" for c in name)
        return Row(name, [self.remora, "run", target.pid, self.script(key, text)] + list(args), versus,
                   partial=partial)

    def walks(self, target, dump, which=("tracked", "walk", "json")):
        rows = [("tracked", "python: gc.get_objects + getsizeof", TRACKED, ()),
                ("walk", "python: walk + getsizeof", WALK, ()),
                ("json", "python: walk + json", WALK_JSON, (target.file("walk.json"),))]
        return [self.run(target, name, text, "remora dump", *args, partial=key != "json")
                for key, name, text, args in rows if key in which]

    def questions(self, target):
        """Python's own answers to referrers and why, while the target lives."""
        at = OBJECT % target.facts["address"]
        rows = [self.run(target, "python: gc.get_referrers", at + REFERRERS, "referrers")]
        if target.interpreter.has("objgraph"):
            rows.append(self.run(target, "objgraph.find_backref_chain", at + BACKREFS, "why"))
        return rows

    def objgraph(self, target):
        if target.interpreter.has("objgraph"):
            return [self.run(target, "objgraph.most_common_types", OBJGRAPH, "remora dump", partial=True)]
        self.tell("skipped: objgraph (python3-objgraph) is not installed for " + target.python)
        return []

    def gdb(self, target):
        if not shutil.which("gdb"):
            self.tell("skipped: gdb is not installed")
            return []
        return [Row("gdb: call into the target", [
            "gdb", "-p", target.pid, "-batch", "-ex", "set debuginfod enabled off",
            "-ex", "call (int)PyGILState_Ensure()", "-ex", "call (int)PyRun_SimpleString(\"pass\")",
            "-ex", "call (void)PyGILState_Release($1)"], "remora run -c pass")]

    def tracemalloc(self, target):
        return [self.run(target, "python: tracemalloc snapshot", TRACEMALLOC, "remora dump", partial=True)]

    def peer(self, target, name, path):
        """The row of one peer."""
        file = target.file(name + ".out")
        if name in IN_TARGET:
            text, writes = IN_TARGET[name]
            text = "sys.path.insert(0, %r)\n%ssys.path.pop(0)\n" % (path, text.lstrip())
            return self.run(target, name, text, "remora dump", *([file] if writes else []))
        words, versus = PROGRAMS[name]
        command = [word.format(path=path, pid=target.pid, file=file) for word in words]
        if command[0].endswith(".py"):
            command[:0] = target.interpreter.command
        return Row(name, command, versus, output=file if "{file}" in words else None)


def parse_peers(words):
    """{name: path} of NAME=PATH words."""
    given = {}
    for word in words:
        name, equals, path = word.partition("=")
        if name not in PEERS or not equals or not os.path.exists(path):
            raise SystemExit("bench: --peer %s: want NAME=PATH of an existing file or folder, NAME of %s"
                             % (word, ", ".join(PEERS)))
        given[name] = os.path.abspath(path)
    return given
