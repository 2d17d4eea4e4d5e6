# SPDX-License-Identifier: ISC
"""Every case of tests/wire through the daemon: what the backend got, and what the client.

Twice: as a server of TLS, and as a client of it (`client = yes`).
"""

import contextlib
import re

import pytest

from peers import DEADLINE, PATCHED, Stunnel, daemon_only, service, wait_for
from recorder import Connection, Recorder, answer_each, read_only
from tls_client import PlainClient, TlsClient, client_context
from tls_server import TlsServer
from wire_case import read_corpus

CLIENT = "127.0.0.5"
NO_CONTENT = b"HTTP/1.1 204 No Content\r\n\r\n"  # answers every method; where a case has no answers
PIECES_MAX = 500  # in which a case is sent at most



def is_portable(case):
    """A patched stock stunnel has one backend connection for each of its client's."""
    return not PATCHED or not any("httpKeepAlive" in line for line in case.settings)


CASES = [case for case in read_corpus() if is_portable(case)]


class Replay(Connection):
    """What a backend got, to be taken apart again."""

    def __init__(self, data):
        super().__init__(None)
        self.data = data

    def receive(self):
        return False

    def count(self):
        """How many whole requests there are, and whether there is nothing behind them."""
        whole, end = 0, 0
        while self.take_request() is not None:
            whole, end = whole + 1, self._read
        return whole, end == len(self.data)


class Front:
    """One daemon with a service, and a backend of its own, for all cases of the same settings."""

    backend = Recorder
    mode = ()

    def __init__(self, stack):
        self.backends = {}
        sections = []
        self.serve = read_only
        for n, settings in enumerate(dict.fromkeys(case.settings for case in CASES)):
            backend = stack.enter_context(self.backend(lambda connection: self.serve(connection)))
            kept = any("httpKeepAlive" in line for line in settings)
            options = [*settings, *self.mode, *([] if kept else ["httpKeepAlive = both"])]
            sections.append(service(backend.port, *options, name=f"wire{n}"))
            self.backends[settings] = backend
        self.stunnel = stack.enter_context(Stunnel("".join(sections)))
        ports = [int(text.rsplit(":", 1)[1]) for text in self.stunnel.endpoints()]
        self.ports = dict(zip(self.backends, ports))
        self.context = client_context(alpn=["http/1.1"])


class ClientFront(Front):
    """With TLS on the other side."""

    backend = TlsServer
    mode = ("client = yes",)


@pytest.fixture(scope="module")
def front():
    with contextlib.ExitStack() as stack:
        yield Front(stack)


@pytest.fixture(scope="module")
def client_front():
    with contextlib.ExitStack() as stack:
        yield ClientFront(stack)


