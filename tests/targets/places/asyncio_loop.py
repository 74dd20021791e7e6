# SPDX-License-Identifier: GPL-3.0-or-later
"""Tasks of an event loop that talk over sockets and sleep, and check what they get and when."""
import asyncio
import os
import socket
import sys

sys.path.insert(1, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import kit  # noqa: E402


async def echo(end):
    reader, writer = await asyncio.open_connection(sock=end)
    while True:
        writer.write(await reader.readline())


async def ask(end, number):
    loop = asyncio.get_running_loop()
    reader, writer = await asyncio.open_connection(sock=end)
    while True:
        text = b"%d %d\n" % (number, kit.progress["ticks"])
        writer.write(text)
        kit.check(await reader.readline() == text, "echo", number)
        start = loop.time()
        await asyncio.sleep(0.005)
        kit.check(loop.time() - start >= 0.004, "a short sleep")
        kit.tick()


async def main():
    tasks = []
    for number in range(10):
        ends = socket.socketpair()
        tasks += [asyncio.ensure_future(echo(ends[0])), asyncio.ensure_future(ask(ends[1], number))]
    kit.ready()
    await asyncio.gather(*tasks)


asyncio.run(main())
