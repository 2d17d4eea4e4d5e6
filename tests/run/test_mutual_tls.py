# SPDX-License-Identifier: ISC
"""Mutual TLS of client = yes with servers of other libraries, which ask for a certificate."""

import pytest

from certs import client_certificates
from peers import Program, daemon_only, free_port
from tls_client import PlainClient

pytestmark = daemon_only


class Server(Program):
    """Shows `listed`, and wants a certificate of `root`."""

    def __init__(self):
        super().__init__()
        self.port = free_port()
        folder = client_certificates()
        self.cert, self.key = folder / "listed.pem", folder / "listed.key"
        self.ca = folder / "root.pem"

    def endpoints(self):
        return [str(self.port)]


class OpensslServer(Server):
    name = "openssl"

    def command(self):
        own = ["-cert", self.cert, "-key", self.key, "-CAfile", self.ca]
        return ["openssl", "s_server", "-accept", str(self.port), *own, "-Verify", "1",
                "-verify_return_error", "-www"]  # fmt: skip


class GnutlsServer(Server):
    name = "gnutls-serv"

    def command(self):
        own = [f"--x509certfile={self.cert}", f"--x509keyfile={self.key}"]
        ca = [f"--x509cafile={self.ca}", "--require-client-cert", "--verify-client-cert"]
        return ["gnutls-serv", "--http", f"--port={self.port}", *own, *ca]


@pytest.mark.parametrize("server", [OpensslServer, GnutlsServer])
@pytest.mark.parametrize(
    "cert, host, let_in",
    [
        ("signed", "listed.example.test", True),
        ("stranger", "listed.example.test", False),
        ("signed", "other.test", False),
    ],
)
def test_both_sides_verify(start, front, server, cert, host, let_in):
    """Whoever does not trust the other ends the handshake, and the client gets no page."""
    server = start(server())
    folder = client_certificates()
    own = [f"cert = {folder}/{cert}.pem", f"key = {folder}/{cert}.key"]
    trust = [f"CAfile = {server.ca}", "verifyChain = yes", f"checkHost = {host}"]
    daemon = front(server, "client = yes", *own, *trust)
    with PlainClient(daemon.port) as client:
        client.send(b"GET / HTTP/1.0\r\n\r\n")
        page = client.recv_all()
    assert (b"200 ok" in page.lower()) == let_in, page
    assert bool(daemon.log_lines("Subject checks failed")) == (host == "other.test")
