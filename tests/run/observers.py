# SPDX-License-Identifier: ISC
"""Six web servers, each as lenient as it gets, that report every request as they parsed it.

All refuse CONNECT: with a 2xx the server would say that the bytes behind it are no requests.
"""

import os
import re
import subprocess
from dataclasses import dataclass

from peers import Apache, Haproxy, Nginx, Program, free_port, wait_for
from recorder import Recorder

PROBE = "X-Stunnel-Probe"  # the field that a run sets
FORWARDED = "X-Forwarded-For"
ALIASES = {name: re.sub("[^a-z0-9]", "", name.lower()) for name in (PROBE, FORWARDED)}
NO_CONTENT = b"HTTP/1.1 204 No Content\r\n\r\n"
REFUSED = {"400", "403", "405", "408", "411", "413", "414", "417", "431", "500", "501", "505"}


@dataclass
class Seen:
    """A request, or what a server took for one; a field of several lines is comma-separated."""

    peer: str
    status: str
    probe: str
    forwarded: str
    content: str  # how many bytes, if the server tells
    request: str

    @property
    def refused(self):
        """Whether the server refused it before it had read our field."""
        return self.status in REFUSED and self.probe in ("", "-")


def alias_values(lines, name):
    """The values of all lines whose name a careless reader could take for `name`."""
    pairs = [line.partition(":") for line in lines]
    wanted = ALIASES[name]
    found = [value for key, _, value in pairs if re.sub("[^a-z0-9]", "", key.lower()) == wanted]
    return ", ".join(value.strip() for value in found)


def without_peer(seen):
    """Takes away what a server itself adds to X-Forwarded-For before it writes its log."""
    values = f", {seen.forwarded}".removesuffix(f", {seen.peer}")
    seen.forwarded = values.removeprefix(", ")
    return seen


class Observer:
    """Mixed into a Program: its file `self.seen` holds the lines that apps/report.py tells of."""

    options = ()  # that the daemon's service needs for it

    def reported(self):
        lines = self.seen.read_bytes().decode("latin-1").split("\n") if self.seen.exists() else []
        whole = [line for line in lines[:-1] if line.startswith("SEEN|")]
        return [self.record(line) for line in whole]

    def record(self, line):
        return Seen(*line.split("|", 6)[1:])

    def wait_seen(self, mark):
        """Waits for a request that has `mark` in its first line: all before it is reported, too."""
        wait_for(lambda: any(mark in seen.request for seen in self.reported()), f"{mark} reported")


class Forwarder(Observer):
    """A proxy: a recorder, `self.origin`, takes what it forwards."""

    def __enter__(self):
        self.origin.__enter__()
        try:
            return super().__enter__()
        except BaseException:
            self.origin.__exit__()
            raise

    def __exit__(self, *details):
        super().__exit__(*details)
        self.origin.__exit__()


def refuse_connect(connection):
    """The origin behind a proxy: every request is fine, but nobody gets a tunnel."""
    while (request := connection.take_request()) is not None:
        refused = b"HTTP/1.1 405 No\r\nContent-Length: 0\r\n\r\n"
        connection.send(refused if request.startswith(b"CONNECT ") else NO_CONTENT)


def answer_once(connection):
    """The origin behind a proxy that speaks HTTP/1.0 to it."""
    if connection.take_request() is not None:
        connection.send(NO_CONTENT)


class HaproxyObserver(Forwarder, Haproxy):
    def __init__(self):
        self.port = free_port()
        self.origin = Recorder(refuse_connect)
        # A client's own lines are 32 at most, and ours is behind them.
        kept = [[f"{name},{n}" for n in range(1, 41)] for name in (PROBE, FORWARDED)]
        variables = [[re.sub("[^A-Za-z0-9]", "_", line) for line in lines] for lines in kept]
        pairs = zip(sum(variables, []), sum(kept, []))
        keep = "\n    ".join(f"http-request set-var(txn.{v}) req.fhdr({line})" for v, line in pairs)
        logged = "|".join(", ".join(f"%[var(txn.{v})]" for v in vs) for vs in variables)
        super().__init__(
            f"""
frontend web
    bind 127.0.0.1:{self.port}
    option accept-invalid-http-request
    log stdout len 65535 format raw local0
    {keep}
    log-format "SEEN|%ci|%ST|{logged}|-|%r"
    default_backend origin
backend origin
    server origin 127.0.0.1:{self.origin.port}
"""
        )
        text = self.config.read_text()
        limits = "global\n    tune.bufsize 131072\n    tune.http.maxhdr 1024\n"
        self.config.write_text(limits + text)
        self.seen = self.stderr

    def record(self, line):
        seen = super().record(line)
        for name in ("probe", "forwarded"):
            values = [value for value in getattr(seen, name).split(", ") if value != "-"]
            setattr(seen, name, ", ".join(values))
        return seen


