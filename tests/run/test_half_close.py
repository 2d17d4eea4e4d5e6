# SPDX-License-Identifier: ISC
"""A client that ends its side behind a whole request waits for the answer; many backends drop a
request when they hear of such an end, so they are told late, and only where nobody may wait."""

import contextlib
import socket
import struct
import threading

import pytest

from peers import Stunnel, service, wait_for
from recorder import OK, Recorder, read_only
from tls_client import DEADLINE, TlsClient

GET = b"GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n"
STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
EVENT = b"data: 1\n\n"
STREAMS = {
    "chunked": STREAM + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n" % (len(EVENT), EVENT),
    "until-close": STREAM + b"\r\n" + EVENT,
}


def by_close_notify(client):
    client.end()


def by_fin(client):
    """As ncat --ssl does it: no close_notify, and it goes on reading."""
    client.sock.shutdown(socket.SHUT_WR)


def by_both(client):
    client.end()
    with contextlib.suppress(OSError):  # whoever is content with close_notify may be gone
        client.sock.shutdown(socket.SHUT_WR)


ENDS = [by_close_notify, by_fin, by_both]


class Late:
    """A backend that answers /late in parts, each when the test lets it: it notes whether it had
    heard of its client's end before each of them."""

    def __init__(self, *parts):
        self.parts = parts
        self.heard = []
        self.turn = threading.Semaphore(0)

    def __call__(self, connection):
        while (request := connection.take_request()) is not None:
            if b" /late" not in request:
                connection.send(OK)
                continue
            for part in self.parts:
                assert self.turn.acquire(timeout=DEADLINE)
                self.heard.append(has_ended(connection))
                connection.send(part)


def has_ended(connection):
    connection.sock.setblocking(False)
    try:
        return not connection.sock.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return False
    finally:
        connection.sock.settimeout(DEADLINE)


def start_both(start, serve, *options):
    backend = start(Recorder(serve))
    section = service(backend.port, "xForwardedFor = replace", *options)
    return backend, start(Stunnel("workers = 1\n" + section))


def settle(stunnel):
    """Returns when the only worker has seen all that clients did before: it has served another."""
    with TlsClient(stunnel.port) as client:
        assert client.get("/").status == 200


def backend_of(backend, path):
    return next(c for c in backend.connections if path in c.data)


@pytest.mark.parametrize("mode", ["client", "both"])
@pytest.mark.parametrize("end", ENDS)
def test_the_answer_comes_after_the_end(start, end, mode):
    late = Late(OK)
    _, stunnel = start_both(start, late, f"httpKeepAlive = {mode}")
    with TlsClient(stunnel.port) as client:
        client.send(GET % b"/late")
        end(client)
        settle(stunnel)
        late.turn.release()
        assert client.recv_all() == OK
        assert client.ended == "close_notify"
    assert late.heard == [False]


@pytest.mark.parametrize("end", ENDS)
def test_an_end_before_all_of_a_length_has_come(start, end):
    late = Late(OK[:-1], OK[-1:])
    _, stunnel = start_both(start, late)
    with TlsClient(stunnel.port) as client:
        client.send(GET % b"/late")
        late.turn.release()
        assert client.take(len(OK) - 1) == OK[:-1]
        end(client)
        settle(stunnel)
        late.turn.release()
        assert client.recv_all() == OK[-1:]
        assert client.ended == "close_notify"
    assert late.heard == [False, False]


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("mode", ["client", "both"])
def test_requests_that_wait_are_served_first(start, mode, end):
    late = Late(OK)
    _, stunnel = start_both(start, late, f"httpKeepAlive = {mode}")
    with TlsClient(stunnel.port) as client:
        client.send(GET % b"/late1" + GET % b"/2" + GET % b"/late3")
        end(client)
        settle(stunnel)
        late.turn.release()
        assert client.take(2 * len(OK)) == 2 * OK
        settle(stunnel)
        late.turn.release()
        assert client.recv_all() == OK
    assert late.heard == [False, False]


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("kind", STREAMS)
def test_a_stream_ends_when_its_reader_leaves(start, kind, end):
    came, heard = threading.Event(), []

    def serve(connection):
        connection.take_request()
        connection.send(STREAMS[kind])
        assert came.wait(DEADLINE)
        heard.append(has_ended(connection))
        read_only(connection)

    backend, stunnel = start_both(start, serve)
    with TlsClient(stunnel.port) as client:
        client.send(GET % b"/stream")
        client.read_until(EVENT)
        came.set()
        wait_for(lambda: heard == [False], "a look at the stream")
        end(client)
        wait_for(lambda: backend.connections[0].ended == "eof", "the stream to end")


@pytest.mark.parametrize("kind", STREAMS)
def test_a_stream_ends_whose_reader_left_before_it_began(start, kind):
    late = Late(STREAMS[kind])
    backend, stunnel = start_both(start, late)
    with TlsClient(stunnel.port) as client:
        client.send(GET % b"/late")
        client.end()
        settle(stunnel)
        late.turn.release()
        client.read_until(EVENT)
        wait_for(lambda: backend_of(backend, b"/late").ended == "eof", "the stream to end")
    assert late.heard == [False]


def test_a_client_that_breaks_ends_its_request(start):
    backend, stunnel = start_both(start, read_only)
    with TlsClient(stunnel.port) as client:
        client.send(GET % b"/")
        wait_for(lambda: backend.connections and backend.data, "the request")
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.sock.close()
        wait_for(lambda: backend.connections[0].ended, "the backend's connection to end")


@pytest.mark.parametrize("end", ENDS)
def test_an_end_inside_a_request_is_no_end_of_it(start, end):
    backend, stunnel = start_both(start, read_only)
    with TlsClient(stunnel.port) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhi")
        end(client)
        wait_for(lambda: backend.connections and backend.connections[0].ended, "the end")
    assert backend.connections[0].ended == "reset"
    stunnel.wait_log("The client ended inside a message")
