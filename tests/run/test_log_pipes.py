# SPDX-License-Identifier: ISC
"""Logs into pipes, FIFOs and sockets: nobody who does not read them stops the service."""

import fcntl
import os
import re
import signal
import socket
import subprocess

import pytest

from peers import Program, Stunnel, daemon_only, service, wait_for
from recorder import Recorder
from tls_client import TlsClient

pytestmark = daemon_only

F_SETPIPE_SZ = 1031
LINE = re.compile(r"\d{4}\.\d\d\.\d\d \d\d:\d\d:\d\d LOG\d\[\w+\]: .*")
LONG = "x" * 1000


def connect(stunnel, count):
    for number in range(count):
        with TlsClient(stunnel.port) as client:
            assert client.get(f"/{number}").status == 200


class Reader:
    """Collects what can be read from a descriptor, when it is asked."""

    def __init__(self, fd):
        self.fd = fd
        self.data = b""
        os.set_blocking(fd, False)

    def lines(self):
        try:
            while more := os.read(self.fd, 65536):
                self.data += more
        except BlockingIOError:
            pass
        return self.data.decode().splitlines()


def assert_losses_are_told(stunnel, reader):
    """More than a pipe holds was written; from now on it is read."""
    said = re.compile(r"\d+ log line\(s\) lost: Resource temporarily unavailable")

    def told():
        reader.lines()
        connect(stunnel, 1)
        return any(said.search(line) for line in reader.lines())

    wait_for(told, "a count")
    assert [line for line in reader.lines() if not LINE.fullmatch(line)] == []


class WithPipe(Stunnel):
    """Standard output and standard error are a pipe of one page, that others have, too."""

    def __init__(self, config):
        super().__init__(config)
        self.reader, self.writer = os.pipe()
        fcntl.fcntl(self.writer, F_SETPIPE_SZ, 4096)
        self.wrapper = ["sh", "-c", f'exec "$@" >/proc/{os.getpid()}/fd/{self.writer} 2>&1', "sh"]

    def _clean_up(self):
        super()._clean_up()
        os.close(self.reader)
        os.close(self.writer)


@pytest.mark.parametrize("sink", ["stderr", "/dev/stdout", "/dev/stderr"])
def test_a_pipe_that_nobody_reads(start, sink):
    backend = start(Recorder())
    stunnel = WithPipe("")
    globals_ = f"foreground = {'yes' if sink == 'stderr' else 'quiet'}\nworkers = 2\n"
    if sink != "stderr":
        globals_ += f"output = {sink}\n"
    stunnel.write(globals_ + service(backend.port))
    start(stunnel)
    connect(stunnel, 30)
    flags = fcntl.fcntl(stunnel.writer, fcntl.F_GETFL)
    assert not flags & os.O_NONBLOCK  # which others who write there would not expect
    assert_losses_are_told(stunnel, Reader(stunnel.reader))


@pytest.mark.parametrize("sink", ["stderr", "/dev/stdout"])
def test_a_pipe_that_nobody_reads_does_not_stop_term(start, sink):
    backend = start(Recorder())
    stunnel = WithPipe("")
    globals_ = f"foreground = {'yes' if sink == 'stderr' else 'quiet'}\n"
    if sink != "stderr":
        globals_ += f"output = {sink}\n"
    stunnel.write(globals_ + service(backend.port))
    start(stunnel)
    connect(stunnel, 30)
    stunnel.stop()


class WithFifo(Stunnel):
    """The log is a FIFO, of which the harness knows nothing."""

    def __init__(self, config):
        super().__init__("")
        self.fifo = self.log = self.folder / "fifo"
        os.mkfifo(self.fifo)
        self.write(config)
        self.log = self.folder / "none"

    def _started(self):
        return Program._started(self)


