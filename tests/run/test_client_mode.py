# SPDX-License-Identifier: ISC
"""client = yes: plain clients, and TLS with the other end; beside Debian's stock where it is there."""

import re
import socket
import ssl

import pytest

from certs import client_certificates
from peers import Stock, Stunnel, daemon_only, service, wait_for
from recorder import OK, Recorder, read_only
from tls_client import PlainClient
from tls_server import TlsServer

pytestmark = daemon_only

CLIENT = "client = yes"
TLS12, TLS13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
VERSIONS = pytest.mark.parametrize("version", [TLS12, TLS13])
REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


def read(client, mark=None):
    """All that comes until `mark` has, or to the end: "reset" stands behind what one cuts."""
    data = bytearray()
    while mark is None or mark not in data:
        more = client.recv()
        if not more:
            return bytes(data) + (b"reset" if client.ended == "reset" else b"")
        data += more
    return bytes(data)


def ask(port, request=REQUEST):
    """What a client gets, "reset" also where that comes before it has sent all."""
    try:
        with PlainClient(port) as client:
            client.send(request)
            return read(client, b"ok")
    except ConnectionError:
        return b"reset"


# What both log of one connection, with the numbers and ports taken out.
LINES = (
    r"Service \[\w+\] accepted connection from|s_connect: connect(?:ing|ed)"
    r"|Service \[\w+\] connected remote server from|SNI: .*|Peer certificate (?:not )?required"
    r"|CERT: .*|Certificate accepted.*|Rejected by .*|SSL_connect: "
    r"|TLS connected: [\w ]+|TLSv1\.\d ciphersuite: \w+"
    r"|Service \[\w+\] needs .*|Service \[\w+\] uses .*|Use \"checkHost.*"
)
END = r"|Connection \w+: \d+ byte\(s\) sent to TLS, \d+ byte\(s\) sent to socket"


def tokens(daemon, lines=LINES + END):
    daemon.wait_ended(1)
    return re.findall(lines, daemon.log_text())


@VERSIONS
def test_a_connection(start, both, version):
    server = start(TlsServer(version=version))
    daemons = both(server, CLIENT)
    for daemon in daemons:
        assert ask(daemon.port).endswith(b"ok")
    stock, ours = map(tokens, daemons)
    assert ours == stock


@pytest.mark.parametrize(
    "host, option, name",
    [
        ("127.0.0.1:", "", "127.0.0.1"),
        ("localhost:", "", "localhost"),
        ("", "", "localhost"),
        ("localhost:", "sni = www.example.test", "www.example.test"),
        ("localhost:", "sni =", None),
    ],
)
def test_the_name_that_is_asked_for(start, both, host, option, name):
    server = start(TlsServer())
    daemons = both(f"{host}{server.port}", CLIENT, option)
    for daemon in daemons:
        assert ask(daemon.port).endswith(b"ok")
    stock, ours = (tokens(daemon, "SNI: .*") for daemon in daemons)
    assert ours == stock
    assert [c.name for c in server.connections] == [name] * 2


# --- whom it trusts ---------------------------------------------------------------------------

SERVERS = ["signed", "listed", "twin", "guest", "stranger", "expired", "revoked", "selfmade"]
CHAIN, PEER = "verifyChain = yes", "verifyPeer = yes"
TRUST = [
    [],
    ["verify = 0"],
    ["CAfile = {root}", "verify = 1"],
    ["CAfile = {root}", "verify = 2"],
    ["CAfile = {trusted}", "verify = 3"],
    ["CAfile = {trusted}", "verify = 4"],
    ["requireCert = yes"],
    ["CAfile = {root}", CHAIN],
    ["CAfile = {trusted}", PEER],
    ["CAfile = {trusted}", CHAIN, PEER],
    ["CAfile = {root}", CHAIN, "CRLfile = {crl}"],
    ["CAfile = {root}", CHAIN, "checkHost = listed.example.test"],
    ["CAfile = {root}", CHAIN, "checkHost = x.test", "checkIP = 192.0.2.1"],
    ["CAfile = {root}", CHAIN, "checkEmail = listed@example.test"],
    ["CAfile = {trusted}", PEER, "checkHost = x.test"],
]


def one_by_one(daemon):
    """What each section's client gets, and what the log tells of each."""
    told = []
    for number, port in enumerate(daemon.endpoints(), 1):
        answer = ask(int(port.rsplit(":", 1)[1]))
        daemon.wait_ended(number)
        told.append(answer)
    lines = re.findall(LINES, daemon.log_text())
    return told, [re.sub(r"Service \[\w+\]", "Service []", line) for line in lines]


@pytest.mark.parametrize("trust", TRUST, ids=", ".join)
def test_which_servers_are_trusted(start, trust):
    """Who is, and what the log says of them, is the same in stock."""
    paths = {name: client_certificates() / f"{name}.pem" for name in ("root", "trusted", "crl")}
    servers = {name: start(TlsServer(cert=name)) for name in SERVERS}
    options = [CLIENT, *(option.format(**paths) for option in trust)]

    def config():
        return "".join(service(s.port, *options, name=name) for name, s in servers.items())

    stock, ours = start(Stock(config())), start(Stunnel(config()))
    assert one_by_one(ours) == one_by_one(stock)


