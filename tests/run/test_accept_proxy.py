# SPDX-License-Identifier: ISC
"""acceptProxy: a PROXY header before the handshake, from listed peers and from nobody else."""

import ipaddress
import socket
import ssl
import struct
import subprocess
from pathlib import Path

import pytest

from peers import Haproxy, Nginx, Stunnel, free_port, service, wait_for
from recorder import Recorder, read_only
from tls_client import TlsClient, client_context, dial, read_to_end
from wire_case import unescape

HEADERS = Path(__file__).resolve().parents[1] / "proxy/headers"
FROM_US = ["acceptProxyFrom = 127.0.0.0/8"]
EXPECT = ["acceptProxy = required", *FROM_US]
TELL = ["xForwardedFor = replace", "httpSetHeader = X-Peer: %{peer_ip} %{client_port}"]
V1 = b"PROXY TCP4 192.0.2.7 198.51.100.1 51234 443\r\n"
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
INET = bytes([192, 0, 2, 7, 198, 51, 100, 1]) + struct.pack(">HH", 51234, 443)


def v2(command=0x21, family=0x11, body=INET):
    return SIGNATURE + bytes([command, family]) + struct.pack(">H", len(body)) + body


def tlv(kind, value):
    return bytes([kind]) + struct.pack(">H", len(value)) + value


def read_headers():
    """What the corpus says, in words, and the bytes."""
    lines = [line for line in HEADERS.read_text("ascii").splitlines() if " | " in line]
    pairs = [line.split(" | ", 1) for line in lines if not line.startswith("#")]
    assert len(pairs) > 150
    return [(words, unescape(text)) for words, text in pairs]


CORPUS = read_headers()


def client_after(port, header, pieces=None, source="127.0.0.9", **options):
    """A TLS client whose connection begins with the header."""

    class Early(TlsClient):
        def _flush(self):
            """The header goes in front of the ClientHello, in one segment if it is whole."""
            data = self._out.read()
            if not getattr(self, "said", False):
                self.said = True
                size = pieces or max(len(header), 1)
                for at in range(0, max(len(header), 1), size):
                    last = at + size >= len(header)
                    self.sock.sendall(header[at : at + size] + (data if last else b""))
            elif data:
                self.sock.sendall(data)

    return Early(port, source=source, **options)


class Front:
    def __init__(self, start, *options, serve=None, backend=None):
        self.backend = backend or start(Recorder(serve))
        self.stunnel = start(Stunnel(service(self.backend.port, *(options or (*EXPECT, *TELL)))))
        self.port = self.stunnel.port

    def get(self, header, **options):
        """The fields of the request that the backend saw."""
        with client_after(self.port, header, **options) as client:
            assert client.get("/").status == 200
        return dict(line.split(": ", 1) for line in self.backend.requests[-1][1:])


# ---- the corpus -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def front():
    with Recorder() as backend, Stunnel(service(backend.port, *EXPECT, *TELL)) as stunnel:
        result = Front.__new__(Front)
        result.backend, result.stunnel, result.port = backend, stunnel, stunnel.port
        yield result


def expected_client(words):
    """Address and port as a backend is to see them."""
    kind, *rest = words.split()
    if kind == "unix":
        return "unknown", "0"
    if kind == "local":
        return "127.0.0.9", None
    address = ipaddress.ip_address(rest[0])
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address), rest[1]


@pytest.mark.parametrize("pieces", [None, 1], ids=["whole", "byte-by-byte"])
@pytest.mark.parametrize(
    "words, header", [pair for pair in CORPUS if pair[0].split()[0] in ("good", "local", "unix")]
)
def test_good_headers(front, words, header, pieces):
    fields = front.get(header, pieces=pieces)
    address, port = expected_client(words)
    assert fields["X-Forwarded-For"] == address
    assert fields["X-Peer"].split()[0] == "127.0.0.9"
    assert port is None or fields["X-Peer"].split()[1] == port


