# SPDX-License-Identifier: ISC
"""local and transparent: from where backends are connected, and to where."""

import contextlib
import re
import shutil
import socket
import subprocess

import pytest

from certs import certificates
from peers import BINARY, Program, Stunnel, as_root, daemon_only, service
from recorder import Recorder
from tls_client import TlsClient

pytestmark = daemon_only


class Sources(Recorder):
    """Keeps from where it was connected."""

    def __init__(self, **where):
        super().__init__(**where)
        self.sources = []

    def _serve(self, connection):
        self.sources.append(connection.sock.getpeername()[:2])
        super()._serve(connection)


def served(daemon, source=None):
    with TlsClient(daemon.port, source=source) as client:
        assert client.get("/").status == 200
        return client.address[:2]


# ---- local ----------------------------------------------------------------------------------


def test_local_is_where_backends_are_connected_from(start, both):
    backend = start(Sources())
    for daemon in both(backend, "local = 127.0.0.5"):
        served(daemon)
        daemon.wait_log("Service [web] connected remote server from 127.0.0.5:")
    assert [host for host, _ in backend.sources] == ["127.0.0.5"] * 2


def test_local_is_a_default_of_sections(start, front):
    backend = start(Sources())
    served(front(backend, settings="local = 127.0.0.6\n"))
    assert backend.sources[0][0] == "127.0.0.6"


@pytest.mark.parametrize("delay", ["yes", "no"])
def test_a_target_of_another_family_is_passed_over(start, front, delay):
    backend, other = start(Sources()), start(Sources(host="::1"))
    lines = [f"connect = localhost:{backend.port}", f"delay = {delay}"]
    stunnel = front(f"::1:{other.port}", *lines, "local = 127.0.0.5")
    served(stunnel)
    assert (backend.sources[0][0], other.sources) == ("127.0.0.5", [])
    assert re.search(rf"s_connect: connect ::1:{other.port}: Address family", stunnel.log_text())


def test_an_address_that_is_not_of_this_host_fails_to_bind(start, front):
    backend = start(Sources())
    stunnel = front(backend, "local = 192.0.2.99", "xForwardedFor = yes")
    with TlsClient(stunnel.port) as client:
        assert client.get("/").status == 503
    stunnel.wait_log("Cannot assign requested address")


# ---- transparent ----------------------------------------------------------------------------


@as_root
@pytest.mark.parametrize("mode", ["source", "yes"])
def test_backends_see_the_client(start, both, mode):
    """Its address; its port is in use on this host, by the client itself."""
    backend = start(Sources())
    for daemon in both(backend, f"transparent = {mode}"):
        served(daemon, source="127.0.0.7")
    assert [host for host, _ in backend.sources] == ["127.0.0.7"] * 2


@as_root
def test_local_goes_before_the_client(start, both):
    backend = start(Sources())
    for daemon in both(backend, "transparent = source", "local = 127.0.0.5"):
        served(daemon, source="127.0.0.7")
    assert [host for host, _ in backend.sources] == ["127.0.0.5"] * 2


def test_backends_see_the_client_that_a_proxy_header_names(start, front):
    backend = start(Sources())
    stunnel = front(
        backend, "transparent = source", "acceptProxy = yes", "acceptProxyFrom = 127.0.0.1"
    )
    outer = socket.create_connection(("127.0.0.1", stunnel.port))
    outer.sendall(b"PROXY TCP4 127.0.0.77 127.0.0.1 40123 443\r\n")
    with TlsClient(outer) as client:
        assert client.get("/").status == 200
    assert backend.sources == [("127.0.0.77", 40123)]


def load(folder, config, *command):
    """What -test says."""
    file = folder / "test.conf"
    keys = f"cert = {certificates().cert}\nkey = {certificates().key}\n"
    file.write_text(keys + config)
    folder.chmod(0o755)
    done = subprocess.run(
        [*command, BINARY, "-test", file], capture_output=True, text=True, timeout=60, check=False
    )
    return done.returncode, done.stderr


@as_root
def test_the_load_says_which_right_is_missing(tmp_path):
    config = service(1, "transparent = source")
    assert load(tmp_path, config)[0] == 0
    code, said = load(tmp_path, "setuid = nobody\n" + config)
    assert (code, "with setuid no worker may" in said) == (1, True)
    code, said = load(tmp_path, config, "setpriv", "--bounding-set=-all", "--inh-caps=-all")
    assert (code, "IP_TRANSPARENT: Operation not permitted (1)" in said) == (1, True)


def test_unix_clients_have_no_address_to_come_from(tmp_path):
    config = service(1, "transparent = source", accept=f"{tmp_path}/socket")
    code, said = load(tmp_path, config)
    assert (code, "Transparent source needs a socket" in said) == (1, True)


@pytest.mark.parametrize("mode", ["destination", "both"])
def test_a_destination_is_an_endpoint(tmp_path, mode):
    """Beside `connect` it is one too many."""
    both = service(1, f"transparent = {mode}")
    code, said = load(tmp_path, both)
    assert (code, "Each service must define two endpoints" in said) == (1, True)
    assert load(tmp_path, both.replace("connect = ", "; "))[0] == 0


# ---- between networks -----------------------------------------------------------------------