class NginxObserver(Observer, Nginx):
    def __init__(self):
        super().__init__(server="return 204;")
        self.seen = self.folder / "seen.log"
        text = self.config.read_text()
        lenient = f"""http {{
    log_format probe
        'SEEN|$remote_addr|$status|$http_x_stunnel_probe|$http_x_forwarded_for|-|$request';
    access_log {self.seen} probe;
    underscores_in_headers on;
    ignore_invalid_headers off;
    large_client_header_buffers 8 128k;
    keepalive_timeout 60s;
"""
        assert "http {" in text
        text = text.replace(f"access_log {self.log} seen;", "")
        self.config.write_text(text.replace("http {", lenient, 1))


class ApacheObserver(Observer, Apache):
    def __init__(self):
        super().__init__(
            f"""
LoadModule alias_module {self.MODULES}/mod_alias.so
LoadModule rewrite_module {self.MODULES}/mod_rewrite.so
HttpProtocolOptions Unsafe LenientMethods Allow0.9
LimitRequestLine 65536
LimitRequestFieldSize 65536
LimitRequestFields 0
RewriteEngine on
RewriteOptions AllowAnyURI
RewriteCond %{{REQUEST_METHOD}} =CONNECT
RewriteRule ^ - [R=405,L]
RedirectMatch 204 .*
LogFormat "SEEN|%h|%>s|%{{{PROBE}}}i|%{{{FORWARDED}}}i|-|%r" probe
CustomLog seen.log probe
"""
        )
        self.seen = self.folder / "seen.log"


class Varnish(Observer, Program):
    """Its log is in shared memory; varnishncsa dumps it."""

    name = "varnish"

    def __init__(self):
        super().__init__()
        self.port = free_port()
        self.seen = self.folder / "seen.log"
        self.vcl = self.folder / "probe.vcl"
        self.vcl.write_text(
            f"""vcl 4.1;
import std;
backend none none;
sub vcl_recv {{
    std.collect(req.http.{PROBE}, ", ");
    std.collect(req.http.{FORWARDED}, ", ");
    std.log("probe:" + req.http.{PROBE});
    std.log("xff:" + req.http.{FORWARDED});
    if (req.method == "CONNECT") {{
        return (synth(405));
    }}
    return (synth(204));
}}
"""
        )

    def command(self):
        where = ["-n", str(self.folder / "work"), "-a", f"127.0.0.1:{self.port}"]
        sizes = {
            "http_req_hdr_len": "64k",
            "http_req_size": "256k",
            "http_max_hdr": "1024",
            "workspace_client": "1m",
            "vsl_reclen": "16000b",
            "vsl_buffer": "256k",
            "timeout_idle": "60",
        }
        set_sizes = [word for item in sizes.items() for word in ("-p", "=".join(item))]
        jail = ["-j", "none"] if os.getuid() == 0 else []
        files = ["-f", str(self.vcl), "-s", "malloc,16m", "-l", "64m"]
        return ["varnishd", *jail, "-F", *where, *files, *set_sizes]

    def endpoints(self):
        return [str(self.port)]

    def reported(self):
        form = "SEEN|%h|%s|%{VCL_Log:probe}x|%{VCL_Log:xff}x|-|%r"
        command = ["varnishncsa", "-d", "-n", str(self.folder / "work"), "-F", form]
        with open(self.seen, "wb") as output:
            subprocess.run(command, stdout=output, stderr=subprocess.DEVNULL, check=True)
        return super().reported()

    def record(self, line):
        return without_peer(super().record(line))


