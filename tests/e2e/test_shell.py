# SPDX-License-Identifier: GPL-3.0-or-later
"""The shell: scripted, and as a person meets it, on a terminal."""
import json
import os
import pty
import re
import select
import signal
import subprocess
import time
import unittest

import support


class Scripted(support.LiveTest):
    def shell(self, heap, script, status=0):
        return self.good(support.remora("shell", heap, stdin=script.encode()), status)

    def test_on_a_dump(self):
        with self.start("known_heap") as target:
            path = os.path.join(self.folder(), "heap.jsonl")
            self.good(support.remora("dump", target, "-o", path))
            name = "sys.modules['app'].CACHE['k'][3].next"
            address = target.facts["paths"][name]
            result = self.shell(path, "summary\nobjects --type Node\nwhy %d\nshow %d\nhelp\nquit\n" % (
                address, address))
        self.assertIn(name, result.out)
        self.assertRegex(result.out, r"\bNode\b")
        self.assertIn("referrers", result.out)

    def test_on_a_process(self):
        with self.start("known_heap") as target:
            with support.unharmed(self, target):
                result = self.shell(target, "py 6 * 7\npy x = 5\npy x + 1\nsummary\ndump\nwhy %d\n" %
                                    target.facts["paths"]["sys.modules['app'].CACHE"])
            target.finish(self)
        self.assertRegex(result.out, r"(?m)^42$")
        self.assertRegex(result.out, r"(?m)^6$")
        self.assertIn("sys.modules['app'].CACHE", result.out)

    def test_value_of_the_last_expression(self):
        with self.start("sleep") as target, support.unharmed(self, target):
            result = self.shell(target, "py import sys; x = 'a; b'; x + ';'\npy x = 1; y = 2\npy y; x if x else (\n", 1)
        self.assertEqual(result.out, "'a; b;'\n")
        self.assertIn("SyntaxError", result.err)

    def test_results_go_to_a_program(self):
        with self.start("known_heap") as target:
            path = os.path.join(self.folder(), "heap.jsonl")
            self.good(support.remora("dump", target, "-o", path))
            with support.unharmed(self, target):
                result = self.shell(target, "py 4 | 3\npy 'a | cat'\n")
                self.assertEqual(result.out, "7\n'a | cat'\n")
        result = self.shell(path, "objects --limit 0 | head -n 2 | wc -l; echo then\n"
                                  "sql select 'a' || 'b' as both | tr a-z A-Z\n"
                                  "sql --format csv 'select 5 | 2 as n'\nhelp | true\n"
                                  "sql 'select 4 | 2 as n' --format csv\n")
        self.assertEqual(result.out, "2\nthen\nBOTH\nAB\nn\n7\nn\n6\n")
        address = json.loads(support.remora("objects", path, "--limit", "1", "--format", "json").out)[0]["address"]
        self.assertEqual(self.shell(path, "graph %d -o - | grep -c fontcolor=red\n" % address).out, "1\n")
        self.assertIn("missing behind '|'", self.shell(path, "objects |", 2).err)
        self.assertIn("no object at 0x7", self.shell(path, "show 7 | cat", 1).err)

    def test_detach(self):
        """`py` stays attached, and `detach` leaves at once."""
        with self.start("sleep") as target:
            count = "len(__import__('os').listdir('/proc/self/task'))"
            with support.unharmed(self, target):
                process = subprocess.Popen(support.command("shell", target), stdin=subprocess.PIPE,
                                           stdout=subprocess.PIPE, env=support.environment())
                process.stdin.write(("py %s\n" % count).encode())
                process.stdin.flush()
                self.assertGreater(int(process.stdout.readline()), 1)
                process.stdin.write(b"detach\n")
                process.stdin.flush()
                support.wait_for(lambda: len(target.tids()) == 1, "remora leaves")
                out, _ = process.communicate(b"py 6 * 7\n", timeout=30)
                self.assertEqual((process.returncode, out), (0, b"42\n"))
            target.finish(self)

    def test_errors(self):
        """A script ends at the first failure, with its status; with -k it goes on."""
        with self.start("sleep") as target:
            script = b"show 1\nwhy\nnonsense\npy 1/0\npy 'still ' + 'on'\n"
            with support.unharmed(self, target):
                result = self.good(support.remora("shell", target, stdin=script), 1)
                self.assertNotIn("still on", result.out)
            with support.unharmed(self, target):
                result = support.remora("shell", "-k", target, stdin=script)
            self.assertIn("still on", result.out, repr(result))
            self.assertIn("ZeroDivisionError", result.err)
            self.assertIn("nonsense", result.err)
            target.finish(self)

    def test_target_goes_away(self):
        with self.start("sleep") as target:
            process = subprocess.Popen(support.command("shell", target), stdin=subprocess.PIPE,
                                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=support.environment())
            process.stdin.write(b"py 'up'\n")
            process.stdin.flush()
            target.process.kill()
            target.process.wait(20)
            out, err = process.communicate(b"py 1\nsummary\n", timeout=30)
            self.assertNotIn(process.returncode, (0, -11), err)
            self.assertRegex(err.decode(), "(?m)^remora: ")