class Network(Program):
    """A network namespace of its own: run(COMMAND) inside of it."""

    name = "network"

    def command(self):
        return ["unshare", "--net", "sh", "-c", "ip link set lo up && exec sleep infinity"]

    def endpoints(self):
        return []

    def _started(self):
        try:
            self.run("ip link show up dev lo | grep -q UP")
            return True
        except subprocess.CalledProcessError:
            return False

    def inside(self):
        return ["nsenter", f"--net=/proc/{self.pid}/ns/net"]

    def run(self, command):
        subprocess.run([*self.inside(), "sh", "-ec", command], check=True, capture_output=True)

    def join(self, other, mine, theirs):
        """A wire to another network, with an address /24 at each end."""
        here, there = f"w{other.pid}", f"w{self.pid}"
        self.run(f"ip link add {here} type veth peer name {there} netns {other.pid}")
        for network, link, address in ((self, here, mine), (other, there, theirs)):
            network.run(f"ip address add {address}/24 dev {link}; ip link set {link} up")
        return here, there


class Inside(Stunnel):
    """A daemon in a network."""

    def __init__(self, network, config, binary=BINARY):
        super().__init__(config, binary)
        self.wrapper = network.inside()

    def _started(self):
        return bool(self.log_lines("Accepting new connections"))


def in_network(network, script):
    """What a Python program says there."""
    return subprocess.run(
        [*network.inside(), "python3", "-c", script], check=True, capture_output=True, text=True
    ).stdout.strip()


TELL = """
import socket, sys
server = socket.create_server((sys.argv[1], int(sys.argv[2])))
while True:
    client, address = server.accept()
    client.recv(1)
    client.sendall(f"{address[0]} {address[1]}".encode())
    client.close()
"""
ASK = """
import socket, ssl
context = ssl._create_unverified_context()
tls = context.wrap_socket(socket.create_connection(("{}", {}), 20))
tls.sendall(b"?")
host, port = tls.recv(99).decode().split()
print(host, "same port" if int(port) == tls.getsockname()[1] else "")
"""


class Tells(Program):
    """A server in a network that tells its clients from where they come."""

    name = "tells"

    def __init__(self, network, address, port):
        super().__init__()
        self.network, self.address, self.port = network, address, port

    def command(self):
        return [*self.network.inside(), "python3", "-c", TELL, self.address, str(self.port)]

    def endpoints(self):
        return []

    def _started(self):
        with contextlib.suppress(subprocess.CalledProcessError):
            self.network.run(f"ss -Hltn sport = :{self.port} | grep -q LISTEN")
            return True
        return False


@pytest.fixture
def networks(start):
    """Three: a client's, ours, which forwards between them, and a backend's."""
    client, ours, backend = (start(Network()) for _ in range(3))
    try:
        client.join(ours, "10.91.1.2", "10.91.1.1")
        ours.link = ours.join(backend, "10.91.2.1", "10.91.2.2")[0]
    except subprocess.CalledProcessError as error:
        pytest.skip(f"no networks: {error.stderr}")
    client.run("ip route add default via 10.91.1.1")
    backend.run("ip route add default via 10.91.2.1")
    ours.run("sysctl -qw net.ipv4.ip_forward=1 || echo 1 >/proc/sys/net/ipv4/ip_forward")
    return client, ours, backend


def redirect(network):
    """Takes what goes to the backend's port to the service."""
    network.run(
        "nft add table ip n; nft 'add chain ip n p { type nat hook prerouting priority -100; }';"
        "nft add rule ip n p ip daddr 10.91.2.2 tcp dport 8080 redirect to :8443"
    )


@as_root
def test_a_backend_in_another_network_sees_the_client(networks, start):
    """Its answers come back through this host, which takes them for its own."""
    client, ours, backend = networks
    ours.run(f"ip rule add iif {ours.link} lookup 100; ip route add local default dev lo table 100")
    start(Tells(backend, "10.91.2.2", 8080))
    config = service("10.91.2.2:8080", "transparent = source", accept="10.91.1.1:8443")
    start(Inside(ours, config))
    assert in_network(client, ASK.format("10.91.1.1", 8443)) == "10.91.1.2 same port"


@as_root
@pytest.mark.skipif(not shutil.which("nft"), reason="no packet filter to redirect with")
@pytest.mark.parametrize("mode, seen", [("destination", "10.91.2.1"), ("both", "10.91.1.2")])
def test_where_a_redirected_client_went(networks, start, mode, seen):
    """Clients go to the backend's address, and are redirected to the service."""
    client, ours, backend = networks
    if mode == "both":
        ours.run(
            f"ip rule add iif {ours.link} lookup 100; ip route add local default dev lo table 100"
        )
    redirect(ours)
    start(Tells(backend, "10.91.2.2", 8080))
    config = service(1, f"transparent = {mode}", accept="10.91.1.1:8443")
    stunnel = start(Inside(ours, config.replace("connect = ", "; ")))
    assert in_network(client, ASK.format("10.91.2.2", 8080)) == seen
    stunnel.wait_log("s_connect: connected 10.91.2.2:8080")


@as_root
@pytest.mark.skipif(not shutil.which("nft"), reason="no packet filter to redirect with")
def test_a_client_that_was_not_redirected_is_refused(networks, start):
    """It would connect the service to itself, again and again."""
    client, ours, _ = networks
    redirect(ours)
    config = service(1, "transparent = destination", accept="10.91.1.1:8443")
    stunnel = start(Inside(ours, config.replace("connect = ", "; ")))
    with contextlib.suppress(subprocess.CalledProcessError):
        assert in_network(client, ASK.format("10.91.1.1", 8443)) == ""
    stunnel.wait_log("The client was not redirected: its destination is here")
    assert len(stunnel.log_lines("accepted connection from")) == 1
