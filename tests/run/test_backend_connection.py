# SPDX-License-Identifier: ISC
"""When the backend is connected, what happens when it is not there, and how connections end."""

import threading

import pytest

from peers import PATCHED, daemon_only, free_port, stock_before, stock_since, takes_lines_in_order, wait_for
from recorder import OK, Recorder, answer_each, read_only
from tls_client import TlsClient, dial, read_to_end

HTTP = "xForwardedFor = yes"
HEAD = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n"


def alive(stunnel):
    """A whole connection was served after what a test did before."""
    before = stunnel.ended()
    with TlsClient(stunnel.port) as client:
        assert client.get("/alive").status == 200
    stunnel.wait_ended(before + 1)


# ---- when ------------------------------------------------------------------------------------


@daemon_only
def test_handshake_alone_costs_the_backend_nothing(start, front):
    backend = start(Recorder())
    stunnel = front(backend, HTTP)
    with TlsClient(stunnel.port):
        alive(stunnel)
        assert len(backend.connections) == 1
    stunnel.wait_ended(2)
    assert len(backend.connections) == 1


@daemon_only
def test_half_a_head_costs_the_backend_nothing(start, front):
    backend = start(Recorder())
    stunnel = front(backend, HTTP)
    with TlsClient(stunnel.port) as client:
        client.send(HEAD[:-2])
        alive(stunnel)
        assert len(backend.connections) == 1
        client.send(HEAD[-2:])
        assert client.response().status == 200
    assert len(backend.connections) == 2


def test_plain_mode_connects_after_the_handshake(start, front):
    """The backend may be the one who speaks first."""
    backend = start(Recorder(lambda connection: connection.send(b"220 hello\r\n")))
    stunnel = front(backend)
    with TlsClient(stunnel.port) as client:
        assert client.recv_all() == b"220 hello\r\n"


def test_failed_handshake_costs_the_backend_nothing(start, front):
    backend = start(Recorder())
    stunnel = front(backend)
    with dial(stunnel.port) as sock:
        sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
        read_to_end(sock)
    stunnel.wait_log("SSL_accept: ")
    assert backend.connections == []


# ---- a backend that is not there --------------------------------------------------------------


@daemon_only
def test_http_client_gets_503(front):
    stunnel = front(free_port(), HTTP)
    with TlsClient(stunnel.port) as client:
        client.send(HEAD)
        response = client.response()
        assert response.status == 503
        assert response.header("Connection") == ["close"]
        assert client.closed_by_peer()
    stunnel.wait_log("Connection refused (111)")


def test_plain_client_is_closed(front):
    stunnel = front(free_port())
    with TlsClient(stunnel.port) as client:
        assert client.closed_by_peer()
    stunnel.wait_log("Connection refused (111)")


@daemon_only
def test_backend_comes_back(start, front):
    """A refused connection is forgotten: the next client gets through."""
    port = free_port()
    stunnel = front(port, HTTP)
    with TlsClient(stunnel.port) as client:
        assert client.get("/").status == 503
    start(Recorder(port=port))
    with TlsClient(stunnel.port) as client:
        assert client.get("/").status == 200


@pytest.mark.parametrize("options", [[HTTP], []], ids=["http", "plain"])
def test_failover_to_the_next_connect_line(start, front, options):
    backend = start(Recorder())
    second = f"connect = 127.0.0.1:{backend.port}"
    stunnel = front(free_port(), second, *options)
    for _ in range(2):
        with TlsClient(stunnel.port) as client:
            assert client.get("/").status == 200
    assert len(backend.connections) == 2
    refused = 2 if PATCHED else 1  # the daemon remembers it, for a while
    if stock_before(5, 45):  # takes the lines in turn
        assert stunnel.wait_log("Connection refused (111)")
    else:
        assert len(stunnel.wait_log("Connection refused (111)", refused)) == refused


@takes_lines_in_order
def test_first_connect_line_is_preferred(start, front):
    first, second = start(Recorder()), start(Recorder())
    stunnel = front(first, f"connect = 127.0.0.1:{second.port}", HTTP)
    for _ in range(3):
        with TlsClient(stunnel.port) as client:
            client.get("/")
    assert (len(first.connections), len(second.connections)) == (3, 0)


def test_port_alone_is_localhost(start, front):
    backend = start(Recorder())
    stunnel = front(str(backend.port), HTTP)
    with TlsClient(stunnel.port) as client:
        assert client.get("/").status == 200


def test_unix_backend(start, front, tmp_path):
    backend = start(Recorder(path=tmp_path / "backend"))
    stunnel = front(str(tmp_path / "backend"), HTTP)
    with TlsClient(stunnel.port, source="127.0.0.5") as client:
        assert client.get("/").status == 200
    assert "X-Forwarded-For: 127.0.0.5" in backend.requests[0]


# ---- how connections end ------------------------------------------------------------------------


def test_backend_that_closes_after_its_answer(start, front):
    def serve(connection):
        connection.take_request()
        connection.send(OK)

    backend = start(Recorder(serve))
    stunnel = front(backend, HTTP, "httpKeepAlive = both")
    with TlsClient(stunnel.port) as client:
        assert client.get("/").body == b"ok"
        assert client.closed_by_peer()
    stunnel.wait_ended(1)
    # stocks to 5.57 or so call it a reset that the client sends no close_notify
    assert PATCHED or stunnel.log_lines("Connection closed")


