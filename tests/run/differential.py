# SPDX-License-Identifier: ISC
"""The wire corpus through the daemon to real servers: does any read a request that is not ours?

Every case is one connection, from an address of its own, so that the fields that the daemon sets
(X-Stunnel-Probe by a rule with a secret, X-Forwarded-For by the case's settings) tell the case.
Between the daemon and each server stands a tap, which keeps the bytes and knows, by the address
that it dials the server from, whose a reported request is.
"""

import contextlib
import re
import secrets
import select
import socket
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from observers import FORWARDED, OBSERVERS, PROBE, alias_values
from peers import Stunnel, service, wait_for
from recorder import Connection, Recorder
from tls_client import DEADLINE, TlsClient, client_context
from wire_case import read_corpus

FORGED = "203.0.113."
END = "/the-end-of-the-run"


@dataclass(frozen=True)
class Attack:
    """What one connection sends."""

    name: str
    settings: tuple
    data: bytes
    address: str


def address(network, number):
    return f"127.{network}.{number // 200 + 1}.{number % 200 + 1}"


def renamed(data):
    """The same attack on the other field; the names are of one length, so lengths still hold."""
    pattern = rb"(?i)x([^a-z0-9]?)forwarded([^a-z0-9]?)for"
    return re.sub(pattern, rb"X\1Stunnel\2Probe", data)


def attacks(cases):
    """All cases, and those that forge X-Forwarded-For once more with X-Stunnel-Probe."""
    sent = [(case.name, case.settings, case.all("client")) for case in cases]
    others = [(f"{name} (probe)", settings, renamed(data)) for name, settings, data in sent]
    sent += [other for other, one in zip(others, sent) if other[2] != one[2]]
    return [Attack(*one, address(1, n)) for n, one in enumerate(sent)]


class Replay(Connection):
    """Bytes that were sent on, read as strictly as the daemon writes."""

    def __init__(self, data):
        super().__init__(None)
        self.data = data

    def receive(self):
        return False

    def heads(self):
        """The heads of all requests, as lists of lines; the last one's body may be incomplete.

        What is no request is taken for the last head: it lacks our field.
        """
        found = []
        while True:
            head, mark, _ = self.data[self._read :].partition(b"\r\n\r\n")
            if not mark:
                return found
            found.append(head.decode("latin-1").split("\r\n"))
            try:
                if self.take_request() is None:
                    return found
            except ValueError:  # of a chunk's size
                return [*found, [self.data[self._read :].decode("latin-1")]]


def more(connection):
    """What has come since the last time; b"" at the end."""
    before = len(connection.data)
    connection.receive()
    return connection.data[before:]


class Tap:
    """Stands before a server. `tamper` makes the server's bytes others than were recorded."""

    def __init__(self, server, tamper=None):
        self.server = server
        self.tamper = tamper or (lambda data: data)
        self.recorder = Recorder(self.serve)
        self.port = self.recorder.port
        self.taken = {}  # Connection by the address that the server sees
        self.stuck = []  # of which connections no end came
        self.lock = threading.Lock()  # connections are served by threads of their own

    def serve(self, connection):
        with self.lock:
            peer = address(2, len(self.taken))
            self.taken[peer] = connection
        target = ("127.0.0.1", self.server.port)
        with socket.create_connection(target, DEADLINE, (peer, 0)) as sock:
            try:
                self.relay(connection, Connection(sock))
            except TimeoutError:
                self.stuck.append(f"{connection.data!r}")

    def idle(self):
        return all(connection.sock.fileno() < 0 for connection in list(self.taken.values()))

    def relay(self, connection, server):
        """Until the server closes, or the daemon resets because a request stayed incomplete."""
        while True:
            ready = self.ready(connection, server)
            if server in ready:
                data = more(server)
                if not data:
                    return
                connection.send(data)
            if connection in ready:
                server.send(self.tamper(more(connection)))
            if connection.ended == "reset":
                server.reset()
                return
            if connection.ended:
                self.pass_end_on(connection, server)

    @staticmethod
    def ready(connection, server):
        """Those of them that have something to read."""
        waiting = [server] if connection.ended else [server, connection]
        found = select.select([one.sock for one in waiting], [], [], DEADLINE)[0]
        if not found:
            raise TimeoutError
        return [one for one in waiting if one.sock in found]

    @staticmethod
    def pass_end_on(connection, server):
        """Not before all is answered: some servers drop what they have not answered by then."""
        answers = re.findall(rb"HTTP/1\.[01] (?!1\d\d)\d\d\d", server.data)
        if len(answers) >= len(Replay(connection.data).heads()):
            with contextlib.suppress(OSError):
                server.end()


