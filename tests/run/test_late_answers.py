# SPDX-License-Identifier: ISC
"""TIMEOUTresponse: a backend that does not answer costs its client a 504, and no more time than that."""

import threading

import pytest

from peers import Stunnel, daemon_only, service, wait_for
from recorder import OK, Recorder, read_only
from test_access_log import start_json
from tls_client import TlsClient

pytestmark = daemon_only

GET = b"GET /%d HTTP/1.1\r\nHost: localhost\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhel"
UPGRADE = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"
LATE = "backend-timeout (RFC 9110 15.6.5)"


def saying(*words):
    """A backend that answers the first requests so, and no others."""

    def serve(connection):
        for word in words:
            connection.take_request()
            connection.send(word)
        read_only(connection)

    return serve


def start_late(start, serve, *options, seconds=1):
    backend = start(Recorder(serve))
    options = ["xForwardedFor = yes", f"TIMEOUTresponse = {seconds}", *options]
    return start(Stunnel(service(backend.port, *options))), backend


def assert_late(client):
    response = client.response()
    assert (response.status, response.header("Connection")) == (504, ["close"])
    assert response.body == b"the backend did not answer in time\n"
    assert client.closed_by_peer() and client.ended == "close_notify"


@pytest.mark.parametrize("mode", ["client", "both"])
@pytest.mark.parametrize("begun", [b"", b"HTTP/1.1 200 OK\r\nX: half of a he"])
def test_no_answer(start, mode, begun):
    stunnel, backend = start_late(start, saying(begun), f"httpKeepAlive = {mode}")
    with TlsClient(stunnel.port) as client:
        client.send(GET % 1)
        assert_late(client)
        assert "%s:%d" % client.address in stunnel.wait_log(LATE)[0]
    wait_for(lambda: backend.connections[0].ended, "the backend's end")


def test_a_second_request(start):
    """It is idempotent and not the first one: but a backend that hangs gets it once."""
    stunnel, backend = start_late(start, saying(OK), seconds=3)
    with TlsClient(stunnel.port) as client:
        assert client.get("/1").status == 200
        client.send(GET % 2)
        assert_late(client)
    assert len(backend.requests) == 2


@pytest.mark.parametrize("mode", ["client", "both"])
def test_what_is_refused_behind_it_is_not_answered(start, mode):
    """Each answer stands where its request's is expected: the late one is the first one's."""
    stunnel, _ = start_late(start, saying(), f"httpKeepAlive = {mode}")
    with TlsClient(stunnel.port) as client:
        client.send(GET % 1 + b"nonsense\r\n\r\n")
        assert_late(client)


def test_requests_of_a_pipeline_wait_for_one_another(start):
    stunnel, _ = start_late(start, saying(OK), "httpKeepAlive = both", seconds=3)
    with TlsClient(stunnel.port) as client:
        client.send(GET % 1 + GET % 2 + GET % 3)
        assert client.response().status == 200
        assert_late(client)


def test_a_client_that_has_ended_its_side(start):
    stunnel, _ = start_late(start, saying())
    with TlsClient(stunnel.port) as client:
        client.send(GET % 1)
        client.end()
        assert_late(client)


def late_elsewhere(stunnel):
    """Returns when an answer was awaited for too long that was asked for later."""
    with TlsClient(stunnel.port) as other:
        other.send(GET % 9)
        assert_late(other)


def test_the_time_is_not_for_requests_nor_content_nor_tunnels(start):
    """The first bytes tell the backend whom it serves."""

    def serve(connection):
        first = connection.take(len(b"GET /9"))
        if first == b"GET /9":
            read_only(connection)
        elif first.startswith(b"POST"):
            connection.take_until(b"hello")
            connection.send(OK)
        elif connection.take_until(b"\r\n\r\n") and b"websocket" in connection.data:
            connection.send(SWITCH)
            connection.send(connection.take(2))
        else:
            connection.send(HEAD)
            wait_for(lambda: done, "the client to go on", 20)
            connection.send(b"ok")

    done = []
    stunnel, _ = start_late(start, serve, seconds=3)
    with TlsClient(stunnel.port) as slow, TlsClient(stunnel.port) as tunnel:
        with TlsClient(stunnel.port) as stream:
            slow.send(POST)
            tunnel.send(UPGRADE)
            assert tunnel.read_until(b"\r\n\r\n") == SWITCH
            stream.send(GET % 1)
            stream.read_until(b"\r\n\r\n")
            late_elsewhere(stunnel)
            done.append(True)
            assert stream.take(2) == b"ok"
        slow.send(b"lo")
        assert slow.response().status == 200
        tunnel.send(b"hi")
        assert tunnel.take(2) == b"hi"


def test_an_interim_answer_lets_it_begin_anew(start):
    """The backend says 102 for ever, but is late when it stops."""

    def serve(connection):
        connection.take_request()
        if b"/9" in connection.data:
            return read_only(connection)
        while not enough.wait(0.05):
            connection.send(b"HTTP/1.1 102 Processing\r\n\r\n")
        return read_only(connection)

    enough = threading.Event()
    stunnel, _ = start_late(start, serve, seconds=3)
    with TlsClient(stunnel.port) as client:
        client.send(GET % 1)
        client.read_until(b"\r\n\r\n")
        late_elsewhere(stunnel)
        enough.set()
        assert_late(client)


def test_a_negative_number_is_no_bound(start):
    """So that TIMEOUTidle comes first."""
    stunnel, _ = start_late(start, saying(), "TIMEOUTidle = 1", seconds=-1)
    with TlsClient(stunnel.port) as client:
        client.send(GET % 1)
        assert client.closed_by_peer()
    assert LATE not in stunnel.log_text()


def test_the_access_log_has_it(start):
    logged = start_json(start, "xForwardedFor = yes", "TIMEOUTresponse = 1", serve=saying())
    with logged.client() as client:
        client.send(GET % 1)
        assert_late(client)
    (record,) = logged.records(1)
    assert (record["status"], record["request"]) == (504, "GET /1 HTTP/1.1")
