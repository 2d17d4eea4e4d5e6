# SPDX-License-Identifier: ISC
"""syslog: the lines of syslog(3), but nothing ever waits for who reads them, or does not."""

import contextlib
import re
import socket
import threading

import pytest

from peers import PATCHED, Stunnel, as_root, can_mount, daemon_only, service, wait_for
from recorder import Recorder
from tls_client import TlsClient


pytestmark = [
    as_root,
    pytest.mark.skipif(not can_mount(), reason="needs a /dev of its own"),
]

RECORD = re.compile(r"<(\d+)>([A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d) (\S+): (.*)")
FORMAT = "accessLogFormat = %{request}"
LONG = "x" * 2000


class Syslog:
    """Listens where the daemon has its /dev/log, and reads when it is told to."""

    def __init__(self, folder, kind=socket.SOCK_DGRAM):
        self.path = folder / "dev-log"
        self.kind = kind
        self.records = []
        self.listen()

    def listen(self):
        self.socket = socket.socket(socket.AF_UNIX, self.kind)
        self.socket.bind(str(self.path))
        if self.kind == socket.SOCK_STREAM:
            self.socket.listen()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        sock, self.socket = self.socket, None
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)  # ends who reads from it
        sock.close()
        self.path.unlink(missing_ok=True)

    def read(self):
        reader = self._accept if self.kind == socket.SOCK_STREAM else self._read_datagrams
        threading.Thread(target=reader, daemon=True).start()

    def _read_datagrams(self):
        sock = self.socket
        with contextlib.suppress(OSError):  # closed behind the last record
            while record := sock.recv(262144):
                self.records.append(record.decode())

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.socket.accept()
                threading.Thread(target=self._read_stream, args=[connection], daemon=True).start()

    def _read_stream(self, connection):
        data = b""
        while more := connection.recv(262144):
            data += more
            *records, data = data.split(b"\0")
            self.records += [record.decode() for record in records]

    def texts(self):
        matches = [RECORD.fullmatch(record) for record in self.records]
        assert all(matches), self.records
        return [match[4] for match in matches]


def stunnel_with_syslog(config, kind=Stunnel):
    """The daemon sees a /dev that has nothing but log, and null, which stock opens."""
    stunnel = kind("syslog = yes\n" + config)
    mount = "mount -t tmpfs none /dev && mknod /dev/null c 1 3"
    link = f"ln -s {stunnel.folder}/dev-log /dev/log"
    stunnel.wrapper = ["unshare", "-m", "sh", "-c", f'{mount} && {link} && exec "$@"', "sh"]
    return stunnel


class OfJournal(Stunnel):
    """As systemd starts it: standard error is what JOURNAL_STREAM names, but for the inode's `off`."""

    off = 0

    def environment(self):
        stream = self.stderr.stat()
        return {
            **super().environment(),
            "JOURNAL_STREAM": f"{stream.st_dev}:{stream.st_ino + self.off}",
        }


def start_both(start, kind=socket.SOCK_DGRAM, config="debug = warning\nworkers = 1\n"):
    backend = start(Recorder())
    stunnel = stunnel_with_syslog(config + service(backend.port, "accessLog = syslog", FORMAT))
    syslog = start(Syslog(stunnel.folder, kind))
    return start(stunnel), syslog


def get(client, first, count, tail=""):
    for number in range(first, first + count):
        assert client.get(f"/{number}/{tail}").status == 200


def numbers(syslog):
    """Of the requests whose lines have arrived."""
    return [int(text.split("/")[1]) for text in syslog.texts() if text.startswith("GET /")]


def lost(syslog):
    matches = [re.fullmatch(r"(\d+) log line\(s\) lost", text) for text in syslog.texts()]
    return sum(int(match[1]) for match in matches if match)


@daemon_only
@pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_STREAM], ids=["dgram", "stream"])
def test_lines_are_those_of_syslog(start, kind):
    config = "debug = local3.info\nservice = front\nworkers = 2\n"
    stunnel, syslog = start_both(start, kind, config)
    syslog.read()
    with TlsClient(stunnel.port) as client:
        client.get("/1")
    wait_for(lambda: any("Connection closed" in text for text in syslog.texts()), "the lines")
    fields = [RECORD.fullmatch(record).groups() for record in syslog.records]
    assert {name for _, _, name, _ in fields} == {"front"}
    for priority, _, _, text in fields:
        level = re.match(r"LOG(\d)\[\w+\]: ", text)
        assert int(priority) == 19 * 8 + (int(level[1]) if level else 6)
    assert "GET /1 HTTP/1.1" in syslog.texts()
    assert any(text.endswith("Configuration successful") for text in syslog.texts())


