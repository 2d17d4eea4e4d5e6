# SPDX-License-Identifier: ISC
"""libwrap: rules of hosts.allow and hosts.deny judge clients, with Debian's stunnel beside ours.

The rules are files of the test, mounted over the machine's in a namespace of the daemon's own.
"""

import contextlib
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import threading
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from certs import certificates
from peers import (
    BINARY,
    Stock,
    Stunnel,
    daemon_only,
    free_port,
    listening_sockets,
    service,
    wait_for,
)
from recorder import Recorder
from tls_client import TlsClient, client_context

TABLES = ["/etc/hosts.allow", "/etc/hosts.deny"]
MOUNT = 'mount --bind "$1/allow" /etc/hosts.allow && mount --bind "$1/deny" /etc/hosts.deny && shift'
GUARDED = [*("unshare", "-m", "sh", "-c", f'{MOUNT} && exec "$@"', "sh")]


def unsuited():
    """Why the rules cannot be the test's own, or None."""
    if os.getuid() != 0:
        return "only root may mount rules over /etc/hosts.allow"
    if shutil.which("unshare") is None:
        return "there is no unshare here"
    missing = [table for table in TABLES if not os.path.exists(table)]
    if missing:
        return f"there is no {missing[0]} to mount over"
    mount = ["unshare", "-m", "mount", "--bind", *TABLES]
    done = subprocess.run(mount, check=False, capture_output=True, text=True)
    return done.stderr.strip() if done.returncode != 0 else None


def built_without():
    listed = subprocess.run(["ldd", BINARY], check=False, capture_output=True, text=True)
    return "libwrap" not in listed.stdout


needs_rules = pytest.mark.skipif(unsuited() is not None, reason=str(unsuited()))
needs_library = pytest.mark.skipif(
    built_without(), reason="the program was built without libwrap0-dev"
)
pytestmark = [daemon_only, needs_rules, needs_library]


class Rules:
    """The two tables, which daemons with `wrapper` see in place of the machine's."""

    def __init__(self, folder):
        self.folder = folder
        folder.chmod(0o755)
        self.write()

    @property
    def wrapper(self):
        return [*GUARDED, str(self.folder)]

    def write(self, deny="", allow=""):
        for name, text in (("deny", deny), ("allow", allow)):
            (self.folder / name).write_text(f"{text}\n" if text else "")


@pytest.fixture
def rules(tmp_path):
    return Rules(tmp_path)


def hello(connection):
    connection.send(b"hello")
    connection.receive()


@pytest.fixture
def backend(start):
    return start(Recorder(hello))


@pytest.fixture
def guarded(start, rules):
    """guarded(config, kind): a daemon that sees the test's rules."""

    def start_guarded(config, kind=Stunnel):
        daemon = kind(config)
        daemon.config.write_text(daemon.config.read_text().replace("debug = info", "debug = debug"))
        daemon.wrapper = rules.wrapper
        return start(daemon)

    return start_guarded


@pytest.fixture
def both(guarded, backend):
    """both(*options): stock and ours, with one service."""

    def start_both(*options, **of_service):
        def config():
            return service(backend.port, "libwrap = yes", *options, **of_service)

        return guarded(config(), Stock), guarded(config())

    return start_both


def let_in(stunnel, to=None, sni="localhost", source=None):
    """Whether a client reaches the backend."""
    to = to or stunnel.port
    with contextlib.suppress(OSError), TlsClient(to, sni=sni, source=source) as client:
        return client.recv() == b"hello"
    return False


def said(stunnel):
    """What the log says of the rules, without the numbers of ports."""
    words = re.compile(r"REFUSED by libwrap|permitted by libwrap|See hosts_access|Libwrap is not")
    lines = [line for line in stunnel.log_lines("") if words.search(line)]
    return [re.sub(r"(from \S+):\d+$", r"\1", line) for line in lines]


def wrapper_of(stunnel):
    """Id of the process that asks the rules: the last child that the master started."""
    return stunnel.processes()[-1]


# --- beside stock ---------------------------------------------------------------------------------