def test_a_fifo_that_gets_a_reader_later(start):
    """The lines until then stay in it; what it does not hold is counted."""
    backend = start(Recorder())
    stunnel = start(WithFifo("workers = 2\n" + service(backend.port)))
    connect(stunnel, 300)
    reader = Reader(os.open(stunnel.fifo, os.O_RDONLY | os.O_NONBLOCK))
    assert any("Configuration successful" in line for line in reader.lines())
    assert_losses_are_told(stunnel, reader)
    os.close(reader.fd)
    connect(stunnel, 2)
    stunnel.signal(signal.SIGUSR1)
    reader = Reader(os.open(stunnel.fifo, os.O_RDONLY | os.O_NONBLOCK))
    wait_for(lambda: any("Log file reopened" in line for line in reader.lines()), "a line")
    os.close(reader.fd)


def test_an_access_log_that_is_a_fifo(start):
    """What the FIFO does not hold waits in the buffer; what that does not hold is counted."""
    backend = start(Recorder())
    options = ["accessLog = {folder}/fifo", "accessLogFormat = %{request}"]
    stunnel = Stunnel("workers = 1\n" + service(backend.port, *options))
    fifo = stunnel.folder / "fifo"
    os.mkfifo(fifo)
    start(stunnel)
    with TlsClient(stunnel.port) as client:
        for number in range(300):
            assert client.get(f"/{number}/{LONG}").status == 200
    stunnel.wait_log(f"Cannot write access log: {fifo}: Resource temporarily unavailable")
    reader = Reader(os.open(fifo, os.O_RDONLY | os.O_NONBLOCK))
    wait_for(lambda: reader.lines() and stunnel.log_lines("Access log is written again"), "a count")
    lost = int(re.search(r"(\d+) line\(s\) lost", stunnel.log_lines("written again")[0])[1])
    wait_for(lambda: len(reader.lines()) == 300 - lost, "all other lines")
    for line in reader.lines():
        assert re.fullmatch(rf"GET /\d+/{LONG} HTTP/1\.1", line)
    os.close(reader.fd)


def listen(path):
    """A socket that gets datagrams, as it would be after a start of its program."""
    path.unlink(missing_ok=True)
    receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    receiver.bind(str(path))
    receiver.settimeout(30)
    return receiver


def datagrams(receiver, count):
    return [receiver.recv(65536).decode() for _ in range(count)]


def test_an_access_log_of_datagrams(start):
    """Whoever listens may come late, begin anew, and read nothing for a while: all lines arrive."""
    options = ["accessLog = unix-dgram:{folder}/socket", "accessLogFormat = %{request}"]
    stunnel = start(Stunnel("workers = 1\n" + service(start(Recorder()).port, *options)))
    path = stunnel.folder / "socket"
    name = f"access log: unix-dgram:{path}"
    with TlsClient(stunnel.port) as client:

        def get(*targets):
            for target in targets:
                assert client.get(target).status == 200

        get("/early", "/also")
        stunnel.wait_log(f"Cannot write {name}: No such file or directory")
        with listen(path) as receiver:
            assert datagrams(receiver, 2) == ["GET /early HTTP/1.1", "GET /also HTTP/1.1"]
        stunnel.wait_log(f"Access log is written again: unix-dgram:{path}: 0 line(s) lost")
        get("/nobody")
        stunnel.wait_log(f"Cannot write {name}: Connection refused")
        with listen(path) as receiver:
            assert datagrams(receiver, 1) == ["GET /nobody HTTP/1.1"]
            many = [f"/{number}/{LONG}" for number in range(40)]
            get(*many)
            stunnel.signal(signal.SIGUSR1)  # has what was gathered written, as far as it goes
            assert datagrams(receiver, 40) == [f"GET {target} HTTP/1.1" for target in many]


@pytest.mark.parametrize(
    "path, why",
    [("log", "Access log must include full path name"), ("/" + "p" * 120, "File name too long")],
    ids=["relative", "long"],
)
def test_a_socket_that_cannot_be(path, why):
    stunnel = Stunnel(service(1, f"accessLog = unix-dgram:{path}"))
    done = subprocess.run(stunnel.command(), capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert why in done.stderr