@pytest.mark.parametrize("pieces", [None, 1], ids=["whole", "byte-by-byte"])
@pytest.mark.parametrize("words, header", [pair for pair in CORPUS if pair[0].startswith("bad")])
def test_bad_headers(front, words, header, pieces):
    before = len(front.backend.connections)
    logged = len(front.stunnel.log_lines("Bad PROXY header from 127.0.0.9:"))
    source = ("127.0.0.9", 0)
    with socket.create_connection(("127.0.0.1", front.port), 30, source) as sock:
        try:
            for at in range(0, len(header), pieces or len(header)):
                sock.sendall(header[at : at + (pieces or len(header))])
        except ConnectionError:
            pass  # it was refused before its end
        assert read_to_end(sock) == b""
    front.stunnel.wait_log("Bad PROXY header from 127.0.0.9:", logged + 1)
    assert len(front.backend.connections) == before


# ---- time and order ---------------------------------------------------------------------------


@pytest.mark.parametrize("header", [b"", b"PROXY TCP4 1.2.3.4", SIGNATURE, v2()[:-1]])
def test_a_header_that_does_not_come_to_its_end(start, header):
    front = Front(start, *EXPECT, "TIMEOUTproxy = 1")
    with dial(front.port) as sock:
        sock.sendall(header)
        assert read_to_end(sock) == b""
    assert front.stunnel.wait_log("TIMEOUTproxy exceeded")
    assert not front.backend.connections


def test_a_peer_that_ends_within_it(start):
    front = Front(start)
    with dial(front.port) as sock:
        sock.sendall(V1[:20])
    assert front.stunnel.wait_log("ended before its PROXY header was complete")


@pytest.mark.parametrize("header", [V1, v2()])
def test_the_handshake_follows_in_the_same_segment(start, header):
    assert Front(start).get(header)["X-Forwarded-For"] == "192.0.2.7"


@pytest.mark.parametrize("pieces", [1, 7, 16, 27])
@pytest.mark.parametrize("header", [V1, v2(body=INET + tlv(4, bytes(3000)))])
def test_any_fragmentation(start, header, pieces):
    if len(header) > 1000 and pieces == 1:
        pytest.skip("the corpus has shorter ones")
    assert Front(start).get(header, pieces=pieces)["X-Forwarded-For"] == "192.0.2.7"


# ---- who may ----------------------------------------------------------------------------------


def test_who_is_not_listed_is_refused_where_it_is_required(start):
    front = Front(start, "acceptProxy = required", "acceptProxyFrom = 127.0.0.77", *TELL)
    with pytest.raises(OSError):
        client_after(front.port, V1)
    assert front.stunnel.wait_log("not in acceptProxyFrom")
    assert front.get(V1, source="127.0.0.77")["X-Forwarded-For"] == "192.0.2.7"


def test_who_is_not_listed_is_served_without_one(start):
    front = Front(start, "acceptProxy = yes", "acceptProxyFrom = 127.0.0.77, 127.0.1.0/24", *TELL)
    assert front.get(b"")["X-Forwarded-For"] == "127.0.0.9"
    assert front.get(V1, source="127.0.1.5")["X-Forwarded-For"] == "192.0.2.7"
    with pytest.raises(OSError):
        client_after(front.port, V1)
    assert front.stunnel.wait_log("SSL_accept: ")


def test_a_header_is_never_guessed(start):
    """A listed peer without one is no client."""
    front = Front(start, "acceptProxy = yes", *FROM_US)
    with pytest.raises(OSError):
        TlsClient(front.port)
    assert front.stunnel.wait_log("this is not the beginning of a PROXY header")


def test_without_the_option_it_is_no_handshake(start):
    front = Front(start, *TELL)
    with pytest.raises(OSError):
        client_after(front.port, V1)


# ---- what becomes of it -----------------------------------------------------------------------


