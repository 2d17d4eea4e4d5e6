# SPDX-License-Identifier: ISC
"""Workers that die or cannot be started: they are replaced, and the others serve their clients."""

import os
import signal
from pathlib import Path

import pytest

from faults import Faulty
from peers import DEADLINE, daemon_only, free_port, listening_ports, service, wait_for
from recorder import Recorder
from tls_client import TlsClient, dial

pytestmark = daemon_only

AGAIN = "Worker processes keep ending: next try in "


def workers(stunnel):
    """Their process ids, without those that are dead and not yet waited for."""
    return [pid for pid in stunnel.processes()[1:] if state(pid) not in (None, "Z")]


def state(pid):
    """As in proc(5)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return None


def stop(pid):
    """It goes on to exist, but accepts nothing."""
    os.kill(pid, signal.SIGSTOP)
    wait_for(lambda: state(pid) == "T", "the worker to stop")


def kill_one(stunnel, count):
    """Returns when there are `count` workers again, none of them the one that was killed."""
    victim = workers(stunnel)[0]
    os.kill(victim, signal.SIGKILL)
    wait_for(
        lambda: victim not in workers(stunnel) and len(workers(stunnel)) == count,
        "a worker in its place",
    )


def assert_answered(socks):
    for sock in socks:
        with TlsClient(sock) as client:
            assert client.get("/").status == 200


def assert_serves(stunnel, connections=20):
    """Enough of them for the kernel to choose every worker's socket."""
    for _ in range(connections):
        assert_answered([dial(stunnel.port)])


def test_worker_is_replaced_after_the_clock_stepped_back(start):
    backend = start(Recorder())
    stunnel = start(Faulty("workers = 2\n" + service(backend.port)))
    before = stunnel.log_text().split()[0]
    kill_one(stunnel, 2)
    stunnel.fault("step")
    kill_one(stunnel, 2)
    kill_one(stunnel, 2)
    assert stunnel.log_text().splitlines()[-1].split()[0] < before  # it does see the other clock
    assert_serves(stunnel, 1)


def test_connections_that_wait_at_a_worker_that_is_killed_are_answered(start, front):
    stunnel = front(start(Recorder()), settings="workers = 2\n")
    for _ in range(10):
        victim = workers(stunnel)[0]
        stop(victim)
        waiting = [dial(stunnel.port) for _ in range(6)]
        os.kill(victim, signal.SIGKILL)
        assert_answered(waiting)
        wait_for(lambda: len(workers(stunnel)) == 2, "a worker in its place")


def test_others_serve_for_a_worker_that_cannot_be_started(start):
    """What waited at it, and what comes while one try after the other fails."""
    backend = start(Recorder())
    stunnel = start(Faulty("workers = 2\nchroot = /\n" + service(backend.port)))
    victim = workers(stunnel)[0]
    stop(victim)
    waiting = [dial(stunnel.port) for _ in range(10)]
    stunnel.fault("fail")
    os.kill(victim, signal.SIGKILL)
    assert_answered(waiting)
    pauses = [int(line.removeprefix(AGAIN).split()[0]) for line in stunnel.wait_log(AGAIN, 3)]
    assert pauses == sorted(set(pauses))
    assert_serves(stunnel)
    stunnel.mend("fail")
    wait_for(lambda: len(workers(stunnel)) == 2, "a worker in its place")
    assert_serves(stunnel)


def test_port_that_is_given_up_closes_though_others_serve_for_a_worker(start):
    """A port is open for as long as anybody holds its socket."""
    backend = start(Recorder())
    stunnel = start(Faulty("workers = 2\nchroot = /\n" + service(backend.port)))
    before = stunnel.port
    stunnel.fault("fail")
    os.kill(workers(stunnel)[0], signal.SIGKILL)
    stunnel.wait_log(AGAIN)
    assert_serves(stunnel)
    stunnel.mend("fail")
    accept = f"127.0.0.1:{free_port()}"
    stunnel.write("workers = 2\nchroot = /\n" + service(backend.port, accept=accept))
    stunnel.reload()
    wait_for(lambda: before not in listening_ports(), "the old port to close")
    assert_serves(stunnel)


def test_master_does_not_wait_for_a_worker_that_hangs(start):
    """It takes signals, and the others serve the clients that would be the hanging one's."""
    backend = start(Recorder())
    stunnel = start(Faulty("workers = 2\nchroot = /\n" + service(backend.port)))
    stunnel.fault("hang")
    kill_one(stunnel, 2)
    stunnel.signal(signal.SIGUSR1)
    stunnel.wait_log("Log file reopened")
    assert_serves(stunnel)
    stunnel.mend("hang")
    assert_serves(stunnel)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_master_ends_while_it_starts(start, number):
    stunnel = Faulty("debug = info\nworkers = 2\nchroot = /\n" + service(1))
    stunnel.fault("hang")
    start(stunnel)
    wait_for(lambda: len(workers(stunnel)) == 2, "the workers that hang")
    stunnel.signal(number)
    assert stunnel.process.wait(DEADLINE) == 0
    stunnel.wait_log("Terminated")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_master_ends_while_a_reload_waits_for_its_workers(start, number):
    backend = start(Recorder())
    stunnel = start(Faulty("workers = 2\nchroot = /\n" + service(backend.port)))
    stunnel.fault("hang")
    stunnel.signal(signal.SIGHUP)
    wait_for(lambda: len(workers(stunnel)) > 2, "new workers")
    stunnel.signal(number)
    assert stunnel.process.wait(DEADLINE) == 0


def test_others_serve_for_a_worker_that_dies_while_a_reload_waits(start):
    """One of those that still serve dies: the other one takes over at once."""
    backend = start(Recorder())
    stunnel = start(Faulty("workers = 2\nchroot = /\n" + service(backend.port)))
    victim = workers(stunnel)[0]
    stunnel.fault("hang")
    stunnel.signal(signal.SIGHUP)
    wait_for(lambda: len(workers(stunnel)) > 2, "new workers")
    os.kill(victim, signal.SIGKILL)
    assert_serves(stunnel)
    stunnel.mend("hang")
    stunnel.wait_log("New workers accept connections")
    assert_serves(stunnel)
