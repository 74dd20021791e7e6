# SPDX-License-Identifier: GPL-3.0-or-later
"""remora run: every form of payload, its output, exceptions, status, time limits and interrupts."""
import os
import select
import signal
import subprocess
import time
import unittest

import pythons
import support


class Payloads(support.LiveTest):
    def setUp(self):
        self.target = self.start("sleep")
        self.target.arenas = 3
        self.before = support.Snapshot(self.target)

    def tearDown(self):
        if self.target.process.poll() is None:
            support.assert_unharmed(self, self.target, self.before, 15)

    def run_code(self, code, *args, status=0, **more):
        return self.good(support.remora("run", *args, self.target, "-c", code, **more), status)

    def file(self, text, name="payload.py"):
        path = os.path.join(self.folder(), name)
        with open(path, "wb") as file:
            file.write(text if isinstance(text, bytes) else text.encode())
        return path

    def started(self, *args):
        process = subprocess.Popen(support.command("run", *args), stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, env=support.environment())
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.stderr.close)
        self.addCleanup(lambda: process.poll() is None and process.kill())
        return process

    def line(self, process, seconds=20):
        self.assertTrue(select.select([process.stdout], [], [], seconds)[0], "no output in time")
        return process.stdout.readline()

    def test_code(self):
        self.assertEqual(self.run_code("print(6 * 7)").out, "42\n")
        self.assertEqual(self.run_code("pass").out, "")
        self.assertEqual(self.run_code("").out, "")

    def test_file_and_arguments(self):
        path = self.file("import sys\nprint(argv[1:], __name__)\nprint('e', file=sys.stderr)\n")
        result = self.good(support.remora("run", self.target, path, "-x", "--format", "\u00e9", ""))
        self.assertEqual(result.out, "['-x', '--format', '\u00e9', ''] __main__\n")
        self.assertTrue(result.err.startswith("e\n"), repr(result))

    def test_declared_encoding(self):
        path = self.file("# coding: latin-1\nprint(ascii('\u00e9'))\n".encode("latin-1"))
        self.assertEqual(self.good(support.remora("run", self.target, path)).out, "'\\xe9'\n")

    def test_standard_input(self):
        result = self.good(support.remora("run", self.target, "-", stdin=b"print('from stdin')\n"))
        self.assertEqual(result.out, "from stdin\n")

    def test_built_in(self):
        listed = self.good(support.remora("payloads"))
        self.assertGreater(len(listed.out.splitlines()), 3, repr(listed))
        for name in ("hello", "modules", "stacks"):
            with self.subTest(name=name):
                self.assertIn(name, listed.out)
                self.assertTrue(self.good(support.remora("run", self.target, name)).out)

    def test_library(self):
        library = support.helper("payload.so")
        result = self.good(support.remora("run", self.target, library), 0)
        self.assertEqual(result.out, "0\n")
        result = self.good(support.remora("run", "--pass-exit", self.target, library, "a", "b"), 2)
        self.assertEqual(result.out, "a b 2\n")
        result = self.good(support.remora("run", self.target, library, "a", "b"), 1)
        self.assertNotIn("payload.so", support.read("/proc/%d/maps" % self.target.pid))

    def test_library_interrupted(self):
        process = self.started("--pass-exit", self.target, support.helper("payload.so"), "wait")
        self.assertEqual(self.line(process), b"waiting\n")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
        self.assertNotEqual(process.returncode, 0)
        self.assertIn(b"interrupted", err)

    def test_broken_library(self):
        path = self.file(b"\x7fELF" + bytes(100), "broken.so")
        result = support.remora("run", self.target, path)
        self.assertEqual(result.status, 1, repr(result))
        self.assertRegex(result.err, "(?m)^remora: ")

    def test_exception(self):
        path = self.file("def f(n):\n    return 1 / n\n\ntry:\n    f(0)\nfinally:\n    print('finally')\n")
        result = self.good(support.remora("run", self.target, path), 1)
        self.assertEqual(result.out, "finally\n")
        self.assertIn("Traceback (most recent call last):\n", result.err)
        self.assertIn('File "%s", line 2, in f\n    return 1 / n\n' % path, result.err)
        self.assertIn("ZeroDivisionError: division by zero", result.err)
        self.assertNotIn("<unknown>", result.err)  # the file name of runner.py

    def test_syntax_error(self):
        result = self.run_code("def", status=1)
        self.assertIn("SyntaxError", result.err)

    def test_exit_status(self):
        self.run_code("raise SystemExit(0)")
        self.run_code("raise SystemExit(3)", status=1)
        self.run_code("raise SystemExit(3)", "--pass-exit", status=3)
        self.run_code("1/0", "--pass-exit", status=1)
        self.assertIn("farewell", self.run_code("import sys; sys.exit('farewell')", status=1).err)

    def test_own_failures_with_pass_exit(self):
        result = support.remora("run", "--pass-exit", "2147483646", "-c", "pass")
        self.assertEqual(result.status, 125, repr(result))

    def test_output_as_it_appears(self):
        process = self.started(self.target, "-c", "import time\nprint('first')\ntime.sleep(1.5)\nprint('last')")
        start = time.monotonic()
        self.assertEqual(self.line(process), b"first\n")
        first = time.monotonic() - start
        out, _ = process.communicate(timeout=20)
        self.assertEqual(out, b"last\n")
        self.assertLess(first, time.monotonic() - start - 1.0)

    def test_large_output(self):
        result = self.run_code("for n in range(40000):\n    print('x' * 500)", timeout=120)
        self.assertEqual(len(result.out), 40000 * 501)

    def test_text_that_is_no_text(self):
        result = self.run_code("print('\\u20ac \\U0001f40d \\udc80 end')")
        self.assertIn("\u20ac \U0001f40d ", result.out)
        self.assertTrue(result.out.endswith(" end\n"))

    def test_reader_goes_away(self):
        process = self.started(self.target, "-c", "while True: print('x' * 1000)")
        self.line(process)
        process.stdout.close()
        process.wait(20)
        self.assertGreaterEqual(process.returncode, 0)

    def test_interrupt(self):
        process = self.started(self.target, "-c", "print('on')\nwhile True:\n    pass")
        self.assertEqual(self.line(process), b"on\n")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
        self.assertNotIn(process.returncode, (0, -signal.SIGSEGV))

    def test_endless_output_that_cannot_be_interrupted(self):
        """remora ends all the same; the agent does when the payload does."""
        code = ("import os, time\nend = time.time() + 12\nwhile time.time() < end:\n    try:\n"
                "        while time.time() < end:\n            print('x' * 50)\n"
                "    except BaseException:\n        pass")
        start = time.monotonic()
        result = support.remora("run", "--timeout", "1", self.target, "-c", code, timeout=30)
        self.assertEqual(result.status, 4, repr(result)[:400])
        self.assertLess(time.monotonic() - start, 8)

    def test_forking(self):
        """A child that the payload forks ends with the payload's code, not in an agent that it lacks."""
        self.before.inside.pop("sigchld")
        for rest, status in (("pass", 0), ("exit(3)", 3), ("1 / 0", 1)):
            result = self.run_code("import os\npid = os.fork()\nif pid:\n    print(os.waitpid(pid, 0)[1])\n"
                                   "else:\n    os.dup2(os.open('/dev/null', os.O_WRONLY), 2)\n    " + rest)
            self.assertEqual(result.out, "%d\n" % (status << 8))

    def test_timeout(self):
        start = time.monotonic()
        result = support.remora("run", "--timeout", "1", self.target, "-c", "import time; time.sleep(8)")
        self.assertEqual(result.status, 4, repr(result))
        self.assertLess(time.monotonic() - start, 6)
        self.assertRegex(result.err, "(?m)^remora: .*(time|within|after)")

    def test_timeout_from_the_environment(self):
        result = support.remora("run", self.target, "-c", "import time; time.sleep(8)",
                                env={"REMORA_IPC_TIMEOUT": "1"})
        self.assertEqual(result.status, 4, repr(result))

    def test_long_work_is_no_failure(self):
        self.assertEqual(self.run_code("import time; time.sleep(6); print('done')").out, "done\n")

    def test_assignments_do_not_leak(self):
        self.run_code("leaked = 1\ndef f(): pass\nclass C: pass")
        self.assertEqual(self.run_code("print('leaked' in dir())").out, "False\n")

    def test_kept_stream_and_function(self):
        """What a payload leaves behind by its own code stays harmless."""
        self.run_code("import sys, kit\nkit.kept = (sys.stdout, lambda: print('from later'))")
        self.assertEqual(self.run_code("import kit; kit.kept[1](); kit.kept[0].write('')\ndel kit.kept").status, 0)
        self.target.stray.clear()


