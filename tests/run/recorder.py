# SPDX-License-Identifier: ISC
"""A backend that keeps every byte that it received, and answers as a test says."""

import re
import socket
import struct
import threading

from tls_client import DEADLINE

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Connection:
    """One accepted connection, as the thread that serves it and the test see it."""

    def __init__(self, sock):
        self.sock = sock
        self.data = b""  # all that was received
        self.ended = None  # "eof" or "reset" when the peer is done
        self._read = 0  # how much of data the serving function has consumed

    def receive(self):
        """Whether there was more."""
        try:
            more = self.sock.recv(262144)
        except ConnectionError:
            self.ended = "reset"
            return False
        self.data += more
        if not more:
            self.ended = "eof"
        return bool(more)

    def take(self, size):
        """The next `size` bytes, or None if the peer is done before."""
        while len(self.data) - self._read < size:
            if not self.receive():
                return None
        self._read += size
        return self.data[self._read - size : self._read]

    def take_until(self, mark):
        while mark not in self.data[self._read :]:
            if not self.receive():
                return None
        return self.take(self.data.index(mark, self._read) + len(mark) - self._read)

    def take_request(self):
        """One HTTP/1 request, head and body; None at the end."""
        head = self.take_until(b"\r\n\r\n")
        if head is None:
            return None
        length = re.search(rb"\r\ncontent-length: (\d+)\r\n", head, re.I)
        body = self.take(int(length[1])) if length else b""
        if re.search(rb"\r\ntransfer-encoding: chunked\r\n", head, re.I):
            body = self._take_chunked()
        return None if body is None else head + body

    def _take_chunked(self):
        body = b""
        while True:
            line = self.take_until(b"\r\n")
            if line is None:
                return None
            body += line
            if int(line.split(b";")[0], 16) == 0:
                break
            data = self.take(int(line.split(b";")[0], 16) + 2)
            if data is None:
                return None
            body += data
        while not body.endswith(b"\r\n\r\n"):
            line = self.take_until(b"\r\n")
            if line is None:
                return None
            body += line
        return body

    def requests(self):
        """The heads of its requests, as lists of lines, if none has a body."""
        heads = self.data.decode("latin-1").split("\r\n\r\n")[:-1]
        return [head.split("\r\n") for head in heads]

    def send(self, data):
        try:
            self.sock.sendall(data)
        except ConnectionError:
            self.ended = "reset"

    def end(self):
        """No more from us; the peer may go on."""
        self.sock.shutdown(socket.SHUT_WR)

    def reset(self):
        """Makes the close that follows a reset."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def answer_each(answer=OK):
    """Serves HTTP/1: the same answer to every request."""

    def serve(connection):
        while connection.take_request() is not None:
            connection.send(answer)

    return serve


def read_only(connection):
    while connection.receive():
        pass


class Recorder:
    """Listens on a free port, or on a unix path; `serve(connection)` runs in a thread for each."""

    def __init__(self, serve=None, path=None, host="127.0.0.1", port=0):
        self.serve = serve or answer_each()
        self.connections = []
        if path:
            self.listener = socket.socket(socket.AF_UNIX)
            self.listener.bind(str(path))
            self.port = None
        else:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            self.listener = socket.create_server((host, port), family=family)
            self.port = self.listener.getsockname()[1]
        self.listener.listen(128)

    def __enter__(self):
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.close()
        for connection in self.connections:
            connection.sock.close()

    def close(self):
        """Stops listening; what was accepted goes on."""
        try:
            self.listener.shutdown(socket.SHUT_RDWR)  # wakes accept()
        except OSError:
            pass
        self.listener.close()

    @property
    def data(self):
        """What the only connection received."""
        assert len(self.connections) == 1
        return self.connections[0].data

    @property
    def requests(self):
        """The heads of all requests, as lists of lines, if none has a body."""
        return [request for connection in self.connections for request in connection.requests()]

    def report(self):
        return "\n".join(f"{c.data[:2000]!r} {c.ended or 'open'}" for c in self.connections)

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            sock.settimeout(DEADLINE)
            connection = Connection(sock)
            self.connections.append(connection)
            threading.Thread(target=self._serve, args=[connection], daemon=True).start()

    def _serve(self, connection):
        try:
            self.serve(connection)
        except OSError:
            pass  # the test is over
        finally:
            connection.sock.close()
