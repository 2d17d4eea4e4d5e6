# SPDX-License-Identifier: ISC
"""What real servers behind us read in our PROXY headers, by their own account."""

import contextlib
import re
import ssl
import subprocess

import pytest

from certs import certificates, client_certificates
from peers import Stunnel, free_port, service, takes_sessions
from proxy_header import build, parse
from receivers import RECEIVERS, NginxHttp2, measured
from recorder import Recorder
from tls_client import DEADLINE, TlsClient, client_context, dial, read_to_end

TLS12, TLS13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
VERSIONS = pytest.mark.parametrize("version", [TLS12, TLS13])
PROXY2 = ["protocol = proxy", "proxyVersion = 2", "proxyMaxLength = 4096"]


@pytest.fixture(scope="module")
def receivers():
    """All of them, by name."""
    with contextlib.ExitStack() as stack:
        yield {name: stack.enter_context(kind()) for name, kind in RECEIVERS.items()}


# ---- addresses ------------------------------------------------------------------------------

WAYS = {  # accept, to, from, options
    "IPv4": ("127.0.0.1:{}", "127.0.0.1", "127.0.0.4", []),
    "IPv6": ("::1:{}", "::1", None, []),
    "fold": (":::{}", "127.0.0.1", "127.0.0.4", []),
    "keep": (":::{}", "127.0.0.1", "127.0.0.4", ["proxyMapped = keep"]),
}
UNMAPS = [("apache2", 2), ("varnish", 1), ("varnish", 2), ("varnish, larger", 1)]
UNMAPS += [("varnish, larger", 2)]  # servers that show a mapped address as IPv4


def server_name(name):
    """By which the daemon below finds the receiver."""
    return f"r{list(RECEIVERS).index(name)}.example.test"


@pytest.fixture(scope="module")
def crossing(receivers):
    """Ports of a daemon by version of the header and way; the server name leads to a receiver."""
    text, ports = "", {}
    for number in (1, 2):
        for way, (accept, _, _, options) in WAYS.items():
            port = ports[number, way] = free_port()
            lines = ["protocol = proxy", f"proxyVersion = {number}", *options]
            text += service(port, name=f"{way}{number}", accept=accept.format(port))
            for name, receiver in receivers.items():
                text += f"[{way}{number} {name}]\nsni = {way}{number}:{server_name(name)}\n"
                text += "\n".join([f"connect = 127.0.0.1:{receiver.port}", *lines, ""])
    with Stunnel(text):
        yield ports


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize("name", RECEIVERS)
def test_addresses(receivers, crossing, name, number, way):
    _, to, source, options = WAYS[way]
    to = (to, crossing[number, way])
    with TlsClient(to, source=source, sni=server_name(name)) as client:
        ends = client.address[:2] + to
        told = receivers[name].told(client)
    mapped = "::ffff:" if options and (name, number) not in UNMAPS else ""
    expected = [f"{mapped}{end}" if end in ends[::2] else str(end) for end in ends]
    assert told[:4] == expected[: 2 if name == "apache2" else 4]


