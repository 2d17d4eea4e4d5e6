# SPDX-License-Identifier: ISC
"""Mutual TLS of client = yes with servers of other libraries, which ask for a certificate."""

import shutil
from pathlib import Path

import pytest

from certs import client_certificates
from peers import Program, daemon_only, free_port
from test_client_mode import ask
from test_mutual_clients import TRUSTED, store
from test_ocsp import Responder, pki

pytestmark = daemon_only

JAVA = Path(__file__).parent / "apps/MutualServer.java"
REQUEST = b"GET / HTTP/1.0\r\n\r\n"


class Server(Program):
    """Shows a certificate, and wants one of `root`."""

    def __init__(self, shown="listed"):
        super().__init__()
        self.port = free_port()
        folder = client_certificates()
        self.cert, self.key = folder / f"{shown}.pem", folder / f"{shown}.key"
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


class JavaServer(Program):
    """One for several certificates: `ports` by name."""

    name = "java"

    def __init__(self, names):
        super().__init__()
        self.ports = {name: free_port() for name in names}

    def command(self):
        command = ["java", str(JAVA), str(pki() / "root.pem")]
        for name, port in self.ports.items():
            command += [str(port), str(store(name, self.folder))]
        return command

    def endpoints(self):
        return [str(port) for port in self.ports.values()]


def ports(start, program, names):
    """Ports of servers by what they show."""
    if program == "java":
        return start(JavaServer(names)).ports
    kind = GnutlsServer if program == "gnutls-serv" else OpensslServer
    return {name: start(kind(name)).port for name in names}


@pytest.mark.parametrize("program", ["openssl", "gnutls-serv", "java"])
def test_certificates_of_servers(start, both, program):
    if not shutil.which(program):
        pytest.skip(f"there is no {program} here")
    responder = start(Responder())
    own = [f"cert = {pki()}/signed.pem", f"key = {pki()}/signed.key", f"CRLfile = {pki()}/crl.pem"]
    trust = ["verifyChain = yes", f"CAfile = {pki()}/root.pem", f"OCSP = {responder.url}"]
    for name, port in ports(start, program, TRUSTED).items():
        for daemon in both(port, "client = yes", *own, *trust):
            assert (b" 200 " in ask(daemon.port, REQUEST)) == TRUSTED[name], (name, daemon)


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
    assert (b" 200 " in ask(daemon.port, REQUEST)) == let_in
    assert bool(daemon.log_lines("Subject checks failed")) == (host == "other.test")
