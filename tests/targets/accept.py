# SPDX-License-Identifier: GPL-3.0-or-later
"""One thread, blocked in accept on loopback. A connection gets its one line back."""
import socket

import kit

listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen(8)

kit.ready(port=listener.getsockname()[1])
while True:
    connection, _ = listener.accept()
    connection.sendall(connection.recv(4096))
    connection.close()
    kit.tick()
