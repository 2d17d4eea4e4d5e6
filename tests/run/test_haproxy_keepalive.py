# SPDX-License-Identifier: ISC
"""The main job: a kept-alive connection through haproxy, and every request carries the address."""

import pytest

from peers import Apache, Haproxy, Nginx, free_port
from tls_client import TlsClient

REQUESTS = 1000


def haproxy_before(*servers):
    """haproxy in HTTP mode; a request goes to the server whose name its path begins with."""
    lines = [f"frontend web\n    bind 127.0.0.1:{free_port()}"]
    lines += [f"    use_backend {s.name} if {{ path_beg /{s.name} }}" for s in servers]
    for server in servers:
        lines.append(f"backend {server.name}\n    server one 127.0.0.1:{server.port}")
    return Haproxy("\n".join(lines))


def proxy_port(haproxy):
    return int(haproxy.endpoints()[0].rsplit(":", 1)[1])


@pytest.mark.parametrize("server", [Nginx, Apache])
def test_every_request_of_one_connection(start, front, server):
    backend = start(server())
    proxy = start(haproxy_before(backend))
    stunnel = front(proxy_port(proxy), "xForwardedFor = yes")
    with TlsClient(stunnel.port, source="127.0.0.5") as client:
        for n in range(REQUESTS):
            assert client.get(f"/{backend.name}/{n}").status == 404
    seen = backend.wait_log(REQUESTS)
    expected = [f"GET /{backend.name}/{n} HTTP/1.1|127.0.0.5|127.0.0.1" for n in range(REQUESTS)]
    assert seen == expected
    assert len(stunnel.wait_log("accepted connection from 127.0.0.5")) == 1


def test_many_clients_and_both_servers_at_once(start, front):
    nginx, apache = start(Nginx()), start(Apache())
    proxy = start(haproxy_before(nginx, apache))
    stunnel = front(proxy_port(proxy), "xForwardedFor = yes")
    sources = [f"127.0.0.{n}" for n in range(2, 10)]
    clients = [TlsClient(stunnel.port, source=source) for source in sources]
    for n in range(20):
        for client, source in zip(clients, sources):
            client.get(f"/nginx/{source}/{n}")
            client.get(f"/apache2/{source}/{n}")
    for client in clients:
        client.close()
    for server in (nginx, apache):
        seen = server.wait_log(20 * len(sources))
        expected = [
            f"GET /{server.name}/{source}/{n} HTTP/1.1|{source}|127.0.0.1"
            for n in range(20)
            for source in sources
        ]
        assert sorted(seen) == sorted(expected)


def test_haproxy_adds_its_own_line_after_ours(start, front):
    backend = start(Nginx())
    port = free_port()
    start(
        Haproxy(
            f"""
listen web
    bind 127.0.0.1:{port}
    option forwardfor
    server one 127.0.0.1:{backend.port}
"""
        )
    )
    stunnel = front(port, "xForwardedFor = replace")
    with TlsClient(stunnel.port, source="127.0.0.6") as client:
        client.get("/")
        client.get("/", ["X-Forwarded-For: 203.0.113.66"])
    assert backend.wait_log(2) == ["GET / HTTP/1.1|127.0.0.6, 127.0.0.1|127.0.0.1"] * 2


def test_haproxy_closes_the_connection_after_its_answer(start, front):
    """Each new connection of the client is a new one for haproxy, too; none is lost."""
    backend = start(Nginx())
    port = free_port()
    start(
        Haproxy(
            f"""
listen web
    bind 127.0.0.1:{port}
    option httpclose
    server one 127.0.0.1:{backend.port}
"""
        )
    )
    stunnel = front(port, "xForwardedFor = yes", "httpKeepAlive = both")
    for n in range(10):
        with TlsClient(stunnel.port, source="127.0.0.7") as client:
            assert client.get(f"/{n}").status == 404
            assert client.closed_by_peer()
    assert backend.wait_log(10) == [f"GET /{n} HTTP/1.1|127.0.0.7|127.0.0.1" for n in range(10)]
