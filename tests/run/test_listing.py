# SPDX-License-Identifier: ISC
"""USR2 lists the connections of all workers, also beside Debian's stunnel."""

import os
import re
import signal
import socket

from peers import daemon_only, service, wait_for
from recorder import Recorder, read_only
from tls_client import TlsClient, dial

pytestmark = daemon_only

STOCK = (
    r"LOG0\[\S+\]: Active connection \d+: Service \[{}\], "
    r"{} byte\(s\) sent to TLS, {} byte\(s\) sent to socket"
)
OURS = STOCK + r", \d+ s, from {}, {}$"


def lists(stunnel):
    """Sends USR2 and returns the list's lines, from its first to its last."""
    count = len(stunnel.log_lines(" active connection(s)"))
    stunnel.signal(signal.SIGUSR2)
    stunnel.wait_log(" active connection(s)", count + 1)
    text = stunnel.log_text().rsplit("Active connections:\n", 1)[1]
    return [line for line in text.splitlines() if "LOG0[" in line]


def wait_listed(stunnel, pattern, *values):
    """Waits until a list's first line says so at its end."""
    told = pattern.format(*values)
    wait_for(lambda: re.search(told, lists(stunnel)[0]), told)


def total(lines):
    return int(re.search(r"Listed (\d+) active", lines[-1])[1])


def peer(client):
    return "127.0.0.1:%d" % client.sock.getsockname()[1]


def test_what_stock_tells_of_a_connection(start, both):
    def serve(connection):
        connection.take(5)
        connection.send(b"abc")
        read_only(connection)

    backend = start(Recorder(serve))
    for stunnel in both(backend):
        with TlsClient(stunnel.port) as client:
            client.send(b"hello")
            assert client.recv() == b"abc"
            lines = lists(stunnel)
            assert re.search(STOCK.format("web", 3, 5), "\n".join(lines))
            assert (len(lines), total(lines)) == (2, 1)


def test_a_request_in_flight_is_told_without_its_query(start, front):
    """And control bytes cannot make lines; what is long is cut."""
    stunnel = front(start(Recorder(read_only)), "xForwardedFor = replace", "accessLog = /dev/null")
    path = "/a" + 200 * "b"
    requests = {"/secret/path?token=1": "GET /secret/path", path: f"GET {path}"[:100]}
    for target, told in requests.items():
        with TlsClient(stunnel.port) as client:
            client.send(f"GET {target} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            wait_listed(stunnel, OURS, "web", 0, r"\d+", peer(client), f"transfer, {told}")
    assert "token" not in stunnel.log_text()


def test_an_answered_request_is_in_flight_no_more(start, front):
    def serve(connection):
        connection.take_request()
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        read_only(connection)

    stunnel = front(start(Recorder(serve)), "xForwardedFor = replace")
    with TlsClient(stunnel.port) as client:
        assert client.get().status == 200
        wait_listed(stunnel, OURS, "web", 40, r"\d+", peer(client), "transfer")


def test_what_a_connection_waits_for(start, front):
    backend = start(socket.create_server(("127.0.0.1", 0)))
    sections = "".join(
        service(f"127.0.0.1:{backend.getsockname()[1]}", *options, name=name)
        for name, options in {
            "early": ["acceptProxy = yes", "acceptProxyFrom = 127.0.0.1"],
            "http": ["xForwardedFor = yes"],
            "mail": ["protocol = smtp"],
        }.items()
    )
    stunnel = front(backend.getsockname()[1], settings=sections)
    waits = {"web": "handshake", "early": "PROXY header", "mail": "negotiation"}
    for name, phase in waits.items():
        with dial(port_of(stunnel, name)):
            wait_listed(stunnel, OURS, name, 0, 0, r"127.0.0.1:\d+", phase)
    with TlsClient(port_of(stunnel, "http")) as client:
        wait_listed(stunnel, OURS, "http", 0, 0, peer(client), "request")


def port_of(stunnel, name):
    bound = rf"Service \[{name}\] \(FD=\d+\) bound to \S*:(\d+)$"
    return int(re.search(bound, stunnel.log_text(), re.M)[1])


def test_a_handshake_with_a_server(start, front):
    backend = start(socket.create_server(("127.0.0.1", 0)))
    stunnel = front(backend.getsockname()[1], "client = yes", settings="workers = 2\n")
    with dial(stunnel.port) as sock:
        sock.sendall(b"hello")
        wait_listed(stunnel, OURS, "web", 0, 0, r"127.0.0.1:\d+", "handshake")


def test_lists_have_the_connections_of_all_workers_and_old_ones(start, front):
    """Far more than one batch, and each once."""
    stunnel = front(start(Recorder(read_only)), settings="workers = 3\n")
    clients = [dial(stunnel.port) for _ in range(150)]
    stunnel.wait_log("accepted connection from", 150)
    stunnel.reload()
    clients += [dial(stunnel.port) for _ in range(50)]
    stunnel.wait_log("accepted connection from", 200)
    lines = lists(stunnel)
    numbers = {re.search(r"Active connection (\d+): ", line)[1] for line in lines[:-1]}
    assert (len(numbers), len(lines) - 1, total(lines)) == (200, 200, 200)
    for client in clients:
        client.close()
    stunnel.wait_log("Connection ", 200)
    wait_for(lambda: total(lists(stunnel)) == 0, "an empty list")


def test_a_worker_that_dies_ends_no_list(start, front):
    """Stopped, it lists nothing; killed, nobody waits for it."""
    stunnel = front(start(Recorder(read_only)), settings="workers = 1\n")
    worker = stunnel.processes()[1]
    with dial(stunnel.port):
        stunnel.wait_log("accepted connection from")
        os.kill(worker, signal.SIGSTOP)
        stunnel.signal(signal.SIGUSR2)
        stunnel.wait_log("Active connections:")
        os.kill(worker, signal.SIGKILL)
        stunnel.wait_log("Listed 0 active connection(s)")
