# SPDX-License-Identifier: ISC
"""A TLS client that sends any bytes, and closes each direction when a test says so."""

import contextlib
import select
import socket
import ssl
from dataclasses import dataclass

from certs import certificates, client_certificates

DEADLINE = 30  # seconds; only a broken peer takes that long

# Python sets it, and then an end without close_notify looks like one with it. Not in its ssl yet.
OP_IGNORE_UNEXPECTED_EOF = 1 << 7


@dataclass
class Response:
    status: int
    headers: list  # of (name, value)
    body: bytes

    def header(self, name):
        """The values of all lines of that name."""
        return [value for key, value in self.headers if key.lower() == name.lower()]


def client_context(alpn=(), version=None, verify=True, cert=None):
    """`cert` is the name of one of client_certificates()."""
    context = ssl.create_default_context(cafile=certificates().ca)
    context.options &= ~OP_IGNORE_UNEXPECTED_EOF
    if cert:
        folder = client_certificates()
        context.load_cert_chain(folder / f"{cert}.pem", folder / f"{cert}.key")
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if alpn:
        context.set_alpn_protocols(list(alpn))
    if version:
        context.minimum_version = context.maximum_version = version
    return context


class TlsClient:
    """One TLS connection; `to` is a port of 127.0.0.1, a (host, port), a unix path, or
    what is connected already: a socket or a Tunnel.

    `session` is the `session` of an earlier client that used the same `context`.
    """

    def __init__(self, to, sni="localhost", source=None, context=None, session=None):
        self.sock = _connect(to, source)
        self.sock.settimeout(DEADLINE)
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        context = context or client_context()
        self.tls = context.wrap_bio(self._in, self._out, server_hostname=sni, session=session)
        self.buffered = b""
        self.ended = None
        try:
            self._drive(self.tls.do_handshake)
        except BaseException:
            self.sock.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    @property
    def address(self):
        return self.sock.getsockname()

    @property
    def session(self):
        """For another client; complete once something was read."""
        return self.tls.session

    def send(self, data):
        """Returns when the kernel took all of it."""
        view = memoryview(data)
        while view:
            view = view[self.tls.write(view[:16384]) :]
            self._flush()

    def recv(self, size=65536):
        """Some bytes; b"" at the end, and then `ended` says how the peer ended it."""
        if self.buffered:
            data, self.buffered = self.buffered[:size], self.buffered[size:]
            return data
        try:
            data = self._drive(lambda: self.tls.read(size))
            if data:
                return data
            self.ended = "close_notify"
        except ssl.SSLZeroReturnError:
            self.ended = "close_notify"
        except ssl.SSLEOFError:
            self.ended = "eof"
        except ssl.SSLError as error:
            if error.reason != "UNEXPECTED_EOF_WHILE_READING":
                raise
            self.ended = "eof"
        except ConnectionError:
            self.ended = "reset"
        return b""

    def readable(self):
        """Whether recv() would likely not wait."""
        ready = select.select([self.sock], [], [], 0)[0]
        return bool(self.buffered or self.tls.pending() or self._in.pending or ready)

    def recv_all(self):
        return b"".join(iter(self.recv, b""))

    def closed_by_peer(self):
        """Waits until the peer ends the connection; fails if it sends something instead."""
        data = self.recv()
        assert data == b"", f"expected a close, got {data!r}"
        return True

    def get(self, path="/", headers=(), host="localhost"):
        lines = [f"GET {path} HTTP/1.1", f"Host: {host}", *headers]
        self.send("".join(f"{line}\r\n" for line in [*lines, ""]).encode())
        return self.response()

    def response(self, method="GET"):
        """The next response that is not a 1xx."""
        while True:
            head = self.read_until(b"\r\n\r\n").decode("latin-1").split("\r\n")
            headers = [tuple(line.split(": ", 1)) for line in head[1:-2]]
            response = Response(int(head[0].split()[1]), headers, b"")
            if response.status >= 200:
                break
        if method != "HEAD" and response.status not in (204, 304):
            response.body = self._body(response)
        return response

    def end(self):
        """Sends close_notify; what the peer still sends can be read."""
        try:
            self.tls.unwrap()
        except ssl.SSLWantReadError:
            pass
        self._flush()

    def close(self):
        """Closes without close_notify, as clients do that go away."""
        self.sock.close()

    def _body(self, response):
        if response.header("Transfer-Encoding"):
            return b"".join(iter(self._chunk, b""))
        if not response.header("Content-Length"):
            return self.recv_all()
        return self.take(int(response.header("Content-Length")[0]))

    def _chunk(self):
        size = int(self.read_until(b"\r\n"), 16)
        return self.take(size + 2)[:-2]

    def read_until(self, mark):
        data = b""
        while mark not in data:
            more = self.recv()
            if not more:
                raise EOFError(f"closed after {data!r}")
            data += more
        data, rest = data.split(mark, 1)
        self.buffered = rest + self.buffered
        return data + mark

    def take(self, size):
        parts = []
        while size > 0:
            data = self.recv(min(size, 65536))
            if not data:
                raise EOFError(f"closed {size} bytes too early")
            parts.append(data)
            size -= len(data)
        return b"".join(parts)

    def _drive(self, operation):
        """Runs a TLS operation, moving records as it asks for them."""
        while True:
            try:
                result = operation()
                self._flush()
                return result
            except ssl.SSLWantReadError:
                self._flush()
                data = self.sock.recv(65536)
                if data:
                    self._took(data)
                    self._in.write(data)
                else:
                    self._in.write_eof()

    def _took(self, data):
        """Bytes from the socket; for those who look at records."""

    def _flush(self):
        data = self._out.read()
        if data:
            self.sock.sendall(data)


class PlainClient(TlsClient):
    """The same without TLS, for the daemon's client mode."""

    def __init__(self, to, source=None):
        self.sock = _connect(to, source)
        self.sock.settimeout(DEADLINE)
        self.buffered = b""
        self.ended = None

    def send(self, data):
        self.sock.sendall(data)

    def recv(self, size=65536):
        """Some bytes; b"" at the end, and then `ended` is "eof" or "reset"."""
        data, self.buffered = self.buffered[:size], self.buffered[size:]
        if data:
            return data
        try:
            data = self.sock.recv(size)
        except ConnectionError:
            self.ended = "reset"
            return b""
        if not data:
            self.ended = "eof"
        return data

    def end(self):
        """Sends FIN; what the peer still sends can be read."""
        with contextlib.suppress(OSError):  # the peer has gone already
            self.sock.shutdown(socket.SHUT_WR)


class Tunnel:
    """As a socket: what is sent goes through a TlsClient's connection."""

    def __init__(self, outer):
        self.recv, self.sendall, self.close = outer.recv, outer.send, outer.close
        self.settimeout = outer.sock.settimeout


def dial(port):
    """A connection without TLS."""
    return socket.create_connection(("127.0.0.1", port), DEADLINE)


def read_to_end(sock):
    """What comes until the peer closes or resets."""
    data = b""
    try:
        while more := sock.recv(65536):
            data += more
    except ConnectionError:
        pass
    return data


def _connect(to, source):
    if hasattr(to, "sendall"):
        return to
    if isinstance(to, int):
        to = ("127.0.0.1", to)
    if isinstance(to, tuple):
        return socket.create_connection(to, DEADLINE, source and (source, 0))
    sock = socket.socket(socket.AF_UNIX)
    sock.connect(str(to))
    return sock
