# SPDX-License-Identifier: ISC
"""Where a service listens: IPv4, IPv6, both, a unix path; and several services in one daemon."""

import os
import signal
import socket
import stat

import pytest

from peers import PATCHED, Stunnel, daemon_only, free_port, service, takes_lines_in_order, wait_for
from recorder import Recorder, answer_each
from tls_client import TlsClient, dial


def answering(start, text):
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(text), text)
    return start(Recorder(answer_each(answer)))


@pytest.mark.parametrize(
    "accept, reached, not_reached",
    [
        ("127.0.0.1:{}", ["127.0.0.1"], ["127.0.0.2", "::1"]),
        ("0.0.0.0:{}", ["127.0.0.1", "127.0.0.2"], ["::1"]),
        ("::1:{}", ["::1"], ["127.0.0.1"]),
        (":::{}", ["::1", "127.0.0.1", "127.0.0.2"], []),
        ("{}", ["127.0.0.1"], []),
        ("localhost:{}", ["127.0.0.1"], ["127.0.0.2"]),
    ],
)
@pytest.mark.parametrize("workers", [1, 3])
def test_address(start, accept, reached, not_reached, workers):
    backend = start(Recorder())
    port = free_port()
    config = service(backend.port, "xForwardedFor = yes", accept=accept.format(port))
    stunnel = start(Stunnel(f"workers = {workers}\n{config}"))
    for host in reached:
        with TlsClient((host, port)) as client:
            assert client.get("/").status == 200
    for host in not_reached:
        with pytest.raises(ConnectionError):
            socket.create_connection((host, port), 20)
    bound = stunnel.log_lines("Service [web] (FD=") if PATCHED else stunnel.wait_log("Service [web] (FD=")
    assert all(line.endswith(f":{port}") for line in bound)  # stocks of 4.x say nothing of it


def test_unix_path(start):
    backend = start(Recorder())
    stunnel = Stunnel("workers = 2\n")
    path = stunnel.folder / "front"
    stunnel.write(service(backend.port, "httpSetHeader = X-Seen: <%{client_ip}>", accept=str(path)))
    start(stunnel)
    assert stat.S_ISSOCK(path.stat().st_mode)
    for _ in range(3):
        with TlsClient(path) as client:
            assert client.get("/").status == 200
    assert "X-Seen: <unknown>" in backend.requests[0]
    stunnel.stop()
    assert not path.exists()


def test_several_services(start):
    """Each goes its own way, with its own rules, in its own name."""
    first, second = answering(start, b"first"), answering(start, b"second")
    stunnel = start(
        Stunnel(
            service(first.port, "httpSetHeader = X-Name: 1", name="one")
            + service(second.port, name="two words")
            + service(second.port, "httpSetHeader = X-Name: 3", name="three")
        )
    )
    ports = [int(endpoint.rsplit(":")[-1]) for endpoint in stunnel.endpoints()]
    bodies = []
    for port in ports:
        with TlsClient(port) as client:
            bodies.append(client.get("/").body)
    assert bodies == [b"first", b"second", b"second"]
    assert "X-Name: 1" in first.requests[0]
    assert [len(request) for request in second.requests] == [2, 3]
    for name in ("one", "two words", "three"):
        stunnel.wait_log(f"Service [{name}] accepted connection from 127.0.0.1:")


def test_services_start_from_the_defaults_before_them(start):
    """A section is a copy of the defaults; it does not see another section's values."""
    backend = start(Recorder())
    stunnel = start(
        Stunnel(
            "httpSetHeader = X-Default: yes\n"
            + service(backend.port, "httpSetHeader = X-Own: 1", name="one")
            + service(backend.port, name="two")
        )
    )
    for endpoint in stunnel.endpoints():
        with TlsClient(int(endpoint.rsplit(":")[-1])) as client:
            client.get("/")
    assert [request[2:] for request in backend.requests] == [
        ["X-Default: yes", "X-Own: 1"],
        ["X-Default: yes"],
    ]


@takes_lines_in_order
def test_connect_lines_of_defaults_come_first(start):
    first, second = answering(start, b"first"), answering(start, b"second")
    config = f"connect = 127.0.0.1:{first.port}\n" + service(second.port)
    stunnel = start(Stunnel(config))
    with TlsClient(stunnel.port) as client:
        assert client.get("/").body == b"first"


@daemon_only
@pytest.mark.parametrize("workers", [1, 2, 4])
def test_connections_are_shared_by_the_workers(start, workers):
    backend = start(Recorder())
    stunnel = start(Stunnel(f"workers = {workers}\n" + service(backend.port)))
    assert len(stunnel.processes()) == 1 + workers
    clients = [TlsClient(stunnel.port) for _ in range(40)]
    for client in clients:
        assert client.get("/").status == 200
    for client in clients:
        client.close()
    stunnel.wait_ended(40)


@daemon_only
def test_killed_worker_is_replaced(start):
    backend = start(Recorder())
    stunnel = start(Stunnel("workers = 2\n" + service(backend.port)))
    victim = stunnel.processes()[1]
    os.kill(victim, signal.SIGKILL)
    wait_for(
        lambda: len(stunnel.processes()) == 3 and victim not in stunnel.processes(),
        "a new worker",
    )
    for _ in range(10):
        with TlsClient(stunnel.port) as client:
            assert client.get("/").status == 200


def test_listening_socket_survives_clients_that_vanish(start):
    backend = start(Recorder())
    stunnel = start(Stunnel(service(backend.port)))
    for _ in range(50):
        dial(stunnel.port).close()
    with TlsClient(stunnel.port) as client:
        assert client.get("/").status == 200


@daemon_only
def test_an_ipv4_client_of_a_socket_for_both_families_is_told_as_one(start):
    """As the header tells it to the backend."""
    backend = start(Recorder())
    config = service(backend.port, "xForwardedFor = yes", accept=f":::{free_port()}")
    stunnel = start(Stunnel(config))
    with TlsClient(stunnel.port, source="127.0.0.6") as client:
        client.get("/")
        client.send(b"nonsense\r\n\r\n")
        assert client.response().status == 400
        address = "127.0.0.6:%d" % client.address[1]
    stunnel.wait_log(f"Service [web] accepted connection from {address}")
    stunnel.wait_log(f"refused a request from {address}")
    assert "::ffff:" not in stunnel.log_text()
