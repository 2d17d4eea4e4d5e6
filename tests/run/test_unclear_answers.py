# SPDX-License-Identifier: ISC
"""Answers that are not as they should be: mended, refused with a 502, or cut off, and told in the log.

Whatever the backend sends, the client gets an answer or sees its connection end: it must not wait for
ever for an answer to a request that nobody got.
"""

import json
import os
import signal

import pytest

from peers import Stunnel, daemon_only, service, wait_for
from recorder import OK, Recorder, answer_each, read_only
from tls_client import TlsClient

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"
GET = b"GET /%s HTTP/1.1\r\nHost: localhost\r\n\r\n"
HELLO = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
MENDED = {  # what the backend sends, what the client gets
    "answer-length-repeated": (
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
        HELLO,
    ),
    "answer-bare-lf": (b"HTTP/1.1 200 OK\nContent-Length: 5\n\nhello", HELLO),
    "answer-space-before-colon": (b"HTTP/1.1 200 OK\r\nContent-Length : 5\r\n\r\nhello", HELLO),
    "answer-coding-repeated": (
        CHUNKED + CHUNKED[17:] + b"\r\n5\r\nhello\r\n0\r\n\r\n",
        CHUNKED + b"\r\n5\r\nhello\r\n0\r\n\r\n",
    ),
    "answer-chunk-space": (
        CHUNKED + b"\r\n5   \r\nhello\r\n0   \r\n\r\n",
        CHUNKED + b"\r\n5\r\nhello\r\n0\r\n\r\n",
    ),
}
REFUSED = {
    "answer-lengths-differ": b"HTTP/1.1 200 OK\r\nContent-Length: 5, 6\r\n\r\nhello",
    "answer-length-invalid": b"HTTP/1.1 200 OK\r\nContent-Length: five\r\n\r\nhello",
    "answer-field-name": b"HTTP/1.1 200 OK\r\nSecured by Example :\r\n\r\nhello",
    "answer-no-colon": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nSecured\r\n\r\nhello",
    "answer-status-line": b"SSH-2.0-OpenSSH_9.2\r\n",
    "switch-unasked": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
}
CUT = {  # what the client gets of it
    "answer-chunk-size": (CHUNKED + b"\r\n5\r\nhello\r\nfive\r\n", CHUNKED + b"\r\n5\r\nhello\r\n"),
    "answer-chunk-end": (CHUNKED + b"\r\n5\r\nhello0\r\n\r\n", CHUNKED + b"\r\n5\r\nhello"),
    "answer-no-colon": (CHUNKED + b"\r\n0\r\nSecured\r\n\r\n", CHUNKED + b"\r\n"),
}

MODES = [[], ["httpKeepAlive = both"], ["httpKeepAlive = client"]]


def start_both(start, serve, *options):
    backend = start(Recorder(serve))
    return backend, start(Stunnel(service(backend.port, "xForwardedFor = replace", *options)))


@pytest.mark.parametrize("name", MENDED)
def test_what_is_mended_lets_further_requests_be_answered(start, name):
    sent, got = MENDED[name]
    _, stunnel = start_both(start, answer_each(sent))
    with TlsClient(stunnel.port) as client:
        for request in (b"1", b"2", b"3"):
            client.send(GET % request)
            assert client.take(len(got)) == got


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", REFUSED)
def test_a_502_stands_in_the_place_of_what_is_refused(start, name, mode):
    backend, stunnel = start_both(start, answer_each(REFUSED[name]), *mode)
    with TlsClient(stunnel.port) as client:
        client.send(GET % b"1" + GET % b"2")
        answer = client.recv_all()
        assert client.ended == "close_notify"
    head, content = answer.split(b"\r\n\r\n", 1)
    assert head.startswith(b"HTTP/1.1 502 ") and b"\r\nConnection: close" in head
    assert f"\r\nContent-Length: {len(content)}".encode() in head
    wait_for(lambda: backend.connections[0].ended, "the backend's connection to end")
    assert f": {name} (RFC " in stunnel.wait_log("Service [web] refused an answer to")[0]


