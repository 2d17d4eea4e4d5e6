# SPDX-License-Identifier: ISC
"""The bytes of the PROXY headers that we send, as a reader of its own and openssl see them."""

import re
import socket
import ssl
import struct
import subprocess

import pytest

import proxy_header as proxy
from certs import certificates, client_certificates, rsa_certificate
from peers import PATCHED, Haproxy, Stunnel, free_port, service, takes_sessions, wait_for
from proxy_header import behind_header, parse
from recorder import Recorder, answer_each, read_only
from tls_client import DEADLINE, TlsClient, client_context

TLS12, TLS13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
VERSIONS = pytest.mark.parametrize("version", [TLS12, TLS13])
PROXY2 = ["protocol = proxy", "proxyVersion = 2"]
IN_SSL = "proxyTLV = cn, cipher, sig-alg, key-alg, group, sig-scheme, client-cert"
KEYS = {"RSA": rsa_certificate, "EC": certificates}


def front(start, *options, serve=read_only):
    """One worker, so that what is said once is said once."""
    backend = start(Recorder(behind_header(serve)))
    config = "workers = 1\n" + service(backend.port, *PROXY2, *options)
    return start(Stunnel(config)), backend


def answer_line(connection):
    """So that a TLS 1.3 client gets its tickets."""
    if connection.take_until(b"\n") is not None:
        connection.send(b"y")


def headers(backend, count=1):
    """Of the first `count` connections, when they are there."""

    def found():
        return [c.header for c in backend.connections if hasattr(c, "header")]

    wait_for(lambda: len(found()) >= count, f"{count} headers")
    return found()


def header_of(stunnel, backend, **client):
    with TlsClient(stunnel.port, **client):
        return headers(backend)[0]


def x509(path, *options):
    command = ["openssl", "x509", "-in", path, "-noout", *options]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


# ---- TLVs -----------------------------------------------------------------------------------


def test_without_options_there_are_addresses_only(start):
    stunnel, backend = front(start)
    with TlsClient(stunnel.port, source="127.0.0.4", sni="www.example.test") as client:
        header = headers(backend)[0]
        assert header.source == "%s %d" % client.address
    assert header.target == f"127.0.0.1 {stunnel.port}"
    assert (header.size, header.tlvs) == (28, [])


def test_order_and_values(start):
    """CRC32C, which is checked by parse(), comes last."""
    options = ["proxyTLV = noop:5, crc32c, 0xE1:one, netns:blue, 0xEF:a: b, ssl"]
    options += ["proxyTLV = unique-id, authority, 0xE1:, alpn", "alpn = h2, http/1.1"]
    stunnel, backend = front(start, *options)
    context = client_context(["http/1.1"])
    header = header_of(stunnel, backend, sni="www.example.test", context=context)
    assert [(kind, value) for kind, value in header.tlvs if kind != proxy.CRC32C] == [
        (proxy.ALPN, b"http/1.1"),
        (proxy.AUTHORITY, b"www.example.test"),
        (proxy.UNIQUE_ID, header.value(proxy.UNIQUE_ID)),
        (proxy.SSL, struct.pack("!BIBH", 1, 1, proxy.VERSION, 7) + b"TLSv1.3"),
        (proxy.NETNS, b"blue"),
        (0xE1, b"one"),
        (0xEF, b"a: b"),
        (0xE1, b""),
        (proxy.NOOP, bytes(5)),
    ]
    assert header.tlvs[-1][0] == proxy.CRC32C


def test_what_there_is_nothing_to_say_of(start):
    stunnel, backend = front(start, "proxyTLV = alpn, authority, cn, client-cert, group")
    context = client_context(verify=False)
    header = header_of(stunnel, backend, sni=None, context=context)
    assert [kind for kind, _ in header.tlvs] == [proxy.SSL]
    assert list(header.ssl[2]) == [proxy.VERSION, proxy.GROUP]


def test_unique_id_begins_the_request_ids(start):
    options = ["proxyTLV = unique-id", "requestId = yes"]
    stunnel, backend = front(start, *options, serve=answer_each())
    ids = []
    for _ in range(2):
        with TlsClient(stunnel.port) as client:
            client.get("/a")
            client.get("/b")
    for connection in backend.connections:
        own = connection.header.value(proxy.UNIQUE_ID).decode()
        heads = connection.data[connection.header.size :].decode()
        ids += [own, *re.findall(r"X-Request-ID: (\S+)", heads)]
        assert [one.rpartition("-")[0] for one in ids[-2:]] == [own, own]
    assert len(set(ids)) == 6


# ---- what openssl says of the same connection -----------------------------------------------

