# SPDX-License-Identifier: GPL-3.0-or-later
"""remora is kept waiting, by a file system that hangs, a trap in a file's place, a terminal: whatever it
waits for, the target does not."""
import contextlib
import copy
import os
import shutil
import signal
import subprocess
import unittest

import pythons
import support
from test_places import NOBODY, need_root

PLACES = pythons.TARGETS / "places"
FILE_CALLS = (5, 257, 262)  # fstat, openat, newfstatat; asm/unistd_64.h


class Files(support.LiveTest):
    @staticmethod
    def opens(pid):
        """Whether a child of remora waits for a file."""
        children = [child for tid in os.listdir("/proc/%d/task" % pid)
                    for child in support.read("/proc/%d/task/%s/children" % (pid, tid)).split()]
        return [child for child in children
                if support.read("/proc/%s/syscall" % child).split(" ")[0] in map(str, FILE_CALLS)]

    def waiting(self, target, command, *rest):
        """A remora that waits for the file; None if it met the thread in Python, between two calls of
        the library, and did not need it."""
        attach = subprocess.Popen(support.command(command, target, *rest), stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, env=support.environment())
        support.wait_for(lambda: attach.poll() is not None or self.opens(attach.pid), "it waits or ends")
        if attach.poll() is None:
            return attach
        _, err = attach.communicate()
        self.assertEqual(attach.returncode, 0, err)
        return None

    def goes_on(self, target):
        """Work is done, again and again."""
        ticks = target.report()["ticks"]
        for _ in range(30):
            now = support.wait_for(lambda: (lambda n: n > ticks and n)(target.report()["ticks"]),
                                   "%s goes on: %s" % (target.name, target.condition()), 3)
            ticks = now

    def hanging(self, file):
        """A folder, and the command line's front that has a file system of its own there, with a copy of file."""
        need_root()
        if not os.path.exists("/dev/fuse"):
            support.skip("no FUSE here", impossible_in_ci=True)
        folder = self.folder()
        launch = (os.path.realpath("/usr/bin/python3"), str(PLACES / "hanging.py"), folder, str(file))
        if subprocess.run(launch + ("true",), stderr=subprocess.DEVNULL).returncode:
            support.skip("no file system can be mounted here", impossible_in_ci=True)
        os.unlink(folder + ".pid")
        return folder, launch

    def server(self, folder):
        self.addCleanup(lambda: os.path.exists(folder + ".pid") and os.unlink(folder + ".pid"))
        return int(support.wait_for(lambda: support.read(folder + ".pid"), "the server's PID"))

    def test_hanging_file_system(self):
        """The thread computes in a library whose file cannot be read any more: to find the way out of its
        frame remora needs that file, and waits for it, but not while the thread stands still."""
        folder, launch = self.hanging(support.HELPERS)
        kind = support.Kind("busy_c", folder + "/file", "20", "free", busy=True, vary="state")
        for line in (("run", "--timeout", "60", "-c", "print(6 * 7)"), ("stacks", "--timeout", "60", "--native")):
            with self.subTest(command=line[0]), self.start(kind, prefix=launch) as target:
                server = self.server(folder)
                with support.unharmed(self, target):
                    os.kill(server, signal.SIGUSR2)
                    attach = support.wait_for(lambda: self.waiting(target, *line),
                                              "remora waits for the file")
                    self.goes_on(target)
                    self.assertIsNone(attach.poll(), "it does not wait for the file")
                    os.kill(server, signal.SIGKILL)
                    out, err = attach.communicate(timeout=support.DEADLINE)
                self.assertEqual(attach.returncode, 0, err)
                self.assertIn(b"42" if line[0] == "run" else b"rmr_spin", out)
                os.unlink(folder + ".pid")
                target.finish(self)

    def interrupted(self, target, *line):
        attach = support.wait_for(lambda: self.waiting(target, line[0], "--timeout", "0", *line[1:]),
                                  "remora waits for the file")
        attach.send_signal(signal.SIGINT)
        out, err = attach.communicate(timeout=5)
        self.assertEqual(out, b"")
        self.assertIn(attach.returncode, (5, -signal.SIGINT), err)

    def stays_away(self, target, server, needed):
        """The time limit and Ctrl-C end remora's wait, even where its child cannot be killed. needed: the
        command that cannot do without the file."""
        hangs = "cannot read .*/file: its file system .fuse on .* gave no answer for 0.[36] s"
        for hang in signal.SIGUSR2, signal.SIGUSR1:
            os.kill(server, hang)
            with self.subTest(hang=hang):
                self.refused(support.remora(needed[0], "--timeout", "0.6", target, *needed[1:]), 4, hangs)
                self.interrupted(target, *needed)
            # A server that takes no request cannot go on to answer none.
            if hang == signal.SIGUSR2:
                os.kill(server, hang)

    def test_library_that_stays_away(self):
        folder, launch = self.hanging(support.HELPERS)
        kind = support.Kind("busy_c", folder + "/file", "500", "free", busy=True, vary="state")
        with self.start(kind, prefix=launch) as target:
            server = self.server(folder)
            with support.unharmed(self, target):
                self.stays_away(target, server, ("stacks", "--native"))
                self.assertRegex(support.remora("ps").out, r"\n *%d .* yes " % target.pid)
                # What is on the thread's stack tells enough.
                self.assertEqual(self.good(support.remora("run", target, "-c", "print(1)")).out, "1\n")
                os.kill(server, signal.SIGKILL)
            target.finish(self)

    def test_interpreter_that_stays_away(self):
        """What of it is not in memory is waited for as the file is."""
        main = pythons.main()
        folder, launch = self.hanging(os.path.realpath(main.command[0]))
        interpreter = copy.copy(main)
        interpreter.command = [folder + "/file"]
        with self.start("sleep", interpreter=interpreter, prefix=launch,
                        env={"PYTHONHOME": os.path.dirname(os.path.dirname(main.command[0]))}) as target:
            server = self.server(folder)
            with support.unharmed(self, target):
                self.stays_away(target, server, ("run", "-c", "print(1)"))
                os.kill(server, signal.SIGKILL)
            target.finish(self)

    def test_fifo_in_a_files_place(self):
        """In the target's own file system a FIFO now stands where a mapped library was: to open it would
        be to wait for ever."""
        need_root()
        folder = self.folder()
        os.chmod(folder, 0o755)
        trap, fifo, binary = folder + "/helpers.so", folder + "/fifo", folder + "/remora"
        shutil.copy(support.HELPERS, trap)
        shutil.copy(support.REMORA, binary)
        os.mkfifo(fifo, 0o666)
        kind = support.Kind("busy_c", trap, "20", "free", busy=True, vary="state")
        # Not as root: for him the kernel has a way to the very file that was mapped.
        with self.start(kind, interpreter=pythons.main().public(),
                        prefix=("unshare", "--mount", "--propagation", "private") + NOBODY) as target:
            subprocess.run(("nsenter", "-m", "-t", str(target.pid), "mount", "--bind", fifo, trap), check=True)
            for line in (("run", "-c", "print(6 * 7)"), ("stacks", "--native")):
                with self.subTest(command=line[0]), support.unharmed(self, target):
                    self.good(support.remora(line[0], target, *line[1:], prefix=NOBODY, binary=binary, timeout=20))
            target.finish(self)