def test_a_server_that_is_not_trusted_gets_no_byte(start, front):
    server = start(TlsServer(cert="stranger"))
    root = client_certificates() / "root.pem"
    daemon = front(server, CLIENT, f"CAfile = {root}", CHAIN, "xForwardedFor = yes")
    assert ask(daemon.port).startswith(b"HTTP/1.1 503 ")
    daemon.wait_log("certificate verify failed")
    assert server.connections == []


# --- what it shows ----------------------------------------------------------------------------


@VERSIONS
def test_its_certificate(start, both, version):
    folder = client_certificates()
    names = []

    def serve(connection):
        names.append(dict(sum(connection.sock.getpeercert()["subject"], ()))["commonName"])
        connection.take_request()
        connection.send(OK)

    server = start(TlsServer(serve, version=version))
    server.context.load_verify_locations(folder / "root.pem")
    server.context.verify_mode = ssl.CERT_REQUIRED
    shown = [f"cert = {folder}/signed.pem", f"key = {folder}/signed.key"]
    for daemon in both(server, CLIENT, *shown):
        assert ask(daemon.port).endswith(b"ok")
    assert names == ["signed"] * 2


def test_a_client_needs_no_certificate(start):
    """Nor has it a key without one."""
    server = start(TlsServer())
    daemon = Stunnel(service(server.port, CLIENT))
    text = daemon.config.read_text()
    daemon.config.write_text(re.sub(r"(?m)^(cert|key) = .*\n", "", text))
    assert ask(start(daemon).port).endswith(b"ok")


# --- sessions ---------------------------------------------------------------------------------

NEW, REUSED = "TLS connected: new session negotiated", "TLS connected: previous session reused"


def resumptions(daemon, count):
    """Whether each of so many connections, one after the other, resumed a session."""
    for number in range(1, count + 1):
        assert ask(daemon.port).endswith(b"ok")
        daemon.wait_ended(number)
    return [line == REUSED for line in daemon.log_lines("TLS connected: ")]


def once(connection):
    """Answers one request, and ends as TLS asks for."""
    connection.take_request()
    connection.send(OK)
    connection.sock.unwrap()


@VERSIONS
@pytest.mark.parametrize("option", ["", "sessionResume = no", "options = NO_TICKET"])
def test_sessions_are_resumed(start, both, version, option):
    """As in stock: without tickets TLS 1.2 resumes by id, and TLS 1.3 as its server likes."""
    server = start(TlsServer(once, version=version))
    stock, ours = (resumptions(daemon, 4) for daemon in both(server, CLIENT, option))
    assert ours == stock
    assert ours[1:] == [option != "sessionResume = no"] * 3


@VERSIONS
def test_sessions_are_shared_by_workers(start, front, version):
    server = start(TlsServer(once, version=version))
    daemon = front(server, CLIENT, settings="workers = 4\n")
    assert resumptions(daemon, 12) == [False] + [True] * 11


def test_sessions_are_of_one_target(start, front):
    servers = [start(TlsServer(once)) for _ in range(2)]
    more = f"connect = 127.0.0.1:{servers[1].port}"
    daemon = front(servers[0], more, "failover = rr", CLIENT, settings="workers = 1\n")
    assert resumptions(daemon, 6) == [False] * 2 + [True] * 4
    assert [len(server.connections) for server in servers] == [3, 3]


@VERSIONS
def test_sessions_end_with_their_time(start, front, version):
    """From the full handshake on, however often they are resumed."""
    server = start(TlsServer(once, version=version))
    daemon = front(server, CLIENT, "sessionCacheTimeout = 2")

    def told():
        ask(daemon.port)
        return daemon.log_lines(NEW)[1:]

    wait_for(told, "a second full handshake")
    assert daemon.log_lines(REUSED)


def test_a_reload_begins_without_sessions(start, front):
    """Whom the new configuration trusts is judged anew."""
    server = start(TlsServer(once))
    daemon = front(server, CLIENT)
    assert resumptions(daemon, 2) == [False, True]
    daemon.reload()

    def told():  # the old workers accept until the new ones do
        ask(daemon.port)
        return daemon.log_lines(NEW)[1:]

    wait_for(told, "another full handshake")


# --- HTTP -------------------------------------------------------------------------------------


def test_plain_requests_leave_rewritten(start, front):
    """Over TLS, to a renewed back as well; what is told of TLS would be the client's, and is empty."""
    server = start(TlsServer(lambda c: (c.take_request(), c.send(OK))))
    daemon = front(
        server,
        CLIENT,
        "xForwardedFor = yes",
        "xForwardedProto = yes",
        "httpSetHeader = X-Tls: %{proto} %{tls_version}%{sni}|",
        "accessLog = {folder}/access",
        "accessLogFormat = %{client_ip} %{status} %{tls_version} %{proto}",
    )
    with PlainClient(daemon.port) as client:
        for _ in range(3):
            assert client.get("/").body == b"ok"
    assert len(server.connections) == 3
    for request in server.requests:
        assert "X-Forwarded-For: 127.0.0.1" in request
        assert "X-Forwarded-Proto: http" in request
        assert "X-Tls: http |" in request
    daemon.wait_ended(1)
    log = daemon.folder / "access"
    wait_for(lambda: log.read_text().count("\n") == 3, "three lines in the access log")
    assert log.read_text() == "127.0.0.1 200 - http\n" * 3


