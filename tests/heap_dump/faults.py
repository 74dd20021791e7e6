# SPDX-License-Identifier: GPL-3.0-or-later
"""faults.py DRIVER READER FILE: a dump of a heap in which an extension type's tp_traverse crashes, and
of values that must not be written."""
import ctypes
import gc
import json
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import walker

TP_TRAVERSE = 184


class Victim(object):
    def __init__(self, attribute=None):
        self.attribute = attribute




def lines(path):
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def traverse_of(cls):
    trace_refs = 16 if object.__basicsize__ == 32 else 0
    return ctypes.c_void_p.from_address(id(cls) + TP_TRAVERSE + trace_refs)


def link_of(o, link):
    """A pointer in the collector's head of an object: to the next (0) or the previous (1) head."""
    head = (16 if sys.version_info >= (3, 8) else 32) + (16 if object.__basicsize__ == 32 else 0)
    return ctypes.c_uint64.from_address(id(o) - head + 8 * link)


def damaged(w, path, link):
    """One of the collector's lists that leads back from its midst, forward or backward: what hangs on
    others is met all the same, and once."""
    keep = [[n] for n in range(100)]
    gc.collect()  # all of them on one list, in their order
    gc.disable()
    here, there = link_of(keep[50], link), link_of(keep[25 if link == 0 else 75], link)
    before, here.value = here.value, (there.value & ~3) | (here.value & 3)
    try:
        status, code, out = w.dump(path)
    finally:
        here.value = before
        gc.enable()
    assert (status, code) == (0, 0), (status, code, out)
    dumped = lines(path)
    assert "list of the garbage collector is damaged" in (dumped[-1]["partial"] or ""), dumped[-1]
    found = [o["address"] for o in dumped if "address" in o]
    assert len(set(found)) == len(found), "an object twice"
    assert {id(o) for o in keep} <= set(found), "lost"


def crash(w, path, address):
    """A tp_traverse at an address that is not mapped, or that never returns."""
    keep = [Victim() for _ in range(5)]
    after = [["after"], {"k": keep}]
    slot = traverse_of(Victim)
    gc.disable()  # this process must not run into it
    before, slot.value = slot.value, address
    try:
        status, code, out = w.dump(path)
    finally:
        slot.value = before
        gc.enable()
    dumped = lines(path)
    objects = {o["address"]: o for o in dumped if "address" in o}
    assert (status, code) == (0, 0), (status, code, out)
    assert "Victim" in dumped[-1]["partial"], dumped[-1]
    assert all(id(o) in objects for o in keep + after + [after]), "lost"
    assert objects[id(after)]["refs"] == [id(after[1]), id(after[0])]


def check_namespaces(path, victim):
    """Names of attributes, globals and modules stay when values do not."""
    dumped = lines(path)
    found = {o["address"]: o for o in dumped if "address" in o}
    shapes = {o["shape"]: o["names"] for o in dumped if "shape" in o and "address" not in o}
    for namespace, name in ((vars(sys.modules[__name__]), "['values']"), (sys.modules, "['sys']"),
                            (vars(victim), "['attribute']")):
        d = found[id(namespace)]
        if not d["refs"]:  # 3.13.0: the values are the instance's, and so are the names
            continue
        assert "shape" in d and name in shapes[d["shape"]], (name, list(namespace), d)


def values(w, path):
    secret = "se-cret-value-%d" % os.getpid()
    keep = [secret, secret.encode(), {secret + "-key": 314159265358979}, 2.718281828]
    victim = Victim("x")
    keep.append(vars(victim))
    w.dump(path, "none")
    with open(path, "rb") as file:
        text = file.read()
    for part in (secret.encode(), b"314159265358979", b"2.718281828"):
        assert part not in text, part
    check_namespaces(path, victim)
    long = secret * 1000 + "\u20ac"
    w.dump(path, "full")
    found = {o["address"]: o for o in lines(path) if "address" in o}
    assert found[id(long)]["value"] == long
    assert found[id(keep[3])]["value"] == 2.718281828
    huge = "x" * (1 << 20) + "\u20ac"
    w.dump(path, "full")
    found = {o["address"]: o for o in lines(path) if "address" in o}
    assert found[id(huge)]["value"] == huge and found[id(huge)]["len"] == len(huge)


def in_place(w, path):
    status, code, _ = w.dump(path, in_place=True)
    assert (status, code) == (0, 0)
    assert lines(path)[-1]["partial"] is None


def meliae(w, path):
    keep = ["text", [1, 2]]
    status, code, _ = w.dump(path, extra=["meliae"])
    assert (status, code) == (0, 0)
    found = {o["address"]: o for o in lines(path)}
    assert list(found[id(keep)]) == ["address", "type", "size", "len", "refs"]
    with open(path, encoding="utf-8") as file:
        text = file.read()
    assert '{"address": %d, "type": "str", "size": %d, "len": 4, "value": "text", "refs": []}\n' % (
        id(keep[0]), sys.getsizeof(keep[0])) in text
    assert '{"address": %d, "type": "list", "size": %d, "len": 2, "refs": [%d, %d]}\n' % (
        id(keep), sys.getsizeof(keep), id(keep[1]), id(keep[0])) in text


def main():
    driver, reader, path = sys.argv[1:4]
    w = walker.Walker(driver, reader)
    crash(w, path, 4096)
    damaged(w, path, 0)
    damaged(w, path, 1)
    values(w, path)
    in_place(w, path)
    meliae(w, path)
    print("%s: faults survived, values withheld" % sys.version.split()[0])


if __name__ == "__main__":
    main()
