# SPDX-License-Identifier: ISC
"""Answers whose end nobody can tell for sure: delivered, and then the connection is over.

The client may see an end where the daemon sees none, and go on. It must not wait for ever for an
answer to a request that nobody got.
"""

import json
import os
import signal

import pytest

from peers import Stunnel, daemon_only, service, wait_for
from recorder import OK, Recorder, answer_each, read_only
from tls_client import TlsClient

CHUNKED = b"Transfer-Encoding: chunked\r\n"
GET = b"GET /%s HTTP/1.1\r\nHost: localhost\r\n\r\n"
ANSWERS = {
    "length-duplicate": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    "length-invalid": b"HTTP/1.1 200 OK\r\nContent-Length: five\r\n\r\nhello",
    "field-name": b"HTTP/1.1 200 OK\r\nSecured by Example :\r\nContent-Length: 5\r\n\r\nhello",
    "field-no-colon": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nSecured\r\n\r\nhello",
    "chunk-size": b"HTTP/1.1 200 OK\r\n" + CHUNKED + b"\r\nfive\r\nhello\r\n0\r\n\r\n",
    "chunk-end": b"HTTP/1.1 200 OK\r\n" + CHUNKED + b"\r\n5\r\nhello0\r\n\r\n",
    "switch-unasked": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
}


def start_both(start, serve, *options):
    backend = start(Recorder(serve))
    options = ["xForwardedFor = replace", "debug = warning", *options]
    return backend, start(Stunnel(service(backend.port, *options)))


def get_answer(client, answer):
    client.send(GET % b"1")
    assert client.take(len(answer)) == answer


@pytest.mark.parametrize("name", ANSWERS)
def test_a_further_request_ends_the_connection(start, name):
    backend, stunnel = start_both(start, answer_each(ANSWERS[name]))
    with TlsClient(stunnel.port) as client:
        get_answer(client, ANSWERS[name])
        client.send(GET % b"2")
        assert client.closed_by_peer()
    wait_for(lambda: backend.connections[0].ended, "the backend's connection to end")
    assert [request[0] for request in backend.connections[0].requests()] == ["GET /1 HTTP/1.1"]


@daemon_only
@pytest.mark.parametrize("name", ANSWERS)
def test_the_log_names_the_answer_and_the_request_that_was_refused(start, name):
    _, stunnel = start_both(start, answer_each(ANSWERS[name]))
    with TlsClient(stunnel.port) as client:
        get_answer(client, ANSWERS[name])
        assert f": {name} (RFC " in stunnel.wait_log("Service [web] got an answer without")[0]
        client.send(GET % b"2")
        assert client.closed_by_peer()
    assert "answer-unframed (RFC 9112 6.3)" in stunnel.wait_log("refused a request from")[0]


@pytest.mark.parametrize("keep_alive", ["both", "client"])
def test_a_request_that_waited_for_the_answer_ends_the_connection(start, keep_alive):
    answer = ANSWERS["length-duplicate"]
    _, stunnel = start_both(start, answer_each(answer), f"httpKeepAlive = {keep_alive}")
    with TlsClient(stunnel.port) as client:
        client.send(GET % b"1" + b"POST /2 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n")
        while client.recv():
            pass
        assert client.ended in ("eof", "reset")


@pytest.mark.parametrize(
    "keep_alive,further",
    [("client", "with it"), ("client", "meanwhile"), ("both", "meanwhile")],
)
def test_an_answer_is_delivered_though_more_is_asked_for(start, keep_alive, further):
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"
    content = bytes(range(256)) * 4096

    def serve(connection):
        connection.take_until(b"\r\n\r\n")
        connection.send(head + content)
        read_only(connection)

    _, stunnel = start_both(start, serve, f"httpKeepAlive = {keep_alive}")
    with TlsClient(stunnel.port) as client:
        client.send(GET % b"1" + (GET % b"2" if further == "with it" else b""))
        got = client.take(len(head) + 1000)
        if further == "meanwhile":
            client.send(GET % b"2")
        got += client.recv_all()
        assert got == head + content
        assert client.ended in ("eof", "reset")


def test_what_the_backend_ends_is_ended_as_it_was(start):
    answer = ANSWERS["length-duplicate"]

    def serve(connection):
        connection.take_request()
        connection.send(answer)
        connection.end()

    _, stunnel = start_both(start, serve)
    with TlsClient(stunnel.port) as client:
        get_answer(client, answer)
        assert client.recv() == b"" and client.ended == "close_notify"


def test_an_answer_that_nobody_asked_for_ends_the_connection_at_the_next_request(start):
    unasked = b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n"
    _, stunnel = start_both(start, answer_each(OK + unasked))
    with TlsClient(stunnel.port) as client:
        get_answer(client, OK + unasked)
        client.send(GET % b"2")
        assert client.closed_by_peer()


@daemon_only
@pytest.mark.parametrize("name", ANSWERS)
def test_the_access_log_has_the_status_and_the_bytes_that_the_client_got(start, name):
    log = ["accessLog = {folder}/access", "accessLogFormat = json"]
    _, stunnel = start_both(start, answer_each(ANSWERS[name]), *log)
    with TlsClient(stunnel.port) as client:
        get_answer(client, ANSWERS[name])
    stunnel.signal(signal.SIGUSR1)
    access = stunnel.folder / "access"
    wait_for(lambda: os.path.exists(access) and access.read_text(), "a line of the access log")
    line = json.loads(access.read_text())
    content = ANSWERS[name].split(b"\r\n\r\n", 1)[1]
    assert (line["request"], line["bytes"]) == ("GET /1 HTTP/1.1", len(content))
    assert line["status"] == int(ANSWERS[name].split()[1])
