# SPDX-License-Identifier: ISC
"""What is of a patched stock stunnel's own: its options, and sections that are not for them."""

import os
import re
import signal
import socket
import ssl
import struct
import subprocess
import threading
import time

import pytest

from certs import certificates
from peers import BINARY, PATCHED, Stunnel, free_port, service, stock_since, takes_sessions, wait_for
from recorder import OK, Recorder, answer_each, read_only
from tls_client import TlsClient, client_context, dial

pytestmark = pytest.mark.skipif(not PATCHED, reason="STUNNEL is no patched stock")

HEADERS = [
    "forwarded = yes",
    "httpAddHeader = X-A: b",
    "httpDelHeader = X-A",
    "httpSetHeader = X-A: %{client_ip}",
    "requestId = yes",
    "xForwardedFor = yes",
    "xForwardedPort = yes",
    "xForwardedProto = yes",
    "xRealIP = yes",
]


def refusal(start, *options):
    with pytest.raises(AssertionError) as error:
        start(Stunnel(service(9, *options)))
    return str(error.value)


OTHERS = ["proxyVersion = 2", "httpMaxHead = 2000", "acceptProxy = yes", "accessLog = /tmp/log"]


@pytest.mark.parametrize("option", [*HEADERS, *OTHERS])
def test_client_mode_refuses_them(start, option):
    assert "not with 'client = yes'" in refusal(start, "client = yes", option)


PEERS = "acceptProxyFrom = 127.0.0.1"


@pytest.mark.parametrize("protocol", ["smtp", "imap", "connect"])
def test_other_protocols_refuse_headers(start, protocol):
    text = refusal(start, f"protocol = {protocol}", "xForwardedFor = yes")
    assert "Header options are for HTTP" in text
    text = refusal(start, f"protocol = {protocol}", "acceptProxy = yes", PEERS)
    assert "acceptProxy goes with no protocol but 'proxy'" in text


def test_a_section_that_a_name_leads_to_cannot_accept_otherwise(start):
    named = "[named]\nsni = web:*.test\nconnect = 9\n"
    for first, second in [([], "acceptProxy = yes\n"), (["acceptProxy = yes", PEERS], "")]:
        with pytest.raises(AssertionError, match="acceptProxy is for the section that accepts"):
            start(Stunnel(service(9, *first) + named + second))


def test_stocks_own_log_and_header_have_the_client_that_a_header_named(start, front):
    backend = start(Recorder(read_only))
    options = ["acceptProxy = yes", PEERS, "protocol = proxy"]
    stunnel = front(backend, *options)
    with dial(stunnel.port) as sock:
        sock.sendall(b"PROXY TCP4 192.0.2.7 198.51.100.1 51234 443\r\n")
        context = client_context()
        with context.wrap_socket(sock, server_hostname="localhost") as tls:
            tls.sendall(b"hello")
            wait_for(lambda: backend.connections and backend.data.endswith(b"hello"), "the bytes")
    assert backend.data == b"PROXY TCP4 192.0.2.7 198.51.100.1 51234 443\r\nhello"
    assert stunnel.wait_log("PROXY header version 1: client 192.0.2.7:51234")


def test_a_client_that_sends_nothing_is_let_go_without_an_answer(start, front):
    backend = start(Recorder(read_only))
    stunnel = front(backend, "xForwardedFor = yes", "TIMEOUTrequest = 1")
    with TlsClient(stunnel.port) as client:
        assert client.recv_all() == b""
    assert stunnel.wait_log("TIMEOUTrequest exceeded: closing")
    wait_for(lambda: backend.connections and backend.connections[0].ended, "the backend's end")
    assert (backend.connections[0].ended, backend.data) == ("eof", b"")


def test_a_head_that_trickles_has_the_time_of_any_other(start, front):
    backend = start(Recorder())
    stunnel = front(backend, "xForwardedFor = yes", "TIMEOUTrequest = 2")
    with TlsClient(stunnel.port) as client:
        client.get("/")
        client.send(b"GET / HTTP/1.1\r\nX: ")

        def sent_until_answered():
            client.send(b"x")
            return stunnel.log_lines("request-timeout")

        wait_for(sent_until_answered, "the refusal")
        assert client.response().status == 408


