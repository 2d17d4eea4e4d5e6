# SPDX-License-Identifier: ISC
"""The application of WSGI servers."""

from report import UNREAD, report, status


def read(environ):
    """Without a length an application may only read if the server says where the content ends."""
    if environ.get("CONTENT_LENGTH"):
        return len(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
    return len(environ["wsgi.input"].read()) if environ.get("wsgi.input_terminated") else 0


def app(environ, start_response):
    fields = [(key[5:], value) for key, value in environ.items() if key.startswith("HTTP_")]
    method, content = environ["REQUEST_METHOD"], "-"
    try:
        if method not in UNREAD:
            content = read(environ)
    finally:
        report(fields, f"{method} {environ.get('PATH_INFO')}", content)
    head = [("Content-Type", "text/plain"), ("Content-Length", "2")]
    start_response(f"{status(method)} -", head)
    return [] if method == "HEAD" else [b"ok"]
