# SPDX-License-Identifier: ISC
"""Names of backends that the load could not resolve: looked up again, and nobody else waits."""

import os
import shutil
import signal
import socket
import struct

import pytest

from names import LATER, SILENT, NameServer, needs_names, stunnel_with_names
from peers import DEADLINE, daemon_only, free_port, service, wait_for
from recorder import Recorder
from tls_client import TlsClient

pytestmark = [daemon_only, needs_names]

HTTP = "xForwardedFor = yes"
HEAD = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


def ports(stunnel):
    return [int(endpoint.rsplit(":", 1)[-1]) for endpoint in stunnel.endpoints()]


def answer_and_close(connection):
    """A backend without keep-alive: says who it is, and ends."""
    if connection.take_request() is not None:
        name = connection.sock.getsockname()[0].encode()
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(name), name))


# ---- the load -----------------------------------------------------------------------------------


def test_a_failed_lookup_is_not_repeated_at_once(start):
    """A silent name server: asked once more, it would take the same time again."""
    names = start(NameServer(backend_test=SILENT))
    names.patience(1)
    stunnel = start(stunnel_with_names(names, service(f"backend.test:{free_port()}", HTTP)))
    stunnel.wait_log("Configuration successful")
    assert names.asked("backend.test") == 1


def test_a_load_waits_for_all_names_together_and_not_for_long(start):
    """Two that are silent, for longer than any test waits, and one that is known."""
    backend = start(Recorder())
    names = start(NameServer(one_test=SILENT, two_test=SILENT, known_test="127.0.0.1"))
    config = "".join(
        service(f"{name}.test:{backend.port}", HTTP, name=name) for name in ("one", "two", "known")
    )
    stunnel = start(stunnel_with_names(names, config))
    assert len(stunnel.log_lines("no answer within 2 seconds")) == 2
    names.queries.clear()
    with TlsClient(ports(stunnel)[2]) as client:
        assert client.get("/").status == 200
    assert names.queries == []
    names.answers["one.test"] = "127.0.0.1"  # the workers look it up for themselves
    with TlsClient(stunnel.port) as client:
        assert client.get("/").status == 200


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_the_end_waits_for_no_load(start, number):
    """A reload has asked for a name that nobody answers for."""
    names = start(NameServer(backend_test="127.0.0.1"))
    stunnel = start(stunnel_with_names(names, service(f"backend.test:{free_port()}", HTTP)))
    names.answers["backend.test"] = SILENT
    names.queries.clear()
    stunnel.signal(signal.SIGHUP)
    wait_for(lambda: names.asked("backend.test"), "the load to ask")
    stunnel.signal(number)
    assert stunnel.process.wait(DEADLINE) == 0
    assert stunnel.log_lines("Accepting new connections") == ["Accepting new connections"]


NETWORKS = {
    "no interface": "true",
    "loopback": "ip link set lo up",
    "IPv4 only": "ip link set lo up && ip address add 192.0.2.1/24 dev lo",
}


@pytest.mark.skipif(shutil.which("ip") is None, reason="there is no ip(8) here")
@pytest.mark.parametrize("network", NETWORKS)
def test_what_is_known_here_needs_no_configured_address(start, network):
    """localhost, and addresses in figures, of a family that no interface has an address of."""
    targets = ["127.0.0.1", "::1", "localhost", "six.test"]
    names = start(NameServer())
    with open(names.folder / "hosts", "a", encoding="ascii") as hosts:
        hosts.write("::1 six.test\n")
    config = "".join(
        service(f"{target}:80", name=target, accept=f"{{folder}}/{n}")
        for n, target in enumerate(targets)
    )
    stunnel = stunnel_with_names(names, config)
    stunnel.wrapper = ["unshare", "-n", "sh", "-c", f'{NETWORKS[network]} && exec "$@"', "sh"] + (
        stunnel.wrapper
    )
    start(stunnel)
    stunnel.wait_log("Configuration successful")
    assert stunnel.log_lines("Cannot resolve") == []


# ---- look-ups of the workers --------------------------------------------------------------------


def delayed(start, config, **answers):
    """A daemon with one worker whose names became known, or silent, after its load."""
    names = start(NameServer())
    stunnel = start(stunnel_with_names(names, f"workers = 1\n{config}"))
    names.queries.clear()
    names.answers.update({name.replace("_", "."): answer for name, answer in answers.items()})
    return names, stunnel


def waiting(stunnel, count, port=None):
    """Clients whose requests have come to the daemon; none is answered yet."""
    clients = [TlsClient(port or stunnel.port) for _ in range(count)]
    for client in clients:
        client.send(HEAD)
    return clients


def reset(client):
    """Closes as one whose program has died."""
    client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


def test_a_silent_name_holds_up_no_other_service(start):
    """More clients wait for the silent one than libuv has threads."""
    backend = start(Recorder())
    silent = service(f"silent.test:{backend.port}", HTTP, name="silent")
    other = service(f"other.test:{backend.port}", HTTP, name="other")
    _, stunnel = delayed(start, silent + other, silent_test=SILENT, other_test="127.0.0.1")
    clients = waiting(stunnel, 6)
    with TlsClient(ports(stunnel)[1]) as client:
        assert client.get("/").status == 200
    assert len(clients) == 6
    assert stunnel.ended() <= 1 and len(backend.connections) == 1