SCHEMES = {  # "Peer signing digest" and "Peer signature type" of s_client
    "SHA256 RSA": b"rsa_pkcs1_sha256",
    "SHA256 RSA-PSS": b"rsa_pss_rsae_sha256",
    "SHA512 RSA-PSS": b"rsa_pss_rsae_sha512",
    "SHA256 ECDSA": b"ecdsa_secp256r1_sha256",
    "SHA384 ECDSA": b"ecdsa_secp384r1_sha384",
    None: None,
}
GROUPS = {"X25519": b"x25519", "prime256v1": b"secp256r1", "secp384r1": b"secp384r1", None: None}
SIGNATURES = {"sha256WithRSAEncryption": b"RSA-SHA256", "ecdsa-with-SHA256": b"ecdsa-with-SHA256"}
KINDS = {"rsaEncryption": "RSA", "id-ecPublicKey": "EC"}


def s_client(port, *options):
    """What it says of the connection; None where it says nothing. Ends when the peer does."""
    command = ["openssl", "s_client", "-ign_eof", "-connect", f"127.0.0.1:{port}", *options]
    done = subprocess.run(command, input="x\n", capture_output=True, text=True, timeout=DEADLINE)

    def said(pattern):
        found = re.search(pattern, done.stdout, re.M)
        return found and " ".join(found.groups())

    return {
        proxy.VERSION: said(r"^(?:New|Reused), (\S+), ").encode(),
        proxy.CIPHER: said(r"Cipher is (\S+)").encode(),
        proxy.GROUP: GROUPS[said(r"^Server Temp Key: (?:ECDH, )?(\w+)")],
        proxy.SIG_SCHEME: SCHEMES[said(r"^Peer signing digest: (.+)\nPeer signature type: (.+)")],
    }


def own_certificate(path):
    text = x509(path, "-text")
    kind, bits = re.search(r"Algorithm: (\S+)\n *Public-Key: \((\d+) bit\)", text).groups()
    return {
        proxy.SIG_ALG: SIGNATURES[re.search(r"Signature Algorithm: (\S+)", text)[1]],
        proxy.KEY_ALG: (KINDS[kind] + bits).encode(),
    }