@pytest.mark.parametrize("option", ["TIMEOUTrequest = 1", "TIMEOUTidle = 20"])
def test_the_time_of_a_request_is_no_matter_for_a_blind_service(start, front, option):
    backend = start(Recorder(read_only))
    stunnel = front(backend, option)
    with TlsClient(stunnel.port) as client:
        client.send(b"a")
        time.sleep(1.5)
        client.send(b"b")
        wait_for(lambda: backend.data == b"ab", "both bytes")


@pytest.mark.parametrize(
    "option, why",
    [
        ("xForwardedFor = perhaps", "xForwardedFor"),
        ("httpSetHeader = X Y: z", "X Y"),
        ("httpSetHeader = X: %{nonsense}", "nonsense"),
        ("httpMaxHead = 10", "Illegal size of a head (1024 to 65536)"),
        ("httpMaxHead = 1e4", "Illegal size of a head (1024 to 65536)"),
        ("httpMaxFields = 257", "Illegal number of fields (8 to 256)"),
        ("httpConnect = maybe", "either 'yes' or 'no'"),
        ("trustedProxy = 10.0.0.1/8", "Not an address or block of addresses"),
        ("proxyVersion = 3", "The PROXY protocol has versions 1 and 2"),
        ("proxyMaxLength = 51", "Illegal length of a header (52 to 4096)"),
        ("proxyMapped = yes", "either 'fold' or 'keep'"),
        ("proxyTLV = colour", "colour"),
        ("proxyTLV = ssl", "proxyTLV needs proxyVersion = 2"),
        ("proxyPassTLV = yes", "proxyPassTLV needs proxyVersion = 2"),
        ("acceptProxy = perhaps", "either 'yes', 'required' or 'no'"),
        ("acceptProxy = yes", "acceptProxy needs acceptProxyFrom"),
        ("acceptProxyFrom = localhost", "Not an address or block of addresses"),
        ("TIMEOUTrequest = 1.5", "Illegal request timeout"),
        ("TIMEOUTproxy = soon", "Illegal PROXY timeout"),
        ("accessLog = log", "Access log must include full path name"),
        ("accessLogFormat = %{nonsense}", "nonsense"),
        ("listenqueue = many", "Illegal length of a queue"),
        ("sendproxy = on", "either 'yes' or 'no'"),
    ],
)
def test_bad_values(start, option, why):
    text = refusal(start, "protocol = proxy", option)
    assert why in text
    if "needs" not in why:
        assert f'"{option}": ' in text


def test_help_and_version_list_them():
    for flag, preset in (("-help", None), ("-version", "no")):
        said = subprocess.run([BINARY, flag], check=False, capture_output=True, text=True).stderr
        section = said.split("Service-level options:")[1]
        assert "xForwardedFor" in section and "proxyMaxLength" in section
        if preset:
            assert f"xForwardedFor          = {preset}\n" in section


def test_defaults_are_inherited_and_undone(start):
    backends = [start(Recorder()) for _ in range(3)]
    sections = [
        service(backends[0].port, name="first"),
        service(backends[1].port, "xForwardedFor = no", name="second"),
        service(backends[2].port, "httpAddHeader = X-Own: third", name="third"),
    ]
    defaults = "xForwardedFor = replace\nhttpAddHeader = X-All: %{client_ip}\n"
    stunnel = start(Stunnel(defaults + "".join(sections)))
    for endpoint in stunnel.endpoints():
        with TlsClient(int(endpoint.rsplit(":", 1)[1]), source="127.0.0.7") as client:
            assert client.get("/").status == 200
    first, second, third = [backend.data for backend in backends]
    assert b"X-Forwarded-For: 127.0.0.7\r\n" in first and b"X-All: 127.0.0.7\r\n" in first
    assert b"X-Forwarded-For" not in second and b"X-All: 127.0.0.7\r\n" in second
    assert b"X-All: 127.0.0.7\r\nX-Own: third\r\n" in third and b"X-Own" not in first + second


def test_service_without_options_is_blind(start):
    """Beside one that is not."""
    backend, other = start(Recorder(read_only)), start(Recorder())
    config = service(other.port, "xForwardedFor = yes", name="http") + service(backend.port)
    stunnel = start(Stunnel(config))
    junk = b"GET / HTTP/1.1\n\n\0\x01 not HTTP\r\n"
    with TlsClient(int(stunnel.endpoints()[1].rsplit(":", 1)[1])) as client:
        client.send(junk)
        wait_for(lambda: backend.connections and backend.data == junk, "the bytes")


