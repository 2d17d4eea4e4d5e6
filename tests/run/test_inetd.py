# SPDX-License-Identifier: ISC
"""A file without a section: standard input and output are the client; beside Debian's stunnel."""

import contextlib
import fcntl
import os
import pty
import re
import shutil
import signal
import socket
import subprocess
import tty

import pytest

from certs import certificates
from peers import BINARY, DEADLINE, Stock, daemon_only, wait_for
from recorder import Recorder, answer_each, read_only
from tls_client import TlsClient
from tls_server import TlsServer

pytestmark = daemon_only

REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
BINARIES = pytest.mark.parametrize("binary", [Stock.BINARY, BINARY])


@pytest.fixture
def inetd(tmp_path):
    """Writes a configuration without a section, and tells the command that serves with it."""

    def write(*options, binary=BINARY, keys=True):
        if not binary:
            pytest.skip("this is beside Debian's stunnel4")
        pair = [f"cert = {certificates().cert}", f"key = {certificates().key}"] if keys else []
        log = tmp_path / "stunnel.log"
        lines = ["syslog = no", "debug = debug", f"output = {log}", *pair, *options]
        config = tmp_path / "stunnel.conf"
        config.write_text("".join(f"{line}\n" for line in lines))
        return [binary, config]

    return write


def log_of(tmp_path):
    return (tmp_path / "stunnel.log").read_text("latin-1")


@contextlib.contextmanager
def running(command, **streams):
    with subprocess.Popen(command, start_new_session=True, **streams) as process:
        try:
            yield process
        finally:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(DEADLINE)
            process.kill()


@contextlib.contextmanager
def super_server(command, stderr=None):
    """inetd, or systemd with Accept=yes: a port whose next connection is the command's streams."""
    listener = socket.create_server(("127.0.0.1", 0))
    client = socket.create_connection(listener.getsockname())
    accepted, _ = listener.accept()
    with running(command, stdin=accepted, stdout=accepted, stderr=stderr) as process:
        accepted.close()
        listener.close()
        yield client, process


TOKENS = (
    r"Service \[\w+\] started|Service \[\w+\] accepted connection(?: from 127.0.0.1)?"
    r"|Service \[\w+\] connected remote server"
    r"|Connection \w+: \d+ byte\(s\) sent to TLS, \d+ byte\(s\) sent to socket"
)


@BINARIES
def test_a_client_of_inetd(inetd, tmp_path, binary):
    """One socket is both streams, and all that stock's client sees is seen."""
    with Recorder(answer_each()) as backend:
        command = inetd(f"connect = {backend.port}", "service = mine", binary=binary)
        with super_server(command) as (sock, process):
            with TlsClient(sock) as client:
                client.send(REQUEST)
                assert client.response().status == 200
                client.end()
            process.wait(DEADLINE)
        assert process.returncode == 0
        assert backend.connections[0].data == REQUEST
    assert re.findall(TOKENS, log_of(tmp_path)) == [
        "Service [mine] started",
        "Service [mine] accepted connection from 127.0.0.1",
        "Service [mine] connected remote server",
        f"Connection closed: 40 byte(s) sent to TLS, {len(REQUEST)} byte(s) sent to socket",
    ]


def test_requests_tell_of_the_client_of_a_socket(inetd):
    with Recorder(answer_each()) as backend:
        with super_server(inetd(f"connect = {backend.port}", "xForwardedFor = yes")) as (sock, _):
            with TlsClient(sock) as client:
                client.send(REQUEST)
                assert client.response().status == 200
        assert "X-Forwarded-For: 127.0.0.1" in backend.connections[0].requests()[0]


@BINARIES
def test_two_pipes_are_a_client(inetd, tmp_path, binary):
    with TlsServer(answer_each()) as server:
        command = inetd("client = yes", f"connect = {server.port}", binary=binary, keys=False)
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        with running(command, **pipes) as process:
            process.stdin.write(REQUEST)
            process.stdin.flush()
            answer = b""
            while not answer.endswith(b"ok"):
                answer += process.stdout.read1()
            process.stdin.close()
            assert process.stdout.read() == b""
        assert process.returncode == 0
        assert server.connections[0].data == REQUEST
    assert "Service [stunnel] accepted connection\n" in log_of(tmp_path)


def test_an_end_of_input_leaves_the_output_open(inetd):
    """What the server sends behind our end still arrives, and its own end closes the pipe."""

    def serve(connection):
        read_only(connection)
        connection.send(100000 * b"late ")

    with TlsServer(serve) as server:
        command = inetd("client = yes", f"connect = {server.port}", keys=False)
        done = subprocess.run(command, input=REQUEST, capture_output=True, timeout=DEADLINE)
        assert server.connections[0].data == REQUEST
    assert (done.returncode, done.stdout) == (0, 100000 * b"late ")


