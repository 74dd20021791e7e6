# SPDX-License-Identifier: GPL-3.0-or-later
"""What a dump holds and leaves out, and what it costs the target."""
import gzip
import json
import os
import pathlib
import re
import struct
import threading
import time
import unittest

import heap
import pythons
import support

PAYLOAD = pathlib.Path(__file__).resolve().parent / "meliae_lines.py"
OBJECTS = 1000000 if support.LONG else 300000


class Values(support.LiveTest):
    def dump(self, target, *args):
        path = os.path.join(self.folder(), "heap.jsonl")
        with support.unharmed(self, target):
            self.good(support.remora("dump", target, "-o", path, *args))
        return heap.Heap(path), path

    def test_values(self):
        with self.start("known_heap") as target:
            short, _ = self.dump(target)
            texts = {o["value"] for o in short.objects.values() if o["type"] == "str" and "value" in o}
            self.assertIn("next but one", texts)
            self.assertIn("x" * 100, texts)
            self.assertNotIn("x" * 5000, texts)
            full, _ = self.dump(target, "--values", "full")
            self.assertIn("x" * 5000, {o.get("value") for o in full.objects.values() if o["type"] == "str"})
            none, path = self.dump(target, "--values", "none")
            with open(path, "rb") as file:
                content = file.read()
            for secret in (b"next but one", b"by tuple", b"held by a local", b"x" * 100):
                self.assertNotIn(secret, content)
            target.finish(self)

    def test_nothing_stays_of_values(self):
        """--values none: no string, bytes, number, local, key, argument or name of a thread."""
        for interpreter in pythons.supported():
            with self.subTest(interpreter.name), self.start("withheld", interpreter=interpreter) as target:
                _, path = self.dump(target, "--values", "none")
                with open(path, "rb") as file:
                    content = file.read()
                self.assertEqual(re.findall(rb".{60}S3CRET.{60}", content), [])
                self.assertEqual(re.findall(rb".{60}84639271055382.{60}", content), [])
                # The names stay, and so do the files and lines of traces.
                for name in (b"name_KEPT", b"slot_KEPT", b"local_KEPT", b'"Kept"', b'"sleep_KEPT"',
                             b"withheld.py"):
                    self.assertIn(name, content)
                _, path = self.dump(target)
                with open(path, "rb") as file:
                    self.assertGreater(file.read().count(b"S3CRET"), 30)
                target.finish(self)

    def test_traces(self):
        """Which line allocated: in the dump, in groups, in show and in SQL."""
        for interpreter in pythons.supported():
            with self.subTest(interpreter.name), self.start("withheld", interpreter=interpreter) as target:
                dump, path = self.dump(target)
                slots = [o for o in dump.objects.values() if o["type"] == "Slots"]
                self.assertEqual(len(slots), 1)
                out = self.good(support.remora("show", path, str(slots[0]["address"]))).out
                place = re.search(r"^allocated +(\S+withheld\.py:\d+)", out, re.M).group(1)
                out = self.good(support.remora("groups", "--by", "line", "--limit", "0", path)).out
                self.assertIn(place + " ", out)
                out = self.good(support.remora("sql", path, "--format", "csv",
                    "select count(*) from objects where allocated = '%s' and type = 'Slots'" % place)).out
                self.assertEqual(out.split()[-1], "1")
                target.finish(self)

    def test_completeness(self):
        """The trailer says of the dump what `summary --unexplained` reckons from it."""
        for interpreter in pythons.supported():
            with self.subTest(interpreter.name), self.start("known_heap", interpreter=interpreter) as target:
                dump, path = self.dump(target)
                target.finish(self)
                self.check_completeness(dump, path)

    def check_completeness(self, dump, path):
        result = self.good(support.remora("summary", "--unexplained", "--format", "json", path))
        told = json.loads(result.out)
        for key, name in (("counted", "references_counted"), ("found", "references_found"),
                          ("held_by_c", "held_by_c"), ("exceeded", "exceeded"), ("excess", "excess")):
            self.assertEqual(dump.trailer[key], told[name], key)
        self.assertGreater(dump.trailer["found"], 0.99 * dump.trailer["counted"])
        tables = [a for r in dump.roots if r["root"] == "interned" for a in r["refs"]]
        if int(dump.header["python"].split(".")[1]) < 12:
            return
        # The table is there, held by its own root alone, and hides no reference that is missing.
        self.assertTrue(tables)
        for table in tables:
            self.assertEqual([r["root"] for r in dump.roots if table in r["refs"]], ["interned"])
            why = json.loads(self.good(support.remora("why", "--format", "json", path, str(table))).out)
            self.assertEqual([p["expression"] for p in why["paths"]], ["<interned strings>"])
        self.assertLess(dump.trailer["exceeded"], 50)

    def test_nothing_of_remora(self):
        with self.start("known_heap") as target:
            self.good(support.remora("run", target, "-c", "x = ['from the payload']; print(x)"))
            _, path = self.dump(target)
            with open(path, "rb") as file:
                lines = file.read().splitlines()
            for line in lines[1:]:
                self.assertNotIn(b"stream of remora", line)  # a constant of runner.py
                self.assertNotIn(b"from the payload", line)
            target.finish(self)

    def test_secrets_stay_private(self):
        """A file that others can read is never made, nor one with a name in a shared folder."""
        folder = self.folder()
        with self.start("sleep") as target:
            _, path = self.dump(target)
            self.assertEqual(os.stat(path).st_mode & 0o077, 0)
            self.good(support.remora("summary", target, env={"TMPDIR": folder}))
            target.finish(self)
        self.assertEqual(os.listdir(folder), [])
        for shared in ("/tmp", "/var/tmp", "/dev/shm"):
            names = [n for n in os.listdir(shared) if "remora" in n and str(target.pid) in n]
            self.assertEqual([n for n in names if "fuzz" not in n], [])