# (hosts.deny, hosts.allow, whether a client from 127.0.0.1 is let into [web])
CASES = [
    ("", "", True),
    ("web: 127.0.0.1", "", False),
    ("web: 127.0.0.2", "", True),
    ("web: 127.0.0.0/255.0.0.0", "", False),
    ("ALL: 127.", "", False),
    ("other: ALL", "", True),
    ("stunnel: ALL", "", True),
    ("ALL: ALL", "", False),
    ("ALL: ALL", "web: 127.0.0.1", True),
    ("ALL: ALL", "web: 192.0.2.1", False),
    ("ALL: ALL EXCEPT 127.0.0.1", "", True),
    ("ALL EXCEPT web: ALL", "", True),
    ("ALL: ALL", "web: ALL EXCEPT 127.0.0.1", False),
    ("", "web: 127.0.0.1: deny", False),
    ("web: ALL: allow", "", True),
    ("web@127.0.0.1: ALL", "", False),
    ("web@127.0.0.2: ALL", "", True),
    ("web: 127.0.0.1: twist /bin/echo no", "", False),
    ("web: 127.0.0.1: nonsense", "", False),
]


def test_sessions_are_resumed_beside_the_process_that_asks(guarded, backend):
    """It gives up the ticket keys, which are in memory that the workers share."""
    stunnel, context = guarded(service(backend.port, "libwrap = yes")), client_context()
    with TlsClient(stunnel.port, context=context) as client:
        assert client.recv() == b"hello"
        session = client.session
    with TlsClient(stunnel.port, context=context, session=session) as client:
        assert client.recv() == b"hello"
        assert client.tls.session_reused


def test_rules_judge_as_in_stock(both, rules):
    """Each is read when a client comes, while both run."""
    stock, ours = both()
    for deny, allow, expected in CASES:
        rules.write(deny, allow)
        assert (let_in(stock), let_in(ours)) == (expected, expected), (deny, allow)
    ours.wait_ended(len(CASES))
    assert said(ours) == said(stock)
    assert "Service [web] REFUSED by libwrap from 127.0.0.1" in said(ours)


def test_who_is_refused_does_not_see_the_service(both, rules, backend):
    """Not even its certificate."""
    rules.write("web: ALL")
    for stunnel in both():
        with pytest.raises(ConnectionResetError):
            TlsClient(stunnel.port)
    assert backend.connections == []


def test_clients_of_ipv6_are_judged_as_by_stock(guarded, rules, backend):
    for kind in (Stock, Stunnel):
        port = free_port()
        stunnel = guarded(service(backend.port, "libwrap = yes", accept=f"::1:{port}"), kind)
        rules.write("web: [::1]")
        assert not let_in(stunnel, ("::1", port))
        rules.write("web: [2001:db8::]/32, 127.0.0.1")
        assert let_in(stunnel, ("::1", port))
        assert "Service [web] REFUSED by libwrap from ::1" in said(stunnel)


def test_clients_of_a_unix_socket_are_not_judged_as_by_stock(guarded, rules, backend, tmp_path):
    rules.write("ALL: ALL")
    for kind in (Stock, Stunnel):
        path = str(tmp_path / kind.__name__)
        stunnel = guarded(service(backend.port, "libwrap = yes", accept=path), kind)
        assert let_in(stunnel, path)
        assert said(stunnel) == ["Libwrap is not supported on Unix sockets"]


def test_a_service_that_a_name_leads_to_is_judged_under_its_name(guarded, rules, backend):
    for kind in (Stock, Stunnel):
        named = f"[named]\nsni = web:a.test\nconnect = {backend.port}\nlibwrap = yes\n"
        stunnel = guarded(service(backend.port) + named, kind)
        context = client_context(verify=False)
        rules.write("named: ALL")
        with contextlib.suppress(OSError), TlsClient(stunnel.port, "a.test", context=context) as client:
            assert client.recv() != b"hello"
        rules.write("web: ALL")
        with TlsClient(stunnel.port, "a.test", context=context) as client:
            assert client.recv() == b"hello"
        stunnel.wait_log("Service [named] REFUSED by libwrap")
        stunnel.wait_log("Service [named] permitted by libwrap")


def test_rules_are_those_outside_the_chroot_as_in_stock(guarded, rules, backend, tmp_path):
    rules.write("web: ALL")
    for kind in (Stock, Stunnel):
        jail = tmp_path / kind.__name__
        jail.mkdir()
        lines = f"chroot = {jail}\nsetuid = nobody\nsetgid = nogroup\noutput = /log\n"
        (jail / "log").touch()
        shutil.chown(jail, "nobody")
        shutil.chown(jail / "log", "nobody")
        stunnel = guarded(lines + service(backend.port, "libwrap = yes"), kind)
        stunnel.log = jail / "log"
        stunnel.wait_log("Accepting new connections")
        assert not let_in(stunnel)
        stunnel.wait_log("REFUSED by libwrap")


