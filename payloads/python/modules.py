"""Lists the loaded modules and where each came from."""
# SPDX-License-Identifier: 0BSD
import sys

for name, module in sorted((str(name), module) for name, module in list(sys.modules.items())):
    try:
        origin = vars(module).get("__file__") or "built-in"
    except TypeError:
        origin = type(module).__name__
    print("%s: %s" % (name, origin))
