# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the live tests: python3 tests/e2e [-k PATTERN]... [--long]."""
import argparse
import os
import signal
import sys
import time
import unittest

FOLDER = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, FOLDER)
sys.dont_write_bytecode = True
# Ten times what the slowest takes. Every wait has a deadline of its own; this is for those forgotten.
SECONDS = 600


def late(signum, frame):
    raise AssertionError("the test takes more than %d s" % SECONDS)


class Lines(unittest.TextTestResult):
    """One line a test: its verdict, its seconds, and why it was skipped."""

    def __init__(self, *args, **more):
        super().__init__(*args, **more)
        self.dots = self.showAll = False
        self.bad, self.started = set(), 0.0

    def startTest(self, test):
        super().startTest(test)
        self.started = time.monotonic()
        if not os.environ.get("REMORA_LONG"):
            signal.alarm(SECONDS)

    def stopTest(self, test):
        super().stopTest(test)
        signal.alarm(0)
        verdict = "ok"
        if test.id() in self.bad:
            verdict = "FAILED"
        elif self.skipped and self.skipped[-1][0] is test:
            verdict = "skipped: " + self.skipped[-1][1]
        print("%6.1f s  %s  %s" % (time.monotonic() - self.started, test.id(), verdict), flush=True)

    def note(self, test, kind, error):
        self.bad.add(test.id())
        print("%s: %s\n%s" % (kind, test, self._exc_info_to_string(error, test)), flush=True)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.note(test, "failure", err)

    def addError(self, test, err):
        super().addError(test, err)
        self.note(test, "error", err)

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            self.bad.add(test.id())
            print("failure: %s\n%s" % (subtest, self._exc_info_to_string(err, test)), flush=True)

    def printErrors(self):
        """They were printed when they happened."""


def main():
    parser = argparse.ArgumentParser(prog="python3 tests/e2e")
    parser.add_argument("-k", action="append", metavar="PATTERN", help="only tests whose name has it")
    parser.add_argument("--long", action="store_true", help="the long form: hours")
    options = parser.parse_args()
    if options.long:
        os.environ["REMORA_LONG"] = "1"
    import support
    if not os.access(support.REMORA, os.X_OK):
        sys.exit("no remora at %s: build it, or set REMORA_BUILD to the build folder" % support.REMORA)
    signal.signal(signal.SIGALRM, late)
    loader = unittest.TestLoader()
    if options.k:
        loader.testNamePatterns = ["*%s*" % k for k in options.k]
    suite = loader.discover(FOLDER, top_level_dir=FOLDER)
    start = time.monotonic()
    result = unittest.TextTestRunner(stream=open(os.devnull, "w"), resultclass=Lines).run(suite)
    failed = len(result.bad) or len(result.failures) + len(result.errors)
    skipped = len(result.skipped)
    print("live tests: %d passed, %d failed, %d skipped in %.0f s" % (
        result.testsRun - failed - skipped, failed, skipped, time.monotonic() - start), flush=True)
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
