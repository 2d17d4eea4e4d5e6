# SPDX-License-Identifier: ISC
"""protocol = proxy: one line before the first byte, that haproxy and nginx take."""

import pytest

from peers import Haproxy, Nginx, Stunnel, daemon_only, free_port, service, wait_for
from recorder import Recorder, read_only
from tls_client import TlsClient



def test_haproxy_takes_the_addresses(start):
    backend = start(Nginx())
    port = free_port()
    start(
        Haproxy(
            f"""
frontend web
    bind 127.0.0.1:{port} accept-proxy
    http-request set-header X-Forwarded-For "%[src] %[src_port] %[dst] %[dst_port]"
    default_backend nginx
backend nginx
    server one 127.0.0.1:{backend.port}
"""
        )
    )
    stunnel = start(Stunnel(service(port, "protocol = proxy")))
    with TlsClient(stunnel.port, source="127.0.0.4") as client:
        client.get("/a")
        client.get("/b")
        source = "%s %d" % client.address
    seen = f"{source} 127.0.0.1 {stunnel.port}"
    assert backend.wait_log(2) == [f"GET /{x} HTTP/1.1|{seen}|127.0.0.1" for x in "ab"]


def test_nginx_takes_the_addresses(start):
    backend = start(
        Nginx(
            listen="proxy_protocol",
            server="""
                set_real_ip_from 127.0.0.1;
                real_ip_header proxy_protocol;
            """,
        )
    )
    stunnel = start(Stunnel(service(backend.port, "protocol = proxy")))
    with TlsClient(stunnel.port, source="127.0.0.4") as client:
        client.get("/a")
        client.get("/b")
    assert backend.wait_log(2) == [f"GET /{x} HTTP/1.1|-|127.0.0.4" for x in "ab"]


def test_line_comes_once_and_first(start):
    backend = start(Recorder(read_only))
    stunnel = start(Stunnel(service(backend.port, "protocol = proxy")))
    with TlsClient(stunnel.port, source="127.0.0.4") as client:
        host, port = client.address
        for part in (b"first ", b"second ", b"third"):
            client.send(part)
            wait_for(lambda: backend.connections and backend.data.endswith(part), "the bytes")
    line = f"PROXY TCP4 {host} 127.0.0.1 {port} {stunnel.port}\r\n"
    assert backend.data == line.encode() + b"first second third"


def test_line_comes_before_the_client_says_anything(start):
    backend = start(Recorder(lambda connection: connection.take_until(b"\r\n")))
    stunnel = start(Stunnel(service(backend.port, "protocol = proxy")))
    with TlsClient(stunnel.port, source="127.0.0.4") as client:
        assert client.closed_by_peer()
    assert backend.data.startswith(b"PROXY TCP4 127.0.0.4 127.0.0.1 ")


def test_ipv6_client(start):
    backend = start(Recorder(read_only))
    port = free_port()
    stunnel = start(Stunnel(service(backend.port, "protocol = proxy", accept=f"::1:{port}")))
    with TlsClient(("::1", stunnel.port)) as client:
        client.send(b"x")
        source = client.address[1]
        wait_for(lambda: backend.connections and backend.data.endswith(b"x"), "the byte")
    assert backend.data == f"PROXY TCP6 ::1 ::1 {source} {port}\r\nx".encode()


@daemon_only
def test_unix_client_has_no_address_to_send(start, tmp_path):
    """Receivers refuse or ignore what else could be said, so the configuration is refused."""
    config = service(free_port(), "protocol = proxy", accept=str(tmp_path / "front"))
    with pytest.raises(AssertionError, match="clients of .*/front have none"):
        start(Stunnel(config))


def test_line_and_headers_together(start):
    backend = start(Recorder())
    stunnel = start(Stunnel(service(backend.port, "protocol = proxy", "xForwardedFor = replace")))
    with TlsClient(stunnel.port, source="127.0.0.4") as client:
        assert client.get("/a").status == 200
        assert client.get("/b").status == 200
    line, rest = backend.data.split(b"\r\n", 1)
    assert line.startswith(b"PROXY TCP4 127.0.0.4 127.0.0.1 ")
    assert b"PROXY" not in rest
    assert rest.count(b"X-Forwarded-For: 127.0.0.4\r\n") == 2
