# SPDX-License-Identifier: GPL-3.0-or-later
# The part of runner.py that prints an exception; runs in its namespace. Not the traceback module:
# that may not be loaded in the target, and loading it would leave it there.


def file_line(name, number, cache):
    if name not in cache:
        if name == filename:
            lines = source.decode("utf-8", "replace").split("\n")
        else:
            try:
                with open(name, "rb") as file:
                    lines = file.read().decode("utf-8", "replace").split("\n")
            except (OSError, ValueError):
                lines = []
        cache[name] = lines
    lines = cache[name]
    return lines[number - 1].strip() if number and 0 < number <= len(lines) else ""


def stack_lines(traceback, cache):
    lines, last, repeats = [], None, 0
    while traceback is not None:
        frame, code = traceback.tb_frame, traceback.tb_frame.f_code
        entry = (code.co_filename, traceback.tb_lineno, code.co_name)
        traceback = traceback.tb_next
        if frame.f_globals is globals():
            continue
        repeats = repeats + 1 if entry == last else 0
        last = entry
        if repeats < 3:
            lines.append('  File "%s", line %s, in %s' % entry)
            text = file_line(entry[0], entry[1], cache)
            if text:
                lines.append("    " + text)
        elif repeats == 3:
            lines.append("  [more of the same]")
    return lines


def class_name(cls):
    module = getattr(cls, "__module__", None)
    name = getattr(cls, "__qualname__", cls.__name__)
    return name if module in ("builtins", "__main__", None) else "%s.%s" % (module, name)


def exception_lines(exception):
    lines = []
    if isinstance(exception, SyntaxError) and exception.lineno:
        lines.append('  File "%s", line %s' % (exception.filename, exception.lineno))
        if exception.text:
            text = exception.text.rstrip("\n")
            bare = text.lstrip()
            lines.append("    " + bare)
            if exception.offset:
                caret = max(exception.offset - 1 - (len(text) - len(bare)), 0)
                lines.append("    " + " " * caret + "^")
        text = exception.msg
    else:
        try:
            text = str(exception)
        except Exception:
            text = "<exception str() failed>"
    name = class_name(type(exception))
    lines.append("%s: %s" % (name, text) if text else name)
    notes = getattr(exception, "__notes__", None)
    if isinstance(notes, (list, tuple)):
        for note in notes:
            lines += str(note).split("\n")
    return lines


def message(exception):
    chain, seen, cache = [], set(), {}
    while exception is not None and id(exception) not in seen:
        seen.add(id(exception))
        between = None
        if exception.__cause__ is not None:
            following = exception.__cause__
            between = "The above exception was the direct cause of the following exception:"
        elif exception.__context__ is not None and not exception.__suppress_context__:
            following = exception.__context__
            between = "During handling of the above exception, another exception occurred:"
        else:
            following = None
        lines = stack_lines(exception.__traceback__, cache)
        if lines:
            lines.insert(0, "Traceback (most recent call last):")
        lines += exception_lines(exception)
        group = getattr(exception, "exceptions", None)
        if isinstance(group, tuple):
            for member in group:
                if isinstance(member, BaseException):
                    lines += ["  | " + line for line in
                              stack_lines(member.__traceback__, cache) + exception_lines(member)]
        chain.append((lines, between))
        exception = following
    text = []
    for lines, between in reversed(chain):
        if text:
            text += ["", between, ""]
        text += lines
    return "\n".join(text) + "\n"