def test_reload_while_a_connection_runs(start, front):
    backend = start(Recorder())
    stunnel = front(backend, "xForwardedFor = yes", "httpAddHeader = X-A: 1")
    with TlsClient(stunnel.port) as old:
        old.get("/1")
        text = stunnel.config.read_text()
        stunnel.config.write_text(text.replace("X-A: 1", "X-A: 2"))
        stunnel.reload()
        old.get("/2")
        with TlsClient(stunnel.port) as new:
            new.get("/3")
        old.get("/4")
    lines = re.findall(rb"X-A: (\d)", b"".join(c.data for c in backend.connections))
    assert sorted(lines) == [b"1", b"1", b"1", b"2"]


def test_a_file_that_is_refused_changes_no_section(start):
    """Sections may share what the defaults say; what a refused file made of it is gone."""
    backends = [start(Recorder()), start(Recorder())]
    sections = [
        service(backends[0].port, name="plain"),
        service(backends[1].port, "httpAddHeader = X-Own: 1", name="own"),
    ]
    stunnel = start(Stunnel("httpAddHeader = X-All: 1\n" + "".join(sections)))
    text = stunnel.config.read_text()
    stunnel.config.write_text(text.replace(": 1\n", ": 2\n") + "httpMaxHead = 3\n")
    stunnel.signal(signal.SIGHUP)
    stunnel.wait_log("Illegal size of a head")
    stunnel.config.write_text(text)
    stunnel.reload()
    for endpoint in stunnel.endpoints():
        with TlsClient(int(endpoint.rsplit(":", 1)[1])) as client:
            assert client.get("/").status == 200
    plain, own = [re.findall(rb"X-\w+: \d", backend.data) for backend in backends]
    assert plain == [b"X-All: 1"]
    assert own == [b"X-All: 1", b"X-Own: 1"]


@takes_sessions
def test_session_of_another_name_is_no_certificate(start):
    """TLS 1.3 resumes before the name has its effect; nobody saw the certificate that it asks for."""
    backend = start(Recorder())
    primary = service(backend.port, "xForwardedFor = yes", name="primary")
    second = "\n".join(
        [
            "[second]",
            "sni = primary:second.test",
            f"connect = 127.0.0.1:{backend.port}",
            f"CAfile = {certificates().cert}",
            "verifyChain = yes",
            "xForwardedFor = yes",
            "",
        ]
    )
    stunnel = start(Stunnel(primary + second))
    context = client_context(verify=False)
    with TlsClient(stunnel.port, context=context) as client:
        client.get("/1")
        session = client.session
    with pytest.raises((ssl.SSLError, ConnectionError, EOFError)):
        with TlsClient(stunnel.port, sni="second.test", context=context, session=session) as client:
            client.get("/2")
    stunnel.wait_log("The TLS session was made under another server name")
    assert len(backend.requests) == 1


def test_refused_client_that_goes_on_sending_gets_the_answer(start, front):
    backend = start(Recorder())
    stunnel = front(backend, "xForwardedFor = yes")
    with TlsClient(stunnel.port) as client:
        client.send(b"GET / HTTP/1.1\n\n" + 100000 * b"x")
        answer = client.recv_all()
        assert answer.startswith(b"HTTP/1.1 400 ")
        client.send(100000 * b"x")
    stunnel.wait_ended(1)
    assert "not transferring any data" not in stunnel.log_text()


def test_refused_client_cannot_send_for_ever(start, front):
    backend = start(Recorder())
    stunnel = front(backend, "xForwardedFor = yes")
    with TlsClient(stunnel.port) as client:
        client.send(b"GET / HTTP/1.1\n\n")
        assert client.recv_all().startswith(b"HTTP/1.1 400 ")
        with pytest.raises(OSError):
            for _ in range(10000):
                client.send(16384 * b"x")
    stunnel.wait_log("goes on sending behind its last request")
    stunnel.wait_ended(1)