@dataclass
class Row:
    """What became of all attacks at one server."""

    server: str
    cases: int = 0
    refused: int = 0  # cases that the daemon ended with an error
    reported: int = 0
    ours: int = 0
    rejected: int = 0  # by the server, before it had read our field
    forged: int = 0
    without: int = 0
    surplus: int = 0  # requests above those that the daemon sent on
    stuck: int = 0
    served: Counter = field(default_factory=Counter)  # requests by case
    complaints: list = field(default_factory=list)

    COLUMNS = "cases refused reported ours rejected forged without surplus stuck".split()

    def line(self):
        return f"{self.server:10}" + "".join(f"{getattr(self, c):10}" for c in self.COLUMNS)

    def complain(self, kind, text):
        setattr(self, kind, getattr(self, kind) + 1)
        self.complaints.append(f"{self.server}: {kind}: {text}")


class Judge:
    """Compares what a server reported with what the daemon was to send on."""

    def __init__(self, row, attacks, secret):
        self.row = row
        self.attacks = {attack.address: attack for attack in attacks}
        self.secret = secret

    def probe(self, attack):
        return f"{self.secret}-{attack.address}"

    def attack_of(self, probe):
        """Whose it is, by the value that only the daemon can have written."""
        found = re.search(re.escape(self.secret) + r"-([0-9.]+)", probe)
        return self.attacks.get(found[1]) if found else None

    def judge(self, tap, reports):
        owners = {}
        for peer, connection in tap.taken.items():
            heads = Replay(connection.data).heads()
            owners[peer] = attack = self.attack_of(alias_values(sum(heads, []), PROBE))
            mine = [seen for seen in reports if seen.peer == peer]
            if len(mine) > len(heads):
                what = f"{len(heads)} requests sent on, reported: {mine}"
                self.row.complain("surplus", f"{attack and attack.name}: {what}")
            for head in heads:
                self.judge_sent(head, attack)
        for seen in reports:
            # A server knows no peer if the connection was reset before it looked.
            unknown = seen.peer in ("", "-")
            attack = self.attack_of(seen.probe) if unknown else owners.get(seen.peer)
            self.judge_seen(seen, attack)
        for what in tap.stuck:
            self.row.complain("stuck", what)

    def judge_sent(self, head, attack):
        """Exactly once: some servers report only the first or the last of several lines."""
        if not attack or alias_values(head, PROBE) != self.probe(attack):
            self.row.complain("without", f"{attack and attack.name}: sent on: {head}")

    def judge_seen(self, seen, attack):
        self.row.reported += 1
        name = attack and attack.name
        if seen.refused:
            self.row.rejected += 1
            return
        self.row.served[name] += 1
        if FORGED in seen.probe or self.forged(seen, attack):
            self.row.complain("forged", f"{name}: {seen}")
        elif not attack or seen.probe != self.probe(attack) or not self.true(seen, attack):
            self.row.complain("without", f"{name}: {seen}")
        else:
            self.row.ours += 1

    @staticmethod
    def mode(attack):
        """The case's xForwardedFor; None if it has none, or a rule of its own for the field."""
        options = [line.split(" = ", 1) for line in attack.settings] if attack else []
        if any(FORWARDED in value for _, value in options):
            return None
        modes = [value for name, value in options if name == "xForwardedFor"]
        return modes[-1] if modes else None

    def forged(self, seen, attack):
        return self.mode(attack) == "replace" and FORGED in seen.forwarded

    def true(self, seen, attack):
        """Whether X-Forwarded-For is what the case's settings ask for."""
        mode = self.mode(attack)
        if mode in (None, "no"):
            return True
        if mode == "replace":
            return seen.forwarded == attack.address
        return seen.forwarded.split(",")[-1].strip() == attack.address


