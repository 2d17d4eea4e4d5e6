# SPDX-License-Identifier: ISC
"""What cannot be judged is answered by us, named in the log, and never seen by the backend."""

import socket

import pytest

from peers import PATCHED, Stunnel, daemon_only, service, wait_for
from recorder import OK, Recorder
from tls_client import TlsClient

CLIENT = "127.0.0.5"
HOST = b"Host: localhost\r\n"
GOOD = b"GET /good HTTP/1.1\r\n" + HOST + b"\r\n"

BAD = {
    "not HTTP": (b"\x16\x03\x01\x02\x00\x01", 400, "method-invalid", "RFC 9110 9.1"),
    "another protocol": (b"SSH-2.0-OpenSSH_9.2\r\n", 400, "request-line", "RFC 9112 3"),
    "no version": (b"GET /\r\n\r\n", 400, "request-line", "RFC 9112 3"),
    "length and coding": (
        b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
        "length-and-coding",
        "RFC 9112 6.1",
    ),
    "two lengths": (
        b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        400,
        "length-duplicate",
        "RFC 9112 6.3",
    ),
    "unknown coding": (
        b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        501,
        "coding-unknown",
        "RFC 9112 6.1",
    ),
    "folded line": (
        b"GET / HTTP/1.1\r\n" + HOST + b"X: a\r\n b\r\n\r\n",
        400,
        "obs-fold",
        "RFC 9112 5.2",
    ),
    "bare LF": (b"GET / HTTP/1.1\nHost: localhost\n\n", 400, "bare-lf", "RFC 9112 2.2"),
    "space before colon": (
        b"GET / HTTP/1.1\r\n" + HOST + b"X-Forwarded-For : x\r\n\r\n",
        400,
        "field-name",
        "RFC 9112 5.1",
    ),
    "no Host": (b"GET / HTTP/1.1\r\n\r\n", 400, "host-missing", "RFC 9112 3.2"),
    "HTTP/2 preface": (
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        400,
        "http2-preface",
        "RFC 9113 3.4",
    ),
    "CONNECT": (
        b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n",
        405,
        "connect-refused",
        "RFC 9110 9.3.6",
    ),
    "HTTP/2.0 version": (
        b"GET / HTTP/2.0\r\n" + HOST + b"\r\n",
        505,
        "version-unsupported",
        "RFC 9110 15.6.6",
    ),
    "huge head": (
        b"GET / HTTP/1.1\r\n" + HOST + b"X: " + 40000 * b"a" + b"\r\n\r\n",
        431,
        "head-too-large",
        "RFC 6585 5",
    ),
    "many fields": (
        b"GET / HTTP/1.1\r\n" + HOST + 300 * b"X: a\r\n" + b"\r\n",
        431,
        "too-many-fields",
        "RFC 6585 5",
    ),
}


def start_front(start, *options):
    backend = start(Recorder())
    return start(Stunnel(service(backend.port, "xForwardedFor = yes", *options))), backend


def assert_refused(client, status):
    response = client.response()
    assert response.status == status
    assert response.header("Connection") == ["close"]
    assert response.header("Content-Length") == [str(len(response.body))]
    assert 0 < len(response.body) < 200
    assert client.closed_by_peer()


def assert_logged(stunnel, client, name, section):
    """One line says who it was, what was wrong and by which rule."""
    lines = stunnel.wait_log(name)
    assert len(lines) == 1
    assert "%s:%d" % client.address in lines[0]
    assert section in lines[0]


def assert_nothing_came(backend):
    if PATCHED:  # connects after the handshake
        wait_for(lambda: backend.connections, "the connection")
        assert backend.data == b""
    else:
        assert backend.connections == []


@pytest.mark.parametrize("sent, status, name, section", BAD.values(), ids=BAD)
def test_refused(start, sent, status, name, section):
    stunnel, backend = start_front(start)
    with TlsClient(stunnel.port, source=CLIENT) as client:
        client.send(sent)
        assert_refused(client, status)
        assert_logged(stunnel, client, name, section)
    assert_nothing_came(backend)


@pytest.mark.parametrize("sent, status, name, section", BAD.values(), ids=BAD)
def test_refused_after_a_good_one(start, sent, status, name, section):
    """The answer to the good request comes first; nothing of the bad one reaches the backend."""
    stunnel, backend = start_front(start)
    with TlsClient(stunnel.port, source=CLIENT) as client:
        client.send(GOOD + sent)
        assert client.response().body == b"ok"
        assert_refused(client, status)
        assert_logged(stunnel, client, name, section)
    assert backend.data == GOOD[:-2] + f"X-Forwarded-For: {CLIENT}\r\n\r\n".encode()