class Run:
    """One case, one connection."""

    WHOLE = "close_notify"  # how a client's connection ends that is not cut

    def __init__(self, front, case, pieces):
        self.case = case
        self.pieces = pieces
        self.stunnel = front.stunnel
        self.backend = front.backends[case.settings]
        self.port = front.ports[case.settings]
        self.earlier = len(self.backend.connections)  # of other runs
        self.renewals = 0
        self.expected = b""  # what the backend is to have got
        front.serve = read_only if case.has("response") else answer_each(NO_CONTENT)
        self.client = self.connect(front)

    def connect(self, front):
        sni = "www.example.test"
        return TlsClient(self.port, sni=sni, source=CLIENT, context=front.context)

    def run(self):
        with self.client:
            for section in self.case.sections:
                self.ACTIONS[section.kind](self, section)
            if not self.case.has("error"):
                self.end()
        if PATCHED:  # connects before there is a request: not to be seen by the next run
            wait_for(lambda: self.connection, "the backend's connection")

    @property
    def connection(self):
        """The backend's, once there is one."""
        mine = self.backend.connections[self.earlier + self.renewals :]
        assert len(mine) <= 1
        return mine[0] if mine else None

    @property
    def received(self):
        return self.connection.data if self.connection else b""

    def translated(self, data):
        data = data.replace(b"198.51.100.1:443", b"127.0.0.1:%d" % self.port)
        data = data.replace(b"198.51.100.1", b"127.0.0.1")
        data = data.replace(b"-Port: 443\r", b"-Port: %d\r" % self.port)
        data = data.replace(b"192.0.2.7", CLIENT.encode())
        return data.replace(b"51234", b"%d" % self.client.address[1])

    def client_sends(self, section):
        data = section.bytes
        size = max(self.pieces or len(data), -(-len(data) // PIECES_MAX))
        for at in range(0, len(data), size):
            try:
                self.client.send(data[at : at + size])
            except ConnectionError:
                assert self.case.has("error")  # it was judged before it was complete
                return

    def backend_sends(self, section):
        self.connection.send(section.bytes)

    def backend_has(self, section):
        self.expected += self.translated(section.bytes)
        following = self.case.sections[self.case.sections.index(section) + 1 :]
        if following and following[0].kind == "error":
            return  # is looked at with the error, which can come first
        wait_for(lambda: len(self.received) >= len(self.expected), "the backend's bytes", 5)
        assert self.received == self.expected

    def client_has(self, section):
        """What follows can come with it: a refusal, where both were there in one turn."""
        assert self.client.take(len(section.bytes)) == section.bytes

    def reconnects(self, _):
        """The client's next request is to come on another connection."""
        old = self.backend.connections[self.earlier + self.renewals]
        with contextlib.suppress(OSError):  # the daemon may have been faster
            old.end()
        wait_for(lambda: old.ended, "the end of the backend's connection")
        assert old.data == self.expected
        self.renewals += 1
        self.expected = b""

    def ends_with_error(self, section):
        whole, complete = Replay(self.expected).count()
        answers = b"" if self.case.has("response") else whole * NO_CONTENT
        data = self.client.recv_all()
        assert data[: len(answers)] == answers
        self.refusal(data[len(answers) :], section)
        if self.expected and not self.connection:
            self.settle()
        if self.connection:
            wait_for(lambda: self.connection.ended, "the backend's connection to end")
        # Within a request the backend is reset, and need not have seen all that came before.
        if complete:
            assert self.received == self.expected
        else:
            assert self.expected.startswith(self.received)
        assert self.stunnel.wait_log(section.name)

    def dial_backend(self):
        return PlainClient(self.backend.port)

    def settle(self):
        """Waits until the backend accepted whatever the daemon connected before it gave up."""
        with self.dial_backend() as probe:
            probe.send(b"probe")
            connections = self.backend.connections
            wait_for(lambda: any(c.data == b"probe" for c in connections), "the probe")
        connections[:] = [c for c in connections if c.data != b"probe"]

    def refusal(self, data, section):
        if section.unanswered:
            assert data == b""
            return
        assert re.match(rb"HTTP/1\.1 (400|405|411|417|431|501|502|505) ", data), data
        head, body = data.split(b"\r\n\r\n", 1)
        assert b"\r\nConnection: close" in head
        assert b"\r\nContent-Length: %d\r\n" % len(body) in head + b"\r\n"

    def end(self):
        """The client is done; nothing more may have come to the backend then."""
        self.client.end()
        if self.case.has("response") and self.connection:  # it may have left a request unanswered
            with contextlib.suppress(OSError):
                self.connection.end()
        self.client.recv_all()
        if self.connection:
            wait_for(lambda: self.connection.ended, "the backend's connection to end", DEADLINE)
        assert self.received == self.expected

    def is_closed(self, _):
        """By the daemon, though the backend's connection is open."""
        assert self.client.recv() == b"" and self.client.ended == self.WHOLE

    ACTIONS = {
        "client": client_sends,
        "backend": backend_has,
        "response": backend_sends,
        "reply": client_has,
        "reconnect": reconnects,
        "close": is_closed,
        "error": ends_with_error,
    }


class ClientRun(Run):
    """The client comes without TLS, which the backend has."""

    WHOLE = "eof"

    def connect(self, front):
        return PlainClient(("127.0.0.1", self.port), CLIENT)

    def dial_backend(self):
        return TlsClient(self.backend.port)

    def translated(self, data):
        """What is told of the client's scheme: our value is the last one of its line."""
        if any("xForwardedProto" in line for line in self.case.settings):
            data = re.sub(rb"(-Proto: (?:[^\r]*, )?)https\r", rb"\1http\r", data)
        return super().translated(data.replace(b"proto=https", b"proto=http"))


def is_of_tls(case):
    """Whether the backend is told what only a client with TLS has."""
    return re.search(r"%\{(tls|sni|alpn|session|client_cert)", "".join(case.settings))


@pytest.mark.parametrize("pieces", [None, 1, 7], ids=["whole", "byte-by-byte", "by-7"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_case(front, request, case, pieces):
    request.node.peers = [front.stunnel]
    Run(front, case, pieces).run()


@daemon_only
@pytest.mark.parametrize("pieces", [None, 7], ids=["whole", "by-7"])
@pytest.mark.parametrize(
    "case", [case for case in CASES if not is_of_tls(case)], ids=lambda case: case.name
)
def test_case_in_client_mode(client_front, request, case, pieces):
    request.node.peers = [client_front.stunnel]
    ClientRun(client_front, case, pieces).run()