@pytest.mark.parametrize("size", [0, 5, 300000])
def test_files_are_a_client(inetd, tmp_path, size):
    """Of which no event loop tells that they are ready."""

    def serve(connection):
        read_only(connection)
        connection.send(connection.data)

    data = bytes(size)
    (tmp_path / "input").write_bytes(data)
    with TlsServer(serve) as server, open(tmp_path / "input", "rb") as source:
        with open(tmp_path / "output", "wb") as target:
            command = inetd("client = yes", f"connect = {server.port}", keys=False)
            with running(command, stdin=source, stdout=target) as process:
                pass
        assert process.returncode == 0
    assert (tmp_path / "output").read_bytes() == data


def test_tls_over_two_pipes(inetd):
    with Recorder(answer_each()) as backend:
        ours, theirs = socket.socketpair()
        command = inetd(f"connect = {backend.port}")
        cat = shutil.which("cat")
        with running([cat], stdin=theirs, stdout=subprocess.PIPE) as source:
            with running([cat], stdin=subprocess.PIPE, stdout=theirs) as sink:
                theirs.close()
                with running(command, stdin=source.stdout, stdout=sink.stdin):
                    source.stdout.close()
                    sink.stdin.close()
                    with TlsClient(ours) as client:
                        client.send(REQUEST)
                        assert client.response().status == 200


def blocks(fd):
    return not fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_NONBLOCK


@pytest.mark.parametrize("kind", ["pipes", "terminal"])
def test_who_shares_the_streams_finds_them_as_they_were(inetd, kind):
    """A shell's next program would find its own input or output not blocking; stock leaves it so."""
    if kind == "pipes":
        (source, ours_in), (ours_out, sink) = os.pipe(), os.pipe()
    else:
        ours_in, source = pty.openpty()
        tty.setraw(source)
        ours_out, sink = os.dup(ours_in), os.dup(source)
    with TlsServer(answer_each()) as server:
        command = inetd("client = yes", f"connect = {server.port}", keys=False)
        with running(command, stdin=source, stdout=sink) as process:
            os.write(ours_in, REQUEST)
            answer = b""
            while not answer.endswith(b"ok"):
                answer += os.read(ours_out, 1000)
            assert blocks(source) and blocks(sink)
            process.terminate()
        assert blocks(source) and blocks(sink)
    for fd in (source, sink, ours_in, ours_out):
        os.close(fd)


@BINARIES
def test_a_program_serves_the_client(inetd, binary):
    command = inetd("exec = /bin/cat", binary=binary)
    with super_server(command) as (sock, process):
        with TlsClient(sock) as client:
            client.send(b"hello")
            assert client.recv() == b"hello"
            client.end()
            assert client.recv_all() == b""
        process.wait(DEADLINE)
    assert process.returncode == 0


def test_a_protocol_is_spoken(inetd):
    with TlsServer(answer_each()) as server:
        command = inetd("client = yes", f"connect = {server.port}", "protocol = proxy", keys=False)
        with super_server(command) as (sock, _):
            name = "127.0.0.1 127.0.0.1 %d %d" % (sock.getsockname()[1], sock.getpeername()[1])
            sock.sendall(REQUEST)
            assert sock.recv(100).startswith(b"HTTP/1.1 200")
            sock.close()
        assert server.connections[0].header == f"PROXY TCP4 {name}\r\n".encode()


@pytest.mark.parametrize("told", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it(inetd, told):
    with Recorder(read_only) as backend:
        with super_server(inetd(f"connect = {backend.port}")) as (sock, process):
            with TlsClient(sock) as client:
                client.send(b"hello")
                wait_for(lambda: backend.connections and backend.data == b"hello", "the backend")
                process.send_signal(told)
                process.wait(DEADLINE)
                assert client.recv_all() == b""


def test_errors_are_told_on_stderr(inetd):
    command = inetd("client = yes")
    done = subprocess.run(command, input=b"", capture_output=True, timeout=DEADLINE)
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"Inetd mode must define one endpoint" in done.stderr


def test_a_log_on_stderr_is_asked_for(inetd):
    with TlsServer(answer_each()) as server:
        for foreground, told in ("yes", True), ("quiet", False), ("no", False):
            lines = [f"foreground = {foreground}", "client = yes", f"connect = {server.port}"]
            command = inetd(*lines, keys=False)
            done = subprocess.run(command, input=REQUEST, capture_output=True, timeout=DEADLINE)
            assert (b"Service [stunnel] accepted connection" in done.stderr) == told


REFUSED = [
    ("accept = 1\nconnect = 1", "no [section] stands before 'accept'"),
    ("connect = 1\nexec = /bin/cat", "'connect' and 'exec' are two for one"),
    ("client = yes", "there is no [section], and 'connect' is missing"),
]


@pytest.mark.parametrize("options, why", REFUSED)
def test_it_has_one_endpoint(inetd, options, why):
    done = subprocess.run(inetd(options), capture_output=True, text=True, timeout=DEADLINE)
    assert done.returncode == 1
    assert f"Inetd mode must define one endpoint: {why}" in done.stderr
