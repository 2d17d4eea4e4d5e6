# SPDX-License-Identifier: ISC
"""What a client sends together reaches the backend together: some servers take each segment for
the beginning of a request."""

import socket

import pytest

from peers import daemon_only, wait_for
from recorder import Recorder, read_only
from tls_client import TlsClient

DATA_SEGMENTS_IN = 152  # tcpi_data_segs_in of struct tcp_info
HEAD = b"POST / HTTP/1.1\r\nHost: localhost\r\n"
FORGED = b"GET /forged HTTP/1.1\r\nHost: a\r\n\r\n"
REQUESTS = {
    "length": [HEAD + b"Content-Length: %d\r\n\r\n" % len(FORGED), FORGED],
    "chunked": [HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"%x\r\n" % len(FORGED), FORGED],
    "pieces": [HEAD[:9], HEAD[9:] + b"Content-Length: %d\r\n\r\n" % len(FORGED), FORGED],
}
pytestmark = daemon_only


def send_at_once(client, records):
    """Each in a TLS record of its own, in one segment."""
    for record in records:
        client.tls.write(record)
    client._flush()


def segments(connection):
    info = connection.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 192)
    return int.from_bytes(info[DATA_SEGMENTS_IN : DATA_SEGMENTS_IN + 4], "little")


@pytest.mark.parametrize("kind", REQUESTS)
@pytest.mark.parametrize("proxy", [(), ("protocol = proxy",)], ids=["http", "proxy"])
def test_a_head_and_its_content_go_in_one_write(start, front, kind, proxy):
    backend = start(Recorder(read_only))
    stunnel = front(backend, "xForwardedFor = replace", *proxy)
    with TlsClient(stunnel.port) as client:
        send_at_once(client, REQUESTS[kind])
        wait_for(lambda: backend.connections and FORGED in backend.data, "the content")
        assert segments(backend.connections[0]) == 1


def test_and_so_does_a_later_request(start, front):
    backend = start(Recorder())
    stunnel = front(backend, "xForwardedFor = replace")
    with TlsClient(stunnel.port) as client:
        for count in (1, 2, 3):
            send_at_once(client, REQUESTS["length"])
            assert client.response().status == 200
            assert segments(backend.connections[0]) == count
