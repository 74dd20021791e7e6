# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked of a dump: each query as a command, and many of them inside one shell."""
import contextlib
import json
import os
import random

from measure import Row

SUFFIXES = (".remora-index", ".remora-index-dominators")


def forget(dump, suffixes=SUFFIXES):
    for suffix in suffixes:
        with contextlib.suppress(OSError):
            os.unlink(dump + suffix)


def some_addresses(dump, count):
    """Addresses of records at places that are the same in every run."""
    rand, found = random.Random(6), []
    with open(dump, "rb") as lines:
        size = os.path.getsize(dump)
        while len(found) < count:
            lines.seek(rand.randrange(size))
            lines.readline()
            line = lines.readline()
            if line.startswith(b'{"address"'):
                found.append(json.loads(line)["address"])
    return found


LOAD = '''
import json, sys
referrers = {}
with open(sys.argv[1], "rb") as lines:
    for line in lines:
        record = json.loads(line)
        for reference in record.get("refs", ()):
            referrers.setdefault(reference, []).append(record.get("address"))
'''


def first_load(remora, dump, address):
    return Row("load, first time (referrers)", [remora, "referrers", dump, address],
               before=lambda: forget(dump), live=False)


def dominators(remora, dump):
    return Row("dominators, computed", [remora, "dominators", dump],
               before=lambda: forget(dump, SUFFIXES[1:]), live=False)


def commands(remora, dump, other, address, python=None):
    """Rows of one command each; address: the object asked about. python: also loads the dump by
    json.loads there."""

    def ask(name, *words):
        return Row(name, [remora, words[0], dump] + list(words[1:]), live=False)

    rows = [
        first_load(remora, dump, address),
        ask("open again (summary)", "summary"),
        ask("children", "children", address),
        ask("referrers", "referrers", address),
        ask("why", "why", address),
        ask("tree", "tree", address),
        ask("tree --up", "tree", "--up", address),
        ask("objects", "objects"),
        ask("objects --type", "objects", "--type", "str"),
        dominators(remora, dump),
        ask("dominators, kept", "dominators"),
        ask("show", "show", address),
        ask("groups --by type", "groups", "--by", "type"),
        ask("groups --by owner", "groups", "--by", "owner"),
        ask("diff", "diff", other),
        ask("leaks", "leaks", other),
        ask("waste", "waste"),
        ask("cycles", "cycles"),
        ask("sql: by type", "sql", "select count(*), sum(size) from objects where type = 'float'"),
    ]
    if python:
        rows.append(Row("python: json.loads, referrers", [python, "-c", LOAD, dump], rows[0].name,
                        live=False))
    return rows


def in_shell(remora, folder, dump, address):
    """Rows of queries inside `remora shell`: the time of one among many."""
    addresses = some_addresses(dump, 2000)
    rows = []
    for name, times in (("referrers", 2000), ("children", 2000), ("show", 2000), ("why", 200),
                        ("summary", 200), ("objects", 20), ("dominators", 20)):
        of_object = name in ("referrers", "children", "show", "why")
        lines = ["%s %d" % (name, a) if of_object else name for a in addresses[:times]]
        script = os.path.join(folder, "shell-%s" % name)
        with open(script, "w") as file:
            file.write("\n".join(lines) + "\n")
        run = ["sh", "-c", 'exec "$0" shell -k "$1" <"$2"', remora, dump]
        with open(script + "-1", "w") as file:
            file.write(lines[0] + "\n")
        rows.append(Row("shell: " + name, run + [script + "-1"], null=True, live=False,
                        many=(run + [script], times)))
    return rows
