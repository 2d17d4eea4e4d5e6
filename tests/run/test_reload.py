# SPDX-License-Identifier: ISC
"""SIGHUP: nothing is lost, a bad file changes nothing, and what changed is live."""

import os
import random
import shutil
import signal
import socket
import threading
import time

import pytest

from certs import certificates
from peers import (
    DEADLINE,
    Stunnel,
    as_root,
    daemon_only,
    free_port,
    listening_ports,
    service,
    wait_for,
)
from recorder import Recorder, answer_each
from tls_client import TlsClient, client_context

pytestmark = daemon_only

RELOADS = 12


class Load:
    """Threads that send requests without a pause, until stopped; collects what went wrong."""

    def __init__(self, port, keep_alive, new_connections):
        self.port = port
        self.done = threading.Event()
        self.errors = []
        self.answered = [0] * (keep_alive + new_connections)
        kinds = [True] * keep_alive + [False] * new_connections
        self.threads = [
            threading.Thread(target=self._run, args=[n, kind]) for n, kind in enumerate(kinds)
        ]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.done.set()
        for thread in self.threads:
            thread.join()

    def wait_progress(self):
        """Until every thread has had an answer to a request that it sent from now on."""
        before = list(self.answered)
        wait_for(
            lambda: self.errors or all(n > b + 1 for n, b in zip(self.answered, before)),
            "the clients to go on",
        )

    def _run(self, number, keep_alive):
        try:
            while not self.done.is_set():
                self._connection(number, keep_alive)
        except Exception as error:
            self.errors.append(f"client {number} after {self.answered[number]}: {error!r}")

    def _connection(self, number, keep_alive):
        with TlsClient(self.port, source=f"127.0.0.{2 + number}") as client:
            close = False
            while not self.done.is_set() and not close:
                response = client.get(f"/{number}/{self.answered[number]}")
                assert response.status == 200
                self.answered[number] += 1
                close = not keep_alive or response.header("Connection") == ["close"]


@pytest.mark.parametrize("workers", [1, 3])
def test_reload_under_load_loses_no_request(start, workers):
    backend = start(Recorder())
    config = f"workers = {workers}\n" + service(backend.port, "xForwardedFor = yes")
    stunnel = start(Stunnel(config))
    with Load(stunnel.port, keep_alive=4, new_connections=3) as load:
        for _ in range(RELOADS):
            load.wait_progress()
            stunnel.reload()
        load.wait_progress()
    assert load.errors == []
    requests = backend.requests
    assert len(requests) == sum(load.answered)
    for request in requests:
        client = int(request[0].split("/")[1])
        assert f"X-Forwarded-For: 127.0.0.{2 + client}" in request


def test_connection_from_before_goes_on(start):
    """It keeps the rules that it began with."""
    backend = start(Recorder())
    rule = "httpSetHeader = X-Rule: {}"
    config = service(backend.port, rule)
    stunnel = start(Stunnel(config.replace("{}", "old")))
    with TlsClient(stunnel.port) as early:
        early.get("/")
        stunnel.write(config.replace("{}", "new"))
        stunnel.reload()
        assert early.get("/").status == 200
        wait_for(lambda: fresh_rule(stunnel, backend) == "X-Rule: new", "the new rule")
        assert early.get("/").status == 200
        assert backend.connections[0].requests()[-1][-1] == "X-Rule: old"


def fresh_rule(stunnel, backend):
    with TlsClient(stunnel.port) as client:
        client.get("/")
    return backend.connections[-1].requests()[-1][-1]


@pytest.mark.parametrize("workers", [1, 3])
def test_old_workers_take_nobody_behind_the_line(start, workers):
    """Stock's own suite connects as soon as the log says where it listens, and so does this: the
    log is read without a pause, as the old workers have their signal within a millisecond."""
    backend = start(Recorder())
    config = f"workers = {workers}\n" + service(backend.port, "httpSetHeader = X-Rule: {}")
    stunnel = start(Stunnel(config.replace("{}", "first")))
    for turn in range(RELOADS):
        before = stunnel.log_text().count("bound to")
        stunnel.write(config.replace("{}", f"turn {turn}"))
        stunnel.signal(signal.SIGHUP)
        with socket.socket() as early:
            end = time.monotonic() + DEADLINE
            while stunnel.log_text().count("bound to") == before:
                assert time.monotonic() < end, stunnel.report()
            early.connect(("127.0.0.1", stunnel.port))
            with TlsClient(early) as client:
                client.get("/")
        assert backend.connections[-1].requests()[-1][-1] == f"X-Rule: turn {turn}"


