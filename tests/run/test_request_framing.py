# SPDX-License-Identifier: ISC
"""However a request is framed and however its bytes arrive, the backend gets the same."""

import pytest

from peers import Stunnel, service, wait_for
from recorder import OK, Recorder, answer_each, read_only
from tls_client import TlsClient

CLIENT = "127.0.0.5"
LINE = f"X-Forwarded-For: {CLIENT}\r\n".encode()
HEAD = b"GET /%d HTTP/1.1\r\nHost: localhost\r\n"
LENGTH = b"Content-Length: 11\r\n"
CODING = b"Transfer-Encoding: chunked\r\n"
POST = b"POST /post HTTP/1.1\r\nHost: localhost\r\n"
CHUNKED = b"PUT /chunked HTTP/1.1\r\nHost: localhost\r\n"
CHUNKS = b"5\r\nhello\r\n006;extension=1\r\n world\r\n0\r\nX-Sum: 1\r\nX-Forwarded-For: x\r\n\r\n"
CHUNKS_ANEW = b"5\r\nhello\r\n6\r\n world\r\n0\r\nX-Sum: 1\r\n\r\n"

CHUNKED_ANSWER = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"

CONVERSATION = b"".join(
    [HEAD % 1, b"\r\n", POST, LENGTH, b"\r\nhello world", HEAD % 2, b"\r\n"]
    + [CHUNKED, CODING, b"\r\n", CHUNKS]
    + [b"\r\n", HEAD % 3, b"\r\n"]
)
EXPECTED = b"".join(
    [HEAD % 1, LINE, b"\r\n", POST, LINE, LENGTH, b"\r\nhello world", HEAD % 2, LINE, b"\r\n"]
    + [CHUNKED, LINE, CODING, b"\r\n", CHUNKS_ANEW, HEAD % 3, LINE, b"\r\n"]
)


@pytest.fixture
def front(start):
    """A daemon that adds the address, and the backend behind it."""

    def start_front(*options, serve=None):
        backend = start(Recorder(serve))
        stunnel = start(Stunnel(service(backend.port, "xForwardedFor = yes", *options)))
        return stunnel, backend

    return start_front


def pieces(data, size):
    return [data[at : at + size] for at in range(0, len(data), size)]


@pytest.mark.parametrize("size", [len(CONVERSATION), 1, 2, 7, 64])
def test_pipelined_requests_in_any_pieces(front, size):
    """Each piece is a TLS record of its own."""
    stunnel, backend = front()
    with TlsClient(stunnel.port, source=CLIENT) as client:
        for piece in pieces(CONVERSATION, size):
            client.send(piece)
        for _ in range(5):
            assert client.response().body == b"ok"
    assert backend.data == EXPECTED


def test_hundred_pipelined_requests(front):
    stunnel, backend = front()
    with TlsClient(stunnel.port, source=CLIENT) as client:
        client.send(b"".join(HEAD % n + b"\r\n" for n in range(100)))
        for _ in range(100):
            assert client.response().status == 200
    assert backend.data == b"".join(HEAD % n + LINE + b"\r\n" for n in range(100))


def test_head_reaches_the_backend_before_the_body_is_complete(front):
    stunnel, backend = front()
    with TlsClient(stunnel.port, source=CLIENT) as client:
        client.send(POST + LENGTH + b"\r\nhello")
        wait_for(lambda: backend.connections and b"hello" in backend.data, "half of the body")
        assert backend.data == POST + LINE + LENGTH + b"\r\nhello"
        client.send(b" world")
        assert client.response().status == 200


def test_expect_continue(front):
    """The backend's 100 reaches the client, that waits for it with its body."""

    def serve(connection):
        connection.take_until(b"\r\n\r\n")
        connection.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        connection.take(11)
        connection.send(OK)
        answer_each()(connection)

    stunnel, backend = front(serve=serve)
    with TlsClient(stunnel.port, source=CLIENT) as client:
        client.send(POST + LENGTH + b"Expect: 100-continue\r\n\r\n")
        assert client.recv().startswith(b"HTTP/1.1 100 ")
        client.send(b"hello world")
        assert client.response().status == 200
        client.get("/next")
    assert b"Expect: 100-continue\r\n" in backend.data
    assert backend.data.endswith(LINE + b"\r\n")


def test_http_1_0(front):
    stunnel, backend = front()
    with TlsClient(stunnel.port, source=CLIENT) as client:
        client.send(b"GET / HTTP/1.0\r\n\r\n")
        assert client.response().status == 200
    assert backend.data == b"GET / HTTP/1.0\r\n" + LINE + b"\r\n"


def test_http_1_0_keep_alive(front):
    stunnel, backend = front()
    line, option = b"GET / HTTP/1.0\r\n", b"Connection: keep-alive\r\n"
    with TlsClient(stunnel.port, source=CLIENT) as client:
        for _ in range(2):
            client.send(line + option + b"\r\n")
            assert client.response().status == 200
    assert backend.data == (line + LINE + option + b"\r\n") * 2


def test_nothing_is_forwarded_after_connection_close(front):
    stunnel, backend = front()
    option = b"Connection: close\r\n"
    with TlsClient(stunnel.port, source=CLIENT) as client:
        client.send(HEAD % 1 + option + b"\r\n" + HEAD % 2 + b"\r\n")
        assert client.response().status == 200
    assert backend.data == HEAD % 1 + LINE + option + b"\r\n"


def test_responses_of_all_kinds(front):
    """HEAD, 204, 304, chunked, and one that only the end of the connection ends."""
    answers = [
        ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n", b""),
        ("GET", b"HTTP/1.1 204 No Content\r\n\r\n", b""),
        ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n", b""),
        ("GET", CHUNKED_ANSWER, b"abc"),
        ("GET", b"HTTP/1.1 200 OK\r\n\r\nuntil the end", b"until the end"),
    ]

    def serve(connection):
        for _, answer, _ in answers:
            connection.take_request()
            connection.send(answer)

    stunnel, backend = front(serve=serve)
    with TlsClient(stunnel.port, source=CLIENT) as client:
        for n, (method, _, body) in enumerate(answers):
            client.send(b"%s /%d HTTP/1.1\r\nHost: localhost\r\n\r\n" % (method.encode(), n))
            assert client.response(method).body == body
        assert client.closed_by_peer()
    assert backend.data.count(LINE) == len(answers)


def test_without_header_options_every_byte_passes(start):
    """A plain tunnel knows nothing of HTTP."""
    noise = bytes(range(256)) * 64
    backend = start(Recorder(read_only))
    stunnel = start(Stunnel(service(backend.port)))
    with TlsClient(stunnel.port) as client:
        client.send(noise)
        client.end()
        assert client.recv_all() == b""
    assert backend.data == noise
