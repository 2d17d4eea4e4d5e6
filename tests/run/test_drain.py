# SPDX-License-Identifier: ISC
"""A daemon that ends or reloads finishes what is under way: seen in titles and the log, and bounded."""

import contextlib
import os
import signal
import threading
from pathlib import Path

import pytest

from faults import Faulty
from peers import Nginx, Stunnel, daemon_only, listening_ports, service, wait_for
from recorder import OK, Recorder, answer_each
from test_reload import Load
from test_workers import stop, workers
from tls_client import TlsClient, dial

pytestmark = daemon_only

HTTP = "xForwardedFor = yes"
HEAD = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


class Held:
    """A backend that answers when it is told to."""

    def __init__(self, start):
        self.go = threading.Event()
        self.recorder = start(Recorder(self._serve))
        self.port = self.recorder.port

    def _serve(self, connection):
        while connection.take_request() is not None:
            self.go.wait(30)
            connection.send(OK)

    def wait_request(self):
        wait_for(lambda: any(c.data for c in self.recorder.connections), "the request")


def title(pid):
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0].decode()
    except OSError:
        return ""


def titles(stunnel):
    return [title(pid) for pid in stunnel.processes()]


def start_daemon(start, port, *globals_, options=(HTTP,)):
    lines = "\n".join(["workers = 1", *globals_])
    return start(Stunnel(f"{lines}\n" + service(port, *options)))


def terminate(stunnel):
    """TERM, and until nothing listens any more."""
    stunnel.signal(signal.SIGTERM)
    wait_for(lambda: stunnel.port not in listening_ports(), "the port to be closed")


# ---- what is seen -----------------------------------------------------------------------------


def test_titles_and_lines_of_workers_that_drain(start):
    stunnel = start_daemon(start, start(Recorder()).port)
    with TlsClient(stunnel.port) as one, TlsClient(stunnel.port) as two:
        one.get("/")
        two.get("/")
        stunnel.reload()
        stunnel.wait_log("Worker 1 drains: 2 connection(s) left")
        draining = "stunnel: worker 1 (draining, 2 connections)"
        wait_for(lambda: titles(stunnel).count(draining) == 1, draining)
        one.close()
        wait_for(lambda: "stunnel: worker 1 (draining, 1 connection)" in titles(stunnel), "one less")
        assert two.get("/").status == 200  # as in stock, for as long as it likes
    stunnel.wait_log("Worker 1 has drained")
    wait_for(lambda: not any("draining" in text for text in titles(stunnel)), "its end")


def test_nothing_is_told_where_there_was_no_connection(start):
    stunnel = start_daemon(start, start(Recorder()).port)
    before = stunnel.processes()[1:]
    stunnel.reload()
    stunnel.wait_gone(before)
    assert not stunnel.log_lines("drain")


# ---- TERM -------------------------------------------------------------------------------------


def test_without_it_term_cuts_at_once(start):
    held = Held(start)
    stunnel = start_daemon(start, held.port)
    with TlsClient(stunnel.port) as client:
        client.send(HEAD)
        held.wait_request()
        stunnel.signal(signal.SIGTERM)
        assert client.recv_all() == b""
        held.go.set()


def test_term_lets_an_answer_finish_and_says_close(start):
    held = Held(start)
    stunnel = start_daemon(start, held.port, "TIMEOUTdrain = 600")
    with TlsClient(stunnel.port) as client:
        client.send(HEAD)
        held.wait_request()
        terminate(stunnel)
        stunnel.wait_log("Worker 1 drains: 1 connection(s) left")
        held.go.set()
        answer = client.recv_all()
    assert answer.endswith(b"\r\n\r\nok") and b"\r\nConnection: close\r\n" in answer
    assert client.ended == "close_notify"
    assert stunnel.process.wait(30) == 0
    assert stunnel.log_lines("Worker 1 has drained")