@pytest.mark.parametrize("sent, status, name, section", BAD.values(), ids=BAD)
def test_refused_byte_by_byte(start, sent, status, name, section):
    stunnel, backend = start_front(start)
    with TlsClient(stunnel.port, source=CLIENT) as client:
        step = max(1, len(sent) // 200)
        for at in range(0, len(sent), step):
            try:
                client.send(sent[at : at + step])
            except ConnectionError:
                break  # it was judged before it was complete
        assert_refused(client, status)
        assert_logged(stunnel, client, name, section)
    assert_nothing_came(backend)


def test_good_request_whose_answer_is_slow(start, front):
    """The refusal waits for the answers to what came before."""

    def serve(connection):
        connection.take_request()
        stunnel.wait_log("bare-lf")
        connection.send(OK)
        connection.take_request()

    backend = start(Recorder(serve))
    stunnel = front(backend, "xForwardedFor = yes", "httpKeepAlive = both")
    with TlsClient(stunnel.port) as client:
        client.send(GOOD + b"GET / HTTP/1.1\n\n")
        assert client.response().body == b"ok"
        assert_refused(client, 400)


def test_bad_chunk_resets_the_backend(start):
    """The backend must not take what it has for a whole request."""
    stunnel, backend = start_front(start)
    with TlsClient(stunnel.port) as client:
        client.send(b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n")
        client.send(b"5\r\nhello\r\nnonsense\r\n")
        assert_refused(client, 400)
        assert_logged(stunnel, client, "chunk-size", "RFC 9112 7.1")
    wait_for(lambda: backend.connections and backend.connections[0].ended, "the backend's end")
    assert backend.connections[0].ended == "reset"
    assert b"nonsense" not in backend.data


def test_slow_head(start):
    stunnel, backend = start_front(start, "TIMEOUTrequest = 1")
    with TlsClient(stunnel.port, source=CLIENT) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: loc")
        assert_refused(client, 408)
        assert_logged(stunnel, client, "request-timeout", "RFC 9110 15.5.9")
    assert_nothing_came(backend)


def test_slow_second_head(start):
    stunnel, backend = start_front(start, "TIMEOUTrequest = 1")
    with TlsClient(stunnel.port, source=CLIENT) as client:
        client.send(GOOD + b"GET /slow HT")
        assert client.response().body == b"ok"
        assert_refused(client, 408)
    assert backend.data.count(b"GET") == 1


def test_request_time_is_not_for_bodies_nor_answers(start, front):
    """TIMEOUTrequest ends when the head is complete."""

    def serve(connection):
        connection.take_request()
        wait_for(lambda: done, "the client to send on", 20)
        connection.send(OK)

    done = []
    backend = start(Recorder(serve))
    stunnel = front(backend, "xForwardedFor = yes", "TIMEOUTrequest = 1")
    with TlsClient(stunnel.port) as slow, TlsClient(stunnel.port) as silent:
        slow.send(b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\n\r\nhel")
        silent.send(b"GET / HT")
        assert_refused(silent, 408)  # so that much time has passed
        slow.send(b"lo")
        done.append(True)
        assert slow.response().status == 200


@daemon_only
def test_answer_arrives_even_with_no_time_to_close(start, front):
    """The client is still sending: a close at once would be a reset, which overtakes the answer."""
    backend = start(Recorder())
    stunnel = front(backend, "xForwardedFor = yes", "TIMEOUTclose = 0")
    with TlsClient(stunnel.port) as client:
        client.send(b"NOT HTTP AT ALL\r\n")
        client.send(bytes(1 << 18))
        answer = client.recv_all()
    head, body = answer.split(b"\r\n\r\n", 1)
    assert head.startswith(b"HTTP/1.1 400 ")
    assert b"Content-Length: %d\r\n" % len(body) in head


def test_bad_request_behind_an_answer_that_is_read_slowly(start, front):
    """Our answer waits until all of the backend's is written, not only until it has come."""
    size = 61000

    def serve(connection):
        connection.take_request()
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size)
        connection.receive()

    backend = start(Recorder(serve))
    options = ["xForwardedFor = yes", "httpKeepAlive = both", "socket = l:SO_SNDBUF=8192"]
    stunnel = front(backend, *options)
    with TlsClient(stunnel.port) as client:
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.send(GOOD + b"\x01bad\r\n")
        stunnel.wait_log("method-invalid")
        head, data = client.recv_all().split(b"\r\n\r\n", 1)
    assert head.endswith(b"Content-Length: 61000")
    assert data[:size] == b"x" * size
    assert data[size:].startswith(b"HTTP/1.1 400 Bad Request\r\n")


@daemon_only
def test_early_answer_outlives_the_reset_behind_it(start, front):
    """413, and closed with the body unread: the client gets the 413 and an orderly end."""
    answer = b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

    def serve(connection):
        connection.take_until(b"\r\n\r\n")
        connection.send(answer)
        connection.reset()

    backend = start(Recorder(serve))
    stunnel = front(backend, "xForwardedFor = yes")
    with TlsClient(stunnel.port) as client:
        client.send(b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 9000000\r\n\r\n" + b"x" * 100)
        assert client.recv_all() == answer
        assert client.closed_by_peer()
