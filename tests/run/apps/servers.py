# SPDX-License-Identifier: ISC
"""Python's servers that are libraries: servers.py NAME PORT"""

import sys

from report import UNREAD, report, status
from wsgi import app

HOST = "127.0.0.1"


def run_waitress(port):
    import waitress

    waitress.serve(app, host=HOST, port=port, threads=4)


def run_cheroot(port):
    from cheroot import wsgi

    wsgi.Server((HOST, port), app, numthreads=4).start()


def run_werkzeug(port):
    from werkzeug.serving import WSGIRequestHandler, run_simple

    WSGIRequestHandler.protocol_version = "HTTP/1.1"
    run_simple(HOST, port, app, threaded=True)


def run_tornado(port):
    from tornado import httpserver, httputil, ioloop

    def answer(request):
        fields = list(request.headers.get_all())
        report(fields, f"{request.method} {request.uri}", len(request.body))
        line = httputil.ResponseStartLine("HTTP/1.1", status(request.method), "-")
        head = httputil.HTTPHeaders({"Content-Length": "2"})
        request.connection.write_headers(line, head, b"" if request.method == "HEAD" else b"ok")
        request.connection.finish()

    httpserver.HTTPServer(answer).listen(port, HOST)
    ioloop.IOLoop.current().start()


def run_aiohttp(port):
    import asyncio

    from aiohttp import web

    async def answer(request):
        content = "-"
        try:
            if request.method not in UNREAD:
                content = len(await request.read())
        finally:
            raw = [(n.decode("latin-1"), v.decode("latin-1")) for n, v in request.raw_headers]
            report(raw, f"{request.method} {request.raw_path}", content)
        return web.Response(text="ok", status=status(request.method))

    async def main():
        runner = web.ServerRunner(web.Server(answer))
        await runner.setup()
        await web.TCPSite(runner, HOST, port).start()
        await asyncio.Event().wait()

    asyncio.run(main())


def run_twisted(port):
    from twisted.internet import reactor
    from twisted.web import resource, server

    class Answer(resource.Resource):
        isLeaf = True

        def render(self, request):
            raw = request.requestHeaders.getAllRawHeaders()
            fields = [(n.decode("latin-1"), v.decode("latin-1")) for n, vs in raw for v in vs]
            line = f"{request.method.decode('latin-1')} {request.uri.decode('latin-1')}"
            report(fields, line, len(request.content.read()))
            request.setResponseCode(status(request.method.decode("latin-1")))
            return b"ok"

    reactor.listenTCP(port, server.Site(Answer()), interface=HOST)
    reactor.run()


if __name__ == "__main__":
    globals()[f"run_{sys.argv[1]}"](int(sys.argv[2]))
