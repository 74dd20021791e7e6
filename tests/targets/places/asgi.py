# SPDX-License-Identifier: GPL-3.0-or-later
"""wsgi.py's application for asyncio servers."""
import wsgi


async def application(scope, receive, send):
    if scope["type"] != "http":
        return
    body = wsgi.answer(scope["path"]).encode("ascii", "backslashreplace")
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
