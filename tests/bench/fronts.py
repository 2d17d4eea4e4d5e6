# SPDX-License-Identifier: ISC
"""The TLS fronts that are measured side by side: one worker or thread each, the same key."""

import functools
import shutil
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "run"))

from certs import certificates  # noqa: E402
from peers import Haproxy, Hitch, Nginx, Program, Stock, Stunnel, free_port, service  # noqa: E402
from receivers import NginxStream  # noqa: E402

STOCK = Stock.BINARY
QUIET = "access_log off; default_type text/plain;"


def backend(listen="", answer="x" * 1024):
    return Nginx(listen=listen, server=f"{QUIET} location = / {{ return 200 {answer}; }}")


def both_pem(folder):
    """The certificate and its key in one file, as haproxy and hitch take them."""
    path = folder / "both.pem"
    path.write_text(certificates().cert.read_text() + certificates().key.read_text())
    return path


def address(where, unix):
    """Of a backend that has a port, or a path."""
    return f"127.0.0.1:{where}" if isinstance(where, int) else f"{unix}{where}"


def ours(*options, first=(), workers=1, **binary):
    """`first` are lines before the service's. There is one log, as a daemon has, and none on stderr."""
    lines = ["foreground = quiet", "debug = notice", f"workers = {workers}", *first]
    return lambda port: Stunnel("\n".join(lines) + "\n" + service(port, *options), **binary)


def stock(*options, binary=None):
    """Debian's, which may crash when it is told to end, or another build."""
    text = "debug = notice\n"
    if binary:
        return lambda port: Stunnel(text + service(port, *options), binary=binary)
    return lambda port: Stock("foreground = quiet\n" + text + service(port, *options))


def haproxy(listen="option forwardfor", server=""):
    def front(port):
        one = Haproxy("")
        pem = both_pem(one.folder)
        text = one.config.read_text()
        one.config.write_text(
            f"""global
    nbthread 1
{text}
listen web
    bind 127.0.0.1:{free_port()} ssl crt {pem}
    {listen}
    server nginx {address(port, "unix@")} {server}
"""
        )
        return one

    return front


TLS = """ssl_certificate {0}; ssl_certificate_key {1}; ssl_protocols TLSv1.2 TLSv1.3;
        ssl_session_cache shared:{2}:1m;"""


def tls_of_nginx(name):
    return TLS.format(certificates().cert, certificates().key, name)


def nginx(port):
    """Its connections to the backend live on, as the others' do."""
    return Nginx(
        listen="ssl",
        http=f"upstream up {{ server {address(port, 'unix:')}; keepalive 1000; }}",
        server=f"""{tls_of_nginx("web")} {QUIET}
        location / {{
            proxy_pass http://up;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        }}""",
    )


def nginx_stream(port):
    passing = f"{tls_of_nginx('stream')} proxy_pass 127.0.0.1:{port};"
    return NginxStream(server=passing, listen="ssl")


@functools.cache
def floor():
    """The program, built from floor.c; it is where the certificates are until the end."""
    program = certificates().cert.with_name("floor")
    source = Path(__file__).with_name("floor.c")
    subprocess.run(["cc", "-O2", "-o", program, source, "-lssl", "-lcrypto"], check=True)
    return program


class Floor(Program):
    """The least that a front can do, which is no maker's. `mode` is explained in floor.c."""

    name = "floor"

    def __init__(self, port, mode="tls"):
        super().__init__()
        self.port = free_port()
        self.arguments = [mode, self.port, port, certificates().cert, certificates().key]

    def command(self):
        return [floor(), *map(str, self.arguments)]

    def endpoints(self):
        return [str(self.port)]


# Backend connections serve all clients, as those of nginx do.
SHARED = ("httpKeepAlive = pool", "httpPoolFirst = yes")

# Of each front: how it is made for a backend's port, and whether the backend must read PROXY.
FRONTS = {
    "ours, header": (ours("xForwardedFor = yes"), False),
    "ours, shared": (ours("xForwardedFor = yes", *SHARED), False),
    "ours, blind": (ours(), False),
    "ours, PROXY": (ours("protocol = proxy"), True),
    "haproxy, http": (haproxy(), False),
    "haproxy, tcp": (haproxy("mode tcp"), False),
    "haproxy, PROXY": (haproxy("mode tcp", "send-proxy-v2"), True),
    "nginx, http": (nginx, False),
    "nginx, stream": (nginx_stream, False),
    "hitch, PROXY": (lambda port: Hitch(port, "--write-proxy-v2"), True),
    "stock, blind": (stock(), False),
    "stock, PROXY": (stock("protocol = proxy"), True),
    "floor": (Floor, False),
}

NEEDS = {name: shutil.which(name) for name in ("haproxy", "hitch")}
NEEDS |= {"stock": STOCK, "floor": shutil.which("cc")}


def present():
    return {name: made for name, made in FRONTS.items() if NEEDS.get(name.split(",")[0], True)}