@pytest.mark.parametrize("option", ["", "xForwardedFor = yes"])
def test_a_proxy_header_goes_before_the_handshake(start, front, option):
    server = start(TlsServer())
    daemon = front(server, CLIENT, "protocol = proxy", option)
    with PlainClient(daemon.port) as client:
        assert client.get("/").body == b"ok"
        port = client.address[1]
    header = b"PROXY TCP4 127.0.0.1 127.0.0.1 %d %d\r\n" % (port, daemon.port)
    assert server.connections[0].header == header
    assert server.data.startswith(b"GET / HTTP/1.1\r\n")
    daemon.wait_ended(1)
    assert daemon.log_lines(f"{len(server.data)} byte(s) sent to TLS")


def test_no_answer_of_tls_to_a_plain_client(start, front):
    """A ClientHello is bytes like others."""
    server = start(TlsServer(read_only))
    daemon = front(server, CLIENT)
    with PlainClient(daemon.port) as client:
        client.send(b"\x16\x03\x01\x00\x02hi")
        client.end()
        assert read(client) == b""
    assert server.data == b"\x16\x03\x01\x00\x02hi"


# --- ends -------------------------------------------------------------------------------------


@VERSIONS
def test_half_close(start, both, version):
    """A client that ends its side gets its answer; the server sees close_notify."""

    def serve(connection):
        read_only(connection)
        connection.send(b"answer")
        connection.sock.unwrap()

    server = start(TlsServer(serve, version=version))
    for daemon in both(server, CLIENT):
        with PlainClient(daemon.port) as client:
            client.send(b"question")
            client.end()
            assert read(client) == b"answer"
    assert [c.ended for c in server.connections] == ["eof"] * 2
    assert [c.data for c in server.connections] == [b"question"] * 2


def cut(answer):
    """Ends without close_notify."""

    def serve(connection):
        connection.take_request()
        connection.send(answer)
        connection.sock.shutdown(socket.SHUT_RDWR)

    return serve


UNTIL_CLOSE = b"HTTP/1.1 200 OK\r\n\r\nok"


@pytest.mark.parametrize(
    "answer, options, end",
    [
        (OK, ["xForwardedFor = yes"], b""),
        (UNTIL_CLOSE, ["xForwardedFor = yes"], b"reset"),
        (UNTIL_CLOSE, [], b""),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok", ["xForwardedFor = yes"], b"reset"),
    ],
)
def test_a_server_that_ends_without_close_notify(start, front, answer, options, end):
    """What TLS does not vouch for is no whole message, unless its framing says so."""
    server = start(TlsServer(cut(answer)))
    daemon = front(server, CLIENT, *options)
    with PlainClient(daemon.port) as client:
        client.send(REQUEST.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        assert read(client).split(b"ok", 1)[1] == end


def test_an_answer_that_lasts_to_close_notify(start, front):
    def serve(connection):
        connection.take_request()
        connection.send(UNTIL_CLOSE)
        connection.sock.unwrap()

    server = start(TlsServer(serve))
    daemon = front(server, CLIENT, "xForwardedFor = yes")
    assert ask(daemon.port, REQUEST).endswith(b"ok")


@pytest.mark.parametrize(
    "options, answer", [([], b"reset"), (["xForwardedFor = yes"], b"HTTP/1.1 503 ")]
)
@pytest.mark.parametrize("serve", ["silent", "plain"])
def test_a_server_without_tls(start, front, serve, options, answer):
    """One that says nothing is waited for as TIMEOUTbusy says."""
    answers = {"silent": read_only, "plain": lambda c: (c.receive(), c.send(OK))}
    server = start(Recorder(answers[serve]))
    daemon = front(server, CLIENT, "TIMEOUTbusy = 1", *options)
    assert ask(daemon.port)[: len(answer)] == answer
    told = {"silent": "TIMEOUTbusy exceeded", "plain": "wrong version number"}
    daemon.wait_log(told[serve])


def test_a_client_that_leaves_ends_the_handshake(start, front):
    server = start(Recorder(read_only))
    daemon = front(server, CLIENT)
    with PlainClient(daemon.port) as client:
        daemon.wait_log("SNI: sending servername")
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    daemon.wait_ended(1)


def test_bulk_in_both_directions(start, front):
    """With back-pressure: neither side reads before it has sent all."""
    size = 4 << 20

    def serve(connection):
        connection.take(size)
        connection.send(connection.data)
        connection.sock.unwrap()

    server = start(TlsServer(serve))
    daemon = front(server, CLIENT)
    data = bytes(range(256)) * (size // 256)
    with PlainClient(daemon.port) as client:
        client.send(data)
        assert read(client) == data
