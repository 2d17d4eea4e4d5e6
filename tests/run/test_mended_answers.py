# SPDX-License-Identifier: ISC
"""What was mended in a backend's answers stands in the log: each kind once in a connection."""

from peers import daemon_only
from recorder import Recorder, answer_each
from tls_client import TlsClient

FOLDED = b"HTTP/1.1 200 OK\r\nA: b\r\n c\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok"
pytestmark = daemon_only


def test_each_kind_is_logged_once_in_a_connection(start, front):
    stunnel = front(start(Recorder(answer_each(FOLDED))), "xForwardedFor = replace")
    for count in (1, 2):
        with TlsClient(stunnel.port) as client:
            for _ in range(3):
                response = client.get()
                assert response.body == b"ok" and response.header("A") == ["b c"]
        for kind in ("answer-fold (RFC 9112 5.2)", "answer-length-repeated (RFC 9110 8.6)"):
            assert len(stunnel.wait_log(f"mended an answer: {kind}", count)) == count
