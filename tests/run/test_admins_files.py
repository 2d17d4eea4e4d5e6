# SPDX-License-Identifier: ISC
"""Whole configuration files as admins have them: what clients see is what they see of stock.

Each file of tests/configs is started by Debian's stunnel and by ours, with paths, ports, names of
hosts and of users that work here, and nothing else changed. Backends echo, over TLS where a service
is a TLS client; the same client then speaks to each service of both.
"""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from certs import certificates, client_certificates
from peers import DEADLINE, Stock, Stunnel, beside_stock, free_port
from recorder import Recorder
from tls_client import PlainClient
from tls_server import TlsServer

FILES = sorted((Path(__file__).parents[1] / "configs").glob("*.conf"))
HELLO = b"hello\n"
KEY = "ab" * 32
TRIES = 10
OPTION = re.compile(r"^(\s*)(\w+)(\s*=\s*)(.*?)(\s*)$")

# Of these services nobody sees more than that they listen: their dialogues have tests of their own.
SILENT = {"smtp", "pgsql", "connect"}


def echo(connection):
    """Gives back what came first, and closes."""
    if connection.receive():
        connection.send(connection.data)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """What paths of such files lead to: by option, in a folder that any user may read."""
    folder, clients = tmp_path_factory.mktemp("files"), client_certificates()
    server = certificates()
    (folder / "both.pem").write_text(server.key.read_text() + server.cert.read_text())
    (folder / "ca.pem").write_text(server.ca.read_text() + (clients / "root.pem").read_text())
    (folder / "psk.txt").write_text(f"test1:{KEY}\n")
    (folder / "certs").mkdir()
    for name in "both.pem", "psk.txt":
        (folder / name).chmod(0o600)
    for path in server.ca, clients / "root.pem":
        shutil.copy(path, folder / "certs")
    subprocess.run(["openssl", "rehash", folder / "certs"], check=True, capture_output=True)
    return {
        "both.pem": folder / "both.pem",
        "server.pem": server.cert,
        "server.key": server.key,
        "front.pem": folder / "both.pem",
        "client.pem": clients / "signed.pem",
        "client.key": clients / "signed.key",
        "ca.pem": folder / "ca.pem",
        "crl.pem": clients / "crl.pem",
        "psk.txt": folder / "psk.txt",
        "certs": folder / "certs",
    }


class File:
    """A configuration file that works here; a port that it names twice stays one port."""

    def __init__(self, text, folder, files):
        self.folder, self.files, self.ports = folder, files, {}
        self.jailed = bool(re.search(r"(?m)^\s*chroot\s*=", text))
        self.sections = [{}]  # by option in small letters: its values
        self.text = "".join(self._line(line) + "\n" for line in text.splitlines())
        if not re.search(r"(?m)^\s*foreground\s*=", text):
            self.text = "foreground = yes\n" + self.text
        self.text = f"output = {'/log' if self.jailed else folder / 'log'}\n" + self.text

    def _line(self, line):
        if line.strip().startswith("["):
            self.sections.append({})
        option = OPTION.match(line)
        if not option or line.strip()[0] in "#;":
            return line
        name, value = option[2].lower(), option[4]
        if name in ("output", "setuid", "setgid"):
            return ""
        value = self._value(name, value) if value else value
        self.sections[-1].setdefault(name, []).append(value)
        return option[1] + option[2] + option[3] + value + option[5]

    def _value(self, name, value):
        if name in ("accept", "connect", "redirect"):
            return self._endpoint(value)
        if name == "chroot":
            return str(self.folder)
        if name == "pid":
            return "/pid" if self.jailed else str(self.folder / "pid")
        return str(self.files.get(value.rsplit("/", 1)[-1], value)) if value[0] == "/" else value

    def _endpoint(self, value):
        if value[0] == "/":
            return str(self.folder / Path(value).name)
        host, _, port = value.rpartition(":")
        here = str(self.ports.setdefault(port, free_port()))
        if host.endswith(".example"):
            host = "127.0.0.1"
        return f"{host}:{here}" if ":" in value else here

    def services(self):
        """(accept, connect, whether it is a TLS client, protocol) of each service that accepts."""
        presets = self.sections[0]
        for section in self.sections[1:]:
            both = {**presets, **section}
            client = both.get("client", ["no"])[-1] == "yes"
            targets = [*section.get("connect", []), *section.get("redirect", [])]
            for accept in section.get("accept", []):
                yield accept, targets, client, both.get("protocol", [None])[-1], both


