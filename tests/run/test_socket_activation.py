# SPDX-License-Identifier: ISC
"""Sockets that systemd has opened, as sd_listen_fds(3) tells them; stock has them by order alone."""

import contextlib
import shutil
import subprocess
import sys

import pytest

from peers import DEADLINE, Stock, Stunnel, daemon_only, free_port, service
from recorder import Recorder, answer_each
from test_new_program import parent, upgrade
from tls_client import TlsClient

pytestmark = daemon_only

# Listens on ports, as descriptors from 3 on, and becomes the command: what systemd does.
SYSTEMD = """
import os, socket, sys
ports, names, command = sys.argv[1].split(), sys.argv[2], sys.argv[3:]
sockets = [socket.create_server(("127.0.0.1", int(port))) for port in ports]
for number, sock in enumerate(sockets, 50):
    os.dup2(sock.fileno(), number)
for number in range(len(ports)):
    os.dup2(50 + number, 3 + number)
os.closerange(3 + len(ports), 100)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(ports)), LISTEN_FDNAMES=names)
os.execv(command[0], command)
"""


@pytest.fixture
def backends():
    answers = [b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n" + body for body in (b"one", b"two")]
    with Recorder(answer_each(answers[0])) as one, Recorder(answer_each(answers[1])) as two:
        yield one, two


@pytest.fixture
def activated(start, backends):
    """A daemon with the sections one and two, and sockets of those names in that order."""

    def start_daemon(names, *options, kind=Stunnel):
        ports = [free_port(), free_port()]
        sections = [
            service(backend.port, *options, name=name, accept=f"127.0.0.1:{free_port()}")
            for name, backend in zip(("one", "two"), backends)
        ]
        daemon = kind("workers = 2\n" + "".join(sections))
        daemon.endpoints = lambda: [f"127.0.0.1:{port}" for port in ports]
        daemon.wrapper = [sys.executable, "-c", SYSTEMD, " ".join(map(str, ports)), names]
        return start(daemon), ports

    return start_daemon


def answer(port):
    with TlsClient(port) as client:
        return client.get().body


@pytest.mark.parametrize("kind", [Stock, Stunnel])
def test_sockets_are_given_in_the_order_of_sections(activated, kind):
    _, ports = activated("", kind=kind)
    assert [answer(port) for port in ports] == [b"one", b"two"]


def test_a_name_is_that_of_a_section(activated):
    _, ports = activated("two:one")
    assert [answer(port) for port in ports] == [b"two", b"one"]


def test_another_name_leaves_it_to_the_order(activated):
    _, ports = activated("two:stunnel.socket")
    assert [answer(port) for port in ports] == [b"two", b"one"]


def test_a_section_has_several_sockets_of_its_name(activated):
    stunnel, ports = activated("two:two")
    assert [answer(port) for port in ports] == [b"two", b"two"]
    assert len(stunnel.log_lines("Service [one]")) > 0


def test_they_last_through_upgrades(activated, backends):
    """The new program finds none of systemd's variables, and the sockets keep their names."""
    stunnel, ports = activated("two:one")
    new = upgrade(stunnel)
    stunnel.wait_gone([pid for pid in stunnel.processes()[1:] if pid != new and parent(pid) != new])
    assert [answer(port) for port in ports] == [b"two", b"one"]


def test_they_last_through_reloads(activated, backends):
    stunnel, ports = activated("")
    stunnel.write(service(backends[0].port, name="one"))
    stunnel.replace_workers()
    assert answer(ports[0]) == b"one"
    sections = [service(backend.port, name=name) for name, backend in zip(("one", "two"), backends)]
    stunnel.write("".join(reversed(sections)))
    stunnel.replace_workers()
    assert [answer(port) for port in ports] == [b"one", b"two"]


def test_a_program_is_told_nothing_of_them(start):
    port = free_port()
    daemon = Stunnel(f"[env]\naccept = {port}\nexec = /usr/bin/env\n")
    daemon.endpoints = lambda: [f"127.0.0.1:{port}"]
    daemon.wrapper = [sys.executable, "-c", SYSTEMD, str(port), "env"]
    start(daemon)
    with TlsClient(port) as client:
        assert b"LISTEN_" not in client.recv_all()


def test_too_many_are_refused(backends):
    daemon = Stunnel(service(backends[0].port))
    daemon.wrapper = [sys.executable, "-c", SYSTEMD, f"{free_port()} {free_port()}", ""]
    with pytest.raises(AssertionError, match="Too many listening file descriptors .* got 2"):
        daemon.__enter__()


@pytest.mark.skipif(not shutil.which("systemd-socket-activate"), reason="systemd is not there")
def test_systemds_own_tool(backends):
    port = free_port()
    daemon = Stunnel(service(backends[0].port, accept=f"127.0.0.1:{free_port()}"))
    command = ["systemd-socket-activate", "-l", f"127.0.0.1:{port}", *map(str, daemon.command())]
    with subprocess.Popen(command, stderr=subprocess.PIPE, start_new_session=True) as process:
        try:
            assert b"Listening on" in process.stderr.readline()
            assert answer(port) == b"one"
        finally:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.communicate(timeout=DEADLINE)
            process.kill()
            shutil.rmtree(daemon.folder)