@daemon_only
def test_a_syslog_that_nobody_reads_stops_no_request(start):
    """What is missing is counted as soon as somebody reads."""
    stunnel, syslog = start_both(start)
    with TlsClient(stunnel.port) as client:
        get(client, 0, 400, LONG)
        syslog.read()
        sent = 400
        while lost(syslog) == 0:
            get(client, sent, 1)
            sent += 1
        get(client, sent, 1)
        wait_for(lambda: sent in numbers(syslog), "the last line")
    found = numbers(syslog)
    assert found == sorted(found)
    assert len(found) + lost(syslog) == sent + 1


@daemon_only
def test_a_burst_is_not_lost(start):
    """More lines than the socket takes wait for the reader."""
    stunnel, syslog = start_both(start)
    with TlsClient(stunnel.port) as client:
        get(client, 0, 600)
        syslog.read()
        wait_for(lambda: len(syslog.records) >= 600, "all lines")
    assert numbers(syslog) == list(range(600))


@daemon_only
def test_a_syslog_that_nobody_reads_does_not_stop_term(start):
    stunnel, _ = start_both(start, config="debug = debug\nworkers = 2\n")
    for _ in range(3):
        with TlsClient(stunnel.port) as client:
            get(client, 0, 200, LONG)
    stunnel.stop()


@daemon_only
def test_a_syslog_that_is_started_again_gets_lines_again(start):
    stunnel, syslog = start_both(start)
    with TlsClient(stunnel.port) as client:
        syslog.read()
        get(client, 0, 1)
        wait_for(lambda: numbers(syslog) == [0], "the first line")
        syslog.close()
        get(client, 1, 1)
        syslog.listen()
        syslog.read()
        sent = 2

        def arrived():
            nonlocal sent
            get(client, sent, 1)
            sent += 1
            return len(numbers(syslog)) > 1

        wait_for(arrived, "a line over the new socket")
        wait_for(lambda: len(numbers(syslog)) == sent, "all lines")


@pytest.mark.skipif(not PATCHED, reason="the daemon's lines are tried above")
def test_a_patched_stock_writes_lines_of_the_access_log(start):
    """Beside its own, whose names and facility they have."""
    stunnel, syslog = start_both(start, config="debug = local3.info\n")
    syslog.read()
    with TlsClient(stunnel.port) as client:
        get(client, 0, 3, "%s%n")
    wait_for(lambda: len(numbers(syslog)) == 3, "the lines")
    fields = [RECORD.fullmatch(record).groups() for record in syslog.records]
    own = {name for _, _, name, text in fields if text.endswith("Configuration successful")}
    lines = [(int(priority), name, text) for priority, _, name, text in fields if text[:3] != "LOG"]
    assert [(19 * 8 + 6, *own, f"GET /{n}/%s%n HTTP/1.1") for n in range(3)] == lines


@daemon_only
@pytest.mark.parametrize("off", [0, 1], ids=["journal", "another"])
def test_the_journal_gets_each_line_once_and_its_level(start, off):
    """It reads /dev/log as well. The access log's lines are for syslog alone."""
    backend = start(Recorder())
    config = "workers = 1\n" + service(backend.port, "accessLog = syslog", FORMAT)
    stunnel = stunnel_with_syslog(config, OfJournal)
    stunnel.off = off
    syslog = start(Syslog(stunnel.folder))
    syslog.read()
    start(stunnel)
    for path in "/first", "/second":  # whose line is behind all that the first one leaves
        with TlsClient(stunnel.port) as client:
            client.get(path)
        stunnel.wait_log("Connection closed", 1 if path == "/first" else 2)
    wait_for(lambda: any("GET /second" in text for text in syslog.texts()), "the access log")
    begin = r"\d{4}\.\d\d\.\d\d \S+ LOG[0-7]" if off else r"<([0-7])>LOG\1"
    lines = stunnel.stderr.read_text().splitlines()
    assert len(lines) >= len(stunnel.log_text().splitlines()) > 5
    assert [line for line in lines if not re.match(begin + r"\[\w+\]: ", line)] == []
    assert any("Connection closed" in text for text in syslog.texts()) == bool(off)
