# SPDX-License-Identifier: ISC
"""stunnel3: command lines of stunnel 3.x, with Debian's script and stunnel beside ours."""

import contextlib
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from certs import certificates, client_certificates
from peers import BINARY, PATCHED, Program, Stock, free_port
from recorder import Recorder, answer_each
from test_inetd import super_server
from tls_client import PlainClient, TlsClient, client_context
from tls_server import TlsServer

TOP = Path(__file__).resolve().parents[2]
TEXT = (TOP / "tools/stunnel3.in").read_text()
DEBIANS = shutil.which("stunnel3")

pytestmark = pytest.mark.skipif(PATCHED, reason="the script runs the daemon")


def script(path, binary=BINARY):
    """The script as it is installed beside the binary."""
    path.write_text(TEXT.replace("@bindir@/stunnel", str(binary)))
    path.chmod(0o755)
    return path


@pytest.fixture
def scripts(tmp_path):
    """Debian's and ours."""
    if not (DEBIANS and Stock.BINARY):
        pytest.skip("this is beside Debian's stunnel3")
    return DEBIANS, script(tmp_path / "stunnel3")


@pytest.fixture
def pem(tmp_path):
    path = tmp_path / "both.pem"
    path.touch(0o600)
    path.write_text(certificates().key.read_text() + certificates().cert.read_text())
    return path


class Stunnel3(Program):
    """A service in the foreground."""

    name = "stunnel3"

    def __init__(self, path, words):
        super().__init__()
        self.port = free_port()
        listens = ["-f", "-P", "", "-o", self.folder / "log", "-d", f"127.0.0.1:{self.port}"]
        self.words = [path, *listens, *words]

    def command(self):
        return [str(word) for word in self.words]

    def endpoints(self):
        return [str(self.port)]

    def report(self):
        return super().report() + (self.folder / "log").read_text()


@pytest.fixture
def each(start, scripts):
    """each(*words): a service of Debian's script, and one of ours."""
    return lambda *words: [start(Stunnel3(path, words)) for path in scripts]


def said(service, cert=None):
    with TlsClient(service.port, context=client_context(cert=cert)) as client:
        return client.recv_all()


def test_a_server(each, pem):
    """Its backend sees the address that the connection is told to come from."""
    sources = []

    def serve(connection):
        sources.append(connection.sock.getpeername()[0])
        answer_each()(connection)

    with Recorder(serve) as backend:
        words = ["-p", pem, "-I", "127.0.0.9", "-r", f"127.0.0.1:{backend.port}"]
        for service in each(*words, "-O", "l:TCP_NODELAY=1", "-O", "a:SO_KEEPALIVE=1"):
            with TlsClient(service.port) as client:
                assert client.get().status == 200
        assert sources == 2 * ["127.0.0.9"]
        assert backend.connections[0].data == backend.connections[1].data


def test_a_client(each):
    with TlsServer(answer_each()) as server:
        for service in each("-c", "-C", "HIGH", "-r", f"127.0.0.1:{server.port}"):
            with PlainClient(service.port) as client:
                assert client.get().status == 200
        assert server.connections[0].data == server.connections[1].data != b""


def test_who_is_not_verified_is_turned_away(each, pem):
    trusted = client_certificates() / "trusted.pem"
    words = ["-p", pem, "-v2", "-A", trusted, "-l", "/bin/echo", "--", "let", "in"]
    for service in each(*words):
        assert said(service, "signed") == b"let in\n"
        with pytest.raises(OSError):
            said(service)


def test_a_program_and_its_arguments(each, pem):
    """They follow the path, and blanks part them."""
    for words in (["a  b", "c", "-d"], ["--", "a", "b", "c -d"]):
        for service in each("-p", pem, "-l/bin/echo", *words):
            assert said(service) == b"a b c -d\n"


def test_a_program_with_a_terminal(each, pem):
    for service in each("-p", pem, "-L", "/usr/bin/tty"):
        assert re.fullmatch(rb"/dev/pts/\d+\r\n", said(service))


def test_a_protocol_before_tls(each):
    def serve(connection):
        connection.send(b"220 hello\r\n")
        connection.take_until(b"\r\n")
        connection.end()

    with Recorder(serve) as backend:
        for service in each("-c", "-n", "smtp", "-r", f"127.0.0.1:{backend.port}"):
            with contextlib.suppress(ConnectionError), PlainClient(service.port) as client:
                client.recv_all()
        assert [c.data for c in backend.connections] == 2 * [b"EHLO localhost\r\n"]