def test_request_in_flight_is_finished(start, front):
    """Reload between a request and its answer, and in the middle of a body."""
    go = threading.Event()

    def serve(connection):
        connection.take_until(b"\r\n\r\n")
        connection.take(10)
        go.wait(30)
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone")
        answer_each()(connection)

    backend = start(Recorder(serve))
    stunnel = front(backend, "xForwardedFor = yes")
    with TlsClient(stunnel.port) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n12345")
        wait_for(lambda: backend.connections and backend.data.endswith(b"12345"), "the body")
        stunnel.reload()
        client.send(b"67890")
        stunnel.reload()
        go.set()
        assert client.response().body == b"done"


def test_old_workers_end_with_their_connections(start, front):
    backend = start(Recorder())
    stunnel = front(backend, settings="workers = 2\n")
    stunnel.replace_workers()
    assert len(stunnel.processes()) == 3
    with TlsClient(stunnel.port) as client:
        assert client.get("/").status == 200


@pytest.mark.parametrize(
    "bad, reason",
    [
        ("surprise = 1", '"surprise = 1": Specified option name is not valid here'),
        ("cert = /nowhere/cert.pem", "/nowhere/cert.pem"),
        ("key = {other_key}", "{other_key}"),
        ("connect", "No '=' found"),
    ],
)
def test_bad_file_changes_nothing_and_says_why(start, bad, reason):
    backend = start(Recorder())
    good = service(backend.port, "xForwardedFor = yes")
    stunnel = start(Stunnel(good))
    workers = stunnel.processes()
    with TlsClient(stunnel.port, source="127.0.0.5") as early:
        early.get("/")
        other_key = str(certificates().other_key)
        stunnel.write(good + bad.replace("{other_key}", other_key))
        stunnel.signal(signal.SIGHUP)
        stunnel.wait_log("Failed to reload the configuration file")
        stunnel.wait_log(reason.replace("{other_key}", other_key))
        assert early.get("/").status == 200
    with TlsClient(stunnel.port, source="127.0.0.5") as client:
        assert client.get("/").status == 200
    assert stunnel.processes() == workers
    assert ["X-Forwarded-For: 127.0.0.5" in request for request in backend.requests] == [True] * 3
    stunnel.write(good)
    stunnel.reload()


def test_missing_file_changes_nothing(start, front):
    backend = start(Recorder())
    stunnel = front(backend)
    port = stunnel.port
    stunnel.config.unlink()
    stunnel.signal(signal.SIGHUP)
    stunnel.wait_log("Failed to reload the configuration file")
    with TlsClient(port) as client:
        assert client.get("/").status == 200


def test_new_port_that_is_taken_changes_nothing(start, front):
    backend, taken = start(Recorder()), start(Recorder())
    stunnel = front(backend)
    port = stunnel.port
    stunnel.write(service(backend.port, accept=f"127.0.0.1:{taken.port}"))
    stunnel.signal(signal.SIGHUP)
    stunnel.wait_log("Address already in use (98)")
    with TlsClient(port) as client:
        assert client.get("/").status == 200


def test_new_certificate_is_live(start):
    backend = start(Recorder())
    config = service(backend.port)
    stunnel = start(Stunnel(config))
    own = f"cert = {certificates().other_cert}\nkey = {certificates().other_key}\n"
    stunnel.write(config + own)
    stunnel.replace_workers()
    with TlsClient(stunnel.port, sni="other.test", context=client_context()) as client:
        assert client.get("/").status == 200


