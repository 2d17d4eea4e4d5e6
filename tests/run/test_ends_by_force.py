# SPDX-License-Identifier: ISC
"""What is ended in the middle does not look complete, to the client or to the backend."""

import signal
from threading import Event

import pytest

from peers import DEADLINE, daemon_only, wait_for
from recorder import Recorder, read_only
from tls_client import PlainClient, TlsClient
from tls_server import TlsServer

pytestmark = daemon_only

HTTP, PLAIN = ["xForwardedFor = yes"], []
MODES = pytest.mark.parametrize("options", [HTTP, PLAIN], ids=["http", "plain"])
REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
UPLOAD = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n"
UNTIL_CLOSE = b"HTTP/1.1 200 OK\r\n\r\nthe beginning"
BY_LENGTH = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nthe beginning"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"
SWITCHED = (
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nframe"
)


def begins(answer):
    """A backend that sends this, and then nothing more."""

    def serve(connection):
        connection.take_until(b"\r\n\r\n")
        connection.send(answer)
        while connection.receive():
            pass

    return Recorder(serve)


def backend_saw(backend):
    return wait_for(lambda: backend.connections[0].ended, "the backend to see the end")


def ended_by_term(stunnel, client):
    """What the client still gets, and how it ends."""
    stunnel.signal(signal.SIGTERM)
    assert stunnel.process.wait(DEADLINE) == 0
    return client.recv_all(), client.ended


@pytest.mark.parametrize(
    "options, answer",
    [(HTTP, UNTIL_CLOSE), (HTTP, BY_LENGTH), (HTTP, CHUNKED), (PLAIN, UNTIL_CLOSE)],
    ids=["until close", "by length", "chunked", "plain"],
)
def test_term_in_a_response(start, front, options, answer):
    backend = start(begins(answer))
    stunnel = front(backend, *options)
    with TlsClient(stunnel.port) as client:
        client.send(REQUEST)
        client.read_until(answer[-5:])
        assert ended_by_term(stunnel, client) == (b"", "eof")
    assert backend_saw(backend) == "reset"


def test_term_in_a_tunnel(start, front):
    backend = start(begins(SWITCHED))
    stunnel = front(backend, *HTTP)
    with TlsClient(stunnel.port) as client:
        client.send(REQUEST[:-2] + b"Connection: upgrade\r\nUpgrade: websocket\r\n\r\n")
        client.read_until(b"frame")
        assert ended_by_term(stunnel, client) == (b"", "eof")
    assert backend_saw(backend) == "reset"


@MODES
def test_term_in_an_upload(start, front, options):
    """A backend that reads to the end of its input must not take the half for the whole."""
    backend = start(begins(b""))
    stunnel = front(backend, *options)
    with TlsClient(stunnel.port) as client:
        client.send(UPLOAD + b"half")
        wait_for(lambda: backend.connections and b"half" in backend.data, "the upload's half")
        assert ended_by_term(stunnel, client) == (b"", "eof")
    assert backend_saw(backend) == "reset"


def test_term_in_an_upload_that_is_answered_already(start, front):
    answer = b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n"
    backend = start(begins(answer))
    stunnel = front(backend, *HTTP)
    with TlsClient(stunnel.port) as client:
        client.send(UPLOAD + b"half")
        client.read_until(b"\r\n\r\n")
        assert ended_by_term(stunnel, client) == (b"", "eof")
    assert backend_saw(backend) == "reset"


def test_term_between_requests(start, front):
    """Nothing is missing, and both are told so."""
    backend = start(Recorder())
    stunnel = front(backend, *HTTP)
    with TlsClient(stunnel.port) as client:
        assert client.get("/").status == 200
        assert ended_by_term(stunnel, client) == (b"", "close_notify")
    assert backend_saw(backend) == "eof"


def test_term_in_a_worker_that_drains(start, front):
    """A reload has left the connection to it."""
    backend = start(begins(UNTIL_CLOSE))
    stunnel = front(backend, *HTTP)
    with TlsClient(stunnel.port) as client:
        client.send(REQUEST)
        client.read_until(b"beginning")
        stunnel.reload()
        assert ended_by_term(stunnel, client) == (b"", "eof")
    assert backend_saw(backend) == "reset"


