# SPDX-License-Identifier: ISC
"""alpnConnect: connections by their ALPN protocol to a target of their own, which they reach blind."""

import shutil
import signal
import socket
import ssl
import struct
import subprocess

import pytest

from certs import certificates
from peers import BINARY, Nginx, Program, Stunnel, daemon_only, free_port, service, takes_any_name
from recorder import Recorder, answer_each
from tls_client import TlsClient, client_context

pytestmark = daemon_only

HTTP = "xForwardedFor = replace"


def answering(name):
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(name)}\r\n\r\n"
    return Recorder(serve=answer_each(f"{head}{name}".encode()))


@pytest.fixture
def targets(start):
    """Of `connect`, of h2 and of another protocol; each answers with its name."""
    return [start(answering(name)) for name in ("connect", "h2", "other")]


def routes(targets):
    """The lines of a service; `other` is preferred."""
    connect, h2, other = targets
    named = (f"alpnConnect = other 127.0.0.1:{other.port}", f"alpnConnect =\th2 \t127.0.0.1:{h2.port}")
    return service(connect.port, *named)


def client(stunnel, offered, sni="localhost"):
    return TlsClient(stunnel.port, sni=sni, context=client_context(alpn=offered, verify=False))


def curl(stunnel, *options):
    """What the server answered, and the client's port."""
    url = f"https://localhost:{stunnel.port}/"
    command = ["curl", "-q", "-sS", "--cacert", certificates().ca, "-4", "-w", " %{local_port}"]
    command += [*options, "-H", "X-Forwarded-For: 6.6.6.6", url]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    text, port = done.stdout.rsplit(" ", 1)
    return text, port


@pytest.mark.skipif(not (shutil.which("curl") and shutil.which("nginx")), reason="needs curl and nginx")
def test_curl_and_nginx(start):
    """Each protocol of HTTP at its own port of nginx, which learns of the client in both ways."""
    says = 'return 200 "%s $server_protocol $proxy_protocol_addr:$proxy_protocol_port $http_x_forwarded_for";'
    h1 = start(Nginx("proxy_protocol", says % "h1"))
    h2 = start(Nginx("http2 proxy_protocol", says % "h2"))
    target = f"127.0.0.1:{h2.port}"
    stunnel = start(Stunnel(service(h1.port, HTTP, "protocol = proxy", f"alpnConnect = h2 {target}")))
    for option in ("--http1.1", "--no-alpn"):
        text, port = curl(stunnel, option)
        assert text == f"h1 HTTP/1.1 127.0.0.1:{port} 127.0.0.1"
    assert stunnel.log_lines("ALPN:") == []
    text, port = curl(stunnel, "--http2")
    assert text == f"h2 HTTP/2.0 127.0.0.1:{port} 6.6.6.6"
    assert stunnel.log_lines("ALPN:") == [f"ALPN: h2 leads to {target}"]


@pytest.mark.parametrize(
    "options, offered, chosen, reached",
    [
        ([HTTP], ["h2"], "h2", "h2"),
        ([HTTP], ["http/1.1", "h2"], "h2", "h2"),
        ([HTTP], ["h2", "http/1.1", "other"], "other", "other"),
        ([HTTP], ["http/1.0", "http/1.1", "unknown"], "http/1.1", "connect"),
        ([HTTP], [], None, "connect"),
        ([], ["http/1.1", "h2"], "h2", "h2"),
        ([], ["http/1.1"], None, "connect"),
        ([], ["unknown"], None, "connect"),
        ([], [], None, "connect"),
        (["alpn = http/1.1, h2, more"], ["http/1.1", "more", "h2"], "h2", "h2"),
        (["alpn = http/1.1, h2, more"], ["more", "http/1.1"], "http/1.1", "connect"),
    ],
)
def test_which_target_is_reached(start, targets, options, offered, chosen, reached):
    stunnel = start(Stunnel(routes(targets) + "\n".join(options)))
    with client(stunnel, offered) as connection:
        assert connection.tls.selected_alpn_protocol() == chosen
        connection.send(b"GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n")
        assert connection.response().body.decode() == reached
    seen = {target.serve: target.connections for target in targets if target.connections}
    assert len(seen) == 1
    ((only,),) = seen.values()
    headed = HTTP in options and reached == "connect"
    forwarded = "127.0.0.1" if headed else "6.6.6.6"
    assert [line for line in only.requests()[0] if "orwarded" in line] == [f"X-Forwarded-For: {forwarded}"]