def test_it_is_the_client_everywhere(start):
    options = [
        *EXPECT,
        "xForwardedFor = trusted",
        "trustedProxy = 192.0.2.0/24",
        "forwarded = replace",
        "accessLog = {folder}/access",
        "accessLogFormat = %{client_ip} %{client_port} %{peer_ip} %{server_ip}",
    ]
    front = Front(start, *options)
    with client_after(front.port, V1) as client:
        client.get("/", ["X-Forwarded-For: 203.0.113.1"])
    request = front.backend.requests[0]
    assert "X-Forwarded-For: 203.0.113.1, 192.0.2.7" in request
    assert any(line.startswith("Forwarded: for=192.0.2.7;by=198.51.100.1;") for line in request)
    path = front.stunnel.folder / "access"
    wait_for(lambda: path.exists() and path.read_text(), "the line")
    assert path.read_text() == "192.0.2.7 51234 127.0.0.9 198.51.100.1\n"


@pytest.mark.parametrize("header", [V1, v2()])
@pytest.mark.parametrize("version, expected", [(1, V1), (2, v2())])
def test_it_goes_on_to_the_backend(start, header, version, expected):
    options = [*EXPECT, "protocol = proxy", f"proxyVersion = {version}"]
    front = Front(start, *options, serve=read_only)
    with client_after(front.port, header) as client:
        client.send(b"hello")
        wait_for(lambda: front.backend.connections and b"hello" in front.backend.data, "hello")
    assert front.backend.data == expected + b"hello"


def test_tlvs_go_on_but_for_ours(start):
    came = [tlv(1, b"x"), tlv(2, b"a.test"), tlv(4, b"pad"), tlv(0xE5, b"own"), tlv(5, b"unique")]
    options = [*EXPECT, "protocol = proxy", "proxyVersion = 2", "proxyPassTLV = yes"]
    front = Front(start, *options, "proxyTLV = unique-id, 0xE0:us", serve=read_only)
    with client_after(front.port, v2(body=INET + b"".join(came))) as client:
        client.send(b"hello")
        wait_for(lambda: front.backend.connections and b"hello" in front.backend.data, "hello")
    tlvs = front.backend.data[28:-5]
    assert tlvs.endswith(tlv(0xE0, b"us") + came[0] + came[1] + came[3])
    assert tlvs.startswith(b"\x05") and b"unique" not in tlvs


def test_a_unix_client_is_local_in_version_2(start):
    options = [*EXPECT, "protocol = proxy", "proxyVersion = 2"]
    front = Front(start, *options, serve=read_only)
    with client_after(front.port, v2(family=0x31, body=bytes(216))) as client:
        client.send(b"hello")
        wait_for(lambda: front.backend.connections and b"hello" in front.backend.data, "hello")
    assert front.backend.data == v2(0x20, 0, b"") + b"hello"


def test_and_cannot_be_said_in_version_1(start):
    front = Front(start, *EXPECT, "protocol = proxy")
    with client_after(front.port, v2(family=0x31, body=bytes(216))) as client:
        assert client.recv_all() == b""
    assert front.stunnel.wait_log("The client has no IP address for the PROXY header")


def test_a_server_name_leads_on(start):
    backend = start(Recorder())
    primary = service(backend.port, *EXPECT, name="primary")
    second = "\n".join(
        ["[second]", "sni = primary:b.test", f"connect = 127.0.0.1:{backend.port}", *EXPECT, *TELL]
    )
    stunnel = start(Stunnel(primary + second + "\n"))
    context = client_context(verify=False)
    with client_after(stunnel.port, V1, sni="b.test", context=context) as client:
        assert client.get("/").status == 200
    assert "X-Forwarded-For: 192.0.2.7" in backend.requests[0]


# ---- real senders and receivers ---------------------------------------------------------------

SENDERS = ["send-proxy", "send-proxy-v2", "send-proxy-v2-ssl", "send-proxy-v2-ssl-cn"]


def in_front(start, to, how):
    """haproxy in TCP mode: TLS goes through it to us."""
    port = free_port()
    lines = ["listen front", "mode tcp", f"bind 127.0.0.1:{port}", f"server us 127.0.0.1:{to} {how}"]
    start(Haproxy("\n    ".join(lines) + "\n"))
    return port


