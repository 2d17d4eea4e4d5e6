# SPDX-License-Identifier: ISC
"""A server that speaks TLS and keeps every byte that it received, for the daemon as a client."""

import select
import socket
import ssl
import threading

from certs import certificates, client_certificates
from recorder import Connection, Recorder
from tls_client import DEADLINE, OP_IGNORE_UNEXPECTED_EOF

PROXY_V2 = b"\r\n\r\n\0\r\nQUIT\n"


class TlsConnection(Connection):
    """What Connection is, over TLS; `name` is the server name that was asked for, `header` the PROXY
    header that came before the handshake. A test may send while the serving thread reads."""

    def __init__(self, sock, name, header):
        super().__init__(sock)
        self.name, self.header = name, header
        self._lock = threading.Lock()

    def receive(self):
        if not self.sock.pending():
            select.select([self.sock], [], [], DEADLINE)
        try:
            with self._lock:
                return super().receive()
        except ssl.SSLEOFError:  # a FIN without close_notify
            self.ended = "cut"
            return False
        except ssl.SSLError:  # a reset that came upon a part of a record
            self.ended = "reset"
            return False

    def send(self, data):
        with self._lock:
            super().send(data)

    def end(self):
        """No more from us, by a FIN without close_notify; what comes can still be read."""
        socket.socket.shutdown(self.sock, socket.SHUT_WR)


class TlsServer(Recorder):
    """A Recorder that speaks TLS. `context` may be changed before the first connection.

    `cert` is the name of one of client_certificates(), else it is for localhost.
    """

    def __init__(self, serve=None, version=None, cert=None, **listens):
        super().__init__(serve, **listens)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        if cert:
            folder = client_certificates()
            self.context.load_cert_chain(folder / f"{cert}.pem", folder / f"{cert}.key")
        else:
            self.context.load_cert_chain(certificates().cert, certificates().key)
        self.context.options &= ~OP_IGNORE_UNEXPECTED_EOF
        self.context.sni_callback = self._note_name
        if version:
            self.context.minimum_version = self.context.maximum_version = version
        self._names = {}

    def _note_name(self, tls, name, _):
        self._names[tls] = name

    def _serve_socket(self, sock):
        sock.settimeout(DEADLINE)
        try:
            header = _proxy_header(sock)
            tls = self.context.wrap_socket(sock, server_side=True)
        except OSError:
            sock.close()
            return
        connection = TlsConnection(tls, self._names.pop(tls, None), header)
        self.connections.append(connection)
        threading.Thread(target=self._serve, args=[connection], daemon=True).start()

    def _accept(self):
        """One handshake after the other: `connections` is in the order of their coming."""
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            self._serve_socket(sock)


def _proxy_header(sock):
    """What comes before the first record of TLS."""
    header = b""
    if sock.recv(1, socket.MSG_PEEK) == b"P":
        while not header.endswith(b"\r\n"):
            byte = sock.recv(1)
            if not byte:
                raise ConnectionError("the header is cut short")
            header += byte
    elif sock.recv(1, socket.MSG_PEEK) == PROXY_V2[:1]:
        header = sock.recv(16, socket.MSG_WAITALL)
        header += sock.recv(int.from_bytes(header[14:], "big"), socket.MSG_WAITALL)
    return header