def test_commands_of_rules_run_and_know_the_client_as_in_stock(both, rules, tmp_path):
    seen = tmp_path / "seen"
    rules.write(f"web: ALL: spawn (echo %d %a %s %u >> {seen})")
    for stunnel in both():
        assert not let_in(stunnel)
    assert seen.read_text().splitlines() == 2 * ["web 127.0.0.1 web@127.0.0.1 unknown"]


def test_a_client_in_client_mode_is_judged(both, rules):
    for stunnel in both("client = yes"):
        rules.write("web: ALL")
        with socket.create_connection(("127.0.0.1", stunnel.port)) as sock:
            with pytest.raises(ConnectionResetError):
                sock.recv(1)
        stunnel.wait_log("REFUSED by libwrap")


# --- ours alone -----------------------------------------------------------------------------------


def test_nobody_is_judged_by_default(guarded, rules, backend):
    rules.write("ALL: ALL")
    stunnel = guarded(service(backend.port))
    assert let_in(stunnel)
    assert said(stunnel) == []


@pytest.mark.parametrize("named", ["127.0.0.8", "127.0.0.9"])
def test_the_client_of_a_proxy_header_is_judged(guarded, rules, backend, named):
    """By the address that its proxy, who is trusted, tells; the proxy itself is none of the rules'."""
    stunnel = guarded(
        service(backend.port, "libwrap = yes", "acceptProxy = required", "acceptProxyFrom = 127.0.0.1")
    )
    rules.write("web: 127.0.0.1, 127.0.0.9")
    with socket.create_connection(("127.0.0.1", stunnel.port)) as sock:
        sock.sendall(f"PROXY TCP4 {named} 127.0.0.1 4711 443\r\n".encode())
        try:
            with client_context().wrap_socket(sock, server_hostname="localhost") as tls:
                assert tls.recv(5) == b"hello"
                assert named == "127.0.0.8"
        except (ConnectionResetError, ssl.SSLError):
            assert named == "127.0.0.9"
    word = "permitted" if named == "127.0.0.8" else "REFUSED"
    stunnel.wait_log(f"Service [web] {word} by libwrap from {named}:4711")