@pytest.mark.parametrize("options", [[HTTP], ["alpn = http/1.1"]], ids=["headers", "alpn"])
def test_client_of_unknown_protocols_is_turned_away(start, targets, options):
    stunnel = start(Stunnel(routes(targets) + "\n".join(options)))
    with pytest.raises(ssl.SSLError, match="(?i)no.application.protocol"):
        client(stunnel, ["unknown"])


@takes_any_name
def test_a_server_name_chooses_the_targets(start, targets):
    connect, h2, other = targets
    named = f"[named]\nsni = web:h.test\nconnect = 127.0.0.1:{connect.port}\n{HTTP}\n"
    named += f"alpnConnect = h2 127.0.0.1:{h2.port}\n"
    primary = service(connect.port, f"alpnConnect = h2 127.0.0.1:{other.port}")
    stunnel = start(Stunnel(primary + named))
    for sni, reached in [("h.test", "h2"), ("b.test", "other")]:
        with client(stunnel, ["h2"], sni) as connection:
            assert connection.get().body.decode() == reached


@pytest.mark.parametrize("delay", ["no", "yes"])
def test_a_name_with_several_addresses(start, targets, delay):
    """Nobody listens at the first one, or at any: clients of `connect` do not care."""
    connect, h2, _ = targets
    name = f"alpnConnect = h2 localhost:{h2.port}"
    down = f"alpnConnect = down localhost:{free_port()}"
    stunnel = start(Stunnel(service(connect.port, name, down, HTTP, f"delay = {delay}")))
    with client(stunnel, ["h2"]) as connection:
        assert connection.get().body.decode() == "h2"
    with client(stunnel, ["down"]) as connection:
        assert connection.closed_by_peer()
    with client(stunnel, ["http/1.1"]) as connection:
        assert connection.get().body.decode() == "connect"


class AcmeClient(Program):
    """Answers acme-tls/1 with a certificate of its own, and each line with its mirror image."""

    name = "acme"

    def __init__(self):
        super().__init__()
        self.port = free_port()

    def endpoints(self):
        return [f"127.0.0.1:{self.port}"]

    def command(self):
        keys = ["-cert", certificates().other_cert, "-key", certificates().other_key]
        only = ["-alpn", ACME, "-rev", "-quiet"]
        return ["openssl", "s_server", "-accept", *self.endpoints(), *keys, *only]


class Piecemeal(TlsClient):
    """A client whose ClientHello goes out as `cut` says."""

    cut = None

    def _flush(self):
        data = self._out.read()
        for piece in self.cut(data) if self.cut else [data]:
            self.sock.sendall(piece)
        if data:
            self.cut = None


def record(content):
    return b"\x16\x03\x01" + struct.pack("!H", len(content)) + content


def in_records(size):
    """Cuts a hello, a record of its own, into records of that many bytes."""

    def cut(hello):
        content = hello[5:]
        return [record(content[at : at + size]) for at in range(0, len(content), size)]

    return cut


def in_bytes(hello):
    return [hello[at : at + 1] for at in range(len(hello))]


ACME = "acme-tls/1"
CUTS = [None, in_bytes, in_records(1)]


def owner(connection):
    """Whose certificate the client sees."""
    names = ssl.DER_cert_to_PEM_cert(connection.tls.getpeercert(binary_form=True))
    return "acme" if names.strip() in certificates().other_cert.read_text() else "stunnel"


def acme_client(stunnel, cut=None, offered=(ACME,), sni="localhost"):
    cls = type("Client", (Piecemeal,), {"cut": staticmethod(cut) if cut else None})
    return cls(stunnel.port, sni=sni, context=client_context(alpn=offered, verify=False))