@pytest.mark.parametrize(
    "kind, options",
    [
        ("RSA", ["-tls1_3"]),
        ("EC", ["-tls1_3"]),
        ("RSA", ["-tls1_2"]),
        ("EC", ["-tls1_2"]),
        ("RSA", ["-tls1_3", "-groups", "P-256", "-sigalgs", "rsa_pss_rsae_sha512"]),
        ("RSA", ["-tls1_2", "-groups", "P-384", "-sigalgs", "RSA+SHA256"]),
        ("EC", ["-tls1_2", "-groups", "P-256", "-sigalgs", "ECDSA+SHA384"]),
        ("RSA", ["-tls1_2", "-cipher", "AES128-GCM-SHA256"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else value,
)
def test_as_openssl_says(start, kind, options):
    """With the last one no key is exchanged and nothing is signed."""
    own = KEYS[kind]()
    files = [f"cert = {own.cert}", f"key = {own.key}", "curves = X25519:P-256:P-384"]
    stunnel, backend = front(start, *files, "ciphers = ALL", IN_SSL, serve=answer_line)
    said = {**s_client(stunnel.port, *options), **own_certificate(own.cert)}
    client, verify, inner = headers(backend)[0].ssl
    assert (client, verify) == (proxy.TLS, 1)
    assert inner == {kind: value for kind, value in said.items() if value}


@pytest.mark.parametrize("options", [["-tls1_3"], ["-tls1_2"]], ids=lambda value: value[0])
def test_resumed_as_openssl_says(start, tmp_path, options):
    """Nothing is signed; the group is that of this handshake, in TLS 1.2 the session's."""
    stunnel, backend = front(start, "proxyTLV = group, sig-scheme", serve=answer_line)
    fresh = s_client(stunnel.port, *options, "-sess_out", tmp_path / "session")
    again = s_client(stunnel.port, *options, "-sess_in", tmp_path / "session")
    assert again[proxy.SIG_SCHEME] is None
    assert [header.ssl[2].get(proxy.SIG_SCHEME) for header in headers(backend, 2)] == [
        fresh[proxy.SIG_SCHEME],
        None,
    ]
    groups = [header.ssl[2].get(proxy.GROUP) for header in headers(backend, 2)]
    assert groups == [fresh[proxy.GROUP], again[proxy.GROUP] or fresh[proxy.GROUP]]


# ---- client certificates, and what haproxy sends in our place -------------------------------


class HaproxySender(Haproxy):
    """Ends TLS as the daemon does, and sends all the TLVs that it knows."""

    def __init__(self, to, own, verify):
        self.port = free_port()
        super().__init__(
            f"""
frontend sender
    mode tcp
    bind 127.0.0.1:{self.port} ssl crt {{folder}}/own.pem alpn http/1.1 ciphers ALL {verify}
    default_backend recorder
backend recorder
    mode tcp
    server recorder 127.0.0.1:{to} send-proxy-v2 proxy-v2-options \
cert-cn,ssl-cipher,cert-sig,cert-key,authority,crc32c
"""
        )
        self.config.write_text(self.config.read_text().replace("{folder}", str(self.folder)))
        (self.folder / "own.pem").write_text(own.cert.read_text() + own.key.read_text())


def visits(port, context):
    """A fresh connection and a resumed one, each until the backend answered."""
    session = None
    for resumed in (False, True):
        with TlsClient(port, sni="www.example.test", context=context, session=session) as client:
            client.get("/")
            session = client.session
            assert client.tls.session_reused == resumed


def without_crc(tlvs):
    return sorted((kind, value) for kind, value in tlvs if kind not in (proxy.CRC32C, proxy.SSL))


SENT = "proxyTLV = alpn, authority, cn, cipher, sig-alg, key-alg, crc32c"


@takes_sessions
@pytest.mark.parametrize("kind", KEYS)
@pytest.mark.parametrize("cert", [None, "signed", "below"])
@VERSIONS
def test_as_haproxy_sends(start, version, cert, kind):
    """The same clients meet both: all TLVs are equal, fresh and resumed; but for 2.2.6, that
    `verify` is 0 for a verified certificate only: haproxy says 0 without one, too."""
    own, root = KEYS[kind](), client_certificates() / "root.pem"
    options = [f"cert = {own.cert}", f"key = {own.key}", "ciphers = ALL", "alpn = http/1.1"]
    options += ["verify = 1", f"CAfile = {root}", SENT]
    stunnel, ours = front(start, *options, serve=answer_each())
    theirs = start(Recorder(behind_header(answer_each())))
    haproxy = start(HaproxySender(theirs.port, own, f"verify optional ca-file {root}"))
    context = client_context(["http/1.1"], version=version, cert=cert)
    for port in (stunnel.port, haproxy.port):
        visits(port, context)
    for our, their in zip(headers(ours, 2), headers(theirs, 2), strict=True):
        assert without_crc(our.tlvs) == without_crc(their.tlvs)
        assert our.ssl[::2] == their.ssl[::2]
        assert our.ssl[1] == (0 if cert else 1)
        assert their.ssl[1] == 0


@takes_sessions
@VERSIONS
def test_client_certificate(start, version):
    """Its bits, its name, and itself; bit 2 is of this handshake, bit 4 of the session."""
    options = ["verifyChain = yes", f"CAfile = {client_certificates()}/root.pem", IN_SSL]
    options.append("proxyMaxLength = 4096")
    stunnel, backend = front(start, *options, serve=answer_each())
    visits(stunnel.port, client_context(version=version, cert="signed"))
    der = ssl.PEM_cert_to_DER_cert((client_certificates() / "signed.pem").read_text())
    bits = proxy.TLS | proxy.CERT_SESS
    for header, expected in zip(headers(backend, 2), (bits | proxy.CERT_CONN, bits), strict=True):
        client, verify, inner = header.ssl
        assert (client, verify) == (expected, 0)
        assert (inner[proxy.CN], inner[proxy.CLIENT_CERT]) == (b"signed", der)


# ---- one write, and its size ----------------------------------------------------------------


def segments(sock):
    """How many that had data were received: tcpi_data_segs_in, linux/tcp.h."""
    info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 160)
    return struct.unpack_from("I", info, 152)[0]


@pytest.mark.parametrize("options", [["proxyTLV = noop:1000, alpn, crc32c"], ["proxyVersion = 1"]])
def test_comes_in_one_segment_before_the_client_speaks(start, options):
    seen = []

    def look(connection):
        connection.receive()
        seen.append((connection.data, segments(connection.sock)))

    backend = start(Recorder(look))
    stunnel = start(Stunnel(service(backend.port, *PROXY2, "proxyMaxLength = 4096", *options)))
    with TlsClient(stunnel.port) as client:
        assert client.closed_by_peer()
    [(data, count)] = seen
    assert (parse(data).size, count) == (len(data), 1)


def test_too_much_is_left_out(start):
    """By default what fits into any path's segment is sent."""
    options = ["requireCert = yes", IN_SSL, "proxyTLV = crc32c, authority"]
    stunnel, backend = front(start, *options, serve=answer_each())
    context = client_context(cert="long")
    for _ in range(2):
        with TlsClient(stunnel.port, sni="www.example.test", context=context) as client:
            client.get("/")
    for header in headers(backend, 2):
        assert header.size <= 536
        assert header.value(proxy.AUTHORITY) == b"www.example.test"
        assert proxy.CLIENT_CERT not in header.ssl[2]
        assert header.ssl[2][proxy.SIG_SCHEME]
    told = 2 if PATCHED else 1
    assert len(stunnel.wait_log("TLVs were left out", told)) == told