def test_many_clients_at_once_are_all_let_in(guarded, rules, backend):
    stunnel = guarded("workers = 2\n" + service(backend.port, "libwrap = yes"))
    rules.write("web: 127.0.0.9")
    got = []

    def come():
        got.append(let_in(stunnel))

    clients = [threading.Thread(target=come) for _ in range(150)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    assert got == [True] * 150


class Gate:
    """A rule that waits until it is opened."""

    def __init__(self, folder):
        self.path = folder / "gate"
        self.reached = folder / "reached"
        os.mkfifo(self.path, 0o666)
        self.path.chmod(0o666)

    def rule(self, name):
        return f"{name}: ALL: spawn (echo >> {self.reached}; cat {self.path})"

    def wait_reached(self):
        wait_for(self.reached.exists, "the rule to be asked")

    def open(self):
        self.path.write_text("")


def begin(stunnel, port):
    """A client that is in the middle of being judged."""
    sock = socket.create_connection(("127.0.0.1", port))
    sock.settimeout(30)
    return sock


def is_reset(sock):
    with sock, pytest.raises(ConnectionResetError):
        sock.recv(1)
    return True


def test_a_rule_that_takes_long_holds_up_nobody_else(guarded, rules, backend, tmp_path):
    gate = Gate(tmp_path)
    rules.write(gate.rule("slow"))
    config = service(backend.port, "libwrap = yes")
    config += service(backend.port, "libwrap = yes", name="slow")
    stunnel = guarded("workers = 1\n" + config)
    slow = int(stunnel.endpoints()[1].rsplit(":", 1)[-1])
    waiting = begin(stunnel, slow)
    gate.wait_reached()
    assert let_in(stunnel)
    gate.open()
    assert is_reset(waiting)
    stunnel.wait_log("Service [slow] REFUSED by libwrap")


def test_who_is_not_judged_in_time_is_refused(guarded, rules, backend, tmp_path):
    gate = Gate(tmp_path)
    rules.write(gate.rule("web"))
    stunnel = guarded(service(backend.port, "libwrap = yes", "TIMEOUTbusy = 1"))
    assert is_reset(begin(stunnel, stunnel.port))
    stunnel.wait_log("libwrap: TIMEOUTbusy exceeded")
    stunnel.wait_log("Service [web] REFUSED by libwrap")
    rules.write()
    assert let_in(stunnel)


def test_the_process_that_asks_is_replaced_and_asked_again(guarded, rules, backend, tmp_path):
    """Who waits when it is killed is judged by the next one, by the rules of then."""
    gate = Gate(tmp_path)
    rules.write("", gate.rule("web"))
    stunnel = guarded("workers = 1\n" + service(backend.port, "libwrap = yes"))
    wrapper = wrapper_of(stunnel)
    waiting = begin(stunnel, stunnel.port)
    gate.wait_reached()
    rules.write("web: ALL")
    os.kill(wrapper, signal.SIGKILL)
    stunnel.wait_log(f"Libwrap process {wrapper} terminated on signal 9")
    assert is_reset(waiting)
    assert stunnel.log_lines("Service [web] REFUSED by libwrap")
    assert not stunnel.log_lines("libwrap: ")  # it was judged, and was not only late
    rules.write()
    assert let_in(stunnel)


def test_a_process_that_judges_and_is_killed_lets_nobody_in(guarded, rules, backend, tmp_path):
    gate = Gate(tmp_path)
    rules.write("", gate.rule("web"))
    stunnel = guarded("workers = 1\n" + service(backend.port, "libwrap = yes"))
    known = stunnel.processes()
    waiting = begin(stunnel, stunnel.port)
    gate.wait_reached()
    judge = next(pid for pid in stunnel.processes() if pid not in known)
    os.kill(judge, signal.SIGKILL)
    assert is_reset(waiting)
    stunnel.wait_log("libwrap: the rules could not be asked")
    gate.open()


def test_more_clients_than_can_wait_are_refused(guarded, rules, backend, tmp_path):
    """As many as 64 are judged at a time, and some hundred wait in the worker's socket."""
    gate = Gate(tmp_path)
    rules.write(gate.rule("web"))
    stunnel = guarded("workers = 1\n" + service(backend.port, "libwrap = yes"))
    waiting = []
    with contextlib.ExitStack() as stack:
        while not stunnel.log_lines("libwrap: too many clients wait for an answer"):
            assert len(waiting) < 2000
            waiting.append(stack.enter_context(begin(stunnel, stunnel.port)))
        stunnel.wait_log("REFUSED by libwrap")


def test_a_reload_replaces_the_process_that_asks(guarded, rules, backend):
    config = "workers = 1\n" + service(backend.port, "libwrap = yes")
    stunnel = guarded(config)
    old = stunnel.processes()[1:]
    assert len(old) == 2
    stunnel.reload()
    stunnel.wait_gone(old)
    assert let_in(stunnel)
    rules.write("web: ALL")
    assert not let_in(stunnel)


def listened_on(port):
    return {f"socket:[{inode}]" for listened, inode in listening_sockets() if listened == port}


def open_files(pid):
    """A descriptor may be closed between the listing and the look at it."""
    found = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found.add(os.readlink(link))
    return found


def secret():
    """The key of the service's certificate, as OpenSSL has it in memory."""
    key = load_pem_private_key(Path(certificates().key).read_bytes(), None).private_numbers()
    number = key.private_value if hasattr(key, "private_value") else key.p
    return number.to_bytes((number.bit_length() + 7) // 8, "little")


def knows(pid, secret):
    """Whether it is in the memory of the process."""
    found = False
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb") as memory:
        for line in maps:
            begin, end = (int(part, 16) for part in line.split()[0].split("-"))
            with contextlib.suppress(OSError, OverflowError, ValueError):
                if " rw" in line and end - begin < 1 << 30:
                    memory.seek(begin)
                    found = found or secret in memory.read(end - begin)
    return found


def test_the_process_that_asks_has_neither_keys_nor_listening_sockets(guarded, backend):
    stunnel = guarded("workers = 1\n" + service(backend.port, "libwrap = yes"))
    assert let_in(stunnel)
    _, worker, wrapper = stunnel.processes()
    assert open_files(worker) & listened_on(stunnel.port)
    assert not open_files(wrapper) & listened_on(stunnel.port)
    assert knows(worker, secret())
    assert not knows(wrapper, secret())
