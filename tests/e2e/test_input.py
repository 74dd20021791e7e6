# SPDX-License-Identifier: GPL-3.0-or-later
"""Bad dumps, bad places to write to, and Ctrl-C midway: a clear message, no partial file, the target
as before."""
import errno
import gzip
import json
import os
import random
import re
import shutil
import signal
import stat
import subprocess
import sys
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

    def test_from_the_future(self):
        """The machine that took it, or this one, has another clock."""
        ahead = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 86400)).encode()
        path = self.written(re.sub(rb'"time":"[^"]*"', b'"time":"' + ahead + b'"', self.bytes, count=1))
        self.assertIn("taken in the future", self.good(support.remora("summary", path)).out)

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

    def test_compressed_again(self):
        """The second time a compressed dump is not unpacked, and answers are the same."""
        path = self.written(self.bytes)
        commands = [("objects", "--limit", "0"), ("why", "--brief", self.node()), ("children", self.node())]
        plain = [self.good(support.remora(c[0], path, *c[1:])).out for c in commands]
        for ending in ("gz", "zst"):
            with self.subTest(case=ending):
                packed = self.repacked(ending)
                for _ in range(2):
                    for command, want in zip(commands, plain):
                        got = self.good(support.remora(command[0], packed, *command[1:])).out
                        self.assertEqual(got, want)

    def node(self):
        return str(max(o["address"] for o in heap.Heap(self.file).objects.values() if o["type"] == "Node"))

    def repacked(self, ending):
        """The dump of this class as another program would compress it."""
        content = gzip.compress(self.bytes)
        if ending == "zst":
            content = subprocess.run(["zstd", "-qc"], input=self.bytes, stdout=subprocess.PIPE,
                                     timeout=60, check=True).stdout
        return self.written(content, "packed." + ending)

    def test_cut_short_while_open(self):
        """A dump, or its index, that is cut short under a shell: one line, status 2, no crash."""
        with self.start("workload", "100000") as target:
            for name, cut in (("d.json", "d.json"), ("d.zst", "d.zst"), ("d.gz", "d.gz"),
                              ("i.json", "i.json.remora-index")):
                with self.subTest(case=cut):
                    folder = self.folder()
                    path, cut = os.path.join(folder, name), os.path.join(folder, cut)
                    self.good(support.remora("dump", target, "-o", path))
                    self.good(support.remora("summary", path))
                    shell = subprocess.Popen(support.command("shell", path), env=support.environment(),
                                             stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                             stderr=subprocess.PIPE)
                    shell.stdin.write(b"help\n")
                    shell.stdin.flush()
                    # Its first output comes when the dump is open.
                    self.assertTrue(shell.stdout.readline())
                    os.truncate(cut, 8192)
                    out, err = shell.communicate(
                        b"objects --where \"value like '%z%'\"\nwaste\ndominators\nsummary\n", timeout=60)
                    self.assertEqual(shell.returncode, 2, err)
                    self.assertRegex(err.decode(), "(?s)^remora: cannot read %s any more: it was cut short"
                                     "[^\n]*\nhint: [^\n]*\n$" % re.escape(cut))
            target.finish(self)

    def test_mistakes(self):
        """A message says what to do about it."""
        program = self.written(b"import sys\n", "program.py")
        for line, status, hint in (
                (("objects", self.file, "--type", "node"), 1, "did you mean 'app.Node'"),
                (("objects", self.file, "--type", ""), 1, "`summary` lists"),
                (("objects", self.file, "--where", "lenn > 1"), 1, "`help objects` lists"),
                (("why", self.file, "Node"), 2, "`objects --type TYPE`"),
                (("leaks", self.file, "--for", "3"), 2, "help leaks"),
                (("help", "nonsense"), 2, "`remora help` lists"),
                (("summary", program), 2, "`remora dump PID -o FILE` writes one")):
            with self.subTest(case=line[0]):
                result = self.refused(support.remora(*line), status, "^remora: ")
                self.assertIn(hint, result.err)

    def test_nothing_to_tell(self):
        node = self.node()
        for line, said in ((("diff", self.file, self.file), "Nothing grew or shrank"),
                           (("why", self.file, node, "--avoid", "dict", "--avoid", "list", "--avoid", node),
                            "No path from a root goes round"),
                           (("groups", self.file, "--by", "line"), "tracemalloc was off")):
            with self.subTest(case=line[0]):
                out = self.good(support.remora(*line)).out
                self.assertIn(said, out)
                self.assertNotIn("unreachable", out)

    def test_absent_address(self):
        for command in ("show", "why", "referrers", "children"):
            with self.subTest(case=command):
                result = support.remora(command, self.file, "12345")
                self.assertEqual((result.status, result.out), (1, ""), repr(result))
                self.assertRegex(result.err, "^remora: .*(12345|0x3039)")