class Admins:
    """A daemon that reads such a file, of either kind."""

    def write(self, config):
        self.config.write_text(config)

    def _started(self):
        return all(reachable(accept) for accept in self.endpoints())

    def endpoints(self):
        return re.findall(r"(?m)^\s*accept\s*=\s*(.*?)\s*$", self.config.read_text())


class AdminsStunnel(Admins, Stunnel):
    pass


class AdminsStock(Admins, Stock):
    pass


def place(endpoint):
    """What a client connects to: a port of 127.0.0.1, or a path."""
    return endpoint if endpoint[0] == "/" else int(endpoint.rsplit(":", 1)[-1])


def reachable(endpoint):
    try:
        PlainClient(place(endpoint)).close()
    except OSError:
        return False
    return True


def say_plain(endpoint):
    try:  # a service may refuse its client at once
        with PlainClient(place(endpoint)) as client:
            client.send(HELLO)
            return client.recv_all()
    except ConnectionError:
        return b""


def say_tls(endpoint, *arguments):
    """What openssl's client prints besides its own words, and the alert that it got.

    A daemon that turns a client away has not read what the client said meanwhile, so that a reset
    follows the alert, and overtakes it now and then: then it is asked again.
    """
    where = f"127.0.0.1:{place(endpoint)}"
    for _ in range(TRIES):
        said = subprocess.run(
            ["openssl", "s_client", "-connect", where, "-quiet", *map(str, arguments)],
            input=HELLO,
            capture_output=True,
            timeout=DEADLINE,
            check=False,
        )
        if said.stdout or not re.search(rb"(read|write):errno=", said.stderr):
            break
    return said.stdout + b"".join(re.findall(rb"alert number \d+", said.stderr)[:1])


def sees(service):
    """What clients without and with a certificate, and with other names, see of a service."""
    accept, _, client, protocol, options = service
    if protocol in SILENT:
        return [b"listens"]
    if client:
        return [say_plain(accept)]
    clients = client_certificates()
    forms = [["-cert", clients / f"{n}.pem", "-key", clients / f"{n}.key"] for n in ("signed", "revoked")]
    if "psksecrets" in options:
        forms = [["-psk", KEY, "-psk_identity", "test1"]]
    names = [["-servername", name] for name in ("api.example.test", "b.example.org")]
    told = [say_tls(accept, *form) for form in [["-noservername"], *forms, *names]]
    return [re.sub(rb"PROXY .*", b"PROXY", one) for one in told]  # with ports of the moment


def start_backends(start, file):
    """One for each target that is no service of the file itself."""
    accepted = {accept for accept, *_ in file.services()}
    accepted |= {accept.rsplit(":", 1)[-1] for accept in accepted}
    for _, targets, client, _, _ in file.services():
        for target in targets:
            port = target.rsplit(":", 1)[-1]
            if port in accepted:
                continue
            accepted.add(port)
            kind = TlsServer if client else Recorder
            start(kind(echo, path=target) if target[0] == "/" else kind(echo, port=int(port)))


@beside_stock
@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_clients_see_what_they_see_of_stock(start, files, tmp_path_factory, path):
    seen = []
    for kind in AdminsStock, AdminsStunnel:
        folder = tmp_path_factory.mktemp("admin")
        for readable in folder, folder.parent:
            readable.chmod(0o755)
        file = File(path.read_text(), folder, files)
        start_backends(start, file)
        daemon = kind(file.text)
        daemon.log = folder / "log"
        with daemon:
            seen.append([sees(service) for service in file.services()])
    assert seen[1] == seen[0]
    assert any(HELLO in told or told == b"listens" for service in seen[0] for told in service)