def test_nginx_takes_them_in_front_of_http2(start, front):
    """The other bytes are no business of ours, so the client may choose HTTP/2."""
    nginx = start(NginxHttp2())
    options = ["protocol = proxy", "alpn = h2, http/1.1"]
    stunnel = front(nginx, *options)
    command = ["curl", "-sS", "--http2", "--interface", "127.0.0.4", "--cacert", certificates().ca]
    command += ["-w", " %{http_version} %{local_port}", f"https://localhost:{stunnel.port}/"]
    command += ["--resolve", f"localhost:{stunnel.port}:127.0.0.1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE)
    *ends, http, port = done.stdout.split()
    assert (http, ends) == ("2", ["127.0.0.4", port, "127.0.0.1", str(stunnel.port)])


# ---- TLVs -----------------------------------------------------------------------------------

ALL = "proxyTLV = alpn, authority, ssl, cn, cipher, sig-alg, key-alg, group, sig-scheme"
MORE = "proxyTLV = client-cert, unique-id, crc32c, noop:9, 0xE3:a b"


def test_haproxy_reads_authority_and_unique_id(front, receivers):
    """Among all the others, and HTTP mode is on, too."""
    options = [ALL, MORE, "requestId = yes", "requireCert = yes"]
    stunnel = front(receivers["haproxy"], *PROXY2, *options)
    context = client_context(cert="signed")
    with TlsClient(stunnel.port, sni="www.example.test", context=context) as client:
        authority, unique_id, request_id = receivers["haproxy"].told(client)[4:]
    assert authority == "www.example.test"
    assert re.fullmatch(r"[0-9a-f]{16}-[0-9a-f]+", unique_id)
    assert request_id.rpartition("-")[0] == unique_id


def test_haproxy_reads_nothing_where_nothing_is_sent(front, receivers):
    stunnel = front(receivers["haproxy"], *PROXY2)
    with TlsClient(stunnel.port, sni="www.example.test") as client:
        assert len(receivers["haproxy"].told(client)) == 4


CERTIFICATES = {  # options, the client's certificate, then: in the session, verify
    "none": (["verify = 1"], None, "false", "1"),
    "verified": (["verifyChain = yes"], "signed", "true", "0"),
    "unknown": (["verify = 0"], "stranger", "true", "21"),
    "expired": (["verify = 0"], "expired", "true", "10"),
    "unverified": (["requireCert = yes"], "signed", "true", "1"),
}


def told_twice(to, receiver, context):
    """The fields of varnish's responses, on a fresh and on a resumed session."""
    session = None
    for resumed in (False, True):
        with TlsClient(to, sni="www.example.test", context=context, session=session) as client:
            client.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            fields = dict(client.response().headers)
            session = client.session
            assert client.tls.session_reused == resumed
            yield client.tls, fields


@takes_sessions
@VERSIONS
@pytest.mark.parametrize("kind", CERTIFICATES)
def test_varnish_reads_the_client_certificate(front, receivers, version, kind):
    options, cert, presented, verify = CERTIFICATES[kind]
    options = [*options, f"CAfile = {client_certificates()}/root.pem", "proxyTLV = cn"]
    stunnel = front(receivers["varnish"], *PROXY2, *options)
    context = client_context(version=version, cert=cert)
    (_, fresh), (_, resumed) = told_twice(stunnel.port, receivers["varnish"], context)
    for fields in (fresh, resumed):
        assert fields["tls"] == "true"
        assert (fields["cert-sess"], fields["verify"]) == (presented, verify)
        assert fields["cn"] == (cert or "")
    assert (fresh["cert-conn"], resumed["cert-conn"]) == (presented, "false")


@takes_sessions
@VERSIONS
def test_varnish_reads_the_rest(front, receivers, version):
    names = "alpn, authority, ssl, cipher, sig-alg, key-alg, unique-id, crc32c"
    options = [f"proxyTLV = {names}", "alpn = http/1.1"]
    stunnel = front(receivers["varnish"], *PROXY2, *options)
    context = client_context(["http/1.1"], version=version)
    for tls, fields in told_twice(stunnel.port, receivers["varnish"], context):
        assert fields["alpn"] == "http/1.1"
        assert fields["authority"] == "www.example.test"
        assert (fields["version"], fields["cipher"]) == (tls.version(), tls.cipher()[0])
        assert (fields["sig-alg"], fields["key-alg"]) == ("ecdsa-with-SHA256", "EC256")


@takes_sessions
def test_varnish_reads_that_there_was_no_tls(front, receivers):
    stunnel = front(receivers["varnish"], *PROXY2)
    for _, fields in told_twice(stunnel.port, receivers["varnish"], client_context()):
        assert fields["tls"] == "false"


# ---- CRC32c ---------------------------------------------------------------------------------


def answer_to(port, header):
    with dial(port) as client:
        client.sendall(header + b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        return read_to_end(client)


@pytest.mark.parametrize("name", ["haproxy", "varnish"])
def test_crc_is_checked(start, front, receivers, name):
    """Our own bytes are taken, and are not with one bit of the address changed."""
    backend = start(Recorder(lambda connection: connection.take(16)))
    stunnel = front(backend, *PROXY2, "proxyTLV = crc32c, authority")
    with TlsClient(stunnel.port, source="127.0.0.4") as client:
        assert client.closed_by_peer()
    header = backend.data
    assert answer_to(receivers[name].port, header).startswith(b"HTTP/1.1 200 ")
    wrong = header[:19] + b"\x05" + header[20:]
    assert parse(header).source.startswith("127.0.0.4 ")
    assert b"200" not in answer_to(receivers[name].port, wrong)


# ---- sizes ----------------------------------------------------------------------------------


@pytest.mark.parametrize("family", ["IPv4", "IPv6"])
@pytest.mark.parametrize("name", RECEIVERS)
def test_longest_header(front, receivers, name, family):
    """As the document says, as far as we go; made of a TLV that came in."""
    size = min(measured()[name], 4096)
    options = ["acceptProxy = yes", "acceptProxyFrom = 127.0.0.1", "proxyPassTLV = yes"]
    stunnel = front(receivers[name], *PROXY2, *options)
    ends = ("192.0.2.1 5", "192.0.2.2 6") if family == "IPv4" else ("2001:db8::1 5", "::1 6")
    header = build(*ends, [(0xE0, bytes(size - len(build(*ends, [(0xE0, b"")]))))])
    assert len(header) == size
    with dial(stunnel.port) as sock:
        sock.sendall(header)
        with TlsClient(sock) as client:
            assert receivers[name].told(client)[:2] == ends[0].split()
