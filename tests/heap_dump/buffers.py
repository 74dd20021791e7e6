# SPDX-License-Identifier: GPL-3.0-or-later
"""buffers.py DRIVER READER FILE: whose bytes each object shows, how many, and how many are its own:
compared with what memoryview, array, mmap, ctypes and numpy say themselves. Prints differences, ends
with 0 if there are none. numpy is compared where it can be imported."""
import array
import ctypes
import io
import json
import mmap
import os
import pickle
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import walker

try:
    import numpy
except ImportError:
    numpy = None

OWN, UNKNOWN, INNER = "its own", None, "a bytes object that Python does not give out"
MANAGED_DICT = 1 << 4  # such objects own the values of their attributes, too
HEADER = 2 * ctypes.sizeof(ctypes.c_void_p)  # in front of an object that the collector tracks


class Expected(object):
    """What a test says of one object: bytes, base (an object, OWN, UNKNOWN), address and owned."""

    def __init__(self):
        self.rows = []

    def add(self, what, o, size, base, data=None, owned=0):
        self.rows.append((what, o, size, base, data, owned))
        return o

    def view(self, what, view):
        """A memoryview, by what it says of itself."""
        return self.add(what, view, view.nbytes, UNKNOWN if view.obj is None else view.obj)

    def ctype(self, what, o, base=OWN):
        size = ctypes.sizeof(o)
        outside = not id(o) <= ctypes.addressof(o) < id(o) + type(o).__basicsize__
        if o._b_base_ is not None:
            base = o._b_base_
        return self.add(what, o, size, base, ctypes.addressof(o),
                        size if base is OWN and outside else 0)

    def array(self, what, o):
        base = OWN if o.flags.owndata else o.base
        return self.add(what, o, o.nbytes, base, o.__array_interface__["data"][0])


class Sub(bytearray):
    pass


class Bytes(bytes):
    pass


class Fields(ctypes.Structure):
    _fields_ = [("numbers", ctypes.c_int * 100), ("text", ctypes.c_char_p), ("one", ctypes.c_byte)]


def of_the_library(e, folder):
    owner = bytearray(b"owner" * 100)
    e.add("bytearray", owner, 500, OWN, ctypes.addressof(ctypes.c_char.from_buffer(owner)))
    cut = bytearray(1000)
    del cut[:300]
    e.add("bytearray whose start was cut", cut, 700, OWN,
          ctypes.addressof(ctypes.c_char.from_buffer(cut)))
    sub = e.add("subclass of bytearray", Sub(b"1234"), 4, OWN)
    for code in "bHiqd":
        items = array.array(code, range(77))
        e.add("array " + code, items, 77 * items.itemsize, OWN, items.buffer_info()[0])
    view = e.view("view", memoryview(owner))
    e.view("slice", view[10:20])
    e.view("slice with a step", view[::3])
    e.view("slice backwards", view[::-7])
    e.view("view of a view", memoryview(view[3:])[4:])
    e.view("cast", memoryview(bytearray(64)).cast("q", (2, 4)))
    e.view("view of bytes", memoryview(Bytes(b"of a subclass")))
    e.view("view of a subclass", memoryview(sub))
    e.view("view of an array", memoryview(items))
    e.view("toreadonly", view.toreadonly() if hasattr(view, "toreadonly") else view)
    released = memoryview(owner)
    released.release()
    e.add("released view", released, None, None)
    from_memory = ctypes.pythonapi.PyMemoryView_FromMemory
    from_memory.restype = ctypes.py_object
    from_memory.argtypes = (ctypes.c_void_p, ctypes.c_ssize_t, ctypes.c_int)
    block = ctypes.create_string_buffer(100)
    e.view("view of memory", from_memory(ctypes.addressof(block), 50, 0x100))
    e.ctype("string buffer", block)
    if hasattr(pickle, "PickleBuffer"):
        e.add("PickleBuffer", pickle.PickleBuffer(owner), 500, owner)
        gone = pickle.PickleBuffer(bytearray(10))
        gone.release()
        e.add("released PickleBuffer", gone, None, None)
    anonymous = mmap.mmap(-1, 3 * mmap.PAGESIZE)
    e.add("anonymous mmap", anonymous, len(anonymous), OWN,
          ctypes.addressof(ctypes.c_char.from_buffer(anonymous)), len(anonymous))
    with open(os.path.join(folder, "mapped"), "wb+") as file:
        file.write(b"x" * 10000)
        file.flush()
        mapped = e.add("mmap of a file", mmap.mmap(file.fileno(), 10000), 10000, OWN)
        if sys.version_info >= (3, 13):
            e.add("mmap of a file, no descriptor", mmap.mmap(file.fileno(), 10000, trackfd=False),
                  10000, OWN)
    e.view("view of an mmap", memoryview(mapped)[1:9])
    closed = mmap.mmap(-1, 4096)
    closed.close()
    e.add("closed mmap", closed, None, None)


