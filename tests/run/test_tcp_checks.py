# SPDX-License-Identifier: ISC
"""A balancer's check, which connects and leaves without a byte, is one line in the log, at info."""

import socket
import struct

import pytest

from peers import Haproxy, Stunnel, daemon_only, free_port, service
from recorder import Recorder
from tls_client import TlsClient, dial

pytestmark = daemon_only
LEFT = "connected and left without a byte"


def check(port, reset=False):
    """Connects and leaves; returns its address as the log has it."""
    sock = socket.create_connection(("127.0.0.1", port))
    host, own = sock.getsockname()
    if reset:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()
    return f"{host}:{own}"


@pytest.mark.parametrize("end", ["fin", "reset"])
@pytest.mark.parametrize("option", [None, "acceptProxy = yes"])
def test_one_line_at_info(start, end, option):
    options = [option, "acceptProxyFrom = 127.0.0.1"] if option else []
    stunnel = start(Stunnel(service(start(Recorder()).port, *options)))
    address = check(stunnel.port, end == "reset")
    told = stunnel.wait_log(address)
    with socket.create_connection(("127.0.0.1", stunnel.port)) as sock:
        sock.sendall(b"\x00")
        stunnel.wait_log("accepted connection from")
    stunnel.wait_ended(1)
    assert told == [f"Service [web]: {address} {LEFT}"]
    assert len(stunnel.log_lines("accepted connection from")) == 1 == stunnel.ended()
    assert len(stunnel.log_lines(address)) == 1


def test_nothing_at_notice_and_real_clients_as_ever(start):
    options = ["debug = notice", "xForwardedFor = yes"]
    stunnel = start(Stunnel(service(start(Recorder()).port, *options)))
    check(stunnel.port)
    with TlsClient(stunnel.port) as client:
        assert client.get("/").status == 200
        host, own = client.address
    stunnel.wait_ended(1)
    lines = stunnel.log_lines("")
    begin = [n for n, line in enumerate(lines) if "accepted connection" in line]
    assert [lines[n] for n in begin] == [f"Service [web] accepted connection from {host}:{own}"]
    assert lines[begin[0] - 1] == "Accepting new connections"
    assert lines[-1].startswith("Connection closed: ")
    assert not stunnel.log_lines("SSL_accept") and not stunnel.log_lines(LEFT)


def test_a_silent_client_shows_while_it_is_there(start):
    stunnel = start(Stunnel(service(start(Recorder()).port)))
    with dial(stunnel.port):
        stunnel.wait_log("Service [web] accepted connection from 127.0.0.1:")
    stunnel.wait_log("SSL_accept: ")
    assert not stunnel.log_lines(LEFT)


def test_a_byte_and_an_end_is_an_error_as_ever(start):
    stunnel = start(Stunnel(service(start(Recorder()).port)))
    with dial(stunnel.port) as sock:
        sock.sendall(b"\x16")
    stunnel.wait_ended(1)
    assert stunnel.log_lines("accepted connection from") and stunnel.log_lines("SSL_accept: ")
    assert not stunnel.log_lines(LEFT)


def test_a_client_that_speaks_first_to_a_plain_service(start):
    """client = yes: a connection is told of at once, since the far end may have to speak first."""
    backend = start(Recorder())
    stunnel = start(Stunnel(service(backend.port, "client = yes", "TIMEOUTclose = 1")))
    check(stunnel.port)
    stunnel.wait_log("accepted connection from")


def test_the_checks_of_haproxy(start):
    """Its plain check resets within the handshake of TCP, which no daemon sees; this one connects."""
    stunnel = start(Stunnel(service(start(Recorder()).port)))
    config = f"""
        listen checked
          bind 127.0.0.1:{free_port()}
          option tcp-check
          tcp-check connect
          tcp-check connect
          server one 127.0.0.1:{stunnel.port} check inter 50ms
    """
    start(Haproxy(config))
    stunnel.wait_log(LEFT, 5)
    assert not stunnel.log_lines("accepted connection from") and stunnel.ended() == 0
