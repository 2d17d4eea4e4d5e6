# SPDX-License-Identifier: ISC
"""Application servers as a site runs them, each with the same application: it answers with the
request's target and its X-Forwarded-For, and when asked with ?late not at once."""

import glob
import os
import re
import shutil
import time
import urllib.request

from peers import Apache, Haproxy, Nginx, Program, free_port
from recorder import Recorder

LATE = 0.3  # seconds, much longer than an end takes to come through

NODE = """
require('http').createServer((request, response) => {
    const text = `${request.url} ${request.headers['x-forwarded-for']}`;
    setTimeout(() => response.end(text), request.url.endsWith('?late') ? %d : 0);
}).listen(%d, '127.0.0.1');
"""
AIOHTTP = """
import asyncio
from aiohttp import web

async def answer(request):
    if request.query_string == "late":
        await asyncio.sleep(%g)
    return web.Response(text=f"{request.path_qs} {request.headers['X-Forwarded-For']}")

app = web.Application()
app.router.add_route("*", "/{tail:.*}", answer)
web.run_app(app, host="127.0.0.1", port=%d)
"""
ASGI = """
import asyncio

async def app(scope, receive, send):
    assert scope["type"] == "http"
    target = scope["path"] + "?" + scope["query_string"].decode()
    if target.endswith("?late"):
        await asyncio.sleep(%g)
    text = target + " " + dict(scope["headers"])[b"x-forwarded-for"].decode()
    length = str(len(text)).encode()
    start = {"type": "http.response.start", "status": 200, "headers": [(b"content-length", length)]}
    await send(start)
    await send({"type": "http.response.body", "body": text.encode()})
"""
WSGI = """
import time

def app(environ, start_response):
    target = environ["PATH_INFO"] + "?" + environ["QUERY_STRING"]
    if target.endswith("?late"):
        time.sleep(%g)
    text = target + " " + environ["HTTP_X_FORWARDED_FOR"]
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(text)))])
    return [text.encode()]
"""
PUMA = """
app do |env|
  target = env["PATH_INFO"] + "?" + env["QUERY_STRING"]
  sleep %g if target.end_with?("?late")
  text = target + " " + env["HTTP_X_FORWARDED_FOR"]
  [200, {"Content-Type" => "text/plain", "Content-Length" => text.bytesize.to_s}, [text]]
end
bind "tcp://127.0.0.1:%d"
threads 4, 4
"""
JSP = """<%%@page trimDirectiveWhitespaces="true"%%>
<%% String target = request.getRequestURI() + "?" + request.getQueryString();
    if (target.endsWith("?late")) Thread.sleep(%d);
    out.print(target + " " + request.getHeader("X-Forwarded-For")); %%>"""
PHP = """<?php
if ($_SERVER['QUERY_STRING'] == 'late') usleep(%d);
echo $_SERVER['REQUEST_URI'], ' ', $_SERVER['HTTP_X_FORWARDED_FOR'];
"""


def echo(connection):
    """The same application, for what only forwards."""
    while (request := connection.take_request()) is not None:
        target = request.split()[1].decode()
        if target.endswith("?late"):
            time.sleep(LATE)
        address = re.search(rb"(?i)\r\nx-forwarded-for: (.*)\r\n", request)[1].decode()
        text = f"{target} {address}".encode()
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(text), text))


class App(Program):
    """`source` is the application, in a file called `file`."""

    file = source = None
    needs = None  # the command or file without which it is not installed

    def __init__(self):
        super().__init__()
        self.port = free_port()
        self.write()

    def write(self):
        (self.folder / self.file).write_text(self.source % (LATE, self.port))

    def endpoints(self):
        return [str(self.port)]

    def environment(self):
        return {**os.environ, "PYTHONPATH": str(self.folder)}

    @classmethod
    def installed(cls):
        return bool(shutil.which(cls.needs) or glob.glob(cls.needs))


class Node(App):
    name = needs = "node"
    file, source = "app.js", NODE

    def write(self):
        (self.folder / self.file).write_text(NODE % (LATE * 1000, self.port))

    def command(self):
        return ["node", self.file]


class Aiohttp(App):
    name, needs = "aiohttp", "/usr/lib/python3/dist-packages/aiohttp"
    file, source = "serve.py", AIOHTTP

    def command(self):
        return ["/usr/bin/python3", self.file]


class Uvicorn(App):
    name = needs = "uvicorn"

    def write(self):
        (self.folder / "site_app.py").write_text(ASGI % LATE)

    def command(self):
        return ["uvicorn", "--port", str(self.port), "--no-access-log", "site_app:app"]


class Gunicorn(App):
    name = needs = "gunicorn"

    def write(self):
        (self.folder / "site_app.py").write_text(WSGI % LATE)

    def command(self):
        return ["gunicorn", "-b", f"127.0.0.1:{self.port}", "--threads", "4", "site_app:app"]


class Waitress(Gunicorn):
    name, needs = "waitress", "/usr/lib/python3/dist-packages/waitress"

    def command(self):
        serve = f"import site_app, waitress; waitress.serve(site_app.app, port={self.port})"
        return ["/usr/bin/python3", "-c", serve]


