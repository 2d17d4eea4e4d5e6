# SPDX-License-Identifier: ISC
"""The application of ASGI servers."""

from report import UNREAD, report, status


async def content_of(receive):
    size = 0
    while (message := await receive())["type"] == "http.request":
        size += len(message.get("body", b""))
        if not message.get("more_body"):
            return size
    return "-"  # the client has gone


async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    fields = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]]
    method, content = scope["method"], "-"
    try:
        if method not in UNREAD:
            content = await content_of(receive)
    finally:
        report(fields, f"{method} {scope['path']}", content)
    head = [(b"content-type", b"text/plain"), (b"content-length", b"2")]
    await send({"type": "http.response.start", "status": status(method), "headers": head})
    await send({"type": "http.response.body", "body": b"ok"})