def test_backend_that_resets_in_its_answer(start, front):
    """Without a length only the orderly end says that the answer is whole."""

    def serve(connection):
        connection.take_request()
        connection.send(b"HTTP/1.1 200 OK\r\n\r\nshort")
        received.wait(30)
        connection.reset()

    received = threading.Event()
    backend = start(Recorder(serve))
    stunnel = front(backend, HTTP)
    with TlsClient(stunnel.port) as client:
        client.send(HEAD)
        client.read_until(b"short")
        received.set()
        assert client.closed_by_peer()
        assert client.ended in ("reset", "eof")


@pytest.mark.parametrize("close_notify", [True, False], ids=["close_notify", "no close_notify"])
@pytest.mark.parametrize("sent", [POST + b"12345", HEAD + POST], ids=["in a body", "before a body"])
def test_truncated_request_resets_the_backend(start, front, sent, close_notify):
    backend = start(Recorder())
    stunnel = front(backend, HTTP)
    with TlsClient(stunnel.port) as client:
        client.send(sent)
        wait_for(lambda: backend.connections and b"POST" in backend.data, "the request")
        if close_notify:
            client.end()
    wait_for(lambda: backend.connections and backend.connections[0].ended, "the backend's end")
    assert backend.connections[0].ended == "reset"


def test_half_a_head_and_close(start, front):
    """The requests before it are answered; the backend sees an orderly end, or a reset."""
    backend = start(Recorder())
    stunnel = front(backend, HTTP)
    with TlsClient(stunnel.port) as client:
        client.send(HEAD + HEAD[:9])
        assert client.response().status == 200
        client.end()
        client.recv_all()
    wait_for(lambda: backend.connections and backend.connections[0].ended, "the backend's end")
    assert backend.data.count(b"GET") == 1


def test_client_that_is_done_still_gets_its_answer(start, front):
    """HTTP mode: close_notify after a whole request."""
    backend = start(Recorder())
    stunnel = front(backend, HTTP)
    with TlsClient(stunnel.port) as client:
        client.send(HEAD)
        client.end()
        assert client.response().body == b"ok"
        assert client.recv_all() == b""
    wait_for(lambda: backend.connections[0].ended == "eof", "the backend's connection to end")


@stock_since(5, 5, "drops what a backend sent just before its end")
def test_half_close_by_the_client(start, front):
    """Plain mode: the backend sees the end, and its late bytes still come through."""

    def serve(connection):
        read_only(connection)
        connection.send(b"got %d bytes" % len(connection.data))

    backend = start(Recorder(serve))
    stunnel = front(backend)
    with TlsClient(stunnel.port) as client:
        client.send(b"x" * 100000)
        client.end()
        assert client.recv_all() == b"got 100000 bytes"
    assert backend.connections[0].ended == "eof"


def test_half_close_by_the_backend(start, front):
    """Plain mode: the client sees the end, and its late bytes still come through."""

    def serve(connection):
        connection.send(b"that is all")
        connection.end()
        read_only(connection)

    backend = start(Recorder(serve))
    stunnel = front(backend)
    with TlsClient(stunnel.port) as client:
        assert client.recv_all() == b"that is all"
        client.send(b"x" * 100000)
        client.end()
        wait_for(lambda: backend.connections and backend.connections[0].ended, "the backend's end")
    assert backend.data == b"x" * 100000
    assert backend.connections[0].ended == "eof"


def test_idle_connection_outlives_the_ones_after_it(start, front):
    backend = start(Recorder(answer_each()))
    stunnel = front(backend, HTTP)
    with TlsClient(stunnel.port) as client:
        client.get("/1")
        alive(stunnel)
        assert client.get("/2").status == 200
    assert len(backend.connections) == 2


# ---- time-outs ----------------------------------------------------------------------------------


def test_idle_timeout_closes(start, front):
    backend = start(Recorder())
    stunnel = front(backend, HTTP, "TIMEOUTidle = 1")
    with TlsClient(stunnel.port) as client:
        client.get("/")
        assert client.closed_by_peer()
    stunnel.wait_log("TIMEOUTidle exceeded")


def test_busy_timeout_ends_a_handshake(front):
    stunnel = front(free_port(), HTTP, "TIMEOUTbusy = 1")
    with dial(stunnel.port) as sock:
        assert read_to_end(sock) == b""
    stunnel.wait_log("TIMEOUTbusy exceeded")


def test_close_timeout_ends_a_half_closed_connection(start, front):
    """Plain mode: the backend is done, and the client never closes."""
    backend = start(Recorder(lambda connection: (connection.end(), read_only(connection))))
    stunnel = front(backend, "TIMEOUTclose = 1")
    with TlsClient(stunnel.port) as client:
        assert client.recv_all() == b""
        wait_for(lambda: backend.connections and backend.connections[0].ended, "the backend's end")
    stunnel.wait_log("TIMEOUTclose exceeded")
