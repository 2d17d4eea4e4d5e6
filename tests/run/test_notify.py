# SPDX-License-Identifier: ISC
"""What systemd is told by sd_notify(3)'s datagrams: this is the socket that it reads."""

import contextlib
import datetime
import os
import signal
import socket
import struct
import time
import uuid

import pytest
from cryptography import x509

from certs import certificates
from faults import Faulty
from peers import DEADLINE, Stunnel, daemon_only, free_port, service
from recorder import Recorder, answer_each
from tls_client import TlsClient

pytestmark = daemon_only

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\none"
# What systemd does for a unit: the process that it started itself is told so.
SYSTEMD = ["sh", "-c", 'SYSTEMD_EXEC_PID=$$ exec "$@"', "sh"]


class Manager:
    """The receiving end; `said` holds each datagram as a dict, in order, `senders` their processes."""

    def __init__(self, path=None):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.name = str(path) if path else f"@stunnel-test-{uuid.uuid4()}"
        self.socket.bind(self.name.replace("@", "\0"))
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self.socket.settimeout(DEADLINE)
        self.said, self.senders = [], []

    def _take(self):
        data, [(_, _, credentials)], *_ = self.socket.recvmsg(4096, 128)
        self.senders.append(struct.unpack("i", credentials[:4])[0])
        lines = data.decode().splitlines()
        self.said.append(dict(line.split("=", 1) for line in lines))
        return self.said[-1]

    def wait(self, **wanted):
        """The next datagram that says so; all values are texts."""
        while True:
            said = self._take()
            if wanted.items() <= said.items():
                return said

    def forget(self):
        """What has come until now."""
        self.socket.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                self._take()
        self.socket.settimeout(DEADLINE)
        self.said.clear()
        self.senders.clear()


class Unit(Stunnel):
    """A daemon as systemd starts it."""

    def __init__(self, config, manager, **variables):
        super().__init__(config)
        self.manager = manager
        self.variables = {"NOTIFY_SOCKET": manager.name, **variables}
        self.wrapper = [*SYSTEMD, *self.wrapper]

    def environment(self):
        return {**super().environment(), **self.variables}


class SlowUnit(Unit, Faulty):
    """A unit whose new workers can be kept from serving."""


@pytest.fixture(params=["abstract", "path"])
def manager(request, tmp_path):
    manager = Manager(tmp_path / "notify" if request.param == "path" else None)
    yield manager
    manager.socket.close()


@pytest.fixture
def quick():
    """A manager of one kind, for what does not depend on it."""
    manager = Manager()
    yield manager
    manager.socket.close()


@pytest.fixture
def backend():
    with Recorder(answer_each(ANSWER)) as recorder:
        yield recorder


def days():
    """To the expiry of the certificate that the daemons here present."""
    end = x509.load_pem_x509_certificate(certificates().cert.read_bytes()).not_valid_after
    return (end - datetime.datetime.utcnow().replace(microsecond=0)).days


def test_it_is_ready_when_connections_are_accepted(start, backend, manager):
    unit = Unit("workers = 1\n" + service(backend.port), manager)
    before = days()
    start(unit)
    said = manager.wait(READY="1")
    with TlsClient(unit.port) as client:
        assert client.get().body == b"one"
    assert said["MAINPID"] == str(unit.process.pid)
    text = "0 connections; the first certificate expires in {} days"
    assert said["STATUS"] in {text.format(n) for n in (before, days())}


def test_a_reload_begins_and_ends(start, backend, manager):
    unit = start(Unit("workers = 1\n" + service(backend.port), manager))
    manager.wait(READY="1")
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    unit.signal(signal.SIGHUP)
    said = manager.wait(RELOADING="1")
    assert before <= int(said["MONOTONIC_USEC"]) <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) / 1000
    assert manager.wait(READY="1")["MAINPID"] == str(unit.process.pid)


def test_a_reload_that_fails_ends_as_well(start, backend, quick):
    unit = start(Unit("workers = 1\n" + service(backend.port), quick))
    quick.wait(READY="1")
    unit.write("nonsense = yes\n")
    unit.signal(signal.SIGHUP)
    quick.wait(RELOADING="1")
    assert quick.wait(READY="1")["STATUS"].startswith("The last reload has failed; 0 connections; ")
    assert unit.log_lines("Failed to reload the configuration file")
    unit.write("workers = 1\n" + service(backend.port))
    unit.signal(signal.SIGHUP)
    quick.wait(RELOADING="1")
    assert quick.wait(READY="1")["STATUS"].startswith("0 connections; ")


def test_its_end_is_announced(start, backend, manager):
    unit = start(Unit("workers = 1\n" + service(backend.port), manager))
    manager.wait(READY="1")
    unit.stop()
    manager.wait(STOPPING="1")


