# SPDX-License-Identifier: ISC
"""exec and connect without accept: a program is the client, with Debian's stunnel beside the daemon."""

import re
import sys

import pytest

from peers import Stock, Stunnel, daemon_only, wait_for
from recorder import Recorder, read_only
from tls_server import TlsServer

pytestmark = daemon_only

SAYS = "echo hello; read answer; echo got $answer; exec cat"
SPEAKS_TLS = """
import socket, ssl
context = ssl.create_default_context()
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
with context.wrap_socket(socket.socket(fileno=0)) as tls:
    tls.sendall(b"hello over TLS")
    tls.recv(1)
"""


def greet(connection):
    connection.take_until(b"hello\n")
    connection.send(b"you\n")
    read_only(connection)


@pytest.fixture
def script(tmp_path):
    def write(text, interpreter="/bin/sh"):
        path = tmp_path / f"program{len(list(tmp_path.iterdir()))}"
        path.write_text(f"#!{interpreter}\n{text}\n")
        path.chmod(0o755)
        return path

    return write


def section(program, backend, *options, client="yes"):
    lines = ["[program]", f"client = {client}", f"exec = {program}", f"connect = {backend.port}"]
    return "\n".join([*lines, *options]) + "\n"


@pytest.fixture
def tls_server():
    with TlsServer(greet) as server:
        yield server


def wait_connections(server, count):
    wait_for(lambda: len(server.connections) >= count, f"{count} connections")


def wait_data(connection, data):
    wait_for(lambda: data in connection.data, f"{data}")


TOKENS = (
    r"Skipped exec\+connect service \[program\]|Starting exec\+connect service \[program\]"
    r"|Local mode child started \(PID=|Service \[program\] accepted connection"
    r"|Connection \w+: \d+ byte\(s\) sent to TLS, \d+ byte\(s\) sent to socket"
    r"|Retrying an exec\+connect section"
)


@pytest.mark.parametrize("daemon", [Stock, Stunnel])
def test_a_program_talks_to_the_server(start, script, tls_server, daemon):
    program = script("echo hello; read answer; echo got $answer")
    stunnel = start(daemon("debug = debug\n" + section(program, tls_server)))
    wait_connections(tls_server, 1)
    wait_data(tls_server.connections[0], b"got you\n")
    stunnel.wait_log("finished with code 0")
    stunnel.wait_ended(1)
    assert re.findall(TOKENS, stunnel.log_text()) == [
        "Skipped exec+connect service [program]",
        "Starting exec+connect service [program]",
        "Local mode child started (PID=",
        "Service [program] accepted connection",
        "Connection closed: 14 byte(s) sent to TLS, 4 byte(s) sent to socket",
    ]
    assert len(tls_server.connections) == 1


@pytest.mark.parametrize("daemon", [Stock, Stunnel])
def test_retry_starts_it_again(start, script, tls_server, daemon):
    stunnel = start(daemon(section(script("echo hello; read answer"), tls_server, "retry = yes")))
    wait_connections(tls_server, 2)
    stunnel.wait_log("Retrying an exec+connect section")
    assert tls_server.connections[0].data == b"hello\n"


def test_retry_takes_milliseconds(start, script, tls_server):
    start(Stunnel(section(script("echo hello; read answer"), tls_server, "retry = 1")))
    wait_connections(tls_server, 10)


def test_a_server_that_is_away_is_tried_again(start, script):
    with Recorder() as away:
        away.close()
        stunnel = start(Stunnel(section(script("exec cat"), away, "retry = 1")))
        stunnel.wait_log("No more addresses to connect", 3)
        stunnel.wait_log("finished with code 0", 3)


def test_one_worker_starts_it_for_all(start, script, tls_server):
    stunnel = start(Stunnel("workers = 3\n" + section(script(SAYS), tls_server)))
    wait_connections(tls_server, 1)
    wait_data(tls_server.connections[0], b"got you\n")
    assert len(stunnel.log_lines("Local mode child started")) == 1


def test_a_server_section_has_a_program_that_speaks_tls(start, script):
    with Recorder(read_only) as backend:
        start(Stunnel(section(script(SPEAKS_TLS, sys.executable), backend, client="no")))
        wait_connections(backend, 1)
        wait_data(backend.connections[0], b"hello over TLS")


def test_a_reload_starts_it_anew_and_leaves_the_old_one(start, script, tls_server):
    stunnel = start(Stunnel(section(script(SAYS), tls_server, "retry = 1")))
    wait_connections(tls_server, 1)
    old = tls_server.connections[0]
    wait_data(old, b"got you\n")
    stunnel.reload()
    wait_connections(tls_server, 2)
    old.send(b"still there\n")
    wait_data(old, b"still there\n")
    old.sock.unwrap()
    stunnel.wait_ended(1)
    assert not stunnel.log_lines("Retrying")
    assert len(tls_server.connections) == 2


def test_it_is_hung_up_on_at_the_end(start, script, tls_server):
    stunnel = start(Stunnel("workers = 1\n" + section(script(SAYS), tls_server)))
    wait_connections(tls_server, 1)
    wait_data(tls_server.connections[0], b"got you\n")
    programs = stunnel.processes()[2:]
    assert programs
    stunnel.stop()
    wait_for(lambda: not any(_runs(pid) for pid in programs), "the program to end")


def _runs(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
            return stat.read().rsplit(") ", 1)[1][0] != "Z"
    except OSError:
        return False


def test_it_inherits_no_descriptor(start, script, tls_server):
    start(Stunnel(section(script("echo hello; ls /proc/self/fd"), tls_server)))
    wait_connections(tls_server, 1)
    wait_data(tls_server.connections[0], b"hello\n0\n1\n2\n3\n")  # 3 is the folder


REFUSED = [
    ("retry = soon", "Illegal retry delay"),
    ("transparent = source", "Transparent source needs a socket: a program"),
    ("protocol = proxy", "programs have none"),
    ("transparent = destination", "'connect' and 'exec' are two for one"),
]


@pytest.mark.parametrize("option, why", REFUSED)
def test_what_cannot_be_is_refused_at_the_load(option, why):
    text = f"[program]\nclient = yes\nexec = /bin/cat\nconnect = 1\n{option}\n"
    with pytest.raises(AssertionError, match=re.escape(why)):
        Stunnel(text).__enter__()
