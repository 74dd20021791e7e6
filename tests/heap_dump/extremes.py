# SPDX-License-Identifier: GPL-3.0-or-later
"""extremes.py DRIVER READER FILE: dumps heaps of unusual size and shape, and a twin that hangs."""
import ctypes
import gc
import mmap
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import faults
import walker


class Node(object):
    __slots__ = ("next", "__weakref__")


def big_things():
    """Things that fill more than one record, the stack, or a name."""
    things = {"long list": list(range(300000)),
              "long dict": {"key-%d" % i: i + 1000 for i in range(100000)},
              "mixed dict": {(i if i % 2 else str(i)): [] for i in range(50000)},
              "long set": {"member-%d" % i for i in range(50000)},
              "long str": "s" * 3000000,
              "long bytes": b"\xff" * 3000000,
              "big int": 1 << 4000000,
              "long name": type("N" * 10000, (), {})(),
              "odd name": type("nul\\line\n\"quote", (), {"a\0b": 1})(),
              "attributes": type("Many", (), {})()}
    # Nothing of these 5 GB is touched, here or by the walk.
    things["5 GB"] = bytearray(5 << 30)
    things["5 GB mapped"] = mmap.mmap(-1, 5 << 30)
    things["view of 5 GB"] = memoryview(things["5 GB"])[1 << 30:]
    things["surrogates"] = "\ud800lone\udfff\0nul\nline \U0001f40d"
    things["deep"] = []
    for _ in range(200):
        things["deep"] = [things["deep"], {"\ud812": ()}]
    for i in range(3000):
        setattr(things["attributes"], "attribute_%d" % i, i)
    chain = ()
    for i in range(200000):
        chain = (chain, i)
    things["chain of tuples"] = chain
    first = node = Node()
    for _ in range(200000):
        node.next = Node()
        node = node.next
    node.next = first
    things["linked list"] = first
    gc.collect()  # untracks the tuples
    gc.collect()
    return things


def check_big(w, path):
    things = big_things()
    status, code, out = w.dump(path)
    assert (status, code) == (0, 0), (status, code, out)
    dumped = {o["address"]: o for o in faults.lines(path) if "address" in o}
    for name, o in things.items():
        d = dumped[id(o)]
        assert d["size"] == sys.getsizeof(o), (name, d["size"], sys.getsizeof(o))
        assert d["refs"] == [id(r) for r in gc.get_referents(o)], name
        if hasattr(o, "__len__") and not isinstance(o, (mmap.mmap, memoryview)):
            assert d["len"] == len(o), name
        assert all(r in dumped for key in ("refs", "keys", "hidden") for r in d.get(key, ())), name
    assert dumped[id(things["surrogates"])]["value"] == things["surrogates"]
    d = dumped[id(things["long dict"])]
    assert d["keys"] == [id(key) for key in things["long dict"]]
    assert "keys" not in dumped[id(things["mixed dict"])]
    assert len(dumped[id(things["long str"])]["value"]) == 100
    assert dumped[id(things["long name"])]["type"] == "N" * 10000
    assert dumped[id(things["odd name"])]["type"] == "nul\\line\n\"quote"
    chain, node, n = things["chain of tuples"], things["linked list"], 0
    while chain:
        assert id(chain) in dumped and id(chain[1]) in dumped, n
        chain, n = chain[0], n + 1
    for n in range(200001):
        assert id(node) in dumped, n
        node = node.next
    del chain, node
    things["linked list"].next = None  # not freed by 200,000 nested calls
    os._exit(0)


def check_hang(w, path):
    """A tp_traverse that never returns: a jump to itself."""
    code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    code[:2] = b"\xeb\xfe"
    faults.crash(w, path, ctypes.addressof(ctypes.c_char.from_buffer(code)))


def main():
    driver, reader, path = sys.argv[1:4]
    w = walker.Walker(driver, reader)
    check_hang(w, path)
    print("%s: extremes dumped" % sys.version.split()[0], flush=True)
    check_big(w, path)


if __name__ == "__main__":
    main()