class Terminal(support.LiveTest):
    def open(self, *args):
        line = support.command(*args)
        env = support.environment({"TERM": "xterm", "HOME": "/nonexistent", "COLUMNS": "120"})
        pid, self.fd = pty.fork()
        if pid == 0:
            try:
                os.execve(line[0], line, env)
            finally:
                os._exit(99)
        self.addCleanup(os.close, self.fd)
        self.addCleanup(self.end, pid)
        self.child, self.screen = pid, ""

    def end(self, pid):
        if self.child is None:
            return
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)

    def expect(self, pattern, seconds=20):
        """Reads until the text since the last match matches; returns what came up to its end."""
        end = time.monotonic() + seconds
        while True:
            plain = re.sub(r"\x1b\[[?0-9;]*[a-zA-Z]|\x07|\r|[\x01\x02]", "", self.screen)
            found = re.search(pattern, plain)
            if found:
                self.screen = plain[found.end():]
                return plain[:found.end()]
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.fd], [], [], left)[0]:
                self.fail("no %r within %g s: %r" % (pattern, seconds, plain[-2000:]))
            try:
                more = os.read(self.fd, 65536)
            except OSError:
                more = b""
            if not more:
                self.fail("ended before %r: %r" % (pattern, plain[-2000:]))
            self.screen += more.decode("utf-8", "replace")

    def type(self, text):
        os.write(self.fd, text.encode())

    def left(self):
        """Waits for remora to end by itself; returns its status."""
        def done():
            if select.select([self.fd], [], [], 0)[0]:
                try:
                    os.read(self.fd, 65536)
                except OSError:
                    pass
            pid, status = os.waitpid(self.child, os.WNOHANG)
            return [status] if pid else None
        status, = support.wait_for(done, "the shell ends", 20)
        self.child = None
        return os.waitstatus_to_exitcode(status)

    PROMPT = r"remora[^\n]*> ?$"

    def test_process(self):
        with self.start("known_heap") as target:
            target.arenas = 3
            with support.unharmed(self, target):
                self.open("shell", target)
                self.expect(self.PROMPT)
                self.type("py 40 + 2\n")
                self.expect(r"\n42\n")
                self.expect(r"\(attached\)> ?$")
                self.type("summ\t\n")
                self.expect(r"summary")
                self.expect(r"\bdict\b")
                self.expect(self.PROMPT)
                self.type("py exec('print(6 * 7)\\nwhile True: pass')\n")
                self.expect(r"\n42\n")
                self.type("\x03")
                self.expect(self.PROMPT)
                self.type("half a line\x03")
                self.expect(self.PROMPT)
                self.type("\x1b[A\x1b[A\x1b[A")
                self.type("\x03")
                self.expect(self.PROMPT)
                self.type("\x04")
                self.assertEqual(self.left(), 0)
            target.finish(self)

    def test_dump_file(self):
        with self.start("known_heap") as target:
            path = os.path.join(self.folder(), "heap.jsonl")
            self.good(support.remora("dump", target, "-o", path))
        self.open("shell", path)
        self.expect(self.PROMPT)
        self.type("objects --type Nod\t\n")
        self.expect(r"Node")
        self.expect(self.PROMPT)
        self.type("why $1\n")
        # Whichever Node has the lowest address: one is a local of the frame.
        self.expect(r"sys\.modules\['app'\]|<frame rest at ")
        self.expect(self.PROMPT)
        self.type("quit\n")
        self.assertEqual(self.left(), 0)


if __name__ == "__main__":
    unittest.main()
