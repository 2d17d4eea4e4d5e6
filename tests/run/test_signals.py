# SPDX-License-Identifier: ISC
"""TERM, INT and QUIT end the daemon; USR1 reopens its log."""

import os
import signal

import pytest

from peers import Stunnel, daemon_only, service, stock_before, stock_since, wait_for
from recorder import Recorder
from tls_client import TlsClient

ACCEPTED = "accepted connection from 127.0.0.1:"


def serves(stunnel):
    with TlsClient(stunnel.port) as client:
        assert client.get("/").status == 200


@pytest.mark.parametrize(
    "number, said",
    [
        (signal.SIGTERM, "Terminated"),
        (signal.SIGINT, "Received SIGINT; terminating"),
        (signal.SIGQUIT, "Received SIGQUIT; terminating"),
    ],
)
@pytest.mark.parametrize("workers", [1, 2])
def test_end(start, number, said, workers):
    """Exit code 0, no pid file, no process stays, and clients see an end."""
    backend = start(Recorder())
    config = f"workers = {workers}\npid = {{folder}}/pid\n" + service(backend.port)
    stunnel = start(Stunnel(config))
    pid_file = stunnel.folder / "pid"
    wait_for(lambda: pid_file.exists() and pid_file.read_text(), "the pid")
    assert pid_file.read_text() == f"{stunnel.process.pid}\n"
    processes = stunnel.processes()
    with TlsClient(stunnel.port) as client:
        client.get("/")
        stunnel.signal(number)
        status = 0 if not stock_before(4, 47) else 2 if number == signal.SIGTERM else 1
        assert stunnel.process.wait(30) == status
        assert client.closed_by_peer()
    assert not pid_file.exists()
    if stock_before(5, 21):  # has no names of signals
        said = said.replace(number.name, f"signal {number}")
    assert stunnel.log_lines(said)
    for pid in processes:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


@stock_since(5, 54, "ends by SIGUSR2")
def test_signals_without_meaning_change_nothing(start, front):
    backend = start(Recorder())
    stunnel = front(backend)
    for number in (signal.SIGUSR2, signal.SIGPIPE, signal.SIGCHLD):
        stunnel.signal(number)
    with TlsClient(stunnel.port) as client:
        assert client.get("/").status == 200


@pytest.mark.parametrize("workers", [1, 2])
def test_usr1_reopens_the_log(start, front, workers):
    """As logrotate does it: rename, then USR1; no line is lost."""
    backend = start(Recorder())
    stunnel = front(backend, settings=f"workers = {workers}\n")
    rotated = stunnel.folder / "stunnel.log.1"
    stunnel.log.rename(rotated)
    serves(stunnel)
    wait_for(lambda: "Connection " in rotated.read_text(), "the connection in the old file")
    stunnel.signal(signal.SIGUSR1)
    stunnel.wait_log("Log file reopened")
    served = 1
    while len(stunnel.log_lines(ACCEPTED)) < 10:  # until the workers have reopened it, too
        serves(stunnel)
        served += 1
    old = rotated.read_text()
    assert old.count(ACCEPTED) + len(stunnel.log_lines(ACCEPTED)) == served
    for _ in range(10):
        serves(stunnel)
    stunnel.wait_ended(10)
    assert rotated.read_text() == old


@daemon_only
def test_usr1_does_not_kill_workers_that_are_ending(start, front):
    """The old ones have let go of everything when a signal that was meant for all reaches them."""
    backend = start(Recorder())
    stunnel = front(backend, settings="workers = 2\n")
    for _ in range(20):
        stunnel.reload()
        stunnel.signal(signal.SIGUSR1)
    stunnel.wait_log("Log file reopened")
    wait_for(lambda: len(stunnel.processes()) == 3, "the old workers to end")
    assert stunnel.log_lines("terminated on signal") == []


def test_log_overwrite(start):
    """log = overwrite begins the file anew, log = append goes on."""
    backend = start(Recorder())
    for mode, expected in (("append", True), ("overwrite", False)):
        stunnel = Stunnel(f"log = {mode}\n" + service(backend.port))
        stunnel.log.write_text("from before\n")
        with stunnel:
            stunnel.wait_log("Configuration successful")
            assert ("from before" in stunnel.log_text()) == expected


def test_overwritten_log_is_reopened_once(start, front):
    """A worker that begins the file anew as well would wipe out what others wrote into it."""
    backend = start(Recorder())
    stunnel = front(backend, settings="log = overwrite\nworkers = 3\n")
    stunnel.signal(signal.SIGUSR1)
    stunnel.wait_log("Log file reopened")
    for _ in range(6):
        with TlsClient(stunnel.port) as client:
            client.get("/")
    stunnel.wait_ended(6)
    assert stunnel.log_lines("Log file reopened")
    assert len(stunnel.log_lines("accepted connection")) == 6