@pytest.fixture
def acme(start):
    return start(AcmeClient())


@pytest.mark.parametrize("cut", CUTS, ids=["whole", "bytes", "records"])
@pytest.mark.parametrize(
    "options",
    [
        [],
        [HTTP, "protocol = proxy"],
        ["verifyChain = yes", f"CAfile = {certificates().ca}", "redirect = 127.0.0.1:{connect}"],
    ],
    ids=["blind", "headers", "redirect"],
)
def test_an_acme_client_shows_its_own_certificate(start, targets, acme, options, cut):
    """It gets the ClientHello as it came, and no PROXY header in front."""
    connect = targets[0].port
    lines = [line.replace("{connect}", str(connect)) for line in options]
    lines.append(f"alpnConnect = {ACME} 127.0.0.1:{acme.port}")
    stunnel = start(Stunnel(service(connect, *lines)))
    with acme_client(stunnel, cut) as connection:
        assert (owner(connection), connection.tls.selected_alpn_protocol()) == ("acme", ACME)
        connection.send(b"hello\n")
        assert connection.take(6) == b"olleh\n"
    stunnel.wait_log(f"ALPN: {ACME} leads to 127.0.0.1:{acme.port}", 1)
    with client(stunnel, []) as connection:
        assert owner(connection) == "stunnel"
        assert connection.get().body == b"connect"


def test_acme_is_by_the_exact_offer(start, targets, acme):
    """A client that offers it among others is ours, and is not told that we speak it."""
    connect, h2, _ = targets
    lines = [f"alpnConnect = {ACME} 127.0.0.1:{acme.port}", f"alpnConnect = h2 127.0.0.1:{h2.port}"]
    stunnel = start(Stunnel(service(connect.port, *lines, HTTP)))
    for offered, chosen, reached in [([ACME, "h2"], "h2", "h2"), (["http/1.1", ACME], "http/1.1", "connect")]:
        with acme_client(stunnel, offered=offered) as connection:
            assert (owner(connection), connection.tls.selected_alpn_protocol()) == ("stunnel", chosen)
            assert connection.get().body.decode() == reached
    with pytest.raises(ssl.SSLError, match="(?i)no.application.protocol"):
        client(stunnel, ["acme-tls/2"])


@takes_any_name
def test_a_server_name_chooses_the_acme_client(start, targets, acme):
    """Of a section that is led to, though the one that accepts has no such line."""
    connect = targets[0].port
    named = f"[named]\nsni = web:h.test\nconnect = 127.0.0.1:{connect}\n"
    named += f"alpnConnect = {ACME} 127.0.0.1:{acme.port}\n"
    stunnel = start(Stunnel(service(connect) + named))
    for sni, seen in [("h.test", "acme"), ("b.test", "stunnel")]:
        with acme_client(stunnel, sni=sni) as connection:
            assert owner(connection) == seen


def test_a_drain_takes_no_acme_client_for_a_silent_one(start, targets, acme):
    """It ends a client that is idle, as which the one before it would count with its bytes unseen."""
    line = f"alpnConnect = {ACME} 127.0.0.1:{acme.port}"
    section = service(targets[0].port, line, HTTP)
    stunnel = start(Stunnel(f"workers = 1\nTIMEOUTdrain = 600\n{section}"))
    with acme_client(stunnel) as passed, client(stunnel, []) as idle:
        assert idle.get().status == 200
        stunnel.signal(signal.SIGTERM)
        assert idle.closed_by_peer()
        passed.send(b"hello\n")
        assert passed.take(6) == b"olleh\n"
    assert stunnel.process.wait(30) == 0


