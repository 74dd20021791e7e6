# SPDX-License-Identifier: GPL-3.0-or-later
"""One thread, asleep for ever, ten seconds at a time: kit.py says why."""
import time

import kit

kit.ready()
while True:
    time.sleep(10)
