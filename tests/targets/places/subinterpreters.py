# SPDX-License-Identifier: GPL-3.0-or-later
"""Two sub-interpreters, each with a mark of its own; the main one sleeps. 3.8 and later."""
import os
import sys
import time

if sys.version_info >= (3, 13):
    import _interpreters as interpreters
else:
    import _xxsubinterpreters as interpreters

sys.path.insert(1, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import kit  # noqa: E402

made = [interpreters.create(), interpreters.create()]
for one in made:
    interpreters.run_string(one, "import sys; sys.mark = ['mark of interpreter %d']" % int(one))
kit.ready(interpreters=[int(one) for one in made])
while True:
    time.sleep(10)