def test_clients_share_a_lookup_and_are_woken_together(start):
    backend = start(Recorder())
    fixed = service(backend.port, HTTP, name="fixed")
    config = service(f"backend.test:{backend.port}", HTTP) + fixed
    names, stunnel = delayed(start, config, backend_test=LATER)
    clients = waiting(stunnel, 5)
    with TlsClient(ports(stunnel)[1]) as client:  # the worker has seen what came before this
        client.get("/")
    names.answer_later("backend.test", "127.0.0.1")
    assert [client.response().status for client in clients] == [200] * 5
    assert names.asked("backend.test") == 1


def test_an_answer_serves_the_next_connections_too(start):
    backend = start(Recorder())
    names, stunnel = delayed(
        start, service(f"backend.test:{backend.port}", HTTP), backend_test="127.0.0.1"
    )
    for _ in range(3):
        with TlsClient(stunnel.port) as client:
            assert client.get("/").status == 200
    assert names.asked("backend.test") == 1


@pytest.mark.parametrize("options", [[HTTP], []], ids=["http", "plain"])
def test_resolve_timeout(start, options):
    config = service(f"backend.test:{free_port()}", "TIMEOUTresolve = 1", *options)
    _, stunnel = delayed(start, config, backend_test=SILENT)
    with TlsClient(stunnel.port) as client:
        client.send(HEAD)
        if options:
            assert client.response().status == 503
        else:
            assert client.recv_all() == b""
            assert client.ended == "reset"
    assert stunnel.wait_log("No remote host resolved")


def test_no_such_name_is_503_until_there_is_one(start):
    backend = start(Recorder())
    names, stunnel = delayed(start, service(f"backend.test:{backend.port}", HTTP))
    with TlsClient(stunnel.port) as client:
        assert client.get("/").status == 503
    names.answers["backend.test"] = "127.0.0.1"

    def served():
        with TlsClient(stunnel.port) as client:
            return client.get("/").status == 200

    wait_for(served, "the name to be looked up again")


def test_old_addresses_outlive_a_silent_name_server(start):
    backend = start(Recorder())
    names, stunnel = delayed(
        start, service(f"backend.test:{backend.port}", HTTP), backend_test="127.0.0.1"
    )

    def status():
        with TlsClient(stunnel.port) as client:
            return client.get("/").status

    assert status() == 200
    names.answers["backend.test"] = SILENT
    wait_for(lambda: status() != 200 or names.asked("backend.test") > 1, "another look-up")
    assert [status() for _ in range(3)] == [200] * 3


def test_a_silent_name_beside_an_address(start):
    """Two `connect` lines: the second one is not held up for as long as the first is silent."""
    backend = start(Recorder())
    config = service(f"silent.test:{backend.port}", f"connect = 127.0.0.1:{backend.port}", HTTP)
    _, stunnel = delayed(start, config, silent_test=SILENT)
    for _ in range(2):
        with TlsClient(stunnel.port) as client:
            assert client.get("/").status == 200


def test_a_renewed_backend_connection_looks_up_again(start):
    """The backend has moved while the client stayed."""
    first = start(Recorder(answer_and_close))
    start(Recorder(answer_and_close, host="127.0.0.2", port=first.port))
    config = service(f"backend.test:{first.port}", HTTP)
    names, stunnel = delayed(start, config, backend_test="127.0.0.1")
    with TlsClient(stunnel.port) as client:
        assert client.get("/").body == b"127.0.0.1"
        names.answers["backend.test"] = "127.0.0.2"
        wait_for(lambda: client.get("/").body == b"127.0.0.2", "requests to follow the name")


def test_clients_that_leave_while_a_name_is_looked_up(start):
    """Their places in the queue are gone when the answer comes, and the others are served."""
    backend = start(Recorder())
    names, stunnel = delayed(
        start, service(f"backend.test:{backend.port}", HTTP), backend_test=LATER
    )
    clients = waiting(stunnel, 6)
    for client in clients[::2]:
        reset(client)
    stunnel.wait_ended(3)
    names.answer_later("backend.test", "127.0.0.1")
    assert [client.response().status for client in clients[1::2]] == [200] * 3


def test_a_worker_that_drains_waits_for_no_lookup(start):
    """It goes with its last client, though the name that this one waited for is silent."""
    config = service(f"backend.test:{free_port()}", HTTP)
    names, stunnel = delayed(start, config, backend_test=SILENT)
    (client,) = waiting(stunnel, 1)
    old = stunnel.processes()[1:]
    wait_for(lambda: names.asked("backend.test"), "the look-up")
    names.patience(1)  # for the load; the look-up that is under way goes on
    stunnel.reload()
    reset(client)
    stunnel.wait_gone(old)


def test_the_end_waits_for_no_lookup(start):
    """Exit code 0; nobody had to be killed."""
    config = service(f"backend.test:{free_port()}", HTTP)
    names, stunnel = delayed(start, config, backend_test=SILENT)
    (client,) = waiting(stunnel, 1)
    wait_for(lambda: names.asked("backend.test"), "the look-up")
    worker = stunnel.processes()[1]
    os.kill(worker, signal.SIGTERM)
    stunnel.wait_log(f"Worker process {worker} finished with code 0")
    assert client.recv_all() == b""