def test_without_a_port_it_is_for_inetd(scripts, pem, tmp_path):
    for path in scripts:
        command = [path, "-o", tmp_path / "log", "-p", pem, "-l", "/bin/cat"]
        with super_server(command) as (sock, _), TlsClient(sock) as client:
            client.send(b"echo")
            assert client.recv() == b"echo"


# ---- the configuration ------------------------------------------------------------------------


@pytest.fixture
def lines(tmp_path):
    """lines(*words): what stunnel is given to read, or why it is not started."""
    reader = tmp_path / "reader"
    reader.write_text('#!/bin/sh\n[ "$1" = -fd ] || exec echo "$*"\neval "exec cat <&$2"\n')
    reader.chmod(0o755)
    path = script(tmp_path / "stunnel3", reader)

    def run(*words):
        done = subprocess.run(
            [path, *words], capture_output=True, text=True, timeout=30, check=False
        )
        assert (done.returncode == 0) == (done.stderr == "")
        return done.stdout.splitlines() if done.returncode == 0 else done.stderr

    return run


VALUES = {
    "A": "CAfile", "a": "CApath", "B": "RNDbytes", "C": "ciphers", "D": "debug", "E": "EGD",
    "g": "setgid", "I": "local", "N": "service", "n": "protocol", "O": "socket", "o": "output",
    "P": "pid", "p": "cert", "R": "RNDfile", "s": "setuid", "t": "session", "u": "ident",
    "v": "verify",
}  # fmt: skip
FLAGS = {"c": "client = yes", "f": "foreground = yes", "T": "transparent = yes", "W": "RNDoverwrite = no"}


def test_each_option_is_a_line(lines):
    for option, name in VALUES.items():
        assert lines(f"-{option}", "a b=\\$x", "-r", "1") == [f"{name} = a b=\\$x", "connect = 1", ""]
    for option, line in FLAGS.items():
        assert lines(f"-{option}r1") == [line, "connect = 1", ""]
    assert lines("-S", "1", "-r", "1") == ["connect = 1", ""]


def test_what_is_said_twice(lines):
    """The last one counts where stunnel would take both for two targets."""
    assert lines("-r", "1", "-r", "2", "-d", "3", "-d", "4") == [
        "connect = 2", "accept = 4", "[stunnel3]",
    ]  # fmt: skip
    assert lines("-r1", "-Oa:b=1", "-Ol:c=2")[:2] == ["socket = a:b=1", "socket = l:c=2"]


def test_stunnel_takes_what_comes_of_every_option(tmp_path, pem):
    """None of them is unknown to it, or without a value that it may have."""
    words = "-c -T -W -B 64 -C HIGH -D mail.info -n smtp -O a:SO_KEEPALIVE=1 -N mine -t 60 -v 0"
    words += f" -R /dev/urandom -u me -I 127.0.0.1 -o {tmp_path}/log -P {tmp_path}/pid -p {pem}"
    words += f" -A {certificates().ca} -a {tmp_path} -d 1 -r 2"
    reader = tmp_path / "test"
    reader.write_text(f'#!/bin/sh\nexec {BINARY} -test "$@"\n')
    reader.chmod(0o755)
    command = [script(tmp_path / "stunnel3", reader), *words.split()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "words, why",
    [
        (["-x", "-r", "1"], "there is no option -x"),
        (["-k"], "there is no option -k"),
        (["-r"], "-r needs a value"),
        ([], "one of -r, -l and -L is needed"),
        (["-c", "-d", "1"], "one of -r, -l and -L is needed"),
        (["-r", "1\nexec = /bin/sh"], "a value of connect contains a line break"),
        (["-l", "a", "--", "b\nc"], "a value of execArgs contains a line break"),
        (["-r", "1", "-d", "2\n[x]"], "a value of accept contains a line break"),
    ],
)
def test_what_is_refused(lines, words, why):
    first, second = lines(*words).splitlines()[:2]
    assert first == f"stunnel3: {why}"
    assert second.startswith("usage: stunnel3 ")


def test_help_and_version(lines):
    assert lines("-h")[0].startswith("usage: stunnel3 ")
    assert lines("-V") == ["-version"]


def test_the_manual_names_what_the_script_takes():
    manual = (TOP / "doc/stunnel3.8").read_text()
    taken = set(re.search(r"getopts :(\S+)", TEXT)[1]) - {":"}
    rows = dict(re.findall(r"^\.It Fl (\w) .*?Ta Ic (\w+)", manual, re.M))
    assert {*rows, "S", "h", "V"} == taken
    assert {name: rows[name] for name in VALUES} == VALUES