def test_term_ends_idle_clients(start):
    stunnel = start_daemon(start, start(Recorder()).port, "TIMEOUTdrain = 600")
    with TlsClient(stunnel.port) as used, TlsClient(stunnel.port) as fresh:
        with dial(stunnel.port) as silent:
            assert used.get("/").status == 200
            terminate(stunnel)
            assert used.recv_all() == b"" and used.ended == "close_notify"
            assert fresh.recv_all() == b"" and fresh.ended == "close_notify"
            assert silent.recv(1) == b""
    assert stunnel.process.wait(30) == 0


def test_a_slow_reader_gets_its_answer(start):
    """What is complete for the HTTP machine may still wait to be written: of one of these sizes it does."""

    def answer(connection):
        while (head := connection.take_request()) is not None:
            size = int(head.split()[1][1:])
            connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + size * b"a")

    backend = start(Recorder(answer))
    options = (HTTP, "socket = l:SO_SNDBUF=4096")
    stunnel = start_daemon(start, backend.port, "TIMEOUTdrain = 600", options=options)
    sizes = range(64 << 10, 320 << 10, 16 << 10)
    with contextlib.ExitStack() as stack:
        slow = {size: stack.enter_context(TlsClient(stunnel.port)) for size in sizes}
        idle = stack.enter_context(TlsClient(stunnel.port))
        for size, client in slow.items():
            client.send(b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % size)
        wait_for(lambda: len(backend.requests) == len(slow), "the requests")
        terminate(stunnel)
        assert idle.recv_all() == b""
        assert {size: len(client.recv_all().split(b"\r\n\r\n")[1]) for size, client in slow.items()} == {
            size: size for size in sizes
        }


def test_what_drains_is_cut_at_the_bound(start):
    held = Held(start)
    stunnel = start_daemon(start, held.port, "TIMEOUTdrain = 2")
    with TlsClient(stunnel.port) as client:
        client.send(HEAD)
        held.wait_request()
        terminate(stunnel)
        assert client.recv_all() == b""
        held.go.set()
    stunnel.process.wait(30)
    assert stunnel.log_lines("Worker 1: TIMEOUTdrain exceeded: 1 connection(s) cut")


def test_term_twice_ends_at_once(start):
    held = Held(start)
    stunnel = start_daemon(start, held.port, "TIMEOUTdrain = 86400")
    with TlsClient(stunnel.port) as client:
        client.send(HEAD)
        held.wait_request()
        terminate(stunnel)
        stunnel.signal(signal.SIGTERM)
        assert client.recv_all() == b""
        held.go.set()
    stunnel.process.wait(30)
    assert not stunnel.log_lines("TIMEOUTdrain exceeded")


def test_hup_while_it_ends_changes_nothing(start):
    held = Held(start)
    stunnel = start_daemon(start, held.port, "TIMEOUTdrain = 600")
    with TlsClient(stunnel.port) as client:
        client.send(HEAD)
        held.wait_request()
        terminate(stunnel)
        stunnel.signal(signal.SIGHUP)
        stunnel.wait_log("Not reloaded, since the daemon ends")
        held.go.set()
        assert client.recv_all().endswith(b"ok")
    assert stunnel.process.wait(30) == 0


# ---- HUP --------------------------------------------------------------------------------------


def test_a_reload_tells_clients_to_come_again(start):
    stunnel = start_daemon(start, start(Recorder()).port, "TIMEOUTdrain = 600")
    old = stunnel.processes()[1:]
    with TlsClient(stunnel.port) as client:
        first = client.get("/")
        stunnel.reload()
        wait_for(lambda: any("draining" in text for text in titles(stunnel)), "it to drain")
        client.send(HEAD)
        answer = client.recv_all()
    assert b"\r\nConnection: close\r\n" in answer or answer == b""
    assert first.status == 200
    stunnel.wait_gone(old)


def test_a_reload_cuts_blind_connections_at_the_bound(start):
    stunnel = start_daemon(start, start(Recorder()).port, "TIMEOUTdrain = 1", options=())
    with TlsClient(stunnel.port) as client:
        client.send(b"hello")
        stunnel.reload()
        assert client.recv_all() in (b"", OK)
    stunnel.wait_log("TIMEOUTdrain exceeded")


