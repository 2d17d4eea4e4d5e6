# SPDX-License-Identifier: ISC
"""Large bodies come through unchanged, and a peer that does not read costs no memory."""

import hashlib
import threading
import time
from pathlib import Path

import pytest


from recorder import Recorder
from tls_client import TlsClient

HTTP = ["xForwardedFor = yes"]
MODES = pytest.mark.parametrize("options", [HTTP, []], ids=["http", "plain"])

MIB = 1 << 20
SIZE = 100 * MIB
BLOCK = hashlib.shake_128(b"seed").digest(MIB)  # does not compress, has no period below it
BOUND = 16 << 10  # KiB that a connection may cost at most, with all of a sanitizer's own
DIGEST = hashlib.sha256(BLOCK * (SIZE // MIB)).hexdigest()


def send_blocks(connection):
    for _ in range(SIZE // MIB):
        connection.send(BLOCK)


def send_chunks(connection):
    for _ in range(SIZE // MIB):
        connection.send(b"%x\r\n" % MIB + BLOCK + b"\r\n")
    connection.send(b"0\r\n\r\n")


class Receiver(Recorder):
    """Answers a request with the hash of its body; keeps only the request's head."""

    def __init__(self):
        super().__init__(self.serve_hash)

    @staticmethod
    def serve_hash(connection):
        head = connection.take_until(b"\r\n\r\n")
        body = connection.data[len(head) :]
        connection.data = head
        size = SIZE
        if b"chunked" in head:
            size += (SIZE // MIB) * (len(b"%x" % MIB) + 4) + 5
        digest, left = hashlib.sha256(body), size - len(body)
        while left > 0:
            data = connection.sock.recv(MIB)
            assert data, f"{left} bytes are missing"
            digest.update(data)
            left -= len(data)
        text = digest.hexdigest().encode()
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(text), text))


def response_hash(client, size):
    digest = hashlib.sha256()
    assert b"200 OK" in client.read_until(b"\r\n\r\n")
    while size > 0:
        data = client.recv(min(size, 65536))
        assert data, f"{size} bytes are missing"
        digest.update(data)
        size -= len(data)
    return digest.hexdigest()


@MODES
def test_download(start, front, options):
    def serve(connection):
        connection.take_request()
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % SIZE)
        send_blocks(connection)
        connection.take_request()
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    backend = start(Recorder(serve))
    stunnel = front(backend, *options)
    with TlsClient(stunnel.port) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert response_hash(client, SIZE) == DIGEST
        assert client.get("/after").body == b"ok"


@MODES
def test_upload(start, front, options):
    backend = start(Receiver())
    stunnel = front(backend, *options)
    with TlsClient(stunnel.port) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % SIZE)
        send_blocks(client)
        assert client.response().body == DIGEST.encode()


def test_chunked_upload(start, front):
    framed = hashlib.sha256((b"%x\r\n" % MIB + BLOCK + b"\r\n") * (SIZE // MIB) + b"0\r\n\r\n")
    backend = start(Receiver())
    stunnel = front(backend, *HTTP)
    with TlsClient(stunnel.port) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
        send_chunks(client)
        assert client.response().body == framed.hexdigest().encode()


@MODES
def test_both_directions_at_once(start, front, options):
    """The answer comes while the request is still being sent."""

    def serve(connection):
        head = connection.take_until(b"\r\n\r\n")
        connection.data = connection.data[len(head) :]
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % SIZE)
        sender = threading.Thread(target=send_blocks, args=[connection])
        sender.start()
        left = SIZE - len(connection.data)
        while left > 0 and (data := connection.sock.recv(MIB)):
            left -= len(data)
        sender.join()

    backend = start(Recorder(serve))
    stunnel = front(backend, *options)
    with TlsClient(stunnel.port) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % SIZE)
        assert b"200 OK" in client.read_until(b"\r\n\r\n")
        digest, received = hashlib.sha256(), 0
        for sent in range(MIB, SIZE + 1, MIB):
            client.send(BLOCK)
            while received < SIZE and (client.readable() or sent == SIZE):
                data = client.recv()
                assert data, f"{SIZE - received} bytes are missing"
                digest.update(data)
                received += len(data)
    assert digest.hexdigest() == DIGEST


# ---- back-pressure -----------------------------------------------------------------------------


def memory(stunnel):
    """Resident KiB of all the daemon's processes."""
    total = 0
    for pid in stunnel.processes():
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                total += int(line.split()[1])
    return total


def settled(value):
    """Waits until value() no longer changes; returns it."""
    before, same = value(), 0
    while same < 10:
        time.sleep(0.05)
        now = value()
        same = same + 1 if now == before else 0
        before = now
    return before


@MODES
def test_client_that_does_not_read(start, front, options):
    sent = [0]

    def serve(connection):
        connection.take_request()
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % SIZE)
        for at in range(0, SIZE, 65536):
            connection.sock.sendall(BLOCK[at % MIB : at % MIB + 65536])
            sent[0] = at

    backend = start(Recorder(serve))
    stunnel = front(backend, *options)
    with TlsClient(stunnel.port) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        before = memory(stunnel)
        assert settled(lambda: sent[0]) < SIZE - 65536, "the backend could send everything"
        assert memory(stunnel) - before < BOUND
        assert response_hash(client, SIZE) == DIGEST


@MODES
def test_backend_that_does_not_read(start, front, options):
    go = threading.Event()

    def serve(connection):
        go.wait(60)
        Receiver.serve_hash(connection)

    def upload():
        for at in range(0, SIZE, 65536):
            client.send(BLOCK[at % MIB : at % MIB + 65536])
            sent[0] = at

    sent = [0]
    backend = start(Recorder(serve))
    stunnel = front(backend, *options)
    with TlsClient(stunnel.port) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % SIZE)
        before = memory(stunnel)
        uploader = threading.Thread(target=upload)
        uploader.start()
        assert settled(lambda: sent[0]) < SIZE - 65536, "the client could send everything"
        assert memory(stunnel) - before < BOUND
        go.set()
        uploader.join()
        assert client.response().body == DIGEST.encode()