class Output(support.LiveTest):
    """The output of a dump is a pipe that nobody reads."""

    PATIENCE = 10  # seconds, RMR_RING_PATIENCE_MS

    def dump(self, target, *options):
        process = subprocess.Popen(support.command("dump", target, "-o", "-", *options), stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, env=support.environment())
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        return process

    @staticmethod
    def twins(target):
        return [child for tid in target.tids()
                for child in support.read("/proc/%d/task/%s/children" % (target.pid, tid)).split()]

    def test_given_up(self):
        """The twin lives on while remora can only not write; of a remora that is stopped itself (Ctrl-Z) it is
        nothing but a burden, and ends."""
        large = support.Kind("workload", "200000")
        with contextlib.ExitStack() as stack:
            slow, early, late, in_place = targets = [stack.enter_context(self.start(large)) for _ in range(4)]
            before = {target: support.Snapshot(target) for target in targets}
            dumps = [self.dump(slow), self.dump(early)]
            support.wait_for(lambda: self.twins(early), "a twin")
            dumps[1].send_signal(signal.SIGSTOP)
            dumps += [self.dump(late), self.dump(in_place, "--in-place")]
            for target in (slow, late):
                support.wait_for(lambda: self.twins(target) and support.read(
                    "/proc/%s/syscall" % self.twins(target)[0]).startswith("202 "), "its twin waits for room")
            dumps[2].send_signal(signal.SIGSTOP)
            for target in (early, late):
                support.wait_for(lambda: not self.twins(target), "the twin ends", 3 * self.PATIENCE)
            # The target itself stands still until its dump is given up.
            in_place.report()
            self.assertEqual(len(self.twins(slow)), 1)
            for dump in dumps[1:3]:
                dump.send_signal(signal.SIGCONT)
            for dump in dumps[1:]:
                _, err = dump.communicate(timeout=30)
                self.assertEqual(dump.returncode, 5, err)
                self.assertIn(b"given up", err)
            for target in (early, late, in_place):
                support.assert_unharmed(self, target, before[target])
            out, err = dumps[0].communicate(timeout=60)
            self.assertEqual(dumps[0].returncode, 0, err)
            self.assertGreater(out.count(b"\n"), 200000)
            support.assert_unharmed(self, slow, before[slow])


if __name__ == "__main__":
    unittest.main()