@pytest.mark.parametrize("size, status", [(1500, 200), (2500, 502)])
def test_how_long_a_head_may_be(start, size, status):
    long = b"HTTP/1.1 200 OK\r\nX: %s\r\nContent-Length: 2\r\n\r\nok" % (size * b"x")
    _, stunnel = start_both(start, answer_each(long), "httpMaxAnswerHead = 2000")
    with TlsClient(stunnel.port) as client:
        assert client.get("/").status == status


@pytest.mark.parametrize("name", CUT)
def test_what_is_cut_off_does_not_look_whole(start, name):
    sent, got = CUT[name]
    _, stunnel = start_both(start, answer_each(sent))
    with TlsClient(stunnel.port) as client:
        client.send(GET % b"1")
        assert got.startswith(client.recv_all())
        assert client.ended in ("eof", "reset")
    assert f": {name} (RFC " in stunnel.wait_log("Service [web] refused an answer to")[0]


def test_what_came_of_a_cut_answer_is_written_first(start):
    sent = CHUNKED + b"\r\n5\r\nhello\r\n"

    def serve(connection):
        connection.take_until(b"\r\n\r\n")
        connection.send(sent)

    _, stunnel = start_both(start, serve)
    for _ in range(20):  # the end may come together with the answer, or behind it
        with TlsClient(stunnel.port) as client:
            client.send(GET % b"1")
            assert client.recv_all() == sent
            assert client.ended in ("eof", "reset")


@pytest.mark.parametrize("mode", MODES)
def test_a_request_behind_an_answer_until_close_meets_a_close(start, mode):
    content = bytes(range(256)) * 4096

    def serve(connection):
        connection.take_until(b"\r\n\r\n")
        connection.send(b"HTTP/1.1 200 OK\r\n\r\n" + content)
        connection.end()
        read_only(connection)

    backend, stunnel = start_both(start, serve, *mode)
    with TlsClient(stunnel.port) as client:
        client.send(GET % b"1")
        got = client.take(1000)
        client.send(GET % b"2")
        got += client.recv_all()
        assert got == b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + content
        assert client.ended == "close_notify"
    assert [request[0] for request in backend.connections[0].requests()] == ["GET /1 HTTP/1.1"]


def test_an_answer_that_nobody_asked_for_ends_both_connections(start):
    unasked = b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n"
    backend, stunnel = start_both(start, answer_each(OK + unasked), "httpKeepAlive = both")
    with TlsClient(stunnel.port) as client:
        client.send(GET % b"1")
        assert client.recv_all() == OK
        assert client.ended == "close_notify"
    wait_for(lambda: backend.connections[0].ended, "the backend's connection to end")


@daemon_only  # a patched stock has one backend connection for each of a client's
def test_an_answer_that_nobody_asked_for_costs_the_client_nothing(start):
    unasked = b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n"
    _, stunnel = start_both(start, answer_each(OK + unasked), "httpKeepAlive = client")
    with TlsClient(stunnel.port) as client:
        for request in (b"1", b"2", b"3"):
            client.send(GET % request)
            assert client.take(len(OK)) == OK


@pytest.mark.parametrize("name", REFUSED)
def test_the_access_log_has_the_status_that_the_client_got(start, name):
    log = ["accessLog = {folder}/access", "accessLogFormat = json"]
    _, stunnel = start_both(start, answer_each(REFUSED[name]), *log)
    with TlsClient(stunnel.port) as client:
        client.send(GET % b"1")
        content = client.recv_all().split(b"\r\n\r\n", 1)[1]
    stunnel.signal(signal.SIGUSR1)
    access = stunnel.folder / "access"
    wait_for(lambda: os.path.exists(access) and access.read_text(), "a line of the access log")
    line = json.loads(access.read_text())
    assert (line["request"], line["status"], line["bytes"]) == (
        "GET /1 HTTP/1.1",
        502,
        len(content),
    )
