# SPDX-License-Identifier: ISC
"""haproxy, nginx and hitch in front of us, hitch behind: what they send is what goes on from us."""

import threading

import pytest

import proxy_header as proxy
from certs import certificates, client_certificates
from peers import Haproxy, Hitch, Stunnel, free_port, service, wait_for
from proxy_header import behind_header
from receivers import NginxStream
from recorder import Recorder, answer_each, read_only
from tls_client import TlsClient, Tunnel, client_context, dial

TAKES = ["acceptProxy = required", "acceptProxyFrom = 127.0.0.1"]
SENDS = ["protocol = proxy", "proxyVersion = 2", "proxyMaxLength = 4096", "proxyPassTLV = yes"]


class Tap(Recorder):
    """Passes on to `port`, and keeps what came; `header` is that of the only connection."""

    def __init__(self, port):
        super().__init__(self._pass)
        self.to = port

    def _pass(self, connection):
        with dial(self.to) as other:
            back = threading.Thread(target=self._back, args=[connection, other], daemon=True)
            back.start()
            done = 0
            while connection.receive():
                other.sendall(connection.data[done:])
                done = len(connection.data)
            other.close()

    def _back(self, connection, other):
        try:
            while data := other.recv(65536):
                connection.sock.sendall(data)
            connection.end()
        except OSError:
            pass  # the client has gone

    @property
    def header(self):
        return proxy.parse(self.data)


class Front:
    """Recorder, daemon and tap, as a front that has to be started before the tap meets them."""

    def __init__(self, start, *options):
        self.backend = start(Recorder(behind_header(answer_each())))
        lines = [*TAKES, *SENDS, "xForwardedFor = replace", *options]
        self.stunnel = start(Stunnel(service(self.backend.port, *lines)))
        self.tap = start(Tap(self.stunnel.port))

    @property
    def header(self):
        """What came out."""
        return self.backend.connections[0].header

    def forwarded_for(self):
        rest = self.backend.data[self.header.size :].decode()
        return [line[17:] for line in rest.split("\r\n") if line.startswith("X-Forwarded-For: ")]


def passed_on(header):
    """What proxyPassTLV promises."""
    return [(kind, value) for kind, value in header.tlvs if kind not in (proxy.CRC32C, proxy.NOOP)]


# ---- haproxy --------------------------------------------------------------------------------


def haproxy_front(to, options, bind="127.0.0.1:{}", tls=""):
    """`tls` is of its own side; then it encrypts anew."""
    again = "ssl verify none sni str(localhost)" if tls else ""
    haproxy = Haproxy(
        f"""
frontend front
    mode tcp
    bind {bind.format(free_port())} {tls}
    unique-id-format "%ci:%cp/%[rand]"
    default_backend stunnel
backend stunnel
    mode tcp
    server stunnel 127.0.0.1:{to} {options} {again}
"""
    )
    own = certificates()
    for path in (own.cert, own.key):
        with open(haproxy.folder / "own.pem", "a", encoding="ascii") as file:
            file.write(path.read_text())
    return haproxy


