# SPDX-License-Identifier: ISC
"""A request without TLS on the port of HTTPS is told so; a port that is not HTTP's stays silent."""

import subprocess

import pytest

from peers import PATCHED, free_port, wait_for
from recorder import Recorder
from tls_client import TlsClient, dial, read_to_end

HTTP = "xForwardedFor = replace"
TEXT = b"\r\n\r\nthis is plain HTTP on a port of HTTPS: the address begins with https://\n"
REQUESTS = {
    "get": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "head": b"HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "other method": b"PROPFIND /a HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "small letters": b"get / HTTP/1.0\r\n\r\n",
    "proxy": b"CONNECT localhost:443 HTTP/1.1\r\nHost: localhost:443\r\n\r\n",
    "content": b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 300000\r\n\r\n" + 300000 * b"x",
}


@pytest.mark.parametrize("name", REQUESTS)
def test_a_request_without_tls_is_answered(start, front, name):
    backend = start(Recorder())
    stunnel = front(backend, HTTP)
    with dial(stunnel.port) as sock:
        sock.sendall(REQUESTS[name])
        answer = read_to_end(sock)
    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\n")
    assert answer.endswith(TEXT)
    assert "plain-http (RFC 9110 7.4)" in stunnel.wait_log("refused a request from 127.0.0.1")[0]
    assert not backend.connections


def test_curl_shows_the_text(start, front):
    stunnel = front(start(Recorder()), HTTP)
    url = f"http://localhost:{stunnel.port}/"
    shown = subprocess.run(["curl", "-s", url], check=True, capture_output=True, timeout=30).stdout
    assert TEXT.endswith(shown) and shown


def test_the_access_log_has_its_status(start, front):
    stunnel = front(start(Recorder()), "accessLog = {folder}/access.log")
    with dial(stunnel.port) as sock:
        sock.sendall(REQUESTS["get"])
        assert read_to_end(sock).startswith(b"HTTP/1.1 400 ")
    log = stunnel.folder / "access.log"
    if PATCHED:  # each line when it is complete
        wait_for(log.exists, "the access log")
    else:
        stunnel.wait_ended(1)
        stunnel.stop()
    wait_for(lambda: '"-" 400 ' in log.read_text(), "the line")


def test_what_is_not_http_gets_no_answer(front):
    stunnel = front(free_port())
    with dial(stunnel.port) as sock:
        sock.sendall(REQUESTS["get"])
        assert read_to_end(sock) == b""


@pytest.mark.parametrize("data", [b"\x16\x03\x01\x00\x05hello", b"\x00\x01\x02\x03\x04\x05", b"12345"])
def test_what_cannot_be_a_request_gets_no_text(front, data):
    stunnel = front(free_port(), HTTP)
    with dial(stunnel.port) as sock:
        sock.sendall(data + 20 * b"x")
        assert b"HTTP" not in read_to_end(sock)


def test_a_client_with_tls_is_served_meanwhile(start, front):
    stunnel = front(start(Recorder()), HTTP)
    with dial(stunnel.port) as sock, TlsClient(stunnel.port) as client:
        sock.sendall(REQUESTS["get"][:3])
        assert client.get().status == 200
        sock.sendall(REQUESTS["get"][3:])
        assert read_to_end(sock).endswith(TEXT)
