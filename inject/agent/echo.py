# SPDX-License-Identifier: GPL-3.0-or-later
# The part of runner.py that runs a payload and prints the value of the expression that ends it, as
# in `import gc; gc.get_count()`; runs in its globals.


def compiled(text, mode):
    try:
        return compile(text, filename, mode, 0, True)
    except SyntaxError:
        return None


def statements_and_value():
    at = len(source)
    while at >= 0:
        at = source.rfind(b";", 0, at)
        before = compiled(source[:max(at, 0)], "exec")
        value = compiled(source[at + 1:].strip(), "eval")
        if before and value:
            return before, value
    return compile(source, filename, "exec", 0, True), None


def run_and_print():
    statements, expression = statements_and_value()
    exec(statements, ns)
    value = eval(expression, ns) if expression else None
    if value is not None:
        print(repr(value))


run_and_print()
