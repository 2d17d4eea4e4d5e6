# SPDX-License-Identifier: ISC
"""What a client must get from TLS, however slowly it reads: records, answers, close_notify."""

import fcntl
import re
import socket
import termios
import time
from array import array
from pathlib import Path
from threading import Event, Thread

import pytest

from peers import daemon_only, wait_for
from recorder import Recorder
from test_bulk_transfer import settled
from tls_client import DEADLINE, TlsClient
from tls_records import (
    ALERT,
    APPLICATION,
    CLIENT_HELLO,
    CLOSE_NOTIFY,
    HANDSHAKE,
    KEY_UPDATE,
    NOT_REQUESTED,
    REQUESTED,
    RecordClient,
    RecordClient12,
)

MODES = pytest.mark.parametrize("options", [["xForwardedFor = yes"], []], ids=["http", "plain"])
SMALL = "socket = l:SO_SNDBUF=8192"
REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
HEAD = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
BLOCK = bytes(range(256)) * 4096  # 1 MiB


def slow(port, kind=TlsClient, window=8192):
    """A client whose kernel takes next to nothing for it."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
    sock.settimeout(DEADLINE)
    sock.connect(("127.0.0.1", port))
    return kind(sock)


def queued(client):
    """Bytes that its kernel has for it."""
    size = array("i", [0])
    fcntl.ioctl(client.sock, termios.FIONREAD, size)
    return size[0]


def reads(pid):
    """How often it has called read(2)."""
    return int(re.search(r"syscr: (\d+)", Path(f"/proc/{pid}/io").read_text())[1])


def until_close(connection):
    """Answers GET /SIZE with so many bytes."""
    size = int(connection.take_until(b" HTTP/1.1").split(b"/")[1].split()[0])
    connection.take_until(b"\r\n\r\n")
    connection.send(HEAD + BLOCK[:size])


class Endless(Recorder):
    """Sends until nobody takes any more; `sent` says how much that was."""

    def __init__(self, size):
        self.sent, self.size = 0, size
        super().__init__(self._serve_blocks)

    def _serve_blocks(self, connection):
        connection.take_until(b"\r\n\r\n")
        connection.send(HEAD)
        while self.sent < self.size:
            connection.sock.sendall(BLOCK[:65536])
            self.sent += 65536

    def wait_blocked(self):
        assert 0 < settled(lambda: self.sent) < self.size, "the client was sent everything"


class Late(Recorder):
    """Answers the request that it was `asked` when it is told to `go`."""

    def __init__(self):
        self.asked, self.go = Event(), Event()
        super().__init__(self._serve_late)

    def _serve_late(self, connection):
        connection.take_request()
        self.asked.set()
        self.go.wait(DEADLINE)
        connection.send(HEAD + BLOCK[:1000])


class Weighing(TlsClient):
    """Keeps what comes as it comes."""

    def __init__(self, to):
        self.wire = b""
        super().__init__(to)

    def _took(self, data):
        self.wire += data

    def contents(self):
        """How many bytes each record of TLS 1.3 holds, a ticket's among them."""
        at = 0
        while at < len(self.wire):
            kind, size = self.wire[at], int.from_bytes(self.wire[at + 3 : at + 5], "big")
            if kind == APPLICATION:
                yield size - 17  # its type, and the tag
            at += 5 + size


# ---- sizes ----------------------------------------------------------------------------------