def test_certificate_renewed_in_place_is_live(start, front, tmp_path):
    """As certbot does it: the configuration is the same, the files are not."""
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    cert.write_bytes(certificates().cert.read_bytes())
    key.write_bytes(certificates().key.read_bytes())
    backend = start(Recorder())
    stunnel = front(backend, f"cert = {cert}", f"key = {key}")
    with TlsClient(stunnel.port) as client:
        client.get("/")
    cert.write_bytes(certificates().other_cert.read_bytes())
    key.write_bytes(certificates().other_key.read_bytes())
    stunnel.replace_workers()
    with TlsClient(stunnel.port, sni="other.test") as client:
        assert client.get("/").status == 200


def test_new_port_is_live_and_the_old_one_closed(start, front):
    backend = start(Recorder())
    stunnel = front(backend)
    before = stunnel.port
    after = free_port()
    stunnel.write(service(backend.port, accept=f"127.0.0.1:{after}"))
    stunnel.reload()
    wait_for(lambda: after in listening_ports(), "the new port")
    wait_for(lambda: before not in listening_ports(), "the old port to close")
    with TlsClient(after) as client:
        assert client.get("/").status == 200


def test_services_come_and_go(start):
    backend = start(Recorder())
    one, two = service(backend.port, name="one"), service(backend.port, name="two")
    stunnel = start(Stunnel(one))
    for config in (one + two, two, two + one):
        stunnel.write(config)
        stunnel.reload()
        ports = {int(endpoint.rsplit(":")[-1]) for endpoint in stunnel.endpoints()}
        wait_for(lambda: ports <= listening_ports(), "its ports")
        for port in ports:
            with TlsClient(port) as client:
                assert client.get("/").status == 200


def test_number_of_workers_changes(start):
    backend = start(Recorder())
    config = service(backend.port)
    stunnel = start(Stunnel("workers = 1\n" + config))
    for workers in (3, 2, 1):
        stunnel.write(f"workers = {workers}\n" + config)
        stunnel.reload()
        wait_for(lambda: len(stunnel.processes()) == 1 + workers, f"{workers} workers")
        for _ in range(10):
            with TlsClient(stunnel.port) as client:
                assert client.get("/").status == 200


def test_configuration_from_a_descriptor_cannot_be_reloaded(start):
    """Said, and the service goes on."""
    backend = start(Recorder())
    stunnel = Stunnel(service(backend.port))
    stunnel.command = lambda: ["sh", "-c", f"exec {stunnel.binary} -fd 3 3<{stunnel.config}"]
    start(stunnel)
    stunnel.signal(signal.SIGHUP)
    stunnel.wait_log("cannot be reloaded")
    for _ in range(3):
        with TlsClient(stunnel.port) as client:
            assert client.get("/").status == 200


class Unprivileged(Stunnel):
    """Runs as a user of its own, who may not have more than that many processes."""

    def __init__(self, config, processes):
        super().__init__(config)
        user = random.randrange(200000, 300000)
        os.chown(self.folder, user, -1)
        self.binary = shutil.copy(self.binary, self.folder / "binary")
        self.wrapper = ["prlimit", f"--nproc={processes}", "setpriv", f"--reuid={user}"]
        self.wrapper += ["--clear-groups"]

    def environment(self):
        environment = super().environment()
        environment["ASAN_OPTIONS"] += ":detect_leaks=0"  # which would take another process
        return environment


@as_root
def test_reload_whose_workers_cannot_start_goes_back_to_the_old_log(start):
    """Also where the old file could not be opened again, and then USR1 names it."""
    backend = start(Recorder())
    config = "workers = 1\n" + service(backend.port)
    stunnel = Unprivileged(config, processes=2)
    logs, moved = stunnel.folder / "logs", stunnel.folder / "moved"
    logs.mkdir()
    logs.chmod(0o777)
    old, new = logs / "old.log", stunnel.folder / "new.log"
    stunnel.log = old
    stunnel.write(config)
    start(stunnel)
    logs.rename(moved)
    stunnel.log = new
    stunnel.write(config)
    stunnel.log = moved / old.name
    stunnel.signal(signal.SIGHUP)
    stunnel.wait_log("Failed to reload the configuration file")
    stunnel.signal(signal.SIGUSR1)
    stunnel.wait_log(f"Cannot open log file: {old}: No such file or directory")
    with TlsClient(stunnel.port) as client:
        assert client.get("/").status == 200
    stunnel.wait_ended(1)
    assert "Failed to reload" not in new.read_text()
