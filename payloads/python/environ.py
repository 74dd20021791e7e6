"""Shows command line, working directory, sys.path and environment."""
# SPDX-License-Identifier: 0BSD
import os
import sys

print("argv: %r" % (getattr(sys, "argv", None),))
print("executable: %s" % sys.executable)
print("directory: %s" % os.getcwd())
for path in sys.path:
    print("path: %s" % path)
for name, value in sorted(os.environ.items()):
    print("%s=%s" % (name, value))