class Puma(App):
    name = needs = "puma"
    file, source = "puma.rb", PUMA

    def command(self):
        return ["puma", "-q", "-C", self.file]


class Tomcat(App):
    name, needs = "tomcat10", "/usr/share/tomcat10/bin/bootstrap.jar"

    def write(self):
        root = self.folder / "webapps/ROOT"
        root.mkdir(parents=True)
        for name in ("conf", "logs", "temp", "work"):
            (self.folder / name).mkdir()
        (root / "app.jsp").write_text(JSP % (LATE * 1000))
        shutil.copy("/etc/tomcat10/web.xml", self.folder / "conf/web.xml")
        (self.folder / "conf/server.xml").write_text(
            f"""<Server port="-1"><Service name="Catalina">
<Connector port="{self.port}" address="127.0.0.1" bindOnInit="false"/>
<Engine name="Catalina" defaultHost="localhost"><Host name="localhost" appBase="none">
<Context path="" docBase="{root}"><JarScanner scanClassPath="false"/></Context></Host></Engine>
</Service></Server>"""
        )

    def __enter__(self):
        """The first request waits for a compiler."""
        super().__enter__()
        urllib.request.urlopen(f"http://127.0.0.1:{self.port}/app.jsp").close()
        return self

    def command(self):
        jars = "/usr/share/tomcat10/bin/bootstrap.jar:/usr/share/tomcat10/bin/tomcat-juli.jar"
        home = ["-Dcatalina.home=/usr/share/tomcat10", f"-Dcatalina.base={self.folder}"]
        temp = f"-Djava.io.tmpdir={self.folder}/temp"
        return ["java", "-XX:TieredStopAtLevel=1", "-cp", jars, *home, temp, "org.apache.catalina.startup.Bootstrap"]


class Fpm(App):
    """PHP's process manager; nginx is in front of it."""

    name, needs = "php-fpm", "/usr/sbin/php-fpm*"

    def write(self):
        (self.folder / "app.php").write_text(PHP % (LATE * 1e6))
        user = "user = root\ngroup = root\n" if os.getuid() == 0 else ""
        (self.folder / "fpm.conf").write_text(
            f"[global]\nerror_log = {self.folder}/log\ndaemonize = no\n[www]\n{user}"
            f"listen = 127.0.0.1:{self.port}\npm = static\npm.max_children = 5\n"
        )

    def command(self):
        program = sorted(glob.glob(self.needs))[-1]
        return [program, "-R", "-n", "-p", str(self.folder), "-y", f"{self.folder}/fpm.conf"]


# --- with a server in front ------------------------------------------------------------------


def nginx_and_fpm(start):
    fpm = start(Fpm())
    script = f"fastcgi_param SCRIPT_FILENAME {fpm.folder}/app.php;"
    names = "".join(
        f"fastcgi_param {name} ${value};"
        for name, value in [
            ("REQUEST_METHOD", "request_method"),
            ("REQUEST_URI", "request_uri"),
            ("QUERY_STRING", "query_string"),
        ]
    )
    pool = f"fastcgi_pass 127.0.0.1:{fpm.port}; {script} {names}"
    return start(Nginx(server=f"location / {{ {pool} }}")).port


def nginx_proxy(start):
    origin = start(Recorder(echo))
    return start(Nginx(server=f"location / {{ proxy_pass http://127.0.0.1:{origin.port}; }}")).port


def apache_without_keep_alive(start):
    origin = start(Recorder(echo))
    modules = "".join(
        f"LoadModule {name}_module {Apache.MODULES}/mod_{name}.so\n"
        for name in ("proxy", "proxy_http")
    )
    proxy = f"ProxyAddHeaders Off\nProxyPass / http://127.0.0.1:{origin.port}/\n"
    return start(Apache(f"{modules}KeepAlive Off\n{proxy}")).port


def haproxy_that_closes(option):
    def started(start):
        origin, port = start(Recorder(echo)), free_port()
        listen = f"listen web\n bind 127.0.0.1:{port}\n option {option}\n"
        start(Haproxy(f"{listen} server origin 127.0.0.1:{origin.port}\n"))
        return port

    return started


APPS = {cls.name: cls for cls in (Node, Aiohttp, Uvicorn, Gunicorn, Waitress, Puma, Tomcat)}
PROXIES = {
    "php-fpm": nginx_and_fpm,
    "nginx": nginx_proxy,
    "apache2": apache_without_keep_alive,
    "haproxy-http-server-close": haproxy_that_closes("http-server-close"),
    "haproxy-httpclose": haproxy_that_closes("httpclose"),
}
NAMES = [*APPS, *PROXIES]


def installed(name):
    if name in APPS:
        return APPS[name].installed()
    return Fpm.installed() if name == "php-fpm" else shutil.which(name.split("-")[0]) is not None


def start_app(start, name):
    """The port of the server of that name, or of the one in front of it."""
    return start(APPS[name]()).port if name in APPS else PROXIES[name](start)
