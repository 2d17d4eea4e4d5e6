# SPDX-License-Identifier: ISC
"""protocol = socks and connect in server mode: the client says where it wants to be connected to."""

import contextlib
import shutil
import socket
import struct
import subprocess

import pytest

from certs import certificates
from names import NO_SUCH_NAME, SILENT, NameServer, needs_names, stunnel_with_names
from peers import PATCHED, Stock, Stunnel, free_port, own_address, service
from recorder import Recorder
from tls_client import TlsClient

pytestmark = pytest.mark.skipif(PATCHED, reason="a patched stock negotiates by its own code")

HTTP_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
DENIED = b"\0\x5b"  # SOCKS 4
GRANTED = b"\0\x5a"


@pytest.fixture(scope="module")
def address():
    return own_address()


@pytest.fixture
def target(start, address):
    """Says hello at an address that is not the loopback."""

    def serve(connection):
        connection.send(b"hello")
        connection.sock.recv(1)

    return start(Recorder(serve, host=address))


def section(protocol="socks", *options):
    accept = f"127.0.0.1:{free_port()}"
    return "\n".join(["[web]", f"accept = {accept}", f"protocol = {protocol}", *options]) + "\n"


def port_of(number):
    return struct.pack(">H", number)


def four(host, port, command=1):
    """A request of SOCKS 4, or for a name of 4a."""
    try:
        return bytes([4, command]) + port_of(port) + socket.inet_aton(host) + b"me\0"
    except OSError:
        request = bytes([4, command]) + port_of(port) + b"\0\0\0\1me\0"
        return request + host.encode() + b"\0"


def five(host, port, command=1, kind=None):
    for family, number in ((socket.AF_INET, 1), (socket.AF_INET6, 4)):
        with contextlib.suppress(OSError):
            packed = bytes([number]) + socket.inet_pton(family, host)
            break
    else:
        packed = b"\3" + bytes([len(host)]) + host.encode()
    return bytes([5, command, 0]) + (kind or packed[:1]) + packed[1:] + port_of(port)


OFFER = b"\5\1\0"


def talk(stunnel, *said):
    """What is answered to each, and all that comes behind."""
    with TlsClient(stunnel.port) as client:
        heard = []
        for words in said:
            client.send(words)
            heard.append(client.recv())
        if heard[-1]:
            heard.append(client.recv())
        return heard


def requests(host, port):
    """By name: what a client says, for a target that may be connected to."""
    return {
        "4": [four(host, port)],
        "4-command": [four(host, port, command=2)],
        "4-loopback": [four("127.0.0.1", port)],
        "4a-loopback": [four("localhost", port)],
        "4a-empty": [four("", port)],
        "4a-resolves": [four("localhost", 0, command=0xF0)],
        "5": [OFFER, five(host, port)],
        "5-offers": [b"\5\2\2\0", five(host, port)],
        "5-without-offers": [b"\5\0"],
        "5-wants-a-login": [b"\5\1\2"],
        "5-loopback": [OFFER, five("127.0.0.1", port)],
        "5-loopback-of-6": [OFFER, five("::1", port)],
        "5-loopback-by-name": [OFFER, five("localhost", port)],
        "5-udp": [OFFER, five(host, port, command=3)],
        "5-kind": [OFFER, five(host, port, kind=b"\2")],
        "5-version": [OFFER, b"\4" + five(host, port)[1:]],
        "5-empty": [OFFER, five("", port)],
        "5-resolves": [OFFER, five("localhost", 0, command=0xF0)],
        "6": [b"\6\1\0"],
    }


TOKENS = ("SOCKS", "s_connect: connect", "failed to resolve")


def tokens(stunnel):
    return [line for word in TOKENS for line in stunnel.log_lines(word)]


@pytest.mark.parametrize("name", requests("", 0))
def test_each_request_is_answered_as_by_stock(start, target, address, name):
    said = requests(address, target.port)[name]
    stock, ours = start(Stock(section())), start(Stunnel(section()))
    expected = talk(stock, *said)
    assert talk(ours, *said) == expected
    for one in (stock, ours):
        one.wait_ended(1)
    assert tokens(ours) == tokens(stock)


def test_a_connection_goes_where_the_client_says(start, target, address):
    stunnel = start(Stunnel(section()))
    assert talk(stunnel, four(address, target.port)) == [
        GRANTED + port_of(target.port) + socket.inet_aton(address),
        b"hello",
    ]
    assert talk(stunnel, OFFER, five(address, target.port))[-1] == b"hello"