class Lighttpd(Forwarder, Program):
    """As a proxy, because that makes it read the bodies."""

    name = "lighttpd"

    def __init__(self):
        super().__init__()
        self.port = free_port()
        self.seen = self.folder / "seen.log"
        self.origin = Recorder(answer_once)
        self.config = self.folder / "lighttpd.conf"
        self.config.write_text(
            f"""
server.modules = ( "mod_accesslog", "mod_proxy" )
server.bind = "127.0.0.1"
server.port = {self.port}
server.document-root = "{self.folder}"
server.max-keep-alive-requests = 100000
server.max-keep-alive-idle = 60
server.max-request-field-size = 65535
server.http-parseopts = (
    "header-strict" => "disable",
    "host-strict" => "disable",
    "host-normalize" => "disable",
    "method-get-body" => "enable",
)
accesslog.filename = "{self.seen}"
accesslog.format = "SEEN|%h|%>s|%{{{PROBE}}}i|%{{{FORWARDED}}}i|-|%r"
proxy.server = ( "" => (( "host" => "127.0.0.1", "port" => {self.origin.port} )) )
"""
        )

    def record(self, line):
        return without_peer(super().record(line))

    def command(self):
        return ["lighttpd", "-D", "-f", str(self.config)]

    def endpoints(self):
        return [str(self.port)]


NODE = """
'use strict';
const http = require('http');
const fs = require('fs');

function lines(raw, wanted) {
    const values = [];
    for (let i = 0; i < raw.length; i += 2)
        if (raw[i].toLowerCase().replace(/[^a-z0-9]/g, '') === wanted) values.push(raw[i + 1]);
    return values.join(', ');
}

function report(socket, status, raw, request) {
    const told = [lines(raw, 'PROBE'), lines(raw, 'FORWARDED')];
    fs.writeSync(1, `SEEN|${[socket.from, status, ...told, '-', request].join('|')}\\n`);
}

const options = { insecureHTTPParser: true, requireHostHeader: false, maxHeaderSize: 1 << 20,
    keepAliveTimeout: 60000 };
const server = http.createServer(options, (request, response) => {
    report(request.socket, 204, request.rawHeaders, `${request.method} ${request.url}`);
    // Node 20 answers nothing to what it cannot parse behind an Upgrade that it did not take.
    if (request.headers.upgrade) response.shouldKeepAlive = false;
    request.resume();
    request.on('end', () => response.writeHead(204).end());
    request.on('error', () => {});
});
server.on('connection', (socket) => { socket.from = socket.remoteAddress; });
server.on('connect', (request, socket) => {
    report(socket, 200, request.rawHeaders, `CONNECT ${request.url}`);
    socket.on('error', () => {});
    socket.end('HTTP/1.1 405 No\\r\\nContent-Length: 0\\r\\n\\r\\n');
});
server.on('clientError', (error, socket) => {
    // An end within a request is none: that is how the daemon ends what it refuses.
    if (/^HPE_(?!INVALID_EOF)/.test(error.code)) report(socket, 400, [], error.code);
    socket.end('HTTP/1.1 400 Bad Request\\r\\nConnection: close\\r\\n\\r\\n');
});
process.on('SIGTERM', () => process.exit(0));
server.listen(PORT, '127.0.0.1');
"""


class Node(Observer, Program):
    name = "node"

    def __init__(self):
        super().__init__()
        self.port = free_port()
        self.seen = self.stderr  # with its standard output
        self.script = self.folder / "server.js"
        script = NODE.replace("PORT", str(self.port))
        script = script.replace("'PROBE'", f"'{ALIASES[PROBE]}'")
        self.script.write_text(script.replace("'FORWARDED'", f"'{ALIASES[FORWARDED]}'"))

    def command(self):
        return ["node", str(self.script)]

    def endpoints(self):
        return [str(self.port)]


OBSERVERS = {
    "haproxy": HaproxyObserver,
    "nginx": NginxObserver,
    "apache2": ApacheObserver,
    "varnish": Varnish,
    "lighttpd": Lighttpd,
    "node": Node,
}
