# SPDX-License-Identifier: ISC
"""Attacks through the daemon to real servers: does any read a request that is not ours?

The daemon gives every request a field with a secret and the request's id (X-Stunnel-Probe), and its
access log tells whose request each id is: an attack is a connection from an address of its own.
What a server reads without such a field, with an id that the log does not know, one that was
read before, or with another address in X-Forwarded-For than the log's, was forged by the client.
"""

import contextlib
import secrets
import select
import shutil
import subprocess
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from app_servers import SERVERS, AppServer
from attacks import FORGED, REPLACE, Attack, get
from observers import FORWARDED, OBSERVERS, PROBE
from peers import Stunnel, service
from tls_client import TlsClient, client_context, dial, read_to_end

END = "/the-end-of-the-run"
CLIENTS = 8  # at once
KEEP = "httpKeepAlive = client"  # some servers close behind each answer
PAUSE = 0.05  # seconds between the pieces of an attack
PACKAGES = {"haproxy": "haproxy", "nginx": "nginx-light", "apache2": "apache2"}
PACKAGES |= {"varnish": "varnish", "lighttpd": "lighttpd", "node": "nodejs"}
PACKAGES |= {row.name: row.packages for row in SERVERS}
ROWS = {row.name: row for row in SERVERS}
# Packages in whose place another may have brought the program.
PROGRAMS = {"default-jdk-headless": "javac", "nginx-light": "nginx", "nodejs": "node"}
# What continuous integration runs beside the six: see CONTRIBUTING.md.
TELLING = ["netty", "waitress", "puma"]


def missing(name):
    """The packages that a server lacks."""
    wanted = PACKAGES[name].split()
    listed = ["dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\n", *wanted]
    try:
        said = subprocess.run(listed, check=False, capture_output=True, text=True).stdout
    except FileNotFoundError:
        said = ""
    there = {line.split()[0] for line in said.splitlines() if line.endswith(" installed")}
    return [p for p in wanted if p not in there and not shutil.which(PROGRAMS.get(p, p))]


@dataclass
class Row:
    """What became of all attacks at one server."""

    server: str
    cases: int = 0
    refused: int = 0  # cases that the daemon ended with an error
    reported: int = 0
    ours: int = 0
    rejected: int = 0  # by the server, before it had read our field
    forged: int = 0  # an address
    without: int = 0  # an id that the access log knows
    surplus: int = 0  # ids that were read before
    stuck: int = 0  # connections that did not end
    kept: int = 0  # requests answered on one connection
    read: dict = field(default_factory=dict)  # content of each request, by attack
    complaints: list = field(default_factory=list)

    COLUMNS = "cases refused reported ours rejected forged without surplus stuck kept".split()

    def line(self):
        return f"{self.server:18}" + "".join(f"{getattr(self, c):9}" for c in self.COLUMNS)

    def complain(self, kind, text):
        setattr(self, kind, getattr(self, kind) + 1)
        self.complaints.append(f"{self.server}: {kind}: {text}")


class Judge:
    """Compares what a server reported with what the access log tells."""

    def __init__(self, row, attacks, secret, log):
        self.row = row
        self.attacks = {attack.address: attack for attack in attacks}
        self.log = {f"{secret}-{number}": address for number, address, *_ in log}
        self.count = Counter()
        self.last = None  # an attack of whose requests one was reported

    def judge(self, seen):
        self.row.reported += 1
        if seen.refused:
            self.row.rejected += 1
            return
        address = self.log.get(seen.probe)
        if not address:
            self.row.complain("without", f"{seen}, after {self.last}")
            return
        attack = self.last = self.attacks[address]
        self.count[seen.probe] += 1
        self.row.read.setdefault(attack.name, []).append(seen.content)
        if not self.true(seen, attack):
            self.row.complain("forged", f"{seen}: {attack}")
        elif self.count[seen.probe] > 1:
            self.row.complain("surplus", f"{seen}: {attack}")
        else:
            self.row.ours += 1

    @staticmethod
    def true(seen, attack):
        """Whether X-Forwarded-For is what the attack's settings ask for."""
        options = [line.split(" = ", 1) for line in attack.settings]
        modes = [value for name, value in options if name == "xForwardedFor"]
        if not modes or modes[-1] == "no" or any(FORWARDED in value for _, value in options):
            return True
        if modes[-1] == "replace":
            return seen.forwarded == attack.address
        return seen.forwarded.split(",")[-1].strip() == attack.address