@pytest.mark.parametrize("reset, end", [("yes", "reset"), ("no", "eof")])
def test_a_fault_is_told_by_reset_or_fin(start, both, reset, end):
    """To both sides, when the time for a byte is over; beside stock."""
    backend = start(Recorder(serve=read_only))
    for number, daemon in enumerate(both(backend, f"reset = {reset}", "TIMEOUTidle = 1")):
        with TlsClient(daemon.port) as client:
            client.send(b"x")
            assert client.recv() == b""
            assert client.ended == end
        wait_for(lambda n=number: len(backend.connections) > n, "a connection")
        ended = backend.connections[number]
        wait_for(lambda c=ended: c.ended, "its end")
        assert ended.ended == end
        daemon.wait_log("transfer: s_poll_wait: TIMEOUTidle exceeded: sending reset")
        how = "reset" if end == "reset" else "closed"
        daemon.wait_log(f"Connection {how}: 0 byte(s) sent to TLS, 1 byte(s) sent to socket")


def test_timeoutclose_of_a_client_that_has_ended(start, front):
    """Its half is through, the backend's is not."""
    over = Event()

    def serve(connection):
        connection.send(b"the beginning")
        while connection.receive():
            pass
        over.wait(DEADLINE)

    backend = start(Recorder(serve))
    stunnel = front(backend, "TIMEOUTclose = 1")
    with TlsClient(stunnel.port) as client:
        client.send(b"all of it")
        client.read_until(b"beginning")
        client.end()
        assert client.recv_all() == b""
        assert client.ended == "eof"
    over.set()
    stunnel.wait_log("transfer: s_poll_wait: TIMEOUTclose exceeded: closing")
    assert backend.data == b"all of it"


def test_timeoutclose_of_a_backend_that_has_ended(start, front):
    """The client gets the whole; the backend does not take what came for all of an upload."""

    def serve(connection):
        connection.take(5)
        connection.send(b"the whole")
        connection.end()
        while connection.receive():
            pass

    backend = start(Recorder(serve))
    stunnel = front(backend, "TIMEOUTclose = 1")
    with TlsClient(stunnel.port) as client:
        client.send(b"a half")
        assert client.recv_all() == b"the whole"
        assert client.ended == "close_notify"
        assert backend_saw(backend) == "reset"


@pytest.mark.parametrize("http, end", [(PLAIN, "eof"), (HTTP, "reset")], ids=["plain", "http"])
def test_no_timeoutclose_for_a_client_that_has_ended(start, front, both, http, end):
    """It asked not to wait: the client is told as by stock that it is over. HTTP tells that it is not."""
    over = Event()

    def serve(connection):
        connection.take_until(b"\r\n\r\n")
        connection.send(UNTIL_CLOSE)
        while connection.receive():
            pass
        over.wait(DEADLINE)

    server = start(TlsServer(serve))
    options = ["client = yes", "TIMEOUTclose = 0", *http]
    for daemon in [front(server, *options)] if http else both(server, *options):
        with PlainClient(daemon.port) as client:
            client.send(REQUEST)
            client.read_until(b"beginning")
            client.end()
            assert (client.recv_all(), client.ended) == (b"", end)
        daemon.wait_log("transfer: s_poll_wait: TIMEOUTclose exceeded: closing")
    over.set()


def test_no_timeoutclose_for_a_backend_that_has_ended(start, both):
    """Beside stock: whoever ends first gets a FIN, and not what the other might still have said."""

    def serve(connection):
        connection.take(6)
        connection.end()
        while connection.receive():
            pass

    backend = start(Recorder(serve))
    for number, daemon in enumerate(both(backend, "TIMEOUTclose = 0")):
        with TlsClient(daemon.port) as client:
            client.send(b"a half")
            assert (client.recv_all(), client.ended) == (b"", "close_notify")
            wait_for(lambda n=number: backend.connections[n].ended, "the backend to see the end")
        assert backend.connections[number].ended == "eof"