def of_bytesio(e):
    def overhead(o):
        """What sys.getsizeof counts of the bytes object, which is an object of its own."""
        return type(o).__basicsize__ + HEADER * (2 if sys.version_info < (3, 8) else 1) - \
            sys.getsizeof(o)

    shared = io.BytesIO(b"shared" * 100)
    e.add("BytesIO that shares", shared, 600, INNER, owned=overhead(shared))  # counted by 3.6
    own = io.BytesIO(b"own" * 100)
    own.write(b"changed")
    e.add("BytesIO", own, 300, INNER, owned=overhead(own))
    empty = io.BytesIO()
    e.add("empty BytesIO", empty, 0, INNER, owned=overhead(empty))
    exported = io.BytesIO(b"e" * 100)
    view = e.view("view of a BytesIO", exported.getbuffer()[3:9])
    e.add("BytesIO that is exported", exported, 100, INNER, owned=overhead(exported))
    e.add("what it exports", view.obj, 100, exported)


def of_ctypes(e):
    whole = e.ctype("structure", Fields())
    e.ctype("field that is an array", whole.numbers)
    e.ctype("small", ctypes.c_longdouble(1.5))
    e.ctype("array", (ctypes.c_int * 1000)())
    e.ctype("array of structures", (Fields * 3)())
    e.ctype("item of it", (Fields * 3)()[1])
    e.ctype("pointer", ctypes.pointer(whole))
    e.ctype("what it points to", ctypes.pointer(whole).contents, UNKNOWN)
    e.ctype("from_address", ctypes.c_int.from_address(ctypes.addressof(whole)), UNKNOWN)
    e.ctype("function", ctypes.CFUNCTYPE(ctypes.c_int)(int))
    owner = bytearray(2000)
    for what, kind in (("int", ctypes.c_int), ("array", ctypes.c_int * 7), ("structure", Fields)):
        made = kind.from_buffer(owner, 16)
        kept = made._objects
        e.ctype("from_buffer: " + what, made,
                kept["ffffffff"] if isinstance(kept, dict) else kept)
    grown = ctypes.create_string_buffer(10)
    ctypes.resize(grown, 5000)
    e.ctype("grown", grown)
    e.view("view of ctypes", memoryview(grown))


def of_numpy(e, folder):
    plain = e.array("array", numpy.arange(10000.0))
    for what, view in (
            ("slice", plain[10:20]), ("every third", plain[::3]), ("backwards", plain[::-1]),
            ("reshaped", plain.reshape(100, 100)), ("transposed", plain.reshape(10, -1).T[2:5, ::2]),
            ("slice of a slice", plain[10:][5:][:3]), ("other type", plain.view("u4")),
            ("copy", plain[5:50].copy()), ("no dimension", numpy.array(5)),
            ("nothing in it", numpy.zeros((0, 5))), ("broadcast", numpy.broadcast_to(plain, (3, 10000))),
            ("text", numpy.array(["abc", "defgh"])), ("view of bytes", numpy.frombuffer(b"12345678", "u1")),
            ("view of a bytearray", numpy.frombuffer(bytearray(80), "f8")[2:]),
            ("view of an array", numpy.asarray(array.array("d", [1.0] * 9))),
            ("view of ctypes", numpy.ctypeslib.as_array((ctypes.c_int * 9)()))):
        e.array(what, view)
    records = numpy.zeros(20, [("a", "i1"), ("o", object), ("in", [("x", object), ("y", "f4")], (2,)),
                               (("title", "t"), object)])
    for i in range(20):
        records[i]["o"] = ["element", i]
        records[i]["in"]["x"][1] = ["nested", i]
        records[i]["t"] = ["titled", i]
    e.array("records", records)
    e.array("field", records["o"])
    e.add("record", records[3], records.itemsize, records, owned=-records.itemsize)
    e.add("void of its own", numpy.void(b"12345"), 5, OWN)
    objects = e.array("objects", numpy.array([["a", [1]], [2.5, {}], [set(), b"x"]], dtype=object))
    e.array("view of objects", objects.T[::-1, 1:])
    masked = e.array("masked", numpy.ma.masked_array(numpy.arange(100.0), mask=numpy.arange(100) % 2))
    e.array("its mask", masked.mask)
    path = os.path.join(folder, "memmap")
    with open(path, "wb") as file:
        file.write(bytes(10000))
    mapped = e.array("memmap", numpy.memmap(path, "u1", "r"))
    e.array("slice of it", mapped[5:10])
    e.view("view of numpy", memoryview(plain[10:20]))
    block = ctypes.create_string_buffer(100)

    class Foreign(object):
        __array_interface__ = {"version": 3, "shape": (10,), "typestr": "|u1",
                               "data": (ctypes.addressof(block), False)}
    e.array("what only an interface tells of", numpy.asarray(Foreign()))
    return [records[i][name] for i in range(20) for name in ("o", "t")] + \
        [records[i]["in"]["x"][1] for i in range(20)] + list(objects.flat), (records, objects)


