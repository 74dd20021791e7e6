# SPDX-License-Identifier: GPL-3.0-or-later
"""Multiplies matrices, and checks the products bit by bit."""
import os
import sys

import numpy

sys.path.insert(1, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import kit  # noqa: E402

left = numpy.arange(40000.0).reshape(200, 200) / 7
expected = left @ left

kit.ready()
while True:
    kit.check((left @ left == expected).all(), "product")
    kit.check(numpy.sort(left[::-1], axis=0).sum() == numpy.sort(left, axis=0).sum(), "sort")
    kit.tick()