class Meliae(support.LiveTest):
    """--format meliae is what meliae's scanner would have written, and is read again."""

    LINE = re.compile(
        r'\{"address": \d+, "type": "[^"]*", "size": \d+(, "name": ".*")?(, "len": \d+)?'
        r'(, "value": (?P<quote>"?).*(?P=quote))?, "refs": \[[^]]*\]\}\n')

    def test_lines(self):
        for interpreter in pythons.supported():
            with self.subTest(case=str(interpreter)), self.start("known_heap", interpreter=interpreter) as target:
                folder = self.folder()
                path = os.path.join(folder, "heap.gz")
                expected = self.good(support.remora("run", target, PAYLOAD)).out.splitlines()
                self.good(support.remora("dump", target, "--format", "meliae", "-o", path))
                target.finish(self)
                with gzip.open(path, "rt", encoding="ascii") as file:
                    lines = file.readlines()
                got = {}
                for line in lines:
                    self.assertRegex(line, self.LINE)
                    got[json.loads(line)["address"]] = line[:line.rindex(', "refs": [')]
                self.assertEqual(len(got), len(lines))
                same = different = 0
                for line in expected:
                    there = got.get(int(line[len('{"address": '):line.index(",")]))
                    # What the payload itself made is gone; its memory may be another object's.
                    same += there == line
                    # Sizes of ctypes' own types are approximate from 3.13 on, and so flagged elsewhere.
                    if there not in (None, line) and '"type": "_ctypes.' not in line:
                        different += 1
                        example = (line, there)
                self.assertGreater(same, 10000)
                self.assertLess(different, 10, example if different else "")
                result = self.good(support.remora("summary", path))
                self.assertIn("a meliae dump", result.out)
                self.assertNotIn("warning", result.err)


class Bystander(threading.Thread):
    """Beats as the target's heart does (targets/heart.py): what it misses, the machine is to blame for."""

    def __init__(self):
        super().__init__(daemon=True)
        self.largest, self.over = 0.0, False

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *exc):
        self.over = True
        self.join()

    def run(self):
        last = time.monotonic()
        while not self.over:
            time.sleep(0.001)
            now = time.monotonic()
            self.largest, last = max(self.largest, now - last), now


class Cost(support.LiveTest):
    """Generous limits: the machine that runs this may be busy. The benchmark has the true ones."""

    def test_pause_and_time(self):
        interpreter = pythons.main()
        here, there = interpreter.public().folder()
        beat = os.path.join(here, "beat")
        with self.start(support.Kind("workload"), str(OBJECTS), "--hb", beat) as target:
            def gap():
                with open(beat, "rb") as file:
                    return struct.unpack("<5d", file.read(40))
            with open(beat, "r+b") as file:
                file.seek(32)
                file.write(struct.pack("<d", 1.0))
            support.wait_for(lambda: gap()[3] == 1.0, "the heartbeat was reset")
            time.sleep(0.05)
            path = os.path.join(self.folder(), "heap.jsonl")
            with support.unharmed(self, target), Bystander() as bystander:
                result = self.good(support.remora("dump", target, "-o", path))
                largest = gap()[0]
            target.finish(self)
        count = target.facts["objects"]
        with open(path, "rb") as file:
            file.seek(-2000, os.SEEK_END)
            trailer = json.loads(file.read().splitlines()[-1].decode())
        print("dump of %d objects: %.2f s, largest gap of a thread %.1f ms (of one elsewhere %.1f ms), "
              "stop %.2f ms, GIL %.1f ms" % (
                  trailer["objects"], result.seconds, largest * 1e3, bystander.largest * 1e3,
                  trailer["stop_us"] / 1e3, trailer["gil_us"] / 1e3), flush=True)
        self.assertGreaterEqual(trailer["objects"], count)
        self.assertLess(largest, 0.25 + bystander.largest)
        self.assertLess(result.seconds, 10)


if __name__ == "__main__":
    unittest.main()
