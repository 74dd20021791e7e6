# SPDX-License-Identifier: GPL-3.0-or-later
"""run.py DRIVER READER: the walker's tests on every interpreter of REMORA_PYTHONS (executables with
colons between them), or on those of ~/.pyenv and /usr/bin/python3."""
import glob
import os
import subprocess
import sys
import tempfile


def interpreters():
    given = os.environ.get("REMORA_PYTHONS")
    if given:
        return given.split(":")
    found = glob.glob(os.path.expanduser("~/.pyenv/versions/3.*/bin/python")) + ["/usr/bin/python3"]
    return [path for path in sorted(found) if os.access(path, os.X_OK)]


def supports(python):
    """True for a CPython of 3.6 to 3.15 with the GIL."""
    code = ("import sys, sysconfig; sys.exit(not ((3, 6) <= sys.version_info < (3, 16) and "
            "sys.implementation.name == 'cpython' and "
            "not sysconfig.get_config_var('Py_GIL_DISABLED')))")
    return subprocess.call([python, "-c", code], stderr=subprocess.DEVNULL) == 0


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    failed = []
    with tempfile.TemporaryDirectory() as folder:
        for python in filter(supports, interpreters()):
            for script in ("compare.py", "faults.py", "extremes.py", "traces.py", "buffers.py"):
                command = [python, "-W", "ignore", os.path.join(here, script)] + sys.argv[1:3]
                print(python, script, flush=True)
                if subprocess.call(command + [os.path.join(folder, "dump.jsonl")], timeout=300):
                    failed.append((python, script))
        # In place it is the same code, so one will do.
        command = [python, "-W", "ignore", os.path.join(here, "compare.py")] + sys.argv[1:3]
        print(python, "in place", flush=True)
        if subprocess.call(command + [os.path.join(folder, "dump.jsonl"), "in-place"], timeout=300):
            failed.append((python, "in place"))
    if failed:
        print("FAILED: %s" % failed)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
