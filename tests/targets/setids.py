# SPDX-License-Identifier: GPL-3.0-or-later
"""setuid, setgid and setgroups in a loop, which the C library carries out in every thread by signal
33: it must stay open in all of them."""
import os
import time

import kit


def change():
    groups = os.getgroups()
    while True:
        os.setgid(os.getgid())
        os.setuid(os.getuid())
        if os.getuid() == 0:
            os.setgroups(groups)
        kit.tick()
        time.sleep(0.0005)


for _ in range(4):
    kit.start_thread(time.sleep, 36000)
kit.start_thread(change)

kit.ready()
while True:
    time.sleep(10)
