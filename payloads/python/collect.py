"""Runs a full garbage collection and says what it freed and what it could not."""
# SPDX-License-Identifier: 0BSD
import gc

before = gc.get_count()
garbage = len(gc.garbage)
found = gc.collect()
print("unreachable objects found: %d" % found)
print("uncollectable, in gc.garbage: %d (%+d)" % (len(gc.garbage), len(gc.garbage) - garbage))
print("counts before and after: %s, %s" % (before, gc.get_count()))