def reloaded(stunnel):
    """A reload, and until new clients meet new workers."""
    before = len(stunnel.log_lines("New workers accept connections"))
    stunnel.reload()
    stunnel.wait_log("New workers accept connections", before + 1)


def test_the_oldest_generation_goes_first(start):
    stunnel = start_daemon(start, start(Recorder()).port, "maxOldGenerations = 2")
    with contextlib.ExitStack() as stack:
        clients = []
        for number in range(3):
            clients.append(stack.enter_context(TlsClient(stunnel.port)))
            assert clients[number].get("/").status == 200
            reloaded(stunnel)
            stunnel.wait_log("Worker 1 drains: 1 connection(s) left", number + 1)
        assert clients[0].recv_all() == b""
        assert clients[1].get("/").status == 200 == clients[2].get("/").status
    stunnel.wait_log("More than maxOldGenerations = 2 have connections")


@contextlib.contextmanager
def stopped(pids):
    for pid in pids:
        stop(pid)
    yield
    for pid in pids:
        os.kill(pid, signal.SIGCONT)


@pytest.mark.parametrize("fault", ["TERM", "a worker that dies"])
def test_a_reload_that_is_given_up_loses_no_request(start, fault):
    """One of its two workers has accepted a client already, when the other one is not there yet."""
    held = Held(start)
    globals_ = "workers = 2\nchroot = /\nTIMEOUTdrain = 600\n"
    stunnel = start(Faulty(globals_ + service(held.port, HTTP)))
    old = workers(stunnel)
    stunnel.fault("hang")
    stunnel.signal(signal.SIGHUP)
    wait_for(lambda: len(workers(stunnel)) == 4, "new workers")
    late = [pid for pid in workers(stunnel) if pid not in old][1]
    with stopped(old):
        stop(late)
        stunnel.mend("hang")
        client = TlsClient(stunnel.port)
        client.send(HEAD)
        held.wait_request()
        if fault == "TERM":
            stunnel.signal(signal.SIGTERM)
        else:
            os.kill(late, signal.SIGKILL)
    if fault == "TERM":
        wait_for(lambda: stunnel.port not in listening_ports(), "the port to be closed")
    else:
        stunnel.wait_log("Failed to reload the configuration file")
    held.go.set()
    with client:
        assert client.recv_all().endswith(b"ok")
    if fault != "TERM":
        with TlsClient(stunnel.port) as client:
            assert client.get("/").status == 200
        stunnel.signal(signal.SIGTERM)
    assert stunnel.process.wait(30) == 0


# ---- under load -------------------------------------------------------------------------------


class Polite(Load):
    """Clients that open another connection behind an answer that says close; at the end there is none."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.ending = threading.Event()

    def _connection(self, number, keep_alive):
        try:
            client = TlsClient(self.port, source=f"127.0.0.{2 + number}")
        except OSError:
            if not self.ending.is_set():
                raise
            self.done.set()
            return
        with client:
            close = False
            while not close:
                response = client.get("/")
                assert response.status == 200
                self.answered[number] += 1
                close = not keep_alive or response.header("Connection") == ["close"]


@pytest.mark.parametrize("backend", ["recorder", "nginx"])
def test_no_request_is_lost_by_reloads_and_the_end(start, backend):
    peer = start(Nginx()) if backend == "nginx" else start(Recorder(answer_each()))
    lines = "workers = 2\nTIMEOUTdrain = 600\n"
    stunnel = start(Stunnel(lines + service(peer.port, HTTP)))
    with Polite(stunnel.port, 6, 2) as load:
        for _ in range(20):
            load.wait_progress()
            reloaded(stunnel)
        load.wait_progress()
        load.ending.set()
        stunnel.signal(signal.SIGTERM)
        assert stunnel.process.wait(60) == 0
    assert load.errors == []
    assert not stunnel.log_lines("cut")
