# SPDX-License-Identifier: GPL-3.0-or-later
"""A loop of subprocess: vfork or posix_spawn where the version uses them, fork and exec elsewhere."""
import subprocess
import sys

import kit

command = [sys.executable, "-I", "-S", "-c", "print(6 * 7)"]

kit.ready(childless=False)
while True:
    kit.check(subprocess.check_output(command) == b"42\n", "output")
    kit.check(subprocess.call(command[:4] + ["raise SystemExit(3)"], close_fds=False) == 3, "status")
    kit.tick()
