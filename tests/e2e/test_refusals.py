# SPDX-License-Identifier: GPL-3.0-or-later
"""What remora refuses: in one line, with the documented status, in time, the target untouched."""
import errno
import os
import shutil
import signal
import subprocess
import sys
import unittest

import pythons
import support

NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")


def need_root():
    if os.getuid() != 0:
        support.skip("needs root to become somebody else")


class Refusals(support.LiveTest):
    def attach(self, pid, pattern, status=3, prefix=(), binary=None):
        """run and dump are refused alike."""
        for line in (("run", pid, "-c", "print(1)"), ("dump", pid, "-o", "/dev/null")):
            self.refused(support.remora(*line, prefix=prefix, binary=binary), status, pattern)

    def program(self, *line, ready=None, **more):
        """Starts a program of no Python, and waits until it sleeps."""
        process = subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, **more)

        def end():
            if process.poll() is None:
                process.kill()
            process.wait(20)
            process.stdin.close()
            process.stdout.close()
        self.addCleanup(end)
        if ready:
            self.assertEqual(process.stdout.readline(), ready)
        support.wait_for(lambda: support.read("/proc/%d/stat" % process.pid).split(") ")[-1][:1] == "S",
                         "%s sleeps" % (line,))
        return process

    def public_remora(self):
        """remora where any user can run it."""
        need_root()
        return shutil.copy(support.REMORA, self.folder())

    def test_no_such_process(self):
        process = subprocess.Popen(["true"])
        process.wait()
        self.attach(process.pid, "no (such )?process|%d" % process.pid)
        self.attach(2147483646, "2147483646")

    def test_not_a_python(self):
        self.attach(self.program("sleep", "600").pid, "(?i)python")

    def test_kernel_thread(self):
        if not os.path.exists("/proc/2/status") or "kthreadd" not in support.read("/proc/2/comm"):
            support.skip("no kernel thread in this PID namespace", impossible_in_ci=True)
        self.attach(2, "kernel|Python")

    def interpreter(self, what, test):
        found = pythons.first(test)
        if not found:
            support.skip("no %s here: tests/get-pythons fetches one" % what,
                         impossible_in_ci=what == "free-threaded build")
        return found

    def start_other(self, interpreter):
        return self.program(*interpreter.command, "-c",
                            "import sys, time; print('READY'); sys.stdout.flush(); time.sleep(600)",
                            ready=b"READY\n")

    def test_pypy(self):
        self.attach(self.start_other(self.interpreter("PyPy", lambda p: p.kind == "pypy")).pid, "PyPy")

    def test_python_2(self):
        python = self.interpreter("Python 2", lambda p: p.kind == "cpython" and p.version[0] == 2)
        self.attach(self.start_other(python).pid, r"Python 2|2\.7")

    def test_free_threaded(self):
        python = self.interpreter("free-threaded build", lambda p: p.free_threaded)
        self.attach(self.start_other(python).pid, "free-threaded|GIL")

    def test_without_main_thread(self):
        """It is a zombie to look at, but lives."""
        code = ("import ctypes, threading, time\nthreading.Thread(target=time.sleep, args=(300,)).start()\n"
                "print(1, flush=True)\nctypes.CDLL(None).syscall(60, 0)")
        process = subprocess.Popen(pythons.main().command + ["-c", code], stdout=subprocess.PIPE)
        with process:
            try:
                self.assertEqual(process.stdout.readline(), b"1\n")
                support.wait_for(lambda: "Z (zombie)" in support.read("/proc/%d/status" % process.pid), "it ends")
                for command in "run", "stacks":
                    line = (command, process.pid) + (("-c", "1") if command == "run" else ())
                    self.refused(support.remora(*line), 3, "main thread .* has ended, though others run on")
            finally:
                process.kill()

    def test_32_bit(self):
        try:
            process = self.program(support.helper("bits32"))
        except OSError as error:
            if error.errno != errno.ENOEXEC:
                raise
            support.skip("this kernel runs no 32-bit programs", impossible_in_ci=True)
        self.attach(process.pid, "32.bit")

    def test_other_users(self):
        binary = self.public_remora()
        with self.start("sleep") as target:
            with support.unharmed(self, target):
                self.attach(target.pid, "(?i)user|uid|root|permission", prefix=NOBODY, binary=binary)

    def test_own_process_of_a_user(self):
        """No refusal: who is not root may look into his own processes."""
        binary = self.public_remora()
        with self.start("sleep", interpreter=pythons.main().public(), prefix=NOBODY) as target:
            with support.unharmed(self, target):
                result = support.remora("run", target, "-c", "print(1)", prefix=NOBODY, binary=binary)
                self.assertEqual(self.good(result).out, "1\n")
                self.good(support.remora("dump", target, "-o", "/dev/null", prefix=NOBODY, binary=binary))
            target.finish(self)

    def test_root_looks_into_a_users(self):
        need_root()
        with self.start("sleep", interpreter=pythons.main().public(), prefix=NOBODY) as target:
            with support.unharmed(self, target):
                self.assertEqual(self.good(support.remora("run", target, "-c", "print(1)")).out, "1\n")
                self.good(support.remora("dump", target, "-o", "/dev/null"))
            target.finish(self)

    def test_without_the_capability(self):
        binary = self.public_remora()
        with self.start("sleep") as target:
            with support.unharmed(self, target):
                self.attach(target.pid, "(?i)CAP_SYS_PTRACE|capabilit", binary=binary,
                            prefix=("setpriv", "--bounding-set=-sys_ptrace", "--inh-caps=-sys_ptrace"))

    def test_undumpable(self):
        binary = self.public_remora()
        with self.start(support.Kind("undumpable", "65534")) as target:
            with support.unharmed(self, target):
                self.attach(target.pid, "(?i)dumpable", prefix=NOBODY, binary=binary)
            with support.unharmed(self, target):
                self.good(support.remora("run", target, "-c", "print(1)"))  # root may
            target.finish(self)

    def test_from_a_user_namespace(self):
        binary = self.public_remora()
        with self.start("sleep") as target:
            with support.unharmed(self, target):
                self.attach(target.pid, "(?i)namespace", prefix=("unshare", "-Ur"), binary=binary)

    def test_landlock(self):
        """A sandboxed remora, root or not, traces nothing outside of its sandbox."""
        need_root()
        prefix = (sys.executable, str(pythons.TARGETS / "places" / "landlock.py"))
        if subprocess.run(prefix + ("true",)).returncode == 77:
            support.skip("no Landlock in this kernel", impossible_in_ci=True)
        with self.start("sleep") as target, support.unharmed(self, target):
            self.attach(target, "security module.*Landlock", prefix=prefix)

    def test_already_traced(self):
        with self.start("sleep") as target:
            tracer = self.program(support.helper("tracer"), str(target.pid), ready=b"READY\n")
            before = support.Snapshot(target)
            self.assertEqual(before.lines["TracerPid"].strip(), str(tracer.pid))
            self.attach(target.pid, "(?i)traced.*%d" % tracer.pid)
            support.assert_unharmed(self, target, before)
            tracer.kill()
            tracer.wait(20)
            self.good(support.remora("run", target, "-c", "pass"))
            target.finish(self)

    def test_stopped(self):
        with self.start("sleep") as target:
            before = support.Snapshot(target)
            os.kill(target.pid, signal.SIGSTOP)
            support.wait_for(lambda: target.status()["State"][0] == "T", "stopped")
            self.attach(target.pid, "(?i)stopped")
            self.assertEqual(target.status()["State"][0], "T")
            os.kill(target.pid, signal.SIGCONT)
            support.assert_unharmed(self, target, before)
            self.good(support.remora("run", target, "-c", "pass"))
            target.finish(self)

    def test_zombie(self):
        process = subprocess.Popen(["true"])
        self.addCleanup(process.wait)
        support.wait_for(lambda: " Z " in support.read("/proc/%d/stat" % process.pid), "a zombie")
        self.attach(process.pid, "(?i)zombie|exited|ended")

    def test_ps_tells_why(self):
        """ps lists Python processes, and says of each whether it can be attached to."""
        with self.start("sleep") as target:
            result = self.good(support.remora("ps", "--format", "csv", "--limit", "0"))
            self.assertRegex(result.out, r"(?m)(^|,)%d," % target.pid)


