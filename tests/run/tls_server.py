# SPDX-License-Identifier: ISC
"""A server that speaks TLS and keeps every byte that it received, for the daemon as a client."""

import ssl
import threading

from certs import certificates, client_certificates
from recorder import Connection, Recorder
from tls_client import DEADLINE, OP_IGNORE_UNEXPECTED_EOF


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