class Trial:
    """A server, the daemon in front of it, a service for each settings, and what was sent."""

    def __init__(self, stack, name, attacks, options=()):
        if name in ROWS:
            self.server = stack.enter_context(AppServer(ROWS[name]))
        else:
            self.server = stack.enter_context(OBSERVERS[name]())
        self.attacks = list(attacks)
        self.row = Row(name, cases=len(self.attacks))
        self.secret = secrets.token_hex(8)
        settings = dict.fromkeys([REPLACE, *(attack.settings for attack in self.attacks)])
        rules = (
            f"httpSetHeader = {PROBE}: {self.secret}-%{{request_id}}",
            "accessLog = {folder}/access.log",
            "accessLogFormat = %{request_id} %{client_ip} %{request}",
            *self.server.options,
            *options,
        )
        sections = [
            service(self.server.port, KEEP, *lines, *rules, name=f"web-{n}")
            for n, lines in enumerate(settings)
        ]
        self.stunnel = stack.enter_context(Stunnel("workers = 1\n" + "".join(sections)))
        ports = [int(text.rsplit(":", 1)[1]) for text in self.stunnel.endpoints()]
        self.ports = dict(zip(settings, ports))
        self.context = client_context(alpn=["http/1.1"])

    def client(self, attack):
        port, source = self.ports[attack.settings], attack.address
        return TlsClient(port, sni="www.example.test", source=source, context=self.context)

    def send(self, attack):
        """One connection, until the daemon closes it."""
        with self.client(attack) as client:
            with contextlib.suppress(ConnectionError):  # it was judged before it was complete
                for piece in attack.pieces():
                    client.send(piece)
                    self.pause(client, attack)
                client.end()
            try:
                client.recv_all()
            except TimeoutError:
                self.row.complain("stuck", f"{attack}")

    @staticmethod
    def pause(client, attack):
        """For an answer to the first piece, or for the daemon to send it on by itself."""
        if attack.cuts:
            select.select([client.sock], [], [], PAUSE)

    def keep(self, attack, requests):
        """Requests one after the other on one connection: none is lost."""
        self.attacks.append(attack)
        with self.client(attack) as client:
            try:
                for number in range(requests):
                    client.get(f"/{number}", host="www.example.test")
                    self.row.kept = number + 1
            except (EOFError, TimeoutError) as error:
                self.row.complaints.append(f"{self.row.server}: after {number} requests: {error}")

    def end(self, attack):
        """Sent when all else is through, so that what was before it is reported when it is."""
        self.attacks.append(attack)
        with self.client(attack) as client:
            client.get(END)
        self.server.wait_seen(END)

    def run(self, requests, clients):
        with ThreadPoolExecutor(clients) as pool:
            list(pool.map(self.send, self.attacks))
        self.keep(Attack("keep-alive", REPLACE, b"", address="127.3.1.2"), requests)
        self.end(Attack("end", REPLACE, b"", address="127.3.1.1"))

    def known(self):
        """The access log's lines, of which the last come when the daemon ends: id, address, ..."""
        self.stunnel.stop()
        text = (self.stunnel.folder / "access.log").read_text("latin-1")
        return [line.split(" ", 2) for line in text.splitlines()]

    def judge(self, log):
        refusals = self.stunnel.log_lines("] refused a request from ")
        self.row.refused = len(refusals)
        judge = Judge(self.row, self.attacks, self.secret, log)
        for seen in self.server.reported():
            judge.judge(seen)
        return self.row


def addressed(attacks):
    """With an address of its own for each."""
    numbered = enumerate(attacks)
    return [replace(a, address=f"127.1.{n // 200 + 1}.{n % 200 + 1}") for n, a in numbered]


def run(name, attacks, requests=0, clients=CLIENTS, options=()):
    """What became of them at a server."""
    with contextlib.ExitStack() as stack:
        trial = Trial(stack, name, addressed(attacks), options)
        trial.run(requests, clients)
        return trial.judge(trial.known())


def direct(port, target, probe, address):
    """A request to a server behind the daemon's back."""
    lines = [f"GET {target} HTTP/1.1", "Host: www.example.test", "Connection: close"]
    lines += [f"{PROBE}: {probe}"] if probe else []
    lines += [f"{FORWARDED}: {address}", "", ""]
    with dial(port) as sock:
        sock.sendall("\r\n".join(lines).encode())
        read_to_end(sock)


def self_check(name):
    """A server that is sent one violation of each kind: found must be just these."""
    refused = Attack("refused", REPLACE, get(b"refused").replace(b"Host", b"Bad Host"))
    good = Attack("good", REPLACE, get(b"good"))
    with contextlib.ExitStack() as stack:
        trial = Trial(stack, name, addressed([refused, good]))
        trial.run(0, 1)
        log = trial.known()
        never_sent, sent = [
            (f"{trial.secret}-{number}", address)
            for attack in trial.attacks[:2]
            for number, address, _ in log
            if address == attack.address
        ]
        direct(trial.server.port, "/forged", never_sent[0], FORGED + "66")
        direct(trial.server.port, "/surplus", *sent)
        direct(trial.server.port, f"{END}/2", "", FORGED + "66")
        trial.server.wait_seen(f"{END}/2")
        return trial.judge(log)


def found_all(row):
    """Whether a self-check found what it was to find, and nothing else."""
    return (row.forged, row.without, row.surplus, row.stuck) == (1, 1, 1, 0)


def heading():
    return f"{'':18}" + "".join(f"{column:>9}" for column in Row.COLUMNS)


def alike(one, other):
    """Whether two servers read the same, as far as both tell of content."""
    same = all(a == b or "-" in (a, b) for a, b in zip(one, other))
    return len(one) == len(other) and same


def differences(rows):
    """The attacks of which servers read different requests: what each content was, and who."""
    lines = []
    for name in dict.fromkeys(name for row in rows for name in row.read):
        groups = []  # [what was read, by whom]
        for row in rows:
            read = row.read.get(name, [])
            group = next((group for group in groups if alike(group[0], read)), None)
            if group:
                group[1].append(row.server)
            else:
                groups.append([read, [row.server]])
        if len(groups) > 1:
            told = (f"{len(read)} ({' '.join(read)}): {', '.join(who)}" for read, who in groups)
            lines.append(f"{name}: " + "; ".join(told))
    return lines