def test_no_descriptor_is_left_behind(start, front):
    backend = start(Recorder())
    stunnel = front(backend, "xForwardedFor = yes")

    def talk(count):
        for n in range(count):
            with TlsClient(stunnel.port) as client:
                client.send(b"GET / HTTP/1.1\n\n" if n % 2 else b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                client.recv()
        done.append(count)
        stunnel.wait_ended(sum(done))

    def descriptors():
        return len(os.listdir(f"/proc/{stunnel.pid}/fd"))

    done = []
    talk(4)
    before = descriptors()
    talk(40)  # of the last of either time the log tells before its descriptors are closed
    wait_for(lambda: descriptors() <= before, f"no more than {before} descriptors")


def test_expansion_by_far_more_than_the_buffers(start, front):
    """Each small request becomes 3 kB; all are sent, and the end with them, before one is read."""
    count = 30  # in flight at most 32
    value = 3000 * "v"

    def serve(connection):
        sent.wait(30)
        for _ in range(count):
            connection.take_request()
            connection.send(OK)

    sent = threading.Event()
    backend = start(Recorder(serve))
    stunnel = front(backend, f"httpSetHeader = X-Long: {value}")
    with TlsClient(stunnel.port) as client:
        client.send(count * b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        client.end()
        sent.set()
        assert client.recv_all() == count * OK
    expected = b"GET / HTTP/1.1\r\nHost: a\r\nX-Long: " + value.encode() + b"\r\n\r\n"
    wait_for(lambda: len(backend.data) >= count * len(expected), "the requests")
    assert backend.data == count * expected


# ---- turns of stock's loop ---------------------------------------------------------------------

IDLE_TURNS = "not transferring any data"  # what stock says before it gives up
HEAD = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


def trickle(client, data):
    """Each byte in a record and a turn of its own: more of them than stock has idle turns."""
    assert len(data) > 150
    for at in range(len(data)):
        client.send(data[at : at + 1])
        time.sleep(0.002)


@pytest.mark.parametrize(
    "whole, slow",
    [
        (b"", b"GET / HTTP/1.1\r\nHost: a\r\nX-Long: " + 200 * b"x" + b"\r\n\r\n"),
        (
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"2\r\nhi\r\n0\r\nX-Long: " + 200 * b"x" + b"\r\n\r\n",
        ),
    ],
    ids=["head", "trailers"],
)
def test_what_comes_slowly_is_no_idle_loop(start, front, whole, slow):
    backend = start(Recorder())
    stunnel = front(backend, "xForwardedFor = yes")
    with TlsClient(stunnel.port) as client:
        client.send(whole)
        trickle(client, slow)
        assert client.response().status == 200
    assert IDLE_TURNS not in stunnel.log_text()


def test_slow_bytes_behind_an_answered_request(start, front):
    backend = start(Recorder())
    stunnel = front(backend, "xForwardedFor = yes")
    with TlsClient(stunnel.port) as client:
        client.send(b"GET / HTTP/1.1\n\n")
        stunnel.wait_log("bare-lf")
        trickle(client, 200 * b"x")
        assert client.recv_all().startswith(b"HTTP/1.1 400 ")
    assert IDLE_TURNS not in stunnel.log_text()


@pytest.mark.parametrize("mode, flight", [("client", 1), ("both", 32)])
def test_requests_far_beyond_those_in_flight(start, front, mode, flight):
    """The backend takes its time: nothing is lost, and nothing too much is read."""
    count = 3000

    def serve(connection):
        for _ in range(flight):
            connection.take_request()
        full.set()
        sent.wait(30)
        connection.send(flight * OK)
        answer_each()(connection)

    full, sent = threading.Event(), threading.Event()
    backend = start(Recorder(serve))
    stunnel = front(backend, "xForwardedFor = yes", f"httpKeepAlive = {mode}")
    with TlsClient(stunnel.port) as client:
        client.send(flight * HEAD)
        assert full.wait(30)
        sender = threading.Thread(target=client.send, args=[count * HEAD])
        sender.start()
        time.sleep(0.3)  # for what comes to be read, if it were
        sent.set()
        sender.join()
        for _ in range(flight + count):
            assert client.response().body == b"ok"
    assert IDLE_TURNS not in stunnel.log_text()


@pytest.mark.parametrize("how", ["reset", "close"])
@pytest.mark.parametrize(
    "request_", [40 * HEAD, HEAD[:-2] + b"Connection: Upgrade\r\nUpgrade: a\r\n\r\n" + 1000 * b"x"]
)
def test_client_that_is_gone_while_requests_wait(start, front, how, request_):
    backend = start(Recorder(read_only))
    stunnel = front(backend, "xForwardedFor = yes")
    client = TlsClient(stunnel.port)
    client.send(request_)
    wait_for(lambda: backend.connections and b"GET " in backend.data, "a request")
    if how == "reset":
        linger = struct.pack("ii", 1, 0)
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    client.sock.close()
    wait_for(lambda: backend.connections[0].ended, "the backend's connection to end")
    stunnel.wait_ended(1)
    assert IDLE_TURNS not in stunnel.log_text()


def test_flood_behind_the_last_request(start, front):
    backend = start(Recorder(read_only))
    stunnel = front(backend, "xForwardedFor = yes")
    with TlsClient(stunnel.port) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        with pytest.raises(OSError):
            for _ in range(10000):
                client.send(16384 * b"x")
    stunnel.wait_log("goes on sending behind its last request")


def test_bad_request_behind_the_end_of_the_backend(start, front):
    """There is nobody to answer, and TIMEOUTclose ends it, not TIMEOUTidle."""

    def serve(connection):
        connection.take_request()
        connection.send(OK)
        connection.end()
        read_only(connection)

    backend = start(Recorder(serve))
    stunnel = front(backend, "xForwardedFor = yes", "TIMEOUTclose = 1")
    with TlsClient(stunnel.port) as client:
        client.get("/")
        assert client.recv_all() == b"" and client.ended == "close_notify"
        client.send(b"GET / HTTP/1.1\n\n")
        stunnel.wait_ended(1)


@pytest.mark.parametrize("option", ["reset = yes", "reset = no"])
def test_body_that_is_cut_is_never_a_short_one(start, front, option):
    """Nor where TIMEOUTidle ends it."""
    backend = start(Recorder(read_only))
    stunnel = front(backend, "xForwardedFor = yes", option, "TIMEOUTidle = 1")
    with TlsClient(stunnel.port) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n12345")
        wait_for(lambda: backend.connections and backend.connections[0].ended, "the end")
    assert backend.connections[0].ended == "reset"


@pytest.mark.parametrize("ends", ["end", "reset"])
@pytest.mark.parametrize("length", ["Content-Length: 10\r\n", ""])
def test_response_that_is_cut_has_no_close_notify(start, front, ends, length):
    def serve(connection):
        connection.take_request()
        connection.send(f"HTTP/1.1 200 OK\r\n{length}\r\n12345".encode())
        received.wait(30)
        getattr(connection, ends)()

    received = threading.Event()
    backend = start(Recorder(serve))
    stunnel = front(backend, "xForwardedFor = yes")
    with TlsClient(stunnel.port) as client:
        client.send(HEAD)
        client.read_until(b"12345")
        received.set()
        assert client.closed_by_peer()
    whole = ends == "end" and not length
    assert client.ended in (["close_notify"] if whole else ["reset", "eof"])


def test_started_programs_inherit_nothing(start, tmp_path):
    """Of a refused client's connection, whose backend was replaced."""
    listing = tmp_path / "list"
    listing.write_text("#!/bin/sh\nls -l /proc/self/fd\n")
    listing.chmod(0o755)
    backend = start(Recorder())
    programs = f"[list]\naccept = 127.0.0.1:{free_port()}\nexec = {listing}\n"
    stunnel = start(Stunnel(service(backend.port, "xForwardedFor = yes") + programs))
    port = int(stunnel.endpoints()[1].rsplit(":", 1)[1])

    def sockets():
        with TlsClient(port) as client:
            return client.recv_all().count(b"socket:")

    before = sockets()
    with TlsClient(stunnel.port) as client:
        client.send(b"GET / HTTP/1.1\n\n")
        assert client.recv_all().startswith(b"HTTP/1.1 400 ")
        assert sockets() == before


@stock_since(4, 55, "cuts off what comes late for a client that has ended")
@pytest.mark.parametrize("size", [5000, 1_000_000])
def test_answer_without_framing_is_whole_for_a_client_that_has_ended(start, front, size):
    """Some releases read nothing more of a backend that poll() tells to have hung up."""
    seen = threading.Event()
    head = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"

    def serve(connection):
        connection.take_request()
        connection.send(head)
        read_only(connection)  # the client's end, which comes behind the head
        seen.wait()
        connection.send(bytes(size))

    backend = start(Recorder(serve))
    stunnel = front(backend, "xForwardedFor = yes")
    for _ in range(5):
        with TlsClient(stunnel.port) as client:
            client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            client.end()
            data = client.recv()
            seen.set()
            assert data + client.recv_all() == head + bytes(size)
            seen.clear()
