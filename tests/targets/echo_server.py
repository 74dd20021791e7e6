# SPDX-License-Identifier: GPL-3.0-or-later
"""The sample: a small TCP echo server on loopback that leaks as real ones do.

usage: echo_server.py [PORT] - prints the port that it listens on. Four leaks, each of another kind:
  1. SESSIONS, a cache that only grows: nobody ever takes a session out.
  2. Listeners that are never removed: every connection subscribes to the server's events, so the
     event hub holds the connection and the connection the hub (a cycle, and reachable).
  3. A list that a closure keeps: the audit log's entries, held by the function that appends.
  4. Memory of a native library: a zlib stream per client, whose buffers (about 256 kB each) belong
     to zlib. No Python object shows them; the Compress objects are 128 bytes each.
"""
import os
import signal
import socket
import sys
import threading
import zlib

SESSIONS = {}


class Session:
    def __init__(self, client, number):
        self.client = client
        self.number = number
        self.history = []


class Hub:
    """Tells every listener of every event."""

    def __init__(self):
        self.listeners = []

    def subscribe(self, listener):
        self.listeners.append(listener)


class Connection:
    def __init__(self, peer, hub):
        self.peer = peer
        self.hub = hub
        self.received = 0
        hub.subscribe(self.on_event)

    def on_event(self, event):
        self.received += len(event)


def make_audit():
    entries = []

    def audit(line):
        entries.append({"line": line, "length": len(line)})
    return audit


def serve(sock, number, hub, audit):
    connection = Connection("client-%d" % number, hub)
    session = SESSIONS[number] = Session(connection, number)
    session.stream = zlib.compressobj(9)
    with sock:
        for data in iter(lambda: sock.recv(4096), b""):
            session.history.append(data)
            session.stream.compress(data)
            audit(data.decode("latin-1"))
            sock.sendall(data)


def main():
    hub, audit = Hub(), make_audit()
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 0))
    listener.listen(64)
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    print("listening on 127.0.0.1:%d" % listener.getsockname()[1], flush=True)
    number = 0
    while True:
        sock, _ = listener.accept()
        number += 1
        thread = threading.Thread(target=serve, args=(sock, number, hub, audit), daemon=True)
        thread.start()


if __name__ == "__main__":
    main()