@daemon_only
@MODES
def test_first_records_are_small(start, front, options):
    """What comes first can be used when the first segments have come (RFC 6928)."""
    backend = start(Recorder(until_close))
    stunnel = front(backend, *options)
    with Weighing(stunnel.port) as client:
        client.send(b"GET /1000000 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        before = len(list(client.contents()))
        assert client.recv_all() == HEAD + BLOCK[:1000000]
        sizes = list(client.contents())[before:]
    seen = 0
    for size in sizes:
        assert size <= 1369 or seen >= 1369
        assert size <= 3 * 1369 or seen >= 4 * 1369
        assert size <= 6 * 1369 or seen >= 10 * 1369
        seen += size
    assert max(sizes) == 16384


# ---- the end --------------------------------------------------------------------------------


@MODES
def test_end_behind_a_full_socket(start, front, options):
    """All bytes, close_notify and the socket's end, at whatever byte the socket is full."""
    backend = start(Recorder(until_close))
    stunnel = front(backend, *options, SMALL, "TIMEOUTclose = 300")
    wrong = []

    def fetch(size):
        with slow(stunnel.port) as client:
            client.send(b"GET /%d HTTP/1.1\r\nHost: localhost\r\n\r\n" % size)
            settled(lambda: queued(client))
            try:
                data = client.recv_all()
                client.end()
                end = (data == HEAD + BLOCK[:size], client.ended, client.sock.recv(1))
            except TimeoutError:
                end = "nothing more came"
        if end != (True, "close_notify", b""):
            wrong.append((size, end))

    clients = [Thread(target=fetch, args=[20000 + 997 * n]) for n in range(80)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    assert wrong == []


# ---- KeyUpdate ------------------------------------------------------------------------------


@daemon_only
@MODES
def test_key_update_while_a_write_is_blocked(start, front, options):
    """RFC 8446 4.6.3 wants an answer, and the record that is half sent stays whole."""
    backend = start(Endless(8 << 20))
    stunnel = front(backend, *options, SMALL)
    with slow(stunnel.port, RecordClient) as client:
        client.send(REQUEST)
        backend.wait_blocked()
        for _ in range(20):
            client.sock.sendall(client.key_update())
        settled(lambda: queued(client))
        backend.size = backend.sent
        body = client.recv_all()[len(HEAD) :]
        assert len(body) >= backend.size
        assert body == (BLOCK * (len(body) // len(BLOCK) + 1))[: len(body)]
        assert client.ended == "close_notify"


@MODES
def test_key_updates_with_every_request(start, front, options):
    backend = start(Recorder())
    stunnel = front(backend, *options)
    with RecordClient(stunnel.port) as client:
        for request in (REQUESTED, NOT_REQUESTED) * 20:
            client.sock.sendall(client.key_update(request))
            assert client.get("/").status == 200


@daemon_only
@pytest.mark.parametrize("request_", [REQUESTED, NOT_REQUESTED], ids=["asks", "only tells"])
def test_flood_of_key_updates(start, front, request_):
    """It ends, and keeps no other client of the same worker waiting."""
    backend = start(Recorder())
    stunnel = front(backend, settings="workers = 1\n")
    with TlsClient(stunnel.port) as other, slow(stunnel.port, RecordClient) as flooder:
        assert other.get("/").status == 200
        flood = b"".join(flooder.key_update(request_) for _ in range(2000))
        flooder.sock.sendall(flood)
        assert other.get("/").status == 200
        assert flooder.closed_by_peer()
        assert flooder.ended == "reset"
        assert other.get("/").status == 200
    stunnel.wait_log("transfer: SSL_read: The peer sends more than 100 KeyUpdates a second")


@daemon_only
def test_flood_of_renegotiations(start, front):
    """The same in TLS 1.2: each is refused with an alert."""
    backend = start(Recorder())
    stunnel = front(backend, settings="workers = 1\n")
    with TlsClient(stunnel.port) as other, slow(stunnel.port, RecordClient12) as flooder:
        flooder.send(REQUEST)
        assert flooder.response().status == 200
        flood = b"".join(flooder.record(HANDSHAKE, CLIENT_HELLO) for _ in range(2000))
        flooder.sock.sendall(flood)
        assert other.get("/").status == 200
        stunnel.wait_log("transfer: SSL_read: The peer sends more than 100 KeyUpdates a second")
        assert other.get("/").status == 200


@daemon_only
def test_key_update_in_two_records(start, front):
    """Nothing can be sent between them; the worker sleeps until the second one comes."""
    backend = start(Late())
    stunnel = front(backend, "xForwardedFor = yes", settings="workers = 1\n")
    worker = stunnel.processes()[1]
    with RecordClient(stunnel.port) as client:
        client.send(REQUEST)
        assert backend.asked.wait(DEADLINE)
        message = KEY_UPDATE + REQUESTED
        client.sock.sendall(client.record(HANDSHAKE, message[:4]))
        TlsClient(stunnel.port).close()  # the worker has seen what came before
        backend.go.set()
        wait_for(lambda: backend.connections[0].sock.fileno() < 0, "the backend to be through")
        before = reads(worker)
        time.sleep(0.5)
        assert reads(worker) - before < 10
        client.sock.sendall(client.record(HANDSHAKE, message[4:]))
        assert client.recv_all() == HEAD + BLOCK[:1000]
        assert client.ended == "close_notify"


@daemon_only
def test_end_inside_a_key_update(start, front):
    """Neither side can go on: the connection ends, instead of waiting for what never comes."""
    backend = start(Late())
    stunnel = front(backend, "xForwardedFor = yes", settings="workers = 1\n")
    with RecordClient(stunnel.port) as client:
        client.send(REQUEST)
        assert backend.asked.wait(DEADLINE)
        client.sock.sendall(client.record(HANDSHAKE, KEY_UPDATE))
        client.sock.sendall(client.record(ALERT, CLOSE_NOTIFY))
        backend.go.set()
        stunnel.wait_ended(1)
    stunnel.wait_log("the peer ended inside a handshake message")
