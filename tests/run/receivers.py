# SPDX-License-Identifier: ISC
"""Servers that take PROXY headers and tell the client what they read in them.

Each has a `port` and `told(client)`, which asks on a TlsClient's connection: a list that begins
with the client's address and port, then those that it connected to where the server knows them.
"""

import os
import re
from pathlib import Path

from peers import Apache, Haproxy, HttpServer, Nginx, Program, free_port

NGINX_SEEN = "$proxy_protocol_addr $proxy_protocol_port $proxy_protocol_server_addr"
NGINX_SEEN += " $proxy_protocol_server_port"


class TellsInBody:
    """Blank-separated, in the body of any response."""

    def told(self, client):
        response = client.get("/")
        assert response.status == 200
        return response.body.decode().split()


class HaproxyHttp(TellsInBody, Haproxy):
    """Behind the addresses: authority, unique id, and the request's own id."""

    def __init__(self, more=""):
        self.port = free_port()
        super().__init__(
            f"""
frontend told
    bind 127.0.0.1:{self.port} accept-proxy
    http-request return status 200 content-type text/plain lf-string \
"%[src] %[src_port] %[dst] %[dst_port] %[fc_pp_authority] \
%[fc_pp_unique_id] %[req.hdr(x-request-id)]"
{more}
"""
        )


class HaproxyTcp(HaproxyHttp):
    """Takes the header without a look at HTTP, and sends it on to the other one."""

    def __init__(self):
        front = free_port()
        super().__init__(
            f"""
frontend blind
    mode tcp
    bind 127.0.0.1:{front} accept-proxy
    default_backend told
backend told
    mode tcp
    server told 127.0.0.1:{{port}} send-proxy
"""
        )
        text = self.config.read_text()
        self.config.write_text(text.replace("{port}", str(self.port)))
        self.port = front


class NginxHttp(TellsInBody, Nginx):
    def __init__(self):
        super().__init__(listen="proxy_protocol", server=f'return 200 "{NGINX_SEEN}";')


class NginxHttp2(Nginx):
    """For HTTP/2, which no TlsClient speaks."""

    def __init__(self):
        super().__init__(listen="proxy_protocol http2", server=f'return 200 "{NGINX_SEEN}";')


class NginxStream(HttpServer):
    """Tells without being asked."""

    name = "nginx"
    MODULE = "/usr/lib/nginx/modules/ngx_stream_module.so"

    def __init__(self, server=f'return "{NGINX_SEEN}";', listen="proxy_protocol"):
        super().__init__()
        self.config.write_text(
            f"""
load_module {self.MODULE};
{"user root;" if os.getuid() == 0 else ""}
daemon off;
worker_processes 1;
pid {self.folder}/pid;
error_log stderr;
events {{ worker_connections 4096; }}
stream {{
    server {{
        listen 127.0.0.1:{self.port} {listen};
        {server}
    }}
}}
"""
        )

    def command(self):
        return ["nginx", "-e", "stderr", "-c", str(self.config)]

    def told(self, client):
        return client.recv_all().decode().split()


class ApacheRemoteIp(Apache):
    """It keeps no address that the client connected to."""

    def __init__(self):
        super().__init__(
            f"""
LoadModule remoteip_module {self.MODULES}/mod_remoteip.so
RemoteIPProxyProtocol On
LogFormat "%a %{{remote}}p" remote
CustomLog remote.log remote
"""
        )
        self.log = self.folder / "remote.log"

    def told(self, client):
        before = len(self.log_lines())
        assert client.get("/").status == 200
        return self.wait_log(before + 1)[-1].split()


VCL = """vcl 4.1;
import std;
import proxy;
backend none none;
sub vcl_recv {
    return (synth(200));
}
sub vcl_synth {
    set resp.body = "" + client.ip + " " + std.port(client.ip) + " "
        + server.ip + " " + std.port(server.ip);
    set resp.http.alpn = proxy.alpn();
    set resp.http.authority = proxy.authority();
    set resp.http.tls = proxy.is_ssl();
    set resp.http.cert-conn = proxy.client_has_cert_conn();
    set resp.http.cert-sess = proxy.client_has_cert_sess();
    set resp.http.verify = proxy.ssl_verify_result();
    set resp.http.version = proxy.ssl_version();
    set resp.http.cn = proxy.client_cert_cn();
    set resp.http.cipher = proxy.ssl_cipher();
    set resp.http.sig-alg = proxy.cert_sign();
    set resp.http.key-alg = proxy.cert_key();
    return (deliver);
}
"""


class VarnishProxy(TellsInBody, Program):
    """The TLVs are in fields of the response, after the functions of vmod_proxy."""

    name = "varnish"

    def __init__(self, workspace=None):
        super().__init__()
        self.port = free_port()
        self.workspace = workspace
        self.vcl = self.folder / "told.vcl"
        self.vcl.write_text(VCL)

    def command(self):
        where = ["-n", str(self.folder / "work"), "-a", f"127.0.0.1:{self.port},PROXY"]
        jail = ["-j", "none"] if os.getuid() == 0 else []
        size = ["-p", f"workspace_session={self.workspace}"] if self.workspace else []
        return ["varnishd", *jail, "-F", *where, "-f", str(self.vcl), "-s", "malloc,16m", *size]

    def endpoints(self):
        return [str(self.port)]


RECEIVERS = {
    "haproxy": HaproxyHttp,
    "haproxy, mode tcp": HaproxyTcp,
    "nginx": NginxHttp,
    "nginx, stream": NginxStream,
    "apache2": ApacheRemoteIp,
    "varnish": VarnishProxy,
    "varnish, larger": lambda: VarnishProxy("2k"),
}
PAGE = Path(__file__).resolve().parents[2] / "doc/proxy-protocol.md"


def measured():
    """The document's table: bytes of the longest header that a receiver took, by name."""
    rows = re.findall(r"^\| `(.+?)` \|[^|]*\| (\d+) \|", PAGE.read_text("ascii"), re.M)
    return {name: int(size) for name, size in rows}
