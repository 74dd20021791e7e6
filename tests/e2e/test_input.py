# SPDX-License-Identifier: GPL-3.0-or-later
"""Bad dumps, bad places to write to, and Ctrl-C midway: a clear message, no partial file, the target
as before."""
import gzip
import os
import random
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

import heap
import pythons
import support


class Dumps(support.LiveTest):
    """Dump files that are not what they should be."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        folder = tempfile.mkdtemp(prefix="remora-e2e-")
        cls.addClassCleanup(shutil.rmtree, folder)
        cls.file = os.path.join(folder, "heap.jsonl")
        with support.Target(pythons.main(), "known_heap") as target:
            result = support.remora("dump", target, "-o", cls.file)
        if result.status != 0:
            raise AssertionError(repr(result))
        with open(cls.file, "rb") as file:
            cls.bytes = file.read()

    def written(self, content, name="dump"):
        path = os.path.join(self.folder(), name)
        with open(path, "wb") as file:
            file.write(content)
        return path

    def test_cut_off(self):
        """Without its end a dump loads, with a warning; never a crash."""
        generator = random.Random(3)
        cuts = [generator.randrange(400, len(self.bytes) - 1) for _ in range(25)]
        for cut in cuts + [len(self.bytes) - 2]:
            with self.subTest(case=cut):
                result = support.remora("summary", self.written(self.bytes[:cut]))
                self.assertIn(result.status, (0, 2), repr(result))
                self.assertRegex(result.err, "(?m)^remora: ")
                if result.status == 0:
                    self.assertRegex(result.err, "(?i)warning.*(cut|end|trailer|complete)", repr(result))
        result = support.remora("summary", self.written(gzip.compress(self.bytes)[:50000]))
        self.assertIn("warning", self.good(result).err)

    def test_empty(self):
        self.refused(support.remora("summary", self.written(b"")), 2, "(?i)empty|no dump")

    def test_garbage(self):
        generator = random.Random(4)
        cases = [b"hello\n", b"{}", b"[1, 2]\n", b"\x00" * 5000, b"{" * 100000, b'{"remora": 99}\n',
                 b'{"remora": 1}\n' + b"[" * 100000, bytes(generator.randrange(256) for _ in range(5000)),
                 gzip.compress(b"hello\n"), gzip.compress(self.bytes)[:20], b"\x28\xb5\x2f\xfd" + bytes(50),
                 b'{"address": 1, "type": "x", "size": -5, "refs": ["a"]}\n']
        for case in cases:
            with self.subTest(case=case[:20]):
                result = support.remora("summary", self.written(case))
                self.assertEqual((result.status, result.out), (2, ""), repr(result))
                self.assertRegex(result.err, "^remora: ")

    def test_bytes_changed(self):
        generator = random.Random(5)
        for number in range(25):
            with self.subTest(case=number):
                content = bytearray(self.bytes)
                for _ in range(generator.randrange(1, 6)):
                    content[generator.randrange(len(content))] = generator.randrange(256)
                result = support.remora("summary", self.written(content))
                self.assertIn(result.status, (0, 2), repr(result))

    def test_folder_and_device(self):
        self.refused(support.remora("summary", self.folder()), 2, "(?i)director|folder|regular|file")
        self.refused(support.remora("summary", "/dev/null"), 2, "(?i)empty|no dump")

    def test_compressed(self):
        with self.start("known_heap") as target:
            folder = self.folder()
            for ending in ("gz", "zst"):
                with self.subTest(case=ending):
                    path = os.path.join(folder, "heap.jsonl." + ending)
                    self.good(support.remora("dump", target, "-o", path))
                    self.assertIn("Node", self.good(support.remora("summary", "--limit", "0", path)).out)
                    self.assertLess(os.path.getsize(path), len(self.bytes) / 2)

    def test_absent_address(self):
        for command in ("show", "why", "referrers", "children"):
            with self.subTest(case=command):
                result = support.remora(command, self.file, "12345")
                self.assertEqual((result.status, result.out), (1, ""), repr(result))
                self.assertRegex(result.err, "^remora: .*(12345|0x3039)")


class Places(support.LiveTest):
    """Where dump writes to."""

    def dumped(self, target, *args, **more):
        with support.unharmed(self, target):
            return support.remora("dump", target, *args, **more)

    def test_places(self):
        with self.start("known_heap") as target:
            folder = self.folder()
            with self.subTest("default name, in the current folder"):
                done = subprocess.run(support.command("dump", target), cwd=folder, env=support.environment(),
                                      stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
                self.assertEqual(done.returncode, 0, done.stderr)
                name, = os.listdir(folder)
                heap.Heap(os.path.join(folder, name))
                second = subprocess.run(support.command("dump", target), cwd=folder, env=support.environment(),
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
                self.assertEqual((second.returncode, len(os.listdir(folder))), (0, 2), second.stderr)
            with self.subTest("an existing file"):
                path = os.path.join(folder, name)
                before = os.stat(path).st_ino
                self.refused(self.dumped(target, "-o", path), 2, "(?i)exists")
                self.assertEqual(os.stat(path).st_ino, before)
                self.good(self.dumped(target, "-f", "-o", path))
                heap.Heap(path)
            with self.subTest("/dev/null"):
                self.good(self.dumped(target, "-o", "/dev/null"))
                self.assertTrue(os.stat("/dev/null").st_mode & 0o020000)
            with self.subTest("standard output"):
                result = self.good(self.dumped(target, "-o", "-"))
                path = os.path.join(folder, "from-stdout")
                with open(path, "wb") as file:
                    file.write(result.raw)
                heap.Heap(path)
            target.finish(self)

    def test_unwritable(self):
        with self.start("sleep") as target:
            for place in ("/nonexistent/folder/x", "/proc/x", "/dev/full",
                                             self.folder()):
                with self.subTest(case=place):
                    result = self.dumped(target, "-o", place)
                    self.assertIn(result.status, (2, 5), repr(result))
                    self.assertRegex(result.err, "(?m)^remora: ")
            target.finish(self)

    def test_full_disk(self):
        if os.getuid() != 0:
            support.skip("needs root to mount a small tmpfs")
        folder = self.folder()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", folder], check=True)
        self.addCleanup(subprocess.run, ["umount", folder], check=True)
        with self.start("sleep") as target:
            result = self.dumped(target, "-o", os.path.join(folder, "x.jsonl"))
            self.assertEqual(result.status, 5, repr(result))
            self.assertRegex(result.err, "(?mi)^remora: .*space")
            self.assertEqual(os.listdir(folder), [])
            target.finish(self)

    def test_reader_goes_away(self):
        with self.start("workload", "200000") as target:
            with support.unharmed(self, target):
                process = subprocess.Popen(support.command("dump", target, "-o", "-"), env=support.environment(),
                                           stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
                process.stdout.read(10000)
                process.stdout.close()
                self.assertNotEqual(process.wait(20), 0)
            target.finish(self)

    def test_interrupted(self):
        """Ctrl-C and SIGTERM midway leave no file."""
        generator = random.Random(6)
        with self.start("workload", "500000") as target:
            folder = self.folder()
            path = os.path.join(folder, "x.jsonl")
            took = self.good(support.remora("dump", target, "-o", "/dev/null")).seconds
            ended = []
            for number in range(10):
                with support.unharmed(self, target):
                    process = subprocess.Popen(support.command("dump", target, "-o", path),
                                               env=support.environment(), stderr=subprocess.PIPE)
                    time.sleep(generator.uniform(0.02, took))
                    process.send_signal((signal.SIGINT, signal.SIGTERM)[number % 2])
                    _, err = process.communicate(timeout=20)
                    ended.append(process.returncode)
                    if process.returncode == 0:
                        heap.Heap(path)
                        os.unlink(path)
                    self.assertEqual(os.listdir(folder), [], err)
            self.assertTrue(any(ended), "every dump was too quick to be interrupted")
            target.finish(self)


support.KINDS["workload"] = support.Kind("workload")


if __name__ == "__main__":
    unittest.main()
