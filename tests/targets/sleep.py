# SPDX-License-Identifier: GPL-3.0-or-later
"""One thread, asleep for ever."""
import time

import kit

kit.ready()
while True:
    time.sleep(3600)
