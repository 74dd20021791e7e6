# SPDX-License-Identifier: GPL-3.0-or-later
"""usage: ends.py exit|exec|fork SECONDS - is gone that long after READY: exits, becomes another
program, or leaves its work to a child."""
import os
import sys
import time

import kit

kit.ready()
time.sleep(float(sys.argv[2]))
if sys.argv[1] == "exec":
    os.execv(sys.executable, [sys.executable, "-S", "-c", "import time; time.sleep(3600)"])