def padded(hello, size):
    """The ClientHello in the record with an unknown extension (RFC 8701) of `size` bytes."""
    content = hello[5:]
    at = 4 + 2 + 32
    at += 1 + content[at]
    at += 2 + struct.unpack("!H", content[at : at + 2])[0]
    at += 1 + content[at]
    more = content[at + 2 :] + struct.pack("!HH", 0xFAFA, size) + bytes(size)
    body = content[4:at] + struct.pack("!H", len(more)) + more
    return record(content[:1] + struct.pack("!I", len(body))[1:] + body)


def test_a_hello_that_is_too_long_to_be_kept_is_ours(start, targets, acme):
    """OpenSSL takes it in all its records, of which more than we keep for another program."""
    line = f"alpnConnect = {ACME} 127.0.0.1:{acme.port}"
    stunnel = start(Stunnel(service(targets[0].port, line, HTTP)))
    outgoing = ssl.MemoryBIO()
    tls = client_context(alpn=[ACME], verify=False).wrap_bio(ssl.MemoryBIO(), outgoing)
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    hello = padded(outgoing.read(), 6000)
    with socket.create_connection(("127.0.0.1", stunnel.port), timeout=60) as sock:
        sock.sendall(b"".join(in_records(1)(hello)))
        assert sock.recv(7) == b"\x15\x03\x03\0\x02\x02\x78"  # no_application_protocol
    assert stunnel.log_lines("ALPN:") == []


REFUSED = [
    (["alpnConnect = h2"], "A protocol and its target"),
    (["alpnConnect = h2,h3 1"], "One protocol a line"),
    ([f"alpnConnect = {'p' * 256} 1"], "One protocol a line"),
    (["alpnConnect = h2 1", "alpnConnect = h2 2"], "this protocol has a target already"),
    (["alpnConnect = http/1.1 1", HTTP], "headers are set"),
    (["alpnConnect = http/1.0 1", "accessLog = /log"], "headers are set"),
    (["client = yes", "alpnConnect = h2 1"], "unsupported in client sections"),
    (["protocol = smtp", "alpnConnect = h2 1"], "incompatible with the specified protocol"),
    (["verifyChain = yes", "CAfile = {ca}", "redirect = 1", "alpnConnect = h2 1"], 'incompatible with "redirect"'),
    (["alpnConnect = h2 no-port"], "Cannot resolve alpnConnect target"),
]


@pytest.mark.parametrize("lines, why", REFUSED, ids=[why for _, why in REFUSED])
def test_what_is_refused(tmp_path, lines, why):
    file, ours = tmp_path / "test.conf", certificates()
    lines = [line.replace("{ca}", str(ours.ca)) for line in lines]
    file.write_text(f"cert = {ours.cert}\nkey = {ours.key}\n" + service(1, *lines))
    done = subprocess.run([BINARY, "-test", file], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    (line,) = [line for line in done.stderr.splitlines() if '"alpnConnect = ' in line]
    assert why in line


@pytest.mark.parametrize(
    "lines, warned",
    [
        ([HTTP], True),
        ([HTTP, "protocol = proxy"], False),
        ([HTTP, "transparent = source"], False),
        ([], False),
        (["accessLog = {folder}/access"], False),
    ],
)
def test_a_target_that_does_not_know_its_clients_is_a_warning(tmp_path, lines, warned):
    file, ours = tmp_path / "test.conf", certificates()
    lines = [line.format(folder=tmp_path) for line in lines]
    file.write_text(f"cert = {ours.cert}\nkey = {ours.key}\n" + service(1, "alpnConnect = h2 1", *lines))
    done = subprocess.run([BINARY, "-test", file], capture_output=True, text=True, timeout=60)
    assert ("Its target does not know who the client is" in done.stderr) == warned, done.stderr
    assert done.returncode == 0, done.stderr


def test_exec_is_refused(tmp_path):
    file, ours = tmp_path / "test.conf", certificates()
    section = f"[web]\naccept = 127.0.0.1:{free_port()}\nexec = /bin/cat\nalpnConnect = h2 1\n"
    file.write_text(f"cert = {ours.cert}\nkey = {ours.key}\n{section}")
    done = subprocess.run([BINARY, "-test", file], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert 'incompatible with "exec"' in done.stderr
