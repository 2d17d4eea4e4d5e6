# SPDX-License-Identifier: ISC
"""Upgrade and CONNECT: a tunnel opens only when the backend says so, and never to HTTP/2."""

import hashlib
import os
import threading

import pytest

from peers import Stunnel, service, wait_for
from recorder import OK, Recorder
from tls_client import TlsClient

CLIENT = "127.0.0.5"
LINE = f"X-Forwarded-For: {CLIENT}\r\n".encode()
HEAD = b"GET /%d HTTP/1.1\r\nHost: localhost\r\n"
UPGRADE = b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
SWITCHED = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
SIZE = 100 << 20


@pytest.fixture
def front(start):
    def start_front(serve, *options):
        backend = start(Recorder(serve))
        stunnel = start(Stunnel(service(backend.port, "xForwardedFor = replace", *options)))
        return stunnel, backend

    return start_front


def switch_and_echo(connection):
    connection.take_request()
    connection.send(SWITCHED)
    while (more := connection.take(1)) is not None:
        connection.send(more)


def test_switched_connection_carries_anything_both_ways(front):
    stunnel, backend = front(switch_and_echo)
    with TlsClient(stunnel.port, source=CLIENT) as client:
        client.send(HEAD % 1 + UPGRADE + b"\r\n\x81\x05early")
        assert client.take(len(SWITCHED)) == SWITCHED
        assert client.take(7) == b"\x81\x05early"
        client.send(b"GET / HTTP/1.1\nwhatever\0")
        assert client.take(24) == b"GET / HTTP/1.1\nwhatever\0"
    assert backend.data.startswith(HEAD % 1 + LINE + UPGRADE + b"\r\n\x81\x05early")


def test_bytes_behind_an_upgrade_wait_for_its_answer(front):
    """Forwarded at once they would be a request that nobody has looked at."""
    go = threading.Event()

    def serve(connection):
        connection.take_request()
        go.wait(30)
        connection.send(OK)
        connection.take_request()
        connection.send(OK)

    stunnel, backend = front(serve)
    with TlsClient(stunnel.port, source=CLIENT) as client:
        client.send(HEAD % 1 + UPGRADE + b"\r\n" + HEAD % 2 + b"X-Forwarded-For: 6.6.6.6\r\n\r\n")
        first = HEAD % 1 + LINE + UPGRADE + b"\r\n"
        wait_for(lambda: backend.connections and len(backend.data) >= len(first), "the request")
        with TlsClient(stunnel.port) as other:  # a whole conversation later nothing more came
            other.send(HEAD % 3 + b"\r\n")
            wait_for(lambda: len(backend.connections) == 2, "the other connection")
        assert backend.connections[0].data == first
        go.set()
        assert client.response().body == client.response().body == b"ok"
    assert backend.connections[0].data == first + HEAD % 2 + LINE + b"\r\n"


def test_upgrade_to_http2_is_not_forwarded(front):
    def serve(connection):
        while connection.take_request() is not None:
            connection.send(OK)

    stunnel, backend = front(serve)
    h2c = (
        b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n"
        b"Connection: Upgrade, HTTP2-Settings\r\n"
    )
    with TlsClient(stunnel.port, source=CLIENT) as client:
        client.send(HEAD % 1 + h2c + b"\r\n")
        client.response()
        client.get("/2")
    assert backend.data == HEAD % 1 + LINE + b"\r\n" + HEAD % 2 + LINE + b"\r\n"


def test_connect_opens_a_tunnel_if_it_is_allowed(front):
    def serve(connection):
        connection.take_until(b"\r\n\r\n")
        connection.send(b"HTTP/1.1 200 OK\r\n\r\n")
        connection.send(connection.take(5).upper())

    stunnel, backend = front(serve, "httpConnect = yes")
    with TlsClient(stunnel.port, source=CLIENT) as client:
        client.send(b"CONNECT db.test:5432 HTTP/1.1\r\nHost: db.test:5432\r\n\r\nhello")
        assert client.take(19 + 5) == b"HTTP/1.1 200 OK\r\n\r\nHELLO"
    assert backend.data == (
        b"CONNECT db.test:5432 HTTP/1.1\r\nHost: db.test:5432\r\n" + LINE + b"\r\nhello"
    )


def test_tunnel_carries_100_mebibytes_each_way(front):
    block = os.urandom(1 << 20)
    blocks = SIZE // len(block)
    received = hashlib.sha256()

    def serve(connection):
        connection.take_request()
        connection.send(SWITCHED)
        sender = threading.Thread(target=lambda: [connection.send(block) for _ in range(blocks)])
        sender.start()
        left = SIZE
        while left:
            more = connection.sock.recv(min(left, 262144))
            received.update(more)
            left -= len(more)
        sender.join()

    stunnel, _ = front(serve)
    with TlsClient(stunnel.port, source=CLIENT) as client:
        client.send(HEAD % 1 + UPGRADE + b"\r\n")
        assert client.take(len(SWITCHED)) == SWITCHED
        expected, back = hashlib.sha256(), hashlib.sha256()
        for _ in range(blocks):
            client.send(block)
            back.update(client.take(len(block)))
            expected.update(block)
        wait_for(lambda: received.hexdigest() == expected.hexdigest(), "the backend to have all")
        assert back.hexdigest() == expected.hexdigest()


def test_tunnel_half_closes(front):
    """The end of one direction leaves the other open."""

    def serve(connection):
        connection.take_request()
        connection.send(SWITCHED)
        while connection.receive():
            pass
        connection.send(b"after the end")

    stunnel, backend = front(serve)
    with TlsClient(stunnel.port, source=CLIENT) as client:
        client.send(HEAD % 1 + UPGRADE + b"\r\n")
        assert client.take(len(SWITCHED)) == SWITCHED
        client.send(b"last words")
        client.end()
        assert client.take(13) == b"after the end"
    assert backend.data.endswith(b"last words")
    assert backend.connections[0].ended == "eof"
