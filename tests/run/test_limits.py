# SPDX-License-Identifier: ISC
"""How many connections there may be: by descriptors and pace, which are waited for, and by limits."""

import os
import re
import signal
import ssl
import threading

import pytest

from peers import Stunnel, daemon_only, service, wait_for
from recorder import Recorder
from tls_client import TlsClient, dial, read_to_end

pytestmark = daemon_only

REJECTED = "Connection rejected: too many clients"


def is_served(port, source=None):
    """A client that asks once: whether it was answered, or turned away."""
    try:
        with TlsClient(port, source=source) as client:
            return client.get("/").status == 200
    except (ConnectionError, EOFError, ssl.SSLError):
        return False


def guests(stack, port, count):
    """Clients that were answered and stay."""
    clients = [stack(TlsClient(port)) for _ in range(count)]
    for client in clients:
        assert client.get("/").status == 200
    return clients


def try_guests(port, count):
    """As guests(), or None if there are not places for all of them."""
    clients = []
    try:
        while len(clients) < count:
            clients.append(TlsClient(port))
            clients[-1].get("/")
    except (ConnectionError, EOFError, ssl.SSLError):
        for client in clients:
            client.close()
        return None
    return clients


class Crowd:
    """Threads with a connection each, which stay after their answer until they are let go."""

    def __init__(self, port, count):
        self.port = port
        self.statuses, self.errors = [], []
        self.leave = threading.Event()
        self.threads = [threading.Thread(target=self._run) for _ in range(count)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.leave.set()
        for thread in self.threads:
            thread.join()

    def _run(self):
        try:
            with TlsClient(dial(self.port)) as client:
                self.statuses.append(client.get("/").status)
                self.leave.wait(30)
        except Exception as error:
            self.errors.append(repr(error))


def few_descriptors(stunnel, count=64):
    stunnel.wrapper = ["sh", "-c", f'ulimit -n {count}; exec "$@"', "sh"]
    return stunnel


def test_clients_wait_for_descriptors_and_all_are_served(start):
    """None gets a 503 because those before it have taken what its backend would need."""
    backend = start(Recorder())
    config = "debug = notice\nworkers = 1\n" + service(backend.port, "xForwardedFor = yes")
    stunnel = start(few_descriptors(Stunnel(config)))
    line = stunnel.wait_log("At most ")[0]
    room = int(re.fullmatch(r"At most (\d+) connections a worker \(64 descriptors\)", line)[1])
    assert room >= 16
    with Crowd(stunnel.port, 50) as crowd:
        wait_for(lambda: len(crowd.statuses) + len(crowd.errors) >= room, "those that fit")
        stunnel.wait_log("Accepting new connections suspended")
        assert (crowd.statuses, crowd.errors) == ([200] * room, [])
        crowd.leave.set()
        wait_for(lambda: len(crowd.statuses) + len(crowd.errors) == 50, "the others")
    assert (crowd.statuses, crowd.errors) == ([200] * 50, [])
    assert stunnel.log_lines("local socket: ") == []


def test_full_worker_opens_its_logs_anew(start):
    """However many folders lead there."""
    backend = start(Recorder())
    stunnel = few_descriptors(Stunnel(""))
    logs = stunnel.folder / "a/b/c/d/e/f/g"
    logs.mkdir(parents=True)
    stunnel.log = logs / "stunnel.log"
    access = f"accessLog = {logs}/access"
    stunnel.write("workers = 1\n" + service(backend.port, access))
    start(stunnel)
    room = int(stunnel.wait_log("At most ")[0].split()[2])
    clients = guests(start, stunnel.port, room)
    for name in ("stunnel.log", "access"):
        (logs / name).rename(logs / f"{name}.1")
    stunnel.signal(signal.SIGUSR1)
    stunnel.wait_log("Log file reopened")

    def logged_anew():
        assert clients[1].get("/anew").status == 200
        return "/anew" in (logs / "access").read_text()

    wait_for(logged_anew, "a line in the new access log")
    clients[0].close()
    stunnel.wait_ended(1)
    assert "Cannot open" not in stunnel.log_text() + (logs / "stunnel.log.1").read_text()


def test_limit_too_low_for_any_connection_is_told_at_the_start(start):
    backend = start(Recorder())

    def with_limit(count):
        return start(few_descriptors(Stunnel("workers = 1\n" + service(backend.port)), count))

    room = int(with_limit(64).wait_log("At most ")[0].split()[2])
    with pytest.raises(AssertionError, match="leaves no room for a connection"):
        with_limit(64 - 2 * room)
    assert is_served(with_limit(64 - 2 * room + 2).port)


def test_limit_of_the_process_counts_all_workers(start, front):
    stunnel = front(start(Recorder()), settings="workers = 2\nmaxConnections = 3\n")
    clients = guests(start, stunnel.port, 3)
    for _ in range(10):
        assert not is_served(stunnel.port)
    assert stunnel.log_lines(f"{REJECTED} (>=3)")
    for client in clients:
        assert client.get("/").status == 200
    clients[0].close()
    wait_for(lambda: is_served(stunnel.port), "the place of the one that left")


def test_limit_of_a_section_leaves_others_alone(start):
    backend = start(Recorder())
    config = service(backend.port, "maxConnections = 2", name="few") + service(backend.port)
    stunnel = start(Stunnel("workers = 2\n" + config))
    few, web = (int(endpoint.rsplit(":", 1)[-1]) for endpoint in stunnel.endpoints())
    clients = guests(start, few, 2)
    guests(start, web, 4)
    assert not is_served(few)
    assert stunnel.log_lines(f"Service [few]: {REJECTED} (>=2)")
    assert is_served(web)
    clients[0].close()
    wait_for(lambda: is_served(few), "the place of the one that left")


def test_rejections_are_counted_not_listed(start, front):
    stunnel = front(start(Recorder()), settings="workers = 1\nmaxConnections = 1\n")
    guests(start, stunnel.port, 1)
    for _ in range(20):
        assert not is_served(stunnel.port)

    def told():
        more = [int(line.split()[-4]) for line in stunnel.log_lines(f"{REJECTED}: ")]
        return len(stunnel.log_lines(f"{REJECTED} (>=1)")) + sum(more)

    wait_for(lambda: told() == 20, "the count of those that were rejected")
    assert len(stunnel.log_lines(REJECTED)) < 20


ONE = "Connection rejected: too many from one address"


def test_limit_of_an_address_counts_all_workers_and_no_other_address(start, front):
    stunnel = front(start(Recorder()), "maxConnectionsPerIP = 2", settings="workers = 3\n")
    clients = guests(start, stunnel.port, 2)
    for _ in range(10):
        assert not is_served(stunnel.port)
    assert stunnel.log_lines(f"Service [web]: {ONE}: 127.0.0.1/32 (>=2)")
    assert len(stunnel.log_lines(ONE)) < 10
    assert is_served(stunnel.port, "127.0.0.2")
    clients[0].close()
    wait_for(lambda: is_served(stunnel.port), "the place of the one that left")
    assert clients[1].get("/").status == 200


def test_one_that_is_refused_gets_no_byte(start, front):
    stunnel = front(start(Recorder()), "maxConnectionsPerIP = 1")
    guests(start, stunnel.port, 1)
    with dial(stunnel.port) as sock:
        assert read_to_end(sock) == b""


def test_limit_of_an_address_may_be_that_of_its_network(start, front):
    stunnel = front(start(Recorder()), "maxConnectionsPerIP = 1, 31")
    with TlsClient(stunnel.port, source="127.0.0.2") as client:
        assert client.get("/").status == 200
        assert not is_served(stunnel.port, "127.0.0.3")
        assert stunnel.log_lines(f"{ONE}: 127.0.0.3/31 (>=1)")
        assert is_served(stunnel.port, "127.0.0.4")


def test_limit_of_an_address_is_of_each_section(start):
    backend = start(Recorder())
    config = service(backend.port, name="one") + service(backend.port, name="two")
    stunnel = start(Stunnel("maxConnectionsPerIP = 1\n" + config))
    one, two = (int(endpoint.rsplit(":", 1)[-1]) for endpoint in stunnel.endpoints())
    guests(start, one, 1)
    assert not is_served(one)
    assert is_served(two)


def assert_places_outlive_workers(stunnel):
    """Two clients have room, and no third; killed workers give both places back."""
    for _ in range(3):
        clients = wait_for(lambda: try_guests(stunnel.port, 2), "places for two")
        assert not is_served(stunnel.port)
        for pid in stunnel.processes()[1:]:
            os.kill(pid, signal.SIGKILL)
        for client in clients:
            client.close()


def test_an_address_gets_back_what_a_killed_worker_had(start):
    backend = start(Recorder())
    stunnel = start(Stunnel("workers = 2\n" + service(backend.port, "maxConnectionsPerIP = 2")))
    assert_places_outlive_workers(stunnel)


def test_an_address_is_known_after_a_reload(start):
    backend = start(Recorder())
    config = service(backend.port, "maxConnectionsPerIP = 2")
    stunnel = start(Stunnel(config))
    early = guests(start, stunnel.port, 1)[0]
    stunnel.reload()
    stunnel.wait_log("New workers accept connections")
    guests(start, stunnel.port, 1)
    assert not is_served(stunnel.port)
    early.close()
    wait_for(lambda: is_served(stunnel.port), "the early one's place")


@pytest.mark.parametrize("value", ["x", "-1", "2, 0", "2, 33", "2, 32, 129", "2,", "2 24", "2, 24, 48, 1"])
def test_what_is_no_limit_of_an_address_is_refused(start, value):
    config = service(1)
    stunnel = start(Stunnel(config))
    stunnel.write(config + f"maxConnectionsPerIP = {value}\n")
    stunnel.signal(signal.SIGHUP)
    stunnel.wait_log("This is not NUMBER[, BITS4[, BITS6]]")


def test_clients_that_come_too_fast_wait_and_are_served(start, front):
    """Of 24 at once some must wait for more than a second's tenth; nobody is turned away."""
    limit = "maxHandshakesPerSecond = 20"
    stunnel = front(start(Recorder()), limit, settings="workers = 2\n")
    with Crowd(stunnel.port, 24) as crowd:
        stunnel.wait_log("Service [web]: Clients wait for maxHandshakesPerSecond (20)")
        assert len(crowd.statuses) < 24
        wait_for(lambda: len(crowd.statuses) + len(crowd.errors) == 24, "all of them")
    assert (crowd.statuses, crowd.errors) == ([200] * 24, [])


@pytest.mark.parametrize("place", ["process", "section"])
def test_connections_of_a_killed_worker_do_not_count(start, place):
    backend = start(Recorder())
    limit = "maxConnections = 2"
    of_process, of_section = ([limit], []) if place == "process" else ([], [limit])
    config = "\n".join(["workers = 2", *of_process, service(backend.port, *of_section)])
    stunnel = start(Stunnel(config))
    assert_places_outlive_workers(stunnel)


@pytest.mark.parametrize("place", ["process", "section"])
def test_connections_from_before_a_reload_count(start, place):
    backend = start(Recorder())
    limit = "maxConnections = 2"
    of_process, of_section = ([limit], []) if place == "process" else ([], [limit])
    config = "\n".join(["workers = 2", *of_process, service(backend.port, *of_section)])
    stunnel = start(Stunnel(config))
    early = guests(start, stunnel.port, 1)[0]
    stunnel.write(config + service(backend.port, name="new"))
    before = stunnel.processes()[1:]
    stunnel.reload()
    stunnel.wait_log("New workers accept connections")
    assert set(before) & set(stunnel.processes())  # the early one's
    guests(start, stunnel.port, 1)
    assert not is_served(stunnel.port)
    assert early.get("/").status == 200
    early.close()
    wait_for(lambda: is_served(stunnel.port), "the early one's place")


@pytest.mark.parametrize("option", ["maxConnections", "maxConnectionsPerIP", "maxHandshakesPerSecond"])
def test_limit_belongs_to_the_section_that_accepts(start, option):
    backend = start(Recorder())
    config = service(backend.port)
    stunnel = start(Stunnel(config))
    virtual = f"[two]\nsni = web:two.test\nconnect = {backend.port}\n{option} = 5\n"
    stunnel.write(config + virtual)
    stunnel.signal(signal.SIGHUP)
    stunnel.wait_log(f"{option} is for the section that accepts, [web]")
    assert is_served(stunnel.port)
