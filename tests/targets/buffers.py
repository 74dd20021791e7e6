# SPDX-License-Identifier: GPL-3.0-or-later
"""Asleep over large buffers that small views keep alive, and over some that are held otherwise.
READY names of each view its address, what it shows, and type, bytes and address of the owner (0: Python
does not give it out). numpy's are there where it can be imported."""
import array
import ctypes
import io
import mmap
import time

import kit

try:
    import numpy
except ImportError:
    numpy = None


def pinned():
    """name -> (view, type of the owner, its bytes)"""
    made = {
        "bytes": (memoryview(bytes(900001))[7:17], "bytes", 900001),
        "bytearray": (memoryview(bytearray(800001))[7:17], "bytearray", 800001),
        "array": (memoryview(array.array("d", [0.0] * 90001))[5:8], "array", 720008),
        "mmap": (memoryview(mmap.mmap(-1, 1 << 20))[:100], "mmap", 1 << 20),
        "ctypes": (memoryview(ctypes.create_string_buffer(600001))[3:4], "c_char_Array_600001", 600001),
        "ctypes from a bytearray": ((ctypes.c_char * 9).from_buffer(bytearray(500001), 9), "bytearray", 500001),
        "structure": ((ctypes.c_int * 3 * 40001)()[5], "c_int_Array_3_Array_40001", 480012),
    }
    stream = io.BytesIO()
    stream.write(bytes(400001))
    made["BytesIO"] = (stream.getbuffer()[9:12], "bytes", None)
    if numpy:
        record = numpy.dtype([("a", "i8"), ("o", object)])
        made["numpy"] = (numpy.zeros(70001)[5:9], "ndarray", 560008)
        made["numpy, no contiguous bytes"] = (numpy.zeros((301, 302)).T[3:5, ::-7], "ndarray", 727216)
        made["numpy, a record"] = (numpy.zeros(30001, record)[7], "ndarray", 480016)
        made["numpy, of a bytearray"] = (numpy.frombuffer(bytearray(300001), "u1")[4:6], "bytearray", 300001)
    return made


def owner(view):
    """The object at the end of the chain of bases."""
    while True:
        base = getattr(view, "obj", None)
        if base is None:
            base = getattr(view, "_b_base_", None)
        if base is None:
            base = getattr(view, "base", None)
        if base is None:
            return view
        view = base


def size(view):
    return ctypes.sizeof(view) if isinstance(view, ctypes._SimpleCData.__mro__[1]) else view.nbytes


MADE = pinned()
PINNED = {name: made[0] for name, made in MADE.items()}
WHAT = {name: made[1:] for name, made in MADE.items()}
del MADE
KEPT = [bytearray(1000003)]
VIEW_OF_KEPT = memoryview(KEPT[0])[:1]
MOST = memoryview(bytearray(1000005))[:600000]


def rest():
    facts = {}
    for name, (kind, total) in WHAT.items():
        view = PINNED[name]
        end = owner(view)
        facts[name] = {"view": id(view), "shown": size(view), "type": kind, "bytes": total,
                       "owner": id(end) if type(end).__name__ == kind else 0}
        del view, end
    kit.ready(views=facts, numpy=bool(numpy), kept=id(KEPT[0]), most=id(MOST.obj), view=id(VIEW_OF_KEPT))
    while True:
        time.sleep(3600)


rest()