class ForeignDumps(support.LiveTest):
    """A dump that another program compressed is unpacked once: remora keeps a copy in frames beside it."""

    def setUp(self):
        generator, node = random.Random(8), '{"address": %d, "type": "str", "size": 50, "value": "%x", "refs": []}\n'
        self.text = "".join(node % (16 * n, generator.getrandbits(400)) for n in range(1, 20001)).encode()
        self.path = os.path.join(self.folder(), "heap.jsonl.gz")
        self.copy = self.path + ".remora-index-text"
        with open(self.path, "wb") as file:
            file.write(gzip.compress(self.text, 1))
        self.assertGreater(os.path.getsize(self.path), 1 << 20)
        self.value = json.loads(self.text.splitlines()[7776])["value"]

    def shown(self, **more):
        result = self.good(support.remora("show", self.path, str(16 * 7777), "--format", "json", **more))
        self.assertEqual(json.loads(result.out)["value"], self.value)

    def make_unreadable(self):
        """What is behind the first kilobytes of the dump is gone; size, inode and time are as before."""
        status = os.stat(self.path)
        with open(self.path, "r+b") as file:
            file.seek(4096)
            file.write(bytes(status.st_size - 4096))
        os.utime(self.path, ns=(status.st_atime_ns, status.st_mtime_ns))

    def test_used(self):
        self.shown()
        self.assertEqual(stat.S_IMODE(os.stat(self.copy).st_mode), 0o600)
        self.assertLess(os.path.getsize(self.copy), 2 * os.path.getsize(self.path))
        self.make_unreadable()
        self.shown()
        os.unlink(self.path + ".remora-index")
        self.shown()

    def test_stale(self):
        """A dump that is another one now is read itself, and its copy made again."""
        self.shown()
        self.value = "other"
        with open(self.path, "wb") as file:
            file.write(gzip.compress(re.sub(b'"value": "[^"]*"', b'"value": "other"', self.text), 0))
        before = os.stat(self.copy).st_ino
        self.shown()
        self.assertNotEqual(os.stat(self.copy).st_ino, before)

    def test_not_trusted(self):
        """A copy that was cut, that others can write, that is no copy: the dump is unpacked again."""
        self.shown()
        with open(self.copy, "rb") as file:
            content = file.read()
        for name, spoilt, mode in (("cut", content[:-100], 0o600), ("empty", b"", 0o600),
                                   ("public", content, 0o666), ("other", self.text, 0o600)):
            with self.subTest(case=name):
                with open(self.copy, "wb") as file:
                    file.write(spoilt)
                os.chmod(self.copy, mode)
                self.shown()
                with open(self.copy, "rb") as file:
                    self.assertEqual(file.read(40), content[:40])
                self.assertEqual(stat.S_IMODE(os.stat(self.copy).st_mode), 0o600)

    def test_corrupt(self):
        """A copy of which a frame is corrupt is named, and that it may be removed."""
        self.shown()
        with open(self.copy, "r+b") as file:
            size = os.path.getsize(self.copy)
            file.seek(size // 3)
            file.write(bytes(size // 3))
        result = support.remora("show", self.path, str(16 * 7777))
        self.refused(result, 2, "remora-index-text: the compressed data is corrupt")
        self.assertRegex(result.err, "(?m)^hint: remove that file")

    def test_no_room(self):
        """Neither copy nor index fit on the disk: the answer is the same, and nothing is left."""
        if os.getuid() != 0:
            support.skip("needs root to mount a small tmpfs")
        # Unpacked elsewhere; and into the same folder, which has room for that, but not for the copy too.
        dump = self.path
        for elsewhere, room in ((True, 300000), (False, len(self.text) + 300000)):
            folder = self.folder()
            size = "size=%d" % (os.path.getsize(dump) + room)
            subprocess.run(["mount", "-t", "tmpfs", "-o", size, "none", folder], check=True)
            self.addCleanup(subprocess.run, ["umount", folder], check=True)
            self.path = shutil.copy(dump, folder)
            self.shown(env={"TMPDIR": self.folder() if elsewhere else folder})
            self.assertEqual(os.listdir(folder), ["heap.jsonl.gz"])

    def test_small(self):
        with open(self.path, "wb") as file:
            file.write(gzip.compress(self.text[:1 << 20]))
        self.good(support.remora("summary", self.path))
        self.assertFalse(os.path.exists(self.copy))


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
            with self.subTest("a link to a file stays a link"):
                link, path = os.path.join(folder, "link"), os.path.join(folder, name)
                os.symlink(name, link)
                self.refused(self.dumped(target, "-o", link), 2, "(?i)exists")
                before = os.stat(path).st_ino
                self.good(self.dumped(target, "-f", "-o", link))
                self.assertTrue(os.path.islink(link))
                self.assertNotEqual(os.stat(path).st_ino, before)
                heap.Heap(path)
            with self.subTest("a link to a device"):
                link = os.path.join(folder, "null")
                os.symlink("/dev/null", link)
                for force in ((), ("-f",)):
                    self.good(self.dumped(target, "-o", link, *force))
                    self.assertTrue(os.path.islink(link))
                    self.assertTrue(stat.S_ISCHR(os.stat(link).st_mode))
            with self.subTest("a pipe with a name"):
                fifo = os.path.join(folder, "fifo")
                os.mkfifo(fifo)
                path = os.path.join(folder, "from-fifo")
                with open(path, "wb") as file:
                    reader = subprocess.Popen(["cat", fifo], stdout=file)
                self.good(self.dumped(target, "-f", "-o", fifo))
                self.assertEqual(reader.wait(60), 0)
                heap.Heap(path)
                self.assertTrue(stat.S_ISFIFO(os.stat(fifo).st_mode))
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

    def test_compress(self):
        """--compress for what has no ending; one that contradicts the ending is refused."""
        with self.start("sleep") as target:
            folder = self.folder()
            for word, ending, magic in (("zst", ".zst", b"\x28\xb5\x2f\xfd"), ("gz", ".gz", b"\x1f\x8b"),
                                        ("none", "", b"{")):
                with self.subTest(case=word):
                    path = os.path.join(folder, "dump-" + word)
                    result = self.good(self.dumped(target, "--compress", word, "-o", "-"))
                    self.assertTrue(result.raw.startswith(magic))
                    self.good(self.dumped(target, "--compress", word, "-o", path))
                    self.good(self.dumped(target, "--compress", word, "-f", "-o", path + ending))
                    for name in {path, path + ending}:
                        self.good(support.remora("summary", name))
                        with open(name, "rb") as file:
                            self.assertTrue(file.read(4).startswith(magic))
                    done = subprocess.run(support.command("dump", target, "--compress", word), cwd=folder,
                                          env=support.environment(), stderr=subprocess.PIPE, timeout=60)
                    self.assertEqual(done.returncode, 0, done.stderr)
                    self.assertRegex(done.stderr.decode(), r"written to remora-\d+-[0-9-]+\.json%s\n" % ending)
                    for other in {".gz", ".zst"} - {ending}:
                        path = os.path.join(folder, "refused" + other)
                        self.refused(self.dumped(target, "--compress", word, "-o", path), 2,
                                     "compress.*ending")
                        self.assertFalse(os.path.exists(path))
            self.refused(self.dumped(target, "--compress", "rar", "-o", "-"), 2, "zst.gz.none")
            target.finish(self)

    def test_default_names(self):
        """Dumps of one second get names of their own, whoever makes them."""
        folder = self.folder()
        with self.start("sleep") as target:
            for _ in range(3):
                done = [subprocess.Popen(support.command("dump", target), cwd=folder, env=support.environment(),
                                         stderr=subprocess.PIPE) for _ in range(2)]
                errors = [process.communicate(timeout=60)[1] for process in done]
                good = [process.returncode for process in done].count(0)
                # One at a time: the other is told so, and leaves nothing.
                self.assertGreater(good, 0, errors)
            names = os.listdir(folder)
            self.assertGreaterEqual(len(names), 3)
            for name in names:
                heap.Heap(os.path.join(folder, name))
            target.finish(self)

    def test_appears_meanwhile(self):
        """A file that somebody makes while the dump is written is left as it is, and so is a device."""
        with self.start("workload", "100000") as target:
            for force in (False, True):
                folder, go = self.folder(), os.path.join(self.folder(), "go")
                path = os.path.join(folder, "x.jsonl")
                with support.unharmed(self, target):
                    process = subprocess.Popen(
                        support.command("dump", target, "-o", path, *(["-f"] if force else [])),
                        env=support.environment({"LD_PRELOAD": support.helper("fail_writes.so"),
                                                 "FAIL_AFTER": "300000", "WAIT_FOR": go}),
                        stderr=subprocess.PIPE)
                    support.wait_for(lambda: any(self.is_dump(process.pid, fd) for fd in os.listdir(
                        "/proc/%d/fd" % process.pid)), "the file is open")
                    if force:
                        os.mkfifo(path)
                    else:
                        with open(path, "w") as file:
                            file.write("mine")
                    open(go, "w").close()
                    _, err = process.communicate(timeout=60)
                self.assertEqual(process.returncode, 5 if force else 2, err)
                self.assertRegex(err.decode(), "(?m)^remora: .*(exists|no regular file)")
                self.assertEqual(os.listdir(folder), ["x.jsonl"])
                if force:
                    self.assertTrue(stat.S_ISFIFO(os.stat(path).st_mode))
                else:
                    self.assertEqual(support.read(path), "mine")
            target.finish(self)

    @staticmethod
    def is_dump(pid, fd):
        """True if that descriptor is a file that has no name yet."""
        try:
            status = os.stat("/proc/%d/fd/%s" % (pid, fd))
        except OSError:
            return False
        return stat.S_ISREG(status.st_mode) and status.st_nlink == 0 and status.st_size > 0 and \
            "remora-e2e" in os.readlink("/proc/%d/fd/%s" % (pid, fd))

    def test_write_errors(self):
        """A quota, `ulimit -f`, a bad disk: status 5, one line, no file."""
        library = support.helper("fail_writes.so")
        with self.start("workload", "100000") as target:
            for name in ("x.jsonl", "x.gz", "x.zst"):
                for number, why in ((errno.EDQUOT, "quota"), (errno.EIO, "Input/output"),
                                    (errno.ENOSPC, "space")):
                    with self.subTest(case=(name, why)):
                        folder = self.folder()
                        result = self.dumped(target, "-o", os.path.join(folder, name), env={
                            "LD_PRELOAD": library, "FAIL_WRITES": str(number), "FAIL_AFTER": "300000"})
                        self.refused(result, 5, "cannot write the dump.*" + why)
                        self.assertEqual(os.listdir(folder), [])
            with self.subTest("ulimit -f"):
                folder = self.folder()
                result = self.dumped(target, "-o", os.path.join(folder, "x"),
                                     prefix=("sh", "-c", 'ulimit -f 100; exec "$@"', "sh"))
                self.refused(result, 5, "(?i)too large")
                self.assertEqual(os.listdir(folder), [])
            with self.subTest("closed standard output"):
                result = self.dumped(target, "-o", "-", prefix=("sh", "-c", 'exec "$@" >&-', "sh"))
                self.refused(result, 5, "(?i)standard output.*bad file")
            target.finish(self)

    def test_closed_streams(self):
        """The files that remora opens must not take the place of its streams: the first are the target's."""
        with self.start("sleep") as target:
            target.arenas = 3  # a payload whose output cannot be written is ended early
            for line in (("run", target, "-c", "print(6 * 7)"), ("stacks", target)):
                for closed in "<&-", ">&-", "2>&-", "<&- >&-", "<&- 2>&-", "<&- >&- 2>&-":
                    with self.subTest(command=line[0], closed=closed), support.unharmed(self, target):
                        result = support.remora(*line, prefix=("sh", "-c", 'exec "$@" ' + closed, "sh"))
                        self.assertEqual(result.status, 5 if ">&-" in closed.split() else 0, repr(result))
                        if "2>&-" not in closed:
                            self.assertRegex(result.err, "^$|Bad file descriptor")
            target.finish(self)

    def test_strange_parents(self):
        """Signals that the parent ignores or blocks, and few descriptors, make no difference."""
        code = ("import os, resource, signal, sys\nfor name in %r:\n    signal.signal(name, signal.SIG_IGN)\n"
                "signal.pthread_sigmask(signal.SIG_BLOCK, set(signal.Signals) if %r else ())\n"
                "resource.setrlimit(resource.RLIMIT_NOFILE, (%d, %d))\nos.execv(sys.argv[1], sys.argv[1:])")
        folder = self.folder()
        with self.start("sleep") as target:
            for ignored, blocked, files in (
                    ((signal.SIGCHLD,), False, 1024), ((), True, 1024), ((), False, 20),
                    ((signal.SIGCHLD, signal.SIGPIPE, signal.SIGHUP, signal.SIGINT, signal.SIGUSR1), True, 20)):
                prefix = (sys.executable, "-c", code % (tuple(map(int, ignored)), blocked, files, files))
                path = os.path.join(folder, "%d%d%d.jsonl.zst" % (len(ignored), blocked, files))
                with self.subTest(ignored=ignored, blocked=blocked, files=files), support.unharmed(self, target):
                    self.assertEqual(self.good(support.remora(
                        "run", target, "-c", "print(6 * 7)", prefix=prefix)).out, "42\n")
                    self.good(support.remora("stacks", "--native", target, prefix=prefix))
                    self.good(support.remora("dump", target, "-o", path, prefix=prefix))
                    self.assertIn("dict", self.good(support.remora(
                        "shell", path, "-c", "summary | cat", prefix=prefix)).out)
            target.finish(self)

    def test_unwritable(self):
        with self.start("sleep") as target:
            for place in ("/nonexistent/folder/x", "/proc/x", "/dev/full",
                                             self.folder()):
                with self.subTest(case=place):
                    result = self.dumped(target, "-o", place)
                    self.assertIn(result.status, (2, 5), repr(result))
                    self.assertRegex(result.err, "(?m)^remora: ")
            if os.getuid() != 0:
                support.skip("needs root to mount a read-only tmpfs")
            folder = self.folder()
            subprocess.run(["mount", "-t", "tmpfs", "-o", "ro,size=64k", "none", folder], check=True)
            self.addCleanup(subprocess.run, ["umount", folder], check=True)
            self.refused(self.dumped(target, "-o", os.path.join(folder, "x")), 5, "(?i)read-only")
            target.finish(self)

    def test_full_disk(self):
        if os.getuid() != 0:
            support.skip("needs root to mount a small tmpfs")
        folder = self.folder()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", folder], check=True)
        self.addCleanup(subprocess.run, ["umount", folder], check=True)
        with self.start("sleep") as target:
            for name in ("x.jsonl", "x.zst", "x.gz"):
                result = self.dumped(target, "-o", os.path.join(folder, name))
                self.refused(result, 5, "(?i)space")
                self.assertEqual(os.listdir(folder), [])
            target.finish(self)

    def test_reader_goes_away(self):
        with self.start("workload", "200000") as target:
            with support.unharmed(self, target):
                for word in ("none", "zst", "gz"):
                    process = subprocess.Popen(
                        support.command("dump", target, "--compress", word, "-o", "-"),
                        env=support.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
                    process.stdout.read(10000)
                    process.stdout.close()
                    err = process.stderr.read()
                    # As of `yes | head`: no message, and not 0.
                    self.assertEqual((process.wait(20), err), (5, b""))
            target.finish(self)

    def test_interrupted(self):
        """Ctrl-C and SIGTERM midway leave no file."""
        generator = random.Random(6)
        with self.start("workload", "1500000") as target:
            folder = self.folder()
            path = os.path.join(folder, "x.jsonl")
            took = self.good(support.remora("dump", target, "-o", "/dev/null")).seconds
            ended = []
            for number in range(10):
                with support.unharmed(self, target):
                    process = subprocess.Popen(support.command("dump", target, "-o", path),
                                               env=support.environment(), stderr=subprocess.PIPE)
                    time.sleep(generator.uniform(0.02, took / 2))
                    process.send_signal((signal.SIGINT, signal.SIGTERM)[number % 2])
                    _, err = process.communicate(timeout=20)
                    ended.append(process.returncode)
                    if process.returncode == 0:  # whole, or nothing
                        with open(path, "rb") as file:
                            file.seek(-1000, os.SEEK_END)
                            self.assertIn(b'{"end":true,', file.read())
                        os.unlink(path)
                    self.assertEqual(os.listdir(folder), [], err)
            self.assertTrue(any(ended), "every dump was too quick to be interrupted")
            target.finish(self)


support.KINDS["workload"] = support.Kind("workload")


if __name__ == "__main__":
    unittest.main()
