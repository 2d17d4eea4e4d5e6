# SPDX-License-Identifier: ISC
"""Files that were written for the patches which haproxy.org had for stunnel 4."""

import pytest

from peers import Stunnel, service, wait_for
from recorder import Recorder, read_only
from tls_client import TlsClient

CLIENT = "127.0.0.5"


@pytest.mark.parametrize("name", ["xforwardedfor", "xForwardedFor", "XFORWARDEDFOR"])
def test_every_request_has_the_clients_lines_and_one_of_ours(start, front, name):
    """Spelt as that patch spelt it; the old one had it in the first request only."""
    backend = start(Recorder())
    stunnel = front(backend, f"{name} = yes", "listenqueue = 1024")
    sent = ["x-forwarded-for: 203.0.113.1", "X-Forwarded-For: 203.0.113.2"]
    with TlsClient(stunnel.port, source=CLIENT) as client:
        for _ in range(3):
            client.get("/", sent)
    ours = f"X-Forwarded-For: {CLIENT}"
    assert [request[2:] for request in backend.requests] == [[*sent, ours]] * 3


def proxy_line(start, *options):
    """What the backend gets before the client's own bytes."""
    backend = start(Recorder(read_only))
    stunnel = start(Stunnel(service(backend.port, *options)))
    with TlsClient(stunnel.port, source=CLIENT) as client:
        client.send(b"hello")
        wait_for(lambda: backend.connections and backend.data.endswith(b"hello"), "the bytes")
        expected = b"PROXY TCP4 %s 127.0.0.1 %d %d\r\n"
        expected %= (CLIENT.encode(), client.address[1], stunnel.port)
    return backend.data[: -len(b"hello")], expected, stunnel


@pytest.mark.parametrize("line", ["sendproxy = yes", "SendProxy = YES"])
def test_sendproxy_means_protocol_proxy(start, line):
    got, expected, stunnel = proxy_line(start, line)
    assert got == expected
    assert len(stunnel.wait_log("protocol = proxy")) == 1


def test_sendproxy_goes_with_the_other_options_of_the_header(start):
    got, _, _ = proxy_line(start, "sendproxy = yes", "proxyVersion = 2")
    assert got.startswith(b"\r\n\r\n\0\r\nQUIT\n\x21\x11")


def test_sendproxy_no_sends_nothing(start):
    assert proxy_line(start, "sendproxy = no")[0] == b""


@pytest.mark.parametrize("number", [0, 100000])
def test_listenqueue_is_taken_with_a_note(start, front, number):
    backend = start(Recorder())
    stunnel = front(backend, f"listenqueue = {number}")
    with TlsClient(stunnel.port) as client:
        assert client.get("/").status == 200
    assert len(stunnel.wait_log("the queue is as long as the kernel allows")) == 1