class Usage(support.LiveTest):
    LINES = [(), ("nonsense",), ("run",), ("run", "1"), ("run", "abc", "-c", "pass"), ("dump",),
             ("dump", "abc"), ("summary",), ("summary", "/nonexistent/dump"), ("show", "/dev/null", "zz"),
             ("run", "0", "-c", "pass"), ("run", "-1", "-c", "pass"), ("--nonsense",),
             ("summary", "/dev/null", "--format", "xml"), ("run", "99999999999999999999", "-c", "pass"),
             ("dump", "1", "--nonsense"), ("run", "1", "/nonexistent/payload.py"),
             ("run", "--timeout", "soon", "1", "-c", "pass")]

    def test_wrong_usage(self):
        for line in self.LINES:
            with self.subTest(case=line):
                result = support.remora(*line)
                self.assertEqual(result.status, 2, repr(result))
                self.assertEqual(result.out, "", repr(result))
                self.assertRegex(result.err, "(?m)^(remora: |usage: )", repr(result))

    def test_help_and_version(self):
        for line in [("--help",), ("help",), ("help", "run"), ("run", "--help"),
                                        ("--version",)]:
            with self.subTest(case=line):
                result = self.good(support.remora(*line))
                self.assertTrue(result.out, repr(result))
                self.assertEqual(result.err, "", repr(result))


if __name__ == "__main__":
    unittest.main()