class GilHeld(support.LiveTest):
    def test_held_for_a_while(self):
        """C code that keeps the GIL 50 ms at a time is only waited for."""
        with self.start("busy_c") as target:
            with support.unharmed(self, target):
                result = self.good(support.remora("run", target, "-c", "print(1)"))
                self.assertEqual(result.out, "1\n")
            target.finish(self)

    def test_held_for_ever(self):
        with self.start("gil_forever") as target:
            start = time.monotonic()
            result = support.remora("run", "--timeout", "2", target, "-c", "print(1)")
            self.assertEqual((result.status, result.out), (4, ""), repr(result))
            self.assertLess(time.monotonic() - start, 12)
            self.assertIn("GIL", result.err)
            self.assertTrue(target.alive())
            self.assertEqual(target.status()["TracerPid"].strip(), "0")
            self.assertEqual(target.status()["State"][0], "R")


class EveryPython(support.LiveTest):
    """The forms that depend on the interpreter's version."""

    def check(self, interpreter):
        with support.Target(interpreter, "sleep") as target:
            target.arenas = 3
            with support.unharmed(self, target):
                result = self.good(support.remora("run", target, "-c", "def f():\n  1/0\nf()"), 1)
                self.assertIn("in f\n    1/0\nZeroDivisionError: division by zero", result.err)
            with support.unharmed(self, target):
                result = self.good(support.remora("run", target, "-", "a", stdin=b"print(argv)"))
                self.assertEqual(result.out, "['<stdin>', 'a']\n")
            with support.unharmed(self, target):
                process = subprocess.Popen(
                    support.command("run", target, "-c", "print('on')\nwhile True: pass"),
                    stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=support.environment())
                self.assertEqual(process.stdout.readline(), b"on\n")
                process.send_signal(signal.SIGINT)
                process.communicate(timeout=20)
                self.assertNotIn(process.returncode, (0, -11))
            target.finish(self)

    def check_library(self, interpreter):
        """The library need not be in the target's file system. The loader needs the target's /proc."""
        library = support.helper("payload.so")
        for container in (False, True) if interpreter.root else (False,):
            with support.Target(interpreter, "sleep" if container else "threads", container=container) as target:
                with support.unharmed(self, target):
                    result = self.good(support.remora("run", target, library, "one"), 1)
                    if interpreter.root and not container:
                        self.assertIn("/proc", result.err)
                    else:
                        self.assertEqual(result.out, "one 1\n")
                if not container:
                    target.finish(self)


for _python in pythons.supported():
    setattr(EveryPython, "test_%s" % _python, lambda self, python=_python: self.check(python))
    setattr(EveryPython, "test_library_%s" % _python, lambda self, python=_python: self.check_library(python))

if __name__ == "__main__":
    unittest.main()