class Run:
    """The daemon with six servers behind it; a service for each of them and each settings."""

    def __init__(self, stack, attacks, tamper=None):
        end = get(END[1:].encode())  # what was before it is reported when this is
        self.attacks = [*attacks, Attack("end", attacks[0].settings, end, "127.3.1.1")]
        self.secret = secrets.token_hex(8)
        self.taps, self.services, sections = {}, {}, []
        for name, observer in OBSERVERS.items():
            server = stack.enter_context(observer())
            self.taps[name] = tap = Tap(server, tamper)
            stack.enter_context(tap.recorder)
            for settings in dict.fromkeys(attack.settings for attack in self.attacks):
                self.services[name, settings] = len(sections)
                rule = f"httpSetHeader = {PROBE}: {self.secret}-%{{client_ip}}"
                title = f"{name}-{len(sections)}"
                sections.append(service(tap.port, *settings, rule, name=title))
        self.stunnel = stack.enter_context(Stunnel("".join(sections)))
        self.ports = [int(text.rsplit(":", 1)[1]) for text in self.stunnel.endpoints()]
        self.context = client_context(alpn=["http/1.1"])

    def send(self, name, attack):
        """One connection, until the daemon closes it."""
        port = self.ports[self.services[name, attack.settings]]
        with TlsClient(
            port, sni="www.example.test", source=attack.address, context=self.context
        ) as client:
            with contextlib.suppress(ConnectionError):  # it was judged before it was complete
                client.send(attack.data)
                client.end()
            try:
                client.recv_all()
            except TimeoutError:
                self.taps[name].stuck.append(attack.name)

    def attack(self, name):
        """All attacks on one server, and what became of them."""
        tap = self.taps[name]
        for attack in self.attacks:
            self.send(name, attack)
        wait_for(tap.idle, f"{name} to end all connections")
        tap.server.wait_seen(END)
        row = Row(name, cases=len(self.attacks))
        refusals = self.stunnel.log_lines(f"Service [{name}-")
        row.refused = sum("] refused a request from " in line for line in refusals)
        Judge(row, self.attacks, self.secret).judge(tap, tap.server.reported())
        return row


def run(attacks, tamper=None):
    """Rows, one a server."""
    with contextlib.ExitStack() as stack:
        everything = Run(stack, attacks, tamper)
        with ThreadPoolExecutor(len(OBSERVERS)) as pool:
            return list(pool.map(everything.attack, OBSERVERS))


def corpus():
    return attacks(read_corpus())


def get(target):
    return b"GET /%s HTTP/1.1\r\nHost: www.example.test\r\n\r\n" % target


def tampered(data):
    """As a daemon would send it on that lets through what the target says."""
    line = rb"(?m)^" + PROBE.encode() + rb": .*\r\n"
    if data.startswith(b"GET /forged "):
        return re.sub(line, PROBE.encode() + b": 203.0.113.66\r\n", data)
    if data.startswith(b"GET /without "):
        return re.sub(line, b"", data)
    return 2 * data if data.startswith(b"GET /surplus ") else data


def self_check():
    """Rows of a run in which every server was sent one violation of each kind, behind our back."""
    settings = ("xForwardedFor = replace",)
    kinds = enumerate(("forged", "without", "surplus"))
    return run([Attack(k, settings, get(k.encode()), address(1, n)) for n, k in kinds], tampered)


def found_all(rows):
    """Whether a self-check found what it was to find, and nothing else."""
    return all((row.forged, row.without, row.surplus, row.stuck) == (1, 1, 1, 0) for row in rows)


def table(rows):
    heading = f"{'':10}" + "".join(f"{column:>10}" for column in Row.COLUMNS)
    return "\n".join([heading, *(row.line() for row in rows)])


def differences(rows):
    """Of which cases the servers did not report equally many requests."""
    names = dict.fromkeys(name for row in rows for name in row.served)
    lines = []
    for name in names:
        counts = {row.server: row.served[name] for row in rows}
        if len(set(counts.values())) > 1:
            lines.append(f"{name}: " + ", ".join(f"{s} {n}" for s, n in counts.items()))
    return lines
