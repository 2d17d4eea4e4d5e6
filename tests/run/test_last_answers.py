# SPDX-License-Identifier: ISC
"""Behind the answer to its last request a client is closed, whatever its backend does."""

import pytest

from peers import Stunnel, service, wait_for
from recorder import OK, Recorder, read_only
from tls_client import TlsClient

LAST = {
    "close": b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    "http-1.0": b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n",
    "content": b"POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    b"Content-Length: 2\r\n\r\nhi",
}
ANSWERS = {
    "length": OK,
    "chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    "none": b"HTTP/1.1 204 No Content\r\n\r\n",
    "interim": b"HTTP/1.1 103 Early Hints\r\n\r\n" + OK,
    "keep-alive": b"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok",
}


def start_both(start, answer, *options):
    """The backend answers and keeps its connection open."""

    def serve(connection):
        connection.take_request()
        connection.send(answer)
        read_only(connection)

    backend = start(Recorder(serve))
    return backend, start(Stunnel(service(backend.port, "xForwardedFor = replace", *options)))


@pytest.mark.parametrize("mode", ["client", "both"])
@pytest.mark.parametrize("request_kind", LAST)
@pytest.mark.parametrize("answer", ANSWERS)
def test_a_client_that_is_done_is_closed(start, answer, request_kind, mode):
    backend, stunnel = start_both(start, ANSWERS[answer], f"httpKeepAlive = {mode}")
    with TlsClient(stunnel.port) as client:
        client.send(LAST[request_kind])
        body = b"" if answer == "none" else b"ok"
        assert body in client.recv_all()
        assert client.ended == "close_notify"
        wait_for(lambda: backend.connections[0].ended == "eof", "the backend's connection to end")
    stunnel.wait_ended(1)


def test_what_is_sent_behind_the_last_request_does_not_reset_its_answer(start):
    _, stunnel = start_both(start, OK)
    with TlsClient(stunnel.port) as client:
        client.send(LAST["close"] + 100_000 * b"x")
        assert client.recv_all().endswith(b"ok")
        assert client.ended == "close_notify"


def test_a_large_last_answer_is_written_to_its_end(start):
    body = 5_000_000 * b"x"
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)
    _, stunnel = start_both(start, head + body)
    with TlsClient(stunnel.port) as client:
        client.send(LAST["close"])
        wait_for(client.readable, "the answer")
        assert client.recv_all().endswith(body)
        assert client.ended == "close_notify"


def test_a_client_that_could_go_on_is_not_closed(start):
    _, stunnel = start_both(start, OK)
    with TlsClient(stunnel.port) as client:
        assert client.get().status == 200
        assert not client.readable()