@pytest.mark.parametrize(
    "how",
    [*SENDERS, "send-proxy-v2 proxy-v2-options crc32c,unique-id,authority,ssl,cert-cn,ssl-cipher"],
)
def test_haproxy_in_front_of_us(start, how):
    front = Front(start)
    with TlsClient(in_front(start, front.port, how), source="127.0.0.33") as client:
        assert client.get("/").status == 200
        port = client.address[1]
    request = front.backend.requests[0]
    assert "X-Forwarded-For: 127.0.0.33" in request
    assert f"X-Peer: 127.0.0.1 {port}" in request


@pytest.mark.parametrize("version", [1, 2])
def test_haproxy_on_both_sides(start, version):
    """What the last one believes is what the first one saw."""
    port = free_port()
    start(
        Haproxy(
            f"frontend last\n    bind 127.0.0.1:{port} accept-proxy\n"
            '    http-request return status 200 content-type text/plain lf-string'
            ' "%[src] %[src_port] %[fc_pp_authority] %[fc_pp_unique_id]"\n'
        )
    )

    class Last:
        pass

    Last.port = port
    tlvs = ["proxyTLV = authority, unique-id, ssl, cn, cipher, alpn, crc32c"] if version == 2 else []
    options = [*EXPECT, "protocol = proxy", f"proxyVersion = {version}", *tlvs]
    front = Front(start, *options, backend=Last)
    with TlsClient(in_front(start, front.port, "send-proxy-v2"), source="127.0.0.33") as client:
        source, number, authority, unique = (client.get("/").body.decode() + "  ").split(" ")[:4]
        assert (source, int(number)) == ("127.0.0.33", client.address[1])
    if version == 2:
        assert authority == "localhost" and "-" in unique


def test_nginx_behind_us(start):
    nginx = start(
        Nginx(
            listen="proxy_protocol",
            server="location / { return 200 '$proxy_protocol_addr $proxy_protocol_port "
            "$proxy_protocol_server_addr'; }",
        )
    )
    options = [*EXPECT, "protocol = proxy", "proxyVersion = 2", "proxyTLV = ssl, crc32c"]
    front = Front(start, *options, backend=nginx)
    with client_after(front.port, V1) as client:
        assert client.get("/").body == b"192.0.2.7 51234 198.51.100.1"


# ---- configurations ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "lines, why",
    [
        (["acceptProxy = yes"], "acceptProxy needs acceptProxyFrom"),
        (["acceptProxy = maybe", *FROM_US], "needs to be either 'yes', 'required' or 'no'"),
        (["acceptProxy = yes", "acceptProxyFrom = here"], "Not an address or block"),
        (["protocol = proxy", "proxyTLV = alpn"], "proxyTLV needs proxyVersion = 2"),
        (["protocol = proxy", "proxyPassTLV = yes"], "proxyPassTLV needs proxyVersion = 2"),
        (["protocol = proxy", "proxyVersion = 3"], "The PROXY protocol has versions 1 and 2"),
        (["proxyTLV = what"], "Unknown TLV"),
        (["proxyMaxLength = 51"], "Illegal length of a header"),
    ],
)
def test_bad_configurations(lines, why):
    stunnel = Stunnel(service(1, *lines))
    done = subprocess.run(stunnel.command(), capture_output=True, text=True, timeout=30)
    assert done.returncode == 1
    assert why in done.stderr + stunnel.log_text()


def test_limit_of_an_address_is_that_of_the_client_whom_the_header_names(start):
    """Not that of the proxy, which is the peer of all."""
    front = Front(start, *EXPECT, "maxConnectionsPerIP = 1")
    other = V1.replace(b"192.0.2.7", b"192.0.2.8")
    with client_after(front.port, V1) as client:
        assert client.get("/").status == 200
        with pytest.raises((ConnectionError, EOFError, ssl.SSLError)):
            client_after(front.port, V1)
        with client_after(front.port, other) as second:
            assert second.get("/").status == 200
        front.stunnel.wait_log("too many from one address: 192.0.2.7/32 (>=1)")
        assert client.get("/").status == 200
