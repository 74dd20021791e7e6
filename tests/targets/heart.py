# SPDX-License-Identifier: GPL-3.0-or-later
"""A heart for targets: a thread that sleeps 1 ms at a time and keeps, in a mapped file, five doubles:
the largest gap between two beats in seconds, the number of beats, the sum of the gaps above 5 ms, the
last reset seen, and the reset asked for: another number there starts the largest gap anew."""
import mmap
import struct
import sys
import time


class Page:
    """The mapped file; record() is called by one thread only."""

    def __init__(self, path):
        with open(path, "w+b") as file:
            file.write(bytes(4096))
            file.flush()
            self.map = mmap.mmap(file.fileno(), 4096)
        self.largest, self.beats, self.stalls, self.seen = 0.0, 0, 0.0, 0.0

    def record(self, gap):
        asked = struct.unpack_from("<d", self.map, 32)[0]
        if asked != self.seen:
            self.largest, self.seen = 0.0, asked
        else:
            self.largest = max(self.largest, gap)
            self.stalls += gap if gap > 0.005 else 0
        self.beats += 1
        struct.pack_into("<4d", self.map, 0, self.largest, self.beats, self.stalls, self.seen)


def beat(page):
    last = time.monotonic()
    while True:
        time.sleep(0.001)
        now = time.monotonic()
        # Called by C code, so that the interpreter's loop is entered anew: debuggers wait for that.
        list(map(page.record, (now - last,)))
        last = now


def start():
    """Where the command line says --hb FILE: a heart in a thread of its own."""
    if "--hb" in sys.argv:
        import kit
        kit.start_thread(beat, Page(sys.argv[sys.argv.index("--hb") + 1]))