def test_bytes_that_come_one_by_one_are_understood(start, target, address):
    stunnel = start(Stunnel(section()))
    with TlsClient(stunnel.port) as client:
        for words in (OFFER, five(address, target.port)):
            for byte in words:
                client.send(bytes([byte]))
            assert client.recv()[:2] == b"\5\0"
        assert client.recv() == b"hello"


def test_what_comes_at_once_behind_the_request_arrives(start, address):
    backend = start(Recorder(lambda connection: connection.send(connection.take(5)), host=address))
    stunnel = start(Stunnel(section()))
    with TlsClient(stunnel.port) as client:
        client.send(four(address, backend.port) + b"ahead")
        heard = client.take(8 + 5)
    assert heard[8:] == b"ahead"


THIS_HOST = ["127.9.9.9", "0.0.0.0", "::", "::1", "::ffff:127.0.0.1", "::ffff:0.0.0.0"]
SPELLINGS = ["127.1", "0x7f.1", "2130706433", "0"]


@pytest.mark.parametrize("host", THIS_HOST)
def test_no_spelling_of_the_loopback_is_connected_to(start, host):
    backend = start(Recorder())
    stunnel = start(Stunnel(section()))
    assert talk(stunnel, OFFER, five(host, backend.port))[1][:2] == b"\5\2"
    stunnel.wait_log("loopback rejected")
    assert backend.connections == []


@pytest.mark.parametrize("host", SPELLINGS)
def test_no_name_that_means_the_loopback_is_connected_to(start, host):
    backend = start(Recorder())
    stunnel = start(Stunnel(section()))
    assert talk(stunnel, four("x" + host, 1))[0][:2] == DENIED
    request = b"\4\1" + port_of(backend.port) + b"\0\0\0\1\0" + host.encode() + b"\0"
    assert talk(stunnel, request)[0][:2] == DENIED
    stunnel.wait_log("loopback rejected")
    assert backend.connections == []


def test_no_name_is_the_path_of_a_socket(start, tmp_path):
    backend = start(Recorder(path=str(tmp_path / "sock")))
    stunnel = start(Stunnel(section()))
    for host in (str(tmp_path / "sock"), f"{tmp_path}/sock%0"):
        assert talk(stunnel, OFFER, five(host, 1))[1][:2] == b"\5\4"
    assert backend.connections == []


@pytest.mark.parametrize("text", ["user", "name"])
def test_a_text_without_end_is_bounded(start, text):
    stunnel = start(Stunnel(section()))
    with TlsClient(stunnel.port) as client, pytest.raises(ConnectionError):
        client.send(b"\4\1\0\1\0\0\0\1" + (b"" if text == "user" else b"\0"))
        while True:
            client.send(b"a" * 256)
            client.recv()
    stunnel.wait_log(f"SOCKS4{'a' if text == 'name' else ''} {text} is too long")


@needs_names
def test_names_are_looked_up_and_nobody_else_waits(start, target, address):
    names = start(NameServer(known_test=address, silent_test=SILENT, gone_test=NO_SUCH_NAME))
    stunnel = start(stunnel_with_names(names, section("socks", "TIMEOUTresolve = 1")))
    with TlsClient(stunnel.port) as waiting:
        waiting.send(OFFER)
        waiting.recv()
        waiting.send(five("silent.test", target.port))
        assert talk(stunnel, OFFER, five("known.test", target.port))[-1] == b"hello"
        assert talk(stunnel, four("known.test", target.port))[-1] == b"hello"
        assert talk(stunnel, OFFER, five("gone.test", target.port))[1][:2] == b"\5\4"
        assert talk(stunnel, OFFER, five("known.test", 0, command=0xF0))[1] == (
            b"\5\0\0\1" + socket.inet_aton(address) + b"\0\0"
        )
        assert waiting.recv()[:2] == b"\5\4"
    stunnel.wait_log("TIMEOUTresolve exceeded")
    stunnel.wait_log('SOCKS5 resolved "known.test" to 1 host(s)')


@needs_names
def test_clients_that_leave_leave_no_name_behind(start):
    names = start(NameServer(**{f"n{i}_test": SILENT for i in range(4)}))
    stunnel = start(stunnel_with_names(names, section("socks", "TIMEOUTresolve = 1")))
    for i in range(4):
        with TlsClient(stunnel.port) as client:
            client.send(four(f"n{i}.test", 1))
    stunnel.wait_ended(4)


@needs_names
def test_names_under_way_are_bounded(start):
    names = start(NameServer(**{f"n{i}_test": SILENT for i in range(150)}))
    stunnel = start(stunnel_with_names(names, "workers = 1\n" + section()))
    with contextlib.ExitStack() as stack:
        for i in range(150):
            client = stack.enter_context(TlsClient(stunnel.port))
            client.send(four(f"n{i}.test", 1))
            if stunnel.log_lines("Too many names"):
                break
        stunnel.wait_log("Too many names are being looked up")