def test_the_status_counts_connections(start, backend, quick):
    unit = start(Unit("workers = 2\n" + service(backend.port), quick))
    quick.wait(READY="1")
    with TlsClient(unit.port) as client:
        client.get()
        while not quick.wait().get("STATUS", "").startswith("1 connection;"):
            pass
    while not quick.wait().get("STATUS", "").startswith("0 connections;"):
        pass


def test_a_program_is_told_nothing_of_it(start, quick):
    port = free_port()
    variables = {"WATCHDOG_USEC": "60000000"}
    start(Unit(f"[env]\naccept = {port}\nexec = /usr/bin/env\n", quick, **variables))
    with TlsClient(port) as client:
        told = client.recv_all()
    assert b"PATH=" in told
    assert b"NOTIFY_SOCKET" not in told
    assert b"WATCHDOG" not in told


def test_a_file_without_foreground_runs_in_the_unit(start, backend, quick):
    """Debian's units for stunnel4 are of Type=forking, and files for them say nothing of it."""
    unit = Unit("workers = 1\nforeground = no\n" + service(backend.port), quick)
    start(unit)
    assert quick.wait(READY="1")["MAINPID"] == str(unit.process.pid)
    assert unit.process.poll() is None


def test_a_service_that_starts_us_by_itself_sees_us_go(backend, quick):
    """SYSTEMD_EXEC_PID is that of another process: who started us waits for our end."""
    config = "workers = 1\nforeground = no\npid = {folder}/pid\n" + service(backend.port)
    unit = Unit(config, quick, SYSTEMD_EXEC_PID=str(os.getpid()))
    unit.wrapper = []
    process = unit.spawn()
    try:
        assert process.wait(DEADLINE) == 0
        pid = int((unit.folder / "pid").read_text())
        assert quick.wait(READY="1")["MAINPID"] == str(pid) != str(process.pid)
        os.kill(pid, signal.SIGTERM)
        quick.wait(STOPPING="1")
    finally:
        unit.process = process
        unit._clean_up()


def test_nobody_to_tell_is_no_reason_not_to_serve(start, backend, tmp_path):
    class Nobody:
        name = str(tmp_path / "nobody")

    unit = start(Unit("workers = 1\n" + service(backend.port), Nobody))
    with TlsClient(unit.port) as client:
        assert client.get().body == b"one"
    unit.wait_log("The service manager cannot be told: No such file or directory (2)")


def test_the_watchdog_hears_of_a_worker_that_hangs(start, backend, quick):
    config = "workers = 2\n" + service(backend.port)
    unit = start(Unit(config, quick, WATCHDOG_USEC=str(4 * 1000 * 1000)))
    quick.wait(READY="1")
    for _ in range(3):
        quick.wait(WATCHDOG="1")
    worker = unit.processes()[1]
    os.kill(worker, signal.SIGSTOP)
    try:
        unit.wait_log(f"Worker process {worker} hangs")
        quick.forget()
        for _ in range(2):  # their ends are behind whatever was sent meanwhile
            unit.signal(signal.SIGHUP)
            quick.wait(READY="1")
        assert not [said for said in quick.said if "WATCHDOG" in said]
    finally:
        os.kill(worker, signal.SIGCONT)
    quick.wait(WATCHDOG="1")


def test_the_watchdog_hears_of_us_while_new_workers_start(start, backend, quick):
    """Of which nothing is heard for longer than a worker may be silent that has started."""
    unit = start(SlowUnit("workers = 1\nchroot = /\n" + service(backend.port), quick, WATCHDOG_USEC="800000"))
    quick.wait(READY="1")
    worker = unit.processes()[1]
    unit.fault("hang")
    unit.signal(signal.SIGHUP)
    quick.wait(RELOADING="1")
    quick.said.clear()
    for _ in range(6):
        quick.wait(WATCHDOG="1")
    assert not [said for said in quick.said if "READY" in said]
    os.kill(worker, signal.SIGSTOP)
    unit.wait_log(f"Worker process {worker} hangs")
    os.kill(worker, signal.SIGCONT)
    quick.forget()
    quick.wait(WATCHDOG="1")
    assert not [said for said in quick.said if "READY" in said]
    unit.mend("hang")
    quick.wait(READY="1")
    unit.wait_log("New workers accept connections")


def test_the_watchdog_is_another_process_s(start, backend, quick):
    """WATCHDOG_PID: sd_watchdog_enabled(3)."""
    variables = {"WATCHDOG_USEC": "400000", "WATCHDOG_PID": "1"}
    unit = start(Unit("workers = 1\n" + service(backend.port), quick, **variables))
    quick.wait(READY="1")
    unit.reload()
    quick.wait(READY="1")
    assert not [said for said in quick.said if "WATCHDOG" in said]
