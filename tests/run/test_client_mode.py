# SPDX-License-Identifier: ISC
"""client = yes: plain clients, and TLS with the other end; beside Debian's stock where it is there."""

import re
import socket
import ssl
import threading

import pytest

from certs import certificates
from peers import daemon_only
from recorder import Connection, Recorder, answer_each
from tls_client import DEADLINE

pytestmark = daemon_only

TLS12, TLS13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3


class TlsConnection(Connection):
    """What Connection is, over TLS; `name` is the server name that was asked for."""

    def __init__(self, sock, name):
        super().__init__(sock)
        self.name = name

    def receive(self):
        try:
            return super().receive()
        except ssl.SSLEOFError:  # a FIN without close_notify
            self.ended = "cut"
            return False


class TlsServer(Recorder):
    """A Recorder that speaks TLS. `context` may be changed before the first connection."""

    def __init__(self, serve=None, version=None, **listens):
        super().__init__(serve, **listens)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificates().cert, certificates().key)
        self.context.options &= ~(1 << 7)  # OP_IGNORE_UNEXPECTED_EOF
        self.context.sni_callback = self._note_name
        if version:
            self.context.minimum_version = self.context.maximum_version = version
        self.failures = []  # of handshakes
        self._names = {}

    def _note_name(self, tls, name, _):
        self._names[tls] = name

    def _serve_socket(self, sock):
        sock.settimeout(DEADLINE)
        try:
            tls = self.context.wrap_socket(sock, server_side=True)
        except OSError as error:
            self.failures.append(str(error))
            return
        connection = TlsConnection(tls, self._names.pop(tls, None))
        self.connections.append(connection)
        self._serve(connection)

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve_socket, args=[sock], daemon=True).start()


def plain(port):
    sock = socket.create_connection(("127.0.0.1", port), DEADLINE)
    return sock


def ask(port, request=b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"):
    """What comes back of a request, until two bytes of content are there."""
    with plain(port) as sock:
        sock.sendall(request)
        data = b""
        while b"ok" not in data:
            more = sock.recv(65536)
            if not more:
                break
            data += more
        return data


# What both log of one connection, with the numbers and ports taken out.
TOKENS = re.compile(
    r"Service \[\w+\] accepted connection from|SNI: sending servername: .*|SNI: extension disabled"
    r"|TLS connected: [\w ]+|TLSv1\.\d ciphersuite: \w+|s_connect: connect(?:ing|ed)"
    r"|Service \[\w+\] connected remote server from|SSL_connect: |CERT: .*|Rejected by .*"
    r"|Connection \w+: \d+ byte\(s\) sent to TLS, \d+ byte\(s\) sent to socket"
    r"|Peer certificate (?:not )?required|Certificate accepted.*"
    r"|Service \[\w+\] needs .*|Service \[\w+\] uses .*|Use \"checkHost.*"
)


def tokens(daemon):
    daemon.wait_ended(1)
    return TOKENS.findall(daemon.log_text())


@pytest.mark.parametrize("version", [TLS12, TLS13])
def test_a_connection(start, both, version):
    server = start(TlsServer(version=version))
    daemons = both(server, "client = yes")
    for daemon in daemons:
        assert ask(daemon.port).endswith(b"ok")
    stock, ours = map(tokens, daemons)
    assert ours == stock
    assert [c.name for c in server.connections] == ["127.0.0.1"] * 2
