# SPDX-License-Identifier: ISC
"""What a client sends together reaches the backend together: some servers take each segment for
the beginning of a request. A handshake's last flight goes with what is said first."""

import socket
import threading

import pytest

from peers import daemon_only, wait_for
from recorder import Recorder, read_only
from tls_client import PlainClient, TlsClient
from tls_server import TlsServer

SEGMENTS_IN, DATA_SEGMENTS_IN = 140, 152  # tcpi_segs_in, tcpi_data_segs_in of struct tcp_info
HEAD = b"POST / HTTP/1.1\r\nHost: localhost\r\n"
FORGED = b"GET /forged HTTP/1.1\r\nHost: a\r\n\r\n"
REQUESTS = {
    "length": [HEAD + b"Content-Length: %d\r\n\r\n" % len(FORGED), FORGED],
    "chunked": [HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"%x\r\n" % len(FORGED), FORGED],
    "pieces": [HEAD[:9], HEAD[9:] + b"Content-Length: %d\r\n\r\n" % len(FORGED), FORGED],
}
pytestmark = daemon_only


def send_at_once(client, records):
    """Each in a TLS record of its own, in one segment."""
    for record in records:
        client.tls.write(record)
    client._flush()


def segments(connection, kind=DATA_SEGMENTS_IN):
    info = connection.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 192)
    return int.from_bytes(info[kind : kind + 4], "little")


@pytest.mark.parametrize("kind", REQUESTS)
@pytest.mark.parametrize("proxy", [(), ("protocol = proxy",)], ids=["http", "proxy"])
def test_a_head_and_its_content_go_in_one_write(start, front, kind, proxy):
    backend = start(Recorder(read_only))
    stunnel = front(backend, "xForwardedFor = replace", *proxy)
    with TlsClient(stunnel.port) as client:
        send_at_once(client, REQUESTS[kind])
        wait_for(lambda: backend.connections and FORGED in backend.data, "the content")
        assert segments(backend.connections[0]) == 1


def test_and_so_does_a_later_request(start, front):
    backend = start(Recorder())
    stunnel = front(backend, "xForwardedFor = replace")
    with TlsClient(stunnel.port) as client:
        for count in (1, 2, 3):
            send_at_once(client, REQUESTS["length"])
            assert client.response().status == 200
            assert segments(backend.connections[0]) == count


@pytest.mark.parametrize(
    ("option", "said", "heard"),
    [("xForwardedFor = yes", FORGED, FORGED[:12]), ("protocol = proxy", b"", b"PROXY")],
    ids=["http", "proxy"],
)
def test_the_ack_of_a_backends_handshake_goes_with_the_first_words(start, front, option, said, heard):
    backend = start(Recorder(read_only))
    stunnel = front(backend, option)

    def first_words(count):
        with TlsClient(stunnel.port) as client:
            client.send(said)
            wait_for(lambda: len(backend.connections) == count and heard in backend.connections[-1].data, "words")
            return segments(backend.connections[-1], SEGMENTS_IN)

    # The SYN, and the words. A worker that stands still for 200 ms sends the ACK alone.
    assert any(first_words(1 + n) == 2 for n in range(20))


class Eager(TlsClient):
    """Its Finished and its first record are one segment."""

    said = False

    def _flush(self):
        if not self.tls.cipher() or self.said:
            super()._flush()

    def send(self, data):
        self.said = True
        super().send(data)


class Patient(TlsServer):
    """Begins its handshakes when it is told to `go`."""

    def __init__(self, serve=None):
        self.go = threading.Event()
        super().__init__(serve)

    def _serve_socket(self, sock):
        self.go.wait(30)
        super()._serve_socket(sock)


def greet(connection):
    connection.send(b"hello\r\n")
    connection.take_until(b"\r\n")


@pytest.mark.parametrize("options", [["xForwardedFor = yes"], []], ids=["http", "blind"])
def test_tickets_go_with_the_first_answer(start, front, options):
    stunnel = front(start(Recorder()), *options)
    with Eager(stunnel.port) as client:
        assert client.get().status == 200
        assert segments(client) == 2  # the first one is the certificate and what belongs to it
        assert client.session.has_ticket
        assert client.get().status == 200
        assert segments(client) == 3


@pytest.mark.parametrize("options", [["xForwardedFor = yes"], []], ids=["http", "blind"])
def test_tickets_of_a_silent_client_do_not_wait(start, front, options):
    stunnel = front(start(Recorder()), *options)
    with TlsClient(stunnel.port) as client:
        wait_for(lambda: segments(client) == 2, "the tickets")


def test_tickets_of_a_client_that_gets_no_answer_wait_for_its_second_words(start, front):
    backend = start(Recorder(read_only))
    stunnel = front(backend)
    with Eager(stunnel.port) as client:
        client.send(b"one")
        wait_for(lambda: backend.connections and backend.data == b"one", "what it said")
        client.send(b"two")
        wait_for(lambda: segments(client) == 2, "the tickets")


def test_finished_goes_with_a_clients_first_words(start, front):
    server = start(Patient(read_only))
    stunnel = front(server, "client = yes")
    with PlainClient(stunnel.port) as client:
        client.send(b"hello\r\n")
        server.go.set()
        wait_for(lambda: server.connections and server.data, "what it said")
        assert server.data == b"hello\r\n"
        assert segments(server.connections[0]) == 2  # the first one is the ClientHello


def test_finished_does_not_wait_where_the_server_speaks_first(start, front):
    stunnel = front(start(TlsServer(greet)), "client = yes")
    with PlainClient(stunnel.port) as client:
        assert client.read_until(b"\r\n") == b"hello\r\n"
        client.send(b"bye\r\n")
        assert client.recv_all() == b""
