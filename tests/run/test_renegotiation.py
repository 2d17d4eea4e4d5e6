# SPDX-License-Identifier: ISC
"""renegotiation: TLS 1.2 negotiated anew, by a client that may ask for it or by a server.

The rest of it stands in test_tls_settings.py and test_tls_writes.py: what is refused, and floods.
"""

import contextlib
import socket
import subprocess

import pytest

from certs import certificates
from peers import Program, daemon_only, free_port, wait_for

pytestmark = daemon_only


class Server(Program):
    """`openssl s_server`: prints what comes, and renegotiates when it is told to."""

    name = "s_server"

    def __init__(self):
        super().__init__()
        self.port = free_port()

    def spawn(self, **streams):
        return super().spawn(**{**streams, "stdin": subprocess.PIPE})

    def command(self):
        files = ["-cert", str(certificates().cert), "-key", str(certificates().key)]
        return ["openssl", "s_server", "-tls1_2", "-accept", str(self.port), *files]

    def endpoints(self):
        return [str(self.port)]

    def renegotiate(self):
        self.process.stdin.write(b"r\n")
        self.process.stdin.flush()

    def wait_for_text(self, text):
        wait_for(lambda: text in self.report(), text)


@pytest.mark.parametrize(
    "options, taken",
    [
        ([], True),
        (["renegotiation = yes"], True),
        (["renegotiation = no"], False),
        (["xForwardedFor = yes"], False),
    ],
)
def test_what_a_client_does_when_its_server_asks(start, front, options, taken):
    """A line of the plain client comes through behind it, or no more does."""
    server = start(Server())
    stunnel = front(server, "client = yes", *options)
    first, second = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\none\n", b"two\n"
    with socket.create_connection(("127.0.0.1", stunnel.port)) as client:
        client.sendall(first)
        server.wait_for_text("one")
        server.renegotiate()
        server.wait_for_text("SSL_do_handshake" if taken else "no renegotiation")
        with contextlib.suppress(ConnectionError):
            client.sendall(second)
        if taken:
            server.wait_for_text("two")
    stunnel.wait_ended(1)
    assert ("two" in server.report()) == taken
