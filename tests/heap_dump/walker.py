# SPDX-License-Identifier: GPL-3.0-or-later
"""Loads the walker's driver into this interpreter and takes dumps of it."""
import ctypes
import subprocess
import sys


class Walker(object):
    def __init__(self, driver, reader):
        self.lib = ctypes.PyDLL(driver)
        self.reader = reader
        self.lib.rmr_test_name.restype = ctypes.c_char_p
        self.lib.rmr_test_pause.restype = ctypes.c_long
        self.lib.rmr_test_dump.argtypes = [
            ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint, ctypes.c_int]
        addresses = []
        while True:
            name = self.lib.rmr_test_name(len(addresses))
            if not name:
                break
            try:
                symbol = ctypes.c_char.in_dll(ctypes.pythonapi, name.decode())
                addresses.append(ctypes.addressof(symbol))
            except ValueError:
                addresses.append(0)
        self.api = (ctypes.c_void_p * len(addresses))(*addresses)

    def start(self, path, values="short", extra=()):
        """Starts the reader; the dump itself is one C call (dump())."""
        fd = self.lib.rmr_test_ring()
        reader = subprocess.Popen([self.reader, str(fd), path, values] + list(extra),
                                  pass_fds=[fd], stdout=subprocess.PIPE)
        return fd, reader

    def arguments(self, fd, values="short", in_place=False):
        return (fd, ctypes.addressof(self.api), sys.hexversion,
                ("none", "short", "full").index(values), int(in_place))

    def dump(self, path, values="short", in_place=False, extra=()):
        """Status of the walk and what the reader printed."""
        fd, reader = self.start(path, values, extra)
        status = self.lib.rmr_test_dump(*self.arguments(fd, values, in_place))
        out = reader.communicate()[0].decode()
        return status, reader.returncode, out