WAYS = {  # haproxy binds to, the client goes to, from, then what is passed on, and options for it
    "IPv4": ("127.0.0.1:{}", "127.0.0.1", "127.0.0.4", "", []),
    "IPv6": ("::1:{}", "::1", None, "", []),
    "fold": (":::{} v4v6", "127.0.0.1", "127.0.0.4", "", []),
    "keep": (":::{} v4v6", "127.0.0.1", "127.0.0.4", "::ffff:", ["proxyMapped = keep"]),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("option", ["send-proxy", "send-proxy-v2"])
def test_addresses_from_haproxy(start, option, way):
    bind, to, source, mapped, options = WAYS[way]
    front = Front(start, *options)
    haproxy = start(haproxy_front(front.tap.port, option, bind))
    to = (to, int(haproxy.endpoints()[0].rpartition(":")[2]))
    with TlsClient(to, source=source) as client:
        client.get("/a")
        client.get("/b")
        host, port = client.address[:2]
    assert front.tap.header.version == (2 if "v2" in option else 1)
    assert front.header.source == f"{mapped}{host} {port}"
    assert front.header.target == "%s%s %d" % (mapped, *to)
    assert front.forwarded_for() == [host, host]


OPTIONS = {
    "send-proxy-v2-ssl": {proxy.SSL},
    "send-proxy-v2-ssl-cn": {proxy.SSL},
    "send-proxy-v2-ssl-cn proxy-v2-options "
    "ssl-cipher,cert-sig,cert-key,authority,crc32c,unique-id": {
        proxy.ALPN,
        proxy.AUTHORITY,
        proxy.CRC32C,
        proxy.UNIQUE_ID,
        proxy.SSL,
    },
}


@pytest.mark.parametrize("cert", [None, "signed"])
@pytest.mark.parametrize("options", OPTIONS)
def test_tlvs_from_haproxy(start, options, cert):
    """It ends TLS and begins another one to us."""
    front = Front(start)
    root = client_certificates() / "root.pem"
    tls = f"ssl crt own.pem ca-file {root} verify optional alpn http/1.1"
    haproxy = start(haproxy_front(front.tap.port, options, tls=tls))
    port = int(haproxy.endpoints()[0].rpartition(":")[2])
    context = client_context(["http/1.1"], cert=cert)
    with TlsClient(port, source="127.0.0.4", sni="www.example.test", context=context) as client:
        client.get("/")
        source = "%s %d" % client.address
    came, sent = front.tap.header, front.header
    assert OPTIONS[options] <= {kind for kind, _ in came.tlvs}
    assert passed_on(sent) == passed_on(came)
    assert (sent.source, sent.target) == (came.source, came.target)
    assert sent.source == source
    assert front.forwarded_for() == ["127.0.0.4"]


def test_ours_take_the_place_of_those_that_came(start):
    """And a CRC of our own covers all."""
    names = "authority, unique-id, crc32c, noop:4"
    front = Front(start, f"proxyTLV = {names}")
    options = [name for name in OPTIONS if "unique-id" in name][0]
    haproxy = start(haproxy_front(front.tap.port, options, tls="ssl crt own.pem alpn http/1.1"))
    port = int(haproxy.endpoints()[0].rpartition(":")[2])
    with TlsClient(port, sni="www.example.test", context=client_context(["http/1.1"])) as client:
        client.get("/")
    came, sent = front.tap.header, front.header
    assert came.value(proxy.AUTHORITY) == b"www.example.test"
    assert sent.value(proxy.AUTHORITY) == b"localhost"
    assert sent.value(proxy.UNIQUE_ID) != came.value(proxy.UNIQUE_ID)
    assert sent.value(proxy.CRC32C) is not None
    assert sent.value(proxy.SSL) == came.value(proxy.SSL)


LOCAL = proxy.SIGNATURE + b"\x20\0"
CHECKED = """
frontend none
    bind 127.0.0.1:{bind}
backend checked
    option httpchk GET /checked
    server stunnel 127.0.0.1:{port} send-proxy-v2 check check-send-proxy check-ssl verify none
"""


def test_health_checks_of_haproxy(start):
    """They are LOCAL: haproxy itself is the client then."""
    front = Front(start)
    start(Haproxy(CHECKED.format(bind=free_port(), port=front.tap.port)))
    wait_for(lambda: front.backend.connections, "a check")
    first = front.backend.connections[0]
    wait_for(lambda: first.data.endswith(b"\r\n\r\n"), "its request")
    assert front.tap.connections[0].data.startswith(LOCAL)
    assert b"\r\nX-Forwarded-For: 127.0.0.1\r\n" in first.data[first.header.size :]
    assert first.header.source.startswith("127.0.0.1 ")
    assert first.header.target == f"127.0.0.1 {front.stunnel.port}"
    assert first.header.tlvs == []


# ---- nginx ----------------------------------------------------------------------------------


def test_addresses_from_nginx(start):
    front = Front(start)
    nginx = start(NginxStream(f"proxy_pass 127.0.0.1:{front.tap.port}; proxy_protocol on;", ""))
    with TlsClient(nginx.port, source="127.0.0.4") as client:
        client.get("/a")
        client.get("/b")
        source = "%s %d" % client.address
    assert front.tap.header.version == 1
    assert (front.header.source, front.header.target) == (source, f"127.0.0.1 {nginx.port}")
    assert front.forwarded_for() == ["127.0.0.4", "127.0.0.4"]


# ---- hitch ----------------------------------------------------------------------------------


@pytest.mark.parametrize("option", ["--write-proxy-v1", "--write-proxy-v2"])
def test_hitch_in_front(start, option):
    """It cannot encrypt anew, so our TLS is inside its own."""
    front = Front(start)
    hitch = start(Hitch(front.tap.port, option, "--alpn-protos=http/1.1"))
    context = client_context(["http/1.1"])
    with TlsClient(hitch.port, source="127.0.0.4", context=context) as outer:
        source = "%s %d" % outer.address
        with TlsClient(Tunnel(outer)) as client:
            client.get("/a")
            client.get("/b")
    came, sent = front.tap.header, front.header
    assert came.version == (2 if "v2" in option else 1)
    if came.version == 2:
        assert {proxy.ALPN, proxy.AUTHORITY, proxy.SSL} <= {kind for kind, _ in came.tlvs}
    assert passed_on(sent) == passed_on(came)
    assert (sent.source, sent.target) == (source, f"127.0.0.1 {hitch.port}")
    assert front.forwarded_for() == ["127.0.0.4", "127.0.0.4"]


@pytest.mark.parametrize("number", [1, 2])
def test_hitch_behind(start, number):
    """It passes on the header that we send, in front of what was in its TLS."""
    backend = start(Recorder(behind_header(read_only)))
    hitch = start(Hitch(backend.port, "--proxy-proxy"))
    options = ["protocol = proxy", f"proxyVersion = {number}"]
    options += ["proxyTLV = authority, ssl, crc32c"] if number == 2 else []
    stunnel = start(Stunnel(service(hitch.port, *options)))
    with TlsClient(stunnel.port, source="127.0.0.4", sni="www.example.test") as outer:
        source = "%s %d" % outer.address
        with TlsClient(Tunnel(outer)) as client:
            client.send(b"hello")
            wait_for(lambda: backend.connections, "the connection")
            [connection] = backend.connections
            wait_for(lambda: connection.data.endswith(b"hello"), "the bytes")
    assert connection.header.version == number
    assert connection.header.source == source
    assert connection.header.target == f"127.0.0.1 {stunnel.port}"
    kinds = [kind for kind, _ in connection.header.tlvs]
    assert kinds == ([proxy.AUTHORITY, proxy.SSL, proxy.CRC32C] if number == 2 else [])
