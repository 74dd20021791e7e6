# SPDX-License-Identifier: GPL-3.0-or-later
"""The interpreters that this machine has: the system's, pyenv's, and those that tests/get-pythons
unpacked (REMORA_PYTHONS_DIR, or remora/pythons in the user's cache folder)."""
import atexit
import copy
import os
import pathlib
import shutil
import subprocess
import tempfile

TARGETS = pathlib.Path(__file__).resolve().parent.parent / "targets"
CACHE = pathlib.Path(os.environ.get("REMORA_PYTHONS_DIR") or pathlib.Path(
    os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "remora" / "pythons")


class Interpreter:
    """One interpreter. command starts it, and the process started becomes the interpreter; root is
    the folder that it sees as /, or "" where it sees ours."""

    def __init__(self, name, command, root="", info=None):
        self.name = name
        self.command = [str(c) for c in command]
        self.root = str(root)
        self.copies = bool(root)  # whether files of ours must be copied to where it can read them
        info = info or self._ask()
        self.version = tuple(int(n) for n in info["version"].split("."))
        self.kind = info["impl"]
        self.debug = info["debug"] == "1"
        self.free_threaded = "t" in info["abiflags"]
        self._placed = {}

    def _ask(self):
        code = ('import sys; print("%d.%d.%d %s %d %s" % (sys.version_info[:3] + ("pypy" if "PyPy" in '
                'sys.version else "cpython", hasattr(sys, "gettotalrefcount"), '
                'getattr(sys, "abiflags", "") or "-")))')
        out = subprocess.run(self.command + ["-c", code], stdout=subprocess.PIPE, timeout=60, check=True)
        return dict(zip(("version", "impl", "debug", "abiflags"), out.stdout.decode().split()))

    def __repr__(self):
        return self.name

    @property
    def supported(self):
        return self.kind == "cpython" and self.version >= (3, 6) and not self.free_threaded

    def has(self, module):
        """Whether it can import this module."""
        return subprocess.call(self.command + ["-c", "import " + module], stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL) == 0

    def public(self):
        """The same for another user, who may not be able to read the source folder."""
        other = copy.copy(self)
        other.copies, other._placed = True, {}
        return other

    def folder(self):
        """A folder that this interpreter can read and write, as (its path here, its path there)."""
        if "" not in self._placed:
            base = os.path.join(self.root, "tmp") if self.root else None
            here = tempfile.mkdtemp(prefix="remora-e2e-", dir=base)
            os.chmod(here, 0o755)
            atexit.register(shutil.rmtree, here, ignore_errors=True)
            self._placed[""] = here
        here = self._placed[""]
        return here, here[len(self.root):]

    def place(self, file):
        """The path by which this interpreter reaches a file of ours."""
        file = str(file)
        if not self.copies:
            return file
        if file not in self._placed:
            here, there = self.folder()
            shutil.copy(file, here)
            self._placed[file] = os.path.join(there, os.path.basename(file))
        return self._placed[file]

    def target(self, kind):
        """The path by which this interpreter reaches tests/targets/KIND.py and what it imports."""
        if self.copies:
            for module in TARGETS.glob("*.py"):
                self.place(module)
        return self.place(TARGETS / (kind + ".py"))


def fetched(programs):
    """programs: also those of trees with programs."""
    index = CACHE / "index.tsv"
    if not index.exists():
        return
    for line in index.read_text().splitlines():
        name, binary, facts = line.split("\t")
        entry = CACHE / name
        # A tree with programs (test_places.py, tests/bench) holds the same interpreter as another entry.
        if name.endswith(("-apps", "-bench")) and not programs or not (entry / "ok").exists():
            continue
        root = entry / "root" if (entry / "python-ct").exists() else ""
        yield Interpreter(name, [entry / "python"], root,
                          dict(f.split("=", 1) for f in facts.split() if "=" in f))


def find(programs=False):
    """All of them, whatever their kind. programs: also those of trees with programs."""
    found = [Interpreter("system", ["/usr/bin/python3"])]
    for binary in sorted(pathlib.Path.home().glob(".pyenv/versions/*/bin/python")):
        found.append(Interpreter("pyenv-" + binary.parts[-3], [binary]))
    found.extend(fetched(programs))
    return found


_all = find()


def supported():
    """Those that remora must work on, chosen by REMORA_PYTHONS (names, separated by commas)."""
    chosen = [p for p in os.environ.get("REMORA_PYTHONS", "").split(",") if p]
    return [p for p in _all if p.supported and (not chosen or p.name in chosen)]


def main():
    """One interpreter for the tests that need only one: the system's."""
    return _all[0]


def first(test):
    """The first interpreter that passes test, or None."""
    return next((p for p in _all if test(p)), None)