def check(dump, o, size, base, data, owned):
    """What is wrong with the record of @p o, or None."""
    d = dump.get(id(o))
    if d is None:
        return "is not in the dump"
    if size is None:
        return "shows nothing, and has a buffer" if "buffer" in d else None
    if d.get("buffer") != size:
        return "%s bytes, dumped %s" % (size, d.get("buffer"))
    if base is OWN and "base" in d:
        return "owns its bytes, dumped as those of %s" % d["base"]
    if base is UNKNOWN and d.get("base", 0) is not None:
        return "nobody knows whose, dumped as those of %s" % d.get("base", "its own")
    edges = d["refs"] + d.get("hidden", [])
    if base is not OWN and base is not UNKNOWN and base is not INNER and d.get("base") != id(base):
        return "of %r at %s, dumped %s" % (type(base), id(base), d.get("base"))
    # A memoryview has a managed buffer in between, a ctypes object may have a dict.
    if d.get("base") and d["base"] not in edges + [e for r in d["refs"] for e in dump[r]["refs"]]:
        return "its base %s is none of its references" % d["base"]
    if data is not None and d["data"] != data:
        return "at %#x, dumped %#x" % (data, d["data"])
    inline = d.get("owned", 0) - owned
    if inline and not (sys.version_info >= (3, 11) and type(o).__flags__ & MANAGED_DICT and
                       0 < inline < 512):
        return "owned %s, dumped %s" % (owned, d.get("owned", 0))
    if d["size"] != sys.getsizeof(o):
        return "size %s, dumped %s" % (sys.getsizeof(o), d["size"])
    return None


def main():
    driver, reader, path = sys.argv[1:4]
    expected, elements, holders = Expected(), [], ()
    with tempfile.TemporaryDirectory() as folder:
        of_the_library(expected, folder)
        of_bytesio(expected)
        of_ctypes(expected)
        if numpy:
            elements, holders = of_numpy(expected, folder)
        status, code, out = walker.Walker(driver, reader).dump(path)
    if status or code:
        print("status %d, reader %d: %s" % (status, code, out))
        return 1
    with open(path, encoding="utf-8") as lines:
        dump = {o["address"]: o for o in map(json.loads, lines) if "address" in o}
    wrong = []
    for row in expected.rows:
        problem = check(dump, *row[1:])
        if problem:
            wrong.append("%s (%s): %s" % (row[0], type(row[1]).__name__, problem))
    found = {child for holder in holders for child in dump[id(holder)].get("hidden", ())}
    wrong.extend("an element of an array is not reached: %r" % o for o in elements if id(o) not in found)
    for d in dump.values():
        if "buffer" in d and d.get("base") and d["base"] not in dump:
            wrong.append("the base of a %s is not in the dump" % d["type"])
    print("\n".join(wrong[:30]))
    print("%s: %d objects with bytes, numpy %s, %d wrong" % (
        sys.version.split()[0], len(expected.rows), numpy and numpy.__version__, len(wrong)))
    return 1 if wrong else 0


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)
