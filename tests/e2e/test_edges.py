# SPDX-License-Identifier: GPL-3.0-or-later
"""Threads that must not be borrowed, and targets that mean harm: the target lives on, remora ends in time
and says why it does not attach."""
import os
import resource
import shutil
import signal
import struct
import subprocess
import unittest

import heap
import pythons
import support

STACK = 512 << 10
STRANGE = "strange"


def strange(*args):
    return support.Kind(STRANGE, support.HELPERS, *args, reports=False, vary="state")


class Edges(support.LiveTest):
    def test_end_of_the_stack(self):
        """The main thread's stack grows, but not beyond RLIMIT_STACK: what is left must be enough."""
        old = resource.getrlimit(resource.RLIMIT_STACK)
        resource.setrlimit(resource.RLIMIT_STACK, (STACK, old[1]))
        try:
            results = set()
            # From too little for a signal frame, through too little for pthread_create, to enough.
            for left in list(range(2500, 12000, 500)) + [24000]:
                with self.start(strange("rmr_wait_deep", left)) as target:
                    result = support.remora("run", "--timeout", "0.5", target, "-c", "print(1)")
                    self.assertTrue(target.alive(), "%d: %s" % (left, target.condition()))
                    if result.status:
                        self.refused(result, 3, "short of stack")
                    results.add(result.status)
            self.assertEqual(results, {0, 3})
        finally:
            resource.setrlimit(resource.RLIMIT_STACK, old)

    def test_end_of_a_threads_stack(self):
        """Where glibc guards a stack's end by pages that the maps do not show, these are not taken for room."""
        newest = sorted((p for p in pythons.supported() if not p.debug), key=lambda p: p.version)[-1]
        for interpreter in {pythons.main(), newest}:
            for left in range(500, 12000, 1500):
                kind = support.Kind("near_guard", support.HELPERS, left)
                with self.subTest(interpreter=interpreter.name, left=left), \
                        support.Target(interpreter, kind) as target:
                    with support.unharmed(self, target):
                        self.good(support.remora("run", target, "-c", "print(1)"))
                    target.finish(self)

    def test_thread_that_is_not_the_librarys(self):
        with self.start(strange("rmr_wait_as_stranger")) as target:
            target.answer("ALONE")
            self.refused(support.remora("run", target, "-c", "print(1)"), 3, "emulator")
            self.assertTrue(target.alive(), target.condition())

    def test_restartable_sequence(self):
        """A thread in one is not borrowed: the kernel would take it for left, and not begin it anew."""
        with self.start(support.Kind("sequences", support.HELPERS, busy=True, vary="state")) as target:
            if not target.facts["registered"]:
                support.skip("the C library knows no restartable sequences", impossible_in_ci=True)
            for _ in range(20):
                with support.unharmed(self, target):
                    self.good(support.remora("run", target, "-c", "print(1)"))
            target.finish(self)

    def test_supervised(self):
        """A thread that waits for a seccomp supervisor's answer is not stopped, or it would ask again."""
        with self.start(support.Kind("supervised", busy=True, vary="state")) as target:
            for line in (("run", "-c", "print(1)"), ("stacks", "--native")) * 5:
                with self.subTest(command=line[0]), support.unharmed(self, target):
                    self.good(support.remora(line[0], target, *line[1:]))
            target.finish(self)

    def test_second_c_library(self):
        """Of two C libraries in a process the right one makes the thread."""
        # Before glibc 2.34 its functions for threads are in a file of their own.
        old = pythons.first(lambda p: p.supported and p.name.startswith("bullseye"))
        for interpreter in [pythons.main()] + ([old] if old else []):
            for does in "busy", "asleep":
                kind = support.Kind("second_libc", does, busy=True, vary="state")
                with self.subTest(interpreter=interpreter.name, does=does), \
                        support.Target(interpreter, kind) as target:
                    for _ in range(3):
                        with support.unharmed(self, target):
                            self.assertEqual(self.good(support.remora(
                                "run", target, "-c", "print(1)")).out, "1\n")
                    target.finish(self)

    def test_no_room_for_mappings(self):
        if int(support.read("/proc/sys/vm/max_map_count")) > 100000:
            support.skip("a process may have very many mappings here", impossible_in_ci=True)
        most = int(support.read("/proc/sys/vm/max_map_count"))
        for left in 1, 6:
            with self.start(support.Kind("mappings", left, busy=True)) as target:
                def mappings():
                    return support.read("/proc/%d/maps" % target.pid).splitlines()
                support.wait_for(lambda: len(mappings()) >= most - left, "it maps")
                before = [m for m in mappings() if "xp" in m]
                self.refused(support.remora("run", target, "-c", "pass"), 3, "mappings")
                self.assertEqual(before, [m for m in mappings() if "xp" in m])

    def test_in_place_that_never_begins(self):
        with self.start("gil_forever") as target:
            result = support.remora("dump", "--in-place", "--timeout", "1", target, "-o",
                                    os.path.join(self.folder(), "heap.jsonl"), timeout=20)
            self.assertEqual(result.status, 4, repr(result))
            self.assertIn("GIL", result.err)
            self.assertTrue(target.alive(), target.condition())

    def test_in_place_of_one_that_dies(self):
        path = os.path.join(self.folder(), "pipe")
        os.mkfifo(path)
        with self.start(support.Kind("workload", "300000", reports=False)) as target:
            process = subprocess.Popen(support.command("dump", "--in-place", target, "-f", "-o", "-"),
                                       stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                       env=support.environment())
            with process:
                process.stdout.read(1 << 20)  # it stands still as long as nobody reads on
                target.process.kill()
                _, err = process.communicate(timeout=20)
                self.assertEqual(process.returncode, 5, err)

    def test_without_proc(self):
        """Where the program sees no /proc, remora's own tells what is mapped: nothing is lost."""
        interpreter = pythons.first(lambda p: p.supported and p.root)
        if not interpreter:
            support.skip("no interpreter in a folder of its own: tests/get-pythons fetches one")
        with self.start("sleep", interpreter=interpreter) as target:
            for arguments in ((), ("--in-place",)):
                with support.unharmed(self, target):
                    path = os.path.join(self.folder(), "heap%d.jsonl" % len(arguments))
                    self.good(support.remora("dump", target, "-o", path, *arguments))
                trailer = heap.Heap(path).trailer
                self.assertGreater(trailer["found"], 0.99 * trailer["counted"], trailer)
                self.assertIsNone(trailer["partial"])

    def forge_library(self, path):
        """A sparse file whose symbol tables are as large as remora believes, with one endless chain."""
        symbols, strings = (4 << 20) - 2, 128 << 20
        dynamic, table = 0x200, 0x1000
        chains = table + 28
        at = {6: (chains + 4 * symbols + 4095) & ~4095}
        at[5] = at[6] + 24 * (symbols + 2) & ~4095
        total = at[5] + strings + 4096
        at.update({10: strings, 0x6ffffef5: table})  # DT_SYMTAB, DT_STRTAB, DT_STRSZ, DT_GNU_HASH
        with open(path, "wb") as file:
            file.truncate(total)
            file.write(b"\x7fELF\x02\x01\x01" + bytes(9) +
                       struct.pack("<HHIQQQIHHHHHH", 3, 62, 1, 0, 64, 0, 0, 64, 56, 2, 0, 0, 0))
            file.write(struct.pack("<IIQQQQQQ", 1, 5, 0, 0, 0, total, total, 4096))
            file.write(struct.pack("<IIQQQQQQ", 2, 4, dynamic, dynamic, dynamic, 80, 80, 8))
            file.seek(dynamic)
            file.write(b"".join(struct.pack("<QQ", *entry) for entry in at.items()))
            file.seek(table)
            file.write(struct.pack("<IIII", 1, 1, 1, 0) + bytes(8) + struct.pack("<I", 1))
            file.seek(chains + 4 * (symbols - 1))
            file.write(struct.pack("<I", 1))

    def test_forged_symbols(self):
        """A user's process must not keep an administrator's `remora ps` busy, nor eat its memory."""
        folder = self.folder()
        for number in range(4):
            self.forge_library(os.path.join(folder, "libpython%d.so" % number))
        code = ("import mmap, os, sys, time\nkeep = []\nfor name in sorted(os.listdir(sys.argv[1])):\n"
                "    fd = os.open(os.path.join(sys.argv[1], name), os.O_RDONLY)\n"
                "    keep.append(mmap.mmap(fd, 0, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_EXEC))\n"
                "print(1, flush=True)\ntime.sleep(300)")
        process = subprocess.Popen(pythons.main().command + ["-c", code, folder], stdout=subprocess.PIPE)
        with process:
            try:
                self.assertEqual(process.stdout.readline(), b"1\n")
                before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
                self.refused(support.remora("run", process.pid, "-c", "pass"), 3, "not a Python", 15)
                after = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
                self.assertLess(after, max(before, 700 << 10), "kB")
            finally:
                process.kill()

    def test_valgrind(self):
        if not shutil.which("valgrind"):
            support.skip("no valgrind", impossible_in_ci=True)
        process = subprocess.Popen(
            ["valgrind", "-q"] + pythons.main().command +
            ["-c", "import time\nprint(1, flush=True)\nwhile True: time.sleep(0.1)"],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        with process:
            try:
                self.assertEqual(process.stdout.readline(), b"1\n")
                self.refused(support.remora("run", process.pid, "-c", "pass"), 3, "emulator")
                self.assertIsNone(process.poll())
            finally:
                process.kill()


class Starting(support.LiveTest):
    """Processes between two programs, held there by a FIFO that nobody writes yet."""

    def fifo(self):
        path = os.path.join(self.folder(), "fifo")
        os.mkfifo(path)
        return path

    @staticmethod
    def is_opening(pid, fifo):
        """The thread waits in open() of the FIFO: openat, asm/unistd_64.h."""
        return support.read("/proc/%d/syscall" % pid).startswith("257 ")

    def started(self, preload):
        """A Python whose loader waits for the last file of preload."""
        fifo = self.fifo()
        process = subprocess.Popen(pythons.main().command + ["-c", "import time; time.sleep(300)"],
                                   stderr=subprocess.DEVNULL, env=dict(os.environ, LD_PRELOAD=preload + fifo))
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        support.wait_for(lambda: self.is_opening(process.pid, fifo), "the loader waits for the FIFO")
        return process, fifo

    def test_without_libraries(self):
        """The loader has not come to the C library."""
        process, fifo = self.started("")
        self.refused(support.remora("run", process.pid, "-c", "print(1)"), 3, "is just starting its program")
        remora = subprocess.Popen(support.command("run", process.pid, "-c", "print(6 * 7)"),
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=support.environment({
                                      "REMORA_DEBUG": "1"}))
        line = iter(remora.stderr.readline, b"")
        self.assertTrue(any(b"is just starting its program" in text for text in line))
        os.close(os.open(fifo, os.O_WRONLY))
        out, err = remora.communicate(timeout=support.DEADLINE)
        # It has come up by now, or is about to.
        self.assertIn((remora.returncode, out), ((0, b"42\n"), (3, b"")), err)
        self.assertNotRegex(err, b"no GNU C library|not a Python")

    def test_without_thread_state(self):
        """All files are there, but the C library has not set up its thread."""
        process, fifo = self.started("libc.so.6 ")
        self.refused(support.remora("run", process.pid, "--timeout", "0.5", "-c", "print(1)"), 3,
                     "starting|dynamic loader")
        os.close(os.open(fifo, os.O_WRONLY))
        support.wait_for(lambda: support.remora("run", process.pid, "-c", "print(1)").out == "1\n", "it is up")

    def test_in_its_parents_memory(self):
        """Between vfork and exec: code run in the child would run in the parent, and end amid it."""
        fifo = self.fifo()
        code = ("import os, sys, time\n"
                "os.posix_spawn('/bin/sleep', ['sleep', '300'], {}, file_actions=[(os.POSIX_SPAWN_OPEN, 9, %r, 0, 0)])\n"
                "print(1, flush=True)\ntime.sleep(300)" % fifo)
        process = subprocess.Popen(pythons.main().command + ["-c", code], stdout=subprocess.PIPE)
        children = "/proc/%d/task/%d/children" % (process.pid, process.pid)
        with process:
            try:
                child = int(support.wait_for(lambda: support.read(children), "a child"))
                self.addCleanup(os.kill, child, signal.SIGKILL)
                support.wait_for(lambda: self.is_opening(child, fifo), "it waits for the FIFO")
                self.refused(support.remora("run", child, "-c", "print(1)"), 3,
                             "about to start a program.* memory of process %d" % process.pid)
                self.assertRegex(support.remora("ps").out, r"\n *%d .* starting " % child)
                os.close(os.open(fifo, os.O_WRONLY))
                self.assertEqual(process.stdout.readline(), b"1\n")
                self.refused(support.remora("run", child, "-c", "print(1)"), 3, "not a Python")
                self.good(support.remora("run", process.pid, "-c", "print(1)"))
            finally:
                process.kill()


if __name__ == "__main__":
    unittest.main()
