# SPDX-License-Identifier: ISC
"""Several `connect` lines: what failed a short while ago is tried after the others."""

import socket

import pytest

from peers import Stunnel, daemon_only, free_port, service, wait_for
from recorder import Recorder
from tls_client import PlainClient, TlsClient

pytestmark = daemon_only

HTTP = "xForwardedFor = yes"


class BlackHole:
    """A port whose SYNs nobody answers: its backlog is full, and stays so."""

    def __init__(self):
        self.listener = socket.socket()
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(0)
        self.port = self.listener.getsockname()[1]
        self.clients = []

    def __enter__(self):
        while True:
            client = socket.socket()
            client.settimeout(1)
            self.clients.append(client)
            try:
                client.connect(("127.0.0.1", self.port))
            except TimeoutError:
                return self

    def __exit__(self, *_):
        for sock in [self.listener, *self.clients]:
            sock.close()


def get(stunnel):
    with TlsClient(stunnel.port) as client:
        return client.get("/").status


def two_targets(start, first, *options, workers=2):
    """`first` is the port of the first `connect` line; behind the second one is a backend."""
    backend = start(Recorder())
    config = service(first, f"connect = 127.0.0.1:{backend.port}", HTTP, *options)
    return backend, start(Stunnel(f"workers = {workers}\n{config}"))


@pytest.mark.parametrize(
    "options, how",
    [
        (["failover = rr"], "round-robin"),
        (["failover = prio"], "priority"),
        ([], "priority"),
        (["failover = rr", "delay = yes"], "priority"),
    ],
    ids=["rr", "prio", "default", "delay"],
)
def test_in_which_order_targets_are_taken(start, both, options, how):
    """Beside stock, which begins anywhere, and whichever worker has a connection."""
    backends = [start(Recorder()) for _ in range(3)]
    more = [f"connect = localhost:{backend.port}" for backend in backends[1:]]
    for daemon in both(f"localhost:{backends[0].port}", *more, *options, settings="workers = 4\n"):
        order = []
        for _ in range(6):
            before = [len(backend.connections) for backend in backends]
            assert get(daemon) == 200
            after = [len(backend.connections) for backend in backends]
            order += [n for n in range(3) if after[n] != before[n]]
        turns = [(order[0] + n) % 3 for n in range(6)]
        assert order == (turns if how == "round-robin" else [0] * 6)
        told = [f"failover: {how}, starting at entry #{n}" for n in order]
        assert daemon.wait_log("failover: ", 6) == told


@pytest.mark.parametrize("failover", ["prio", "rr"])
def test_a_black_hole_costs_its_timeout_once(start, failover):
    """All workers know of it after one connection."""
    hole = start(BlackHole())
    options = [f"failover = {failover}", "TIMEOUTconnect = 1"]
    backend, stunnel = two_targets(start, hole.port, *options)
    wait_for(lambda: get(stunnel) and stunnel.log_lines("TIMEOUTconnect exceeded"), "the hole")
    assert [get(stunnel) for _ in range(6)] == [200] * 6
    assert len(stunnel.log_lines("TIMEOUTconnect exceeded")) < 3  # 2: the machine was that slow
    assert len(stunnel.log_lines("is tried after the others for 10 seconds")) == 1
    assert len(backend.connections) >= 7


def test_the_first_target_is_used_again_when_it_answers(start):
    """failover = prio; one connection finds out."""
    port = free_port()
    _, stunnel = two_targets(start, port)
    assert [get(stunnel) for _ in range(4)] == [200] * 4
    assert len(stunnel.log_lines(f"connect 127.0.0.1:{port}: Connection refused")) < 3
    first = start(Recorder(port=port))
    wait_for(lambda: get(stunnel) == 200 and first.connections, "the first target's return")
    stunnel.wait_log(f"127.0.0.1:{port} works again")
    before = len(first.connections)
    assert [get(stunnel) for _ in range(4)] == [200] * 4
    assert len(first.connections) == before + 4


def test_targets_that_have_all_failed_are_tried_in_order(start):
    """And whichever answers is used at once, however long ago it failed."""
    ports = [free_port(), free_port()]
    config = service(ports[0], f"connect = 127.0.0.1:{ports[1]}", HTTP)
    stunnel = start(Stunnel(f"workers = 1\n{config}"))
    assert [get(stunnel) for _ in range(3)] == [503] * 3
    tried = stunnel.log_lines("s_connect: connecting 127.0.0.1:")
    assert [int(line.rsplit(":", 1)[1]) for line in tried] == ports * 3
    second = start(Recorder(port=ports[1]))
    assert get(stunnel) == 200
    assert len(second.connections) == 1


def hears(port, *said):
    """What a plain client hears of the daemon: "reset", or, before its connect(2) returned, "closed"."""
    try:
        client = PlainClient(port)
    except ConnectionError:
        return "closed"
    with client:
        for data in said:
            client.send(data)
        assert client.recv() == b""
        return client.ended


@pytest.mark.parametrize("said", [[], [b"hello\n"]], ids=["silent", "speaks"])
def test_a_port_is_open_while_its_targets_are_down(start, said):
    """As to a script that waits for the daemon; else one in three clients found it closed."""
    stunnel = start(Stunnel(service(free_port(), "client = yes")))
    heard = [hears(stunnel.port, *said) for _ in range(30)]
    assert set(heard) <= {"reset", "closed"}
    assert heard.count("closed") <= 3  # of a client that lost the processor meanwhile