def test_requests_of_http_get_their_headers(start, address):
    backend = start(Recorder(answer_one, host=address))
    stunnel = start(Stunnel(section("socks", "xForwardedFor = replace")))
    with TlsClient(stunnel.port) as client:
        client.send(four(address, backend.port))
        assert client.recv()[:2] == GRANTED
        assert client.get("/").status == 200
        assert client.get("/").status == 200  # the backend has closed: another one is opened
    assert ["X-Forwarded-For: 127.0.0.1" in head for head in backend.requests] == [True, True]


def answer_one(connection):
    if connection.take_request() is not None:
        connection.send(HTTP_OK)


def test_who_authenticates_nobody_chooses_nothing(start, address, target):
    other = start(Recorder(lambda connection: connection.send(b"other")))
    trusted = f"CAfile = {certificates().cert}"
    options = [f"redirect = 127.0.0.1:{other.port}", "verifyPeer = yes", trusted]
    stunnel = start(Stunnel(section("socks", *options)))
    with TlsClient(stunnel.port) as client:
        client.send(four(address, target.port))
        assert client.recv() == b"other"
    assert target.connections == []


def test_round_robin_counts_without_targets(start, target, address):
    stunnel = start(Stunnel(section("socks", "failover = rr")))
    for _ in range(2):
        assert talk(stunnel, four(address, target.port))[-1] == b"hello"


CURL = {"socks4": 4, "socks4a": 4, "socks5": 5, "socks5-hostname": 5}


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl here")
@pytest.mark.parametrize("how", CURL)
def test_curl_through_both_modes(start, address, how):
    """curl - plain - our client - TLS - our server - the web."""
    backend = start(Recorder(answer_one, host=address))
    server = start(Stunnel(section()))
    client = start(Stunnel(service(server.port, "client = yes")))
    url = f"http://{address}:{backend.port}/"
    command = ["curl", "-sS", "-m", "20", f"--{how}", f"127.0.0.1:{client.port}", url]
    done = subprocess.run(command, check=False, capture_output=True)
    assert (done.stdout, done.stderr) == (b"ok", b"")
    assert server.log_lines(f"SOCKS{CURL[how]}")


# ---- connect ---------------------------------------------------------------------------------


def ask(port, request):
    """The status, and what comes inside TLS, if it is 200."""
    with socket.create_connection(("127.0.0.1", port)) as sock:
        sock.settimeout(20)
        sock.sendall(request + b"\r\nHost: any\r\n\r\n")
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            byte = sock.recv(1)
            assert byte, head
            head += byte
        status = head.split(b"\r\n")[0]
        if b" 200 " not in status:
            return status, None
        with TlsClient(sock) as client:
            return status, client.recv()


def test_connect_opens_a_tunnel_as_stock_does(both, target, address):
    stock, ours = both(1, "protocol = connect")
    for line in [
        f"CONNECT {address}:{target.port} HTTP/1.1",
        f"connect {address}:{target.port} http/1.0",
        "GET / HTTP/1.1",
        f"CONNECT {address}:{target.port}",
        f"CONNECT {address}:{target.port} FTP/1",
        f"CONNECT a..b:{target.port} HTTP/1.1",
        f"CONNECT {address} HTTP/1.1",
    ]:
        assert ask(ours.port, line.encode()) == ask(stock.port, line.encode()), line


def test_connect_takes_no_path_for_a_host(front, start, tmp_path):
    backend = start(Recorder(path=str(tmp_path / "sock")))
    stunnel = front(1, "protocol = connect")
    status, _ = ask(stunnel.port, f"CONNECT {tmp_path}/sock HTTP/1.1".encode())
    assert status == b"HTTP/1.0 404 Not Found"
    assert backend.connections == []


def test_connect_takes_nothing_that_was_sent_ahead_of_tls(front, target, address):
    stunnel = front(1, "protocol = connect")
    with socket.create_connection(("127.0.0.1", stunnel.port)) as sock:
        sock.sendall(f"CONNECT {address}:{target.port} HTTP/1.1\r\n\r\ninjected".encode())
        with contextlib.suppress(ConnectionError):
            assert sock.recv(1) == b""
    stunnel.wait_log("Plain text was sent ahead of TLS")
    assert target.connections == []


def test_a_socks_section_needs_no_connect_and_takes_none():
    stunnel = Stunnel(section("socks", "connect = 1"))
    with pytest.raises(AssertionError, match="the client of 'protocol = socks' says where"):
        stunnel.__enter__()
