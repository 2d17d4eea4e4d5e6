# SPDX-License-Identifier: ISC
"""Keys that both ends have (PSKsecrets): clients that prove themselves without a certificate."""

import re
import shutil
import socket
import subprocess

import pytest

from certs import certificates
from peers import BINARY, DEADLINE, Program, Stock, Stunnel, daemon_only, free_port, service
from recorder import OK, Recorder

pytestmark = daemon_only

SECRET = "oaP4EishaeSaishei6rio6xeeph3az"
OTHER = "00112233445566778899aabbccddeeff"
LINES = f"test1:{SECRET}\ntest2:00:11:22:33:44:55:66:77:88:99:AA:bb:cc:dd:ee:ff\r\n\ntest3:{OTHER}"
KEYS = {"test1": SECRET.encode().hex(), "test2": OTHER, "test3": OTHER}
VERSIONS = pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
REQUEST = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


def answer_once(connection):
    """openssl's client ends with the backend."""
    connection.take_request()
    connection.send(OK)


@pytest.fixture
def secrets(tmp_path):
    def write(lines=LINES, mode=0o600):
        path = tmp_path / "secrets"
        path.write_text(lines, newline="")
        path.chmod(mode)
        return path

    return write


@pytest.fixture
def server(start):
    """A stunnel, ours or stock, with these options and without the certificate of all tests."""

    def start_server(*options, kind=Stunnel, backend=None):
        backend = backend or start(Recorder(answer_once))
        stunnel = kind(service(backend.port, *options))
        text = re.sub(r"^(cert|key) = .*\n", "", stunnel.config.read_text(), count=2, flags=re.M)
        stunnel.config.write_text(text)
        return start(stunnel)

    return start_server


def request(daemon, version, *arguments):
    """A request of openssl's client: all that it prints."""
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{daemon.port}", "-ign_eof", version]
    done = subprocess.run(
        [*command, *arguments], input=REQUEST, capture_output=True, text=True, timeout=30
    )
    return done.stdout + done.stderr


def psk(identity, key=None):
    return ["-psk_identity", identity, "-psk", key or KEYS[identity]]


# A server that has a certificate as well takes the client's first suite, or with TLS 1.3 its own.
ONLY_PSK = ["-cipher", "PSK", "-ciphersuites", "TLS_AES_128_GCM_SHA256"]


@VERSIONS
@pytest.mark.parametrize("identity", KEYS)
def test_a_key_stands_for_a_certificate(server, secrets, version, identity):
    stunnel = server(f"PSKsecrets = {secrets()}")
    told = request(stunnel, version, *psk(identity))
    assert "HTTP/1.1 200 OK" in told
    assert "no peer certificate available" in told
    stunnel.wait_log(f'Key configured for PSK identity "{identity}"')
    stunnel.wait_log("TLS accepted: PSK")
    assert not re.search(r" LOG[0-4]\[", stunnel.log_text())
    assert SECRET not in stunnel.log_text()


@VERSIONS
@pytest.mark.parametrize("wrong", [psk("test1", OTHER), psk("test9", OTHER), []])
def test_who_has_no_key_is_refused_as_by_stock(start, server, secrets, version, wrong):
    """The same alert, and the same reason in the log."""
    backend, path = start(Recorder(answer_once)), secrets()
    alerts, reasons = [], []
    for kind in (Stock, Stunnel):
        daemon = server(f"PSKsecrets = {path}", kind=kind, backend=backend)
        told = request(daemon, version, *wrong)
        assert "HTTP/1.1" not in told
        alerts += re.findall(r"SSL alert number \d+", told)
        daemon.wait_log("SSL_accept: ")
        reasons += [line.split("::")[-1] for line in daemon.log_lines("SSL_accept: ")]
    assert len(alerts) == 2 and alerts[0] == alerts[1]
    assert reasons[0] == reasons[1]
    assert not backend.connections


@VERSIONS
def test_certificate_and_keys_at_once(start, both, secrets, version):
    for daemon in both(start(Recorder(answer_once)), f"PSKsecrets = {secrets()}"):
        told = request(daemon, version, *psk("test1"), *ONLY_PSK)
        assert "HTTP/1.1 200 OK" in told and "no peer certificate available" in told
        told = request(daemon, version, *psk("test1"))
        assert "HTTP/1.1 200 OK" in told and "BEGIN CERTIFICATE" in told
        told = request(daemon, version)
        assert "HTTP/1.1 200 OK" in told and "BEGIN CERTIFICATE" in told


@VERSIONS
def test_the_backend_is_told_of_no_session(start, server, secrets, version):
    """With TLS 1.3 OpenSSL counts a key as a session that is resumed."""
    backend = start(Recorder(answer_once))
    stunnel = server(
        f"PSKsecrets = {secrets()}", "httpSetHeader = X-Reused: %{session_reused}", backend=backend
    )
    assert "HTTP/1.1 200 OK" in request(stunnel, version, *psk("test1"))
    assert "X-Reused: 0" in backend.connections[0].requests()[0]


@VERSIONS
def test_a_key_is_enough_where_certificates_are_verified(server, secrets, version):
    """TLS asks a client with a key for no certificate; stock lets it in as well."""
    options = [f"PSKsecrets = {secrets()}", "verifyChain = yes", f"CAfile = {certificates().ca}"]
    for kind in (Stock, Stunnel):
        assert "HTTP/1.1 200 OK" in request(server(*options, kind=kind), version, *psk("test2"))


@VERSIONS
def test_a_session_ends_with_the_keys_that_it_was_made_under(server, secrets, version, tmp_path):
    stunnel = server(f"PSKsecrets = {secrets()}")
    session = tmp_path / "session"
    assert "HTTP/1.1 200 OK" in request(stunnel, version, *psk("test1"), "-sess_out", session)
    resume = [*psk("test9", OTHER), "-sess_in", session]
    assert "HTTP/1.1 200 OK" in request(stunnel, version, *resume)
    stunnel.wait_log("TLS accepted: previous session reused")
    secrets(f"test2:{OTHER}\n")
    stunnel.replace_workers()
    assert "HTTP/1.1" not in request(stunnel, version, *resume)
    assert "HTTP/1.1" not in request(stunnel, version, *psk("test1"))
    assert "HTTP/1.1 200 OK" in request(stunnel, version, *psk("test2"))


@VERSIONS
def test_a_server_name_leads_to_keys_of_its_own(start, secrets, version, tmp_path):
    other = tmp_path / "other"
    other.write_text(f"test1:{OTHER}\n")
    other.chmod(0o600)
    backend = start(Recorder(answer_once))
    config = service(backend.port, f"PSKsecrets = {secrets()}", name="one")
    config += f"[two]\nsni = one:two.test\nconnect = 127.0.0.1:{backend.port}\nPSKsecrets = {other}\n"
    config += f"[three]\nsni = one:three.test\nconnect = 127.0.0.1:{backend.port}\n"
    stunnel = start(Stunnel(config))
    one = ["-servername", "one.test", *ONLY_PSK]
    two = ["-servername", "two.test", *ONLY_PSK]
    assert "HTTP/1.1 200 OK" in request(stunnel, version, *psk("test1"), *one)
    assert "HTTP/1.1 200 OK" in request(stunnel, version, *psk("test1", OTHER), *two)
    assert "BEGIN CERTIFICATE" in request(stunnel, version, *psk("test1"), "-servername", "three.test")
    stunnel.wait_log("TLS accepted: PSK", 2)
    for key, name in ((OTHER, one), (SECRET.encode().hex(), two)):
        assert "HTTP/1.1" not in request(stunnel, version, *psk("test1", key), *name)


# ---- clients --------------------------------------------------------------------------------


class PskServer(Program):
    """openssl's server, with the key of one identity and no certificate."""

    name = "openssl"

    def __init__(self, version, *arguments):
        super().__init__()
        self.port = free_port()
        self.arguments = [version, *arguments]

    def command(self):
        return ["openssl", "s_server", "-www", "-accept", str(self.port), *self.arguments]

    def endpoints(self):
        return [f"127.0.0.1:{self.port}"]


def page(daemon):
    """What openssl's server tells of the connection, or nothing."""
    try:  # a refusal can come before connect() has looked at what it waited for
        with socket.create_connection(("127.0.0.1", daemon.port), DEADLINE) as sock:
            sock.settimeout(DEADLINE)
            sock.sendall(REQUEST.encode())
            return b"".join(iter(lambda: sock.recv(65536), b"")).decode()
    except ConnectionError:
        return ""


@VERSIONS
@pytest.mark.parametrize(
    "identity, key, gets_in",
    [
        (None, KEYS["test1"], True),
        ("test1", KEYS["test1"], True),
        ("test2", OTHER, True),
        (None, OTHER, False),
        ("test2", KEYS["test1"], False),
    ],
)
def test_a_client_proves_itself(start, both, secrets, version, identity, key, gets_in):
    peer = start(PskServer(version, "-nocert", *psk(identity or "test1", key)))
    options = ["client = yes", f"PSKsecrets = {secrets()}"]
    options += [f"PSKidentity = {identity}"] if identity else []
    for daemon in both(peer, *options):
        assert ("No peer certificate" in page(daemon) or "no client certificate" in page(daemon)) == gets_in
        daemon.wait_log(f'PSK client configured for identity "{identity or "test1"}"')
        assert not daemon.log_lines("MITM")
    if gets_in:
        daemon.wait_log("TLS connected: PSK")


@VERSIONS
def test_a_client_with_keys_still_verifies_certificates(start, both, secrets, version):
    """The key of a server that can choose stands for its certificate, and no other way."""
    options = ["client = yes", f"PSKsecrets = {secrets()}", "verifyChain = yes", "checkHost = localhost"]
    good = ["-cert", certificates().cert, "-key", certificates().key]
    bad = ["-cert", certificates().other_cert, "-key", certificates().other_key]
    for arguments, accepted in (good, True), (bad, False), (["-nocert"], True):
        peer = start(PskServer(version, *psk("test1"), *arguments))
        for daemon in both(peer, *options, f"CAfile = {certificates().ca}"):
            assert bool(page(daemon)) == accepted


@VERSIONS
def test_one_is_the_others_peer(start, server, secrets, version):
    """Stock and ours, each in front of the other."""
    limit = f"sslVersion = TLSv1.{version[-1]}"
    keys = [f"PSKsecrets = {secrets()}", limit]
    for outer, inner in ((Stock, Stunnel), (Stunnel, Stock), (Stunnel, Stunnel)):
        backend = start(Recorder(answer_once))
        accepting = server(*keys, kind=inner, backend=backend)
        client = server(*keys, "client = yes", "PSKidentity = test3", kind=outer, backend=accepting)
        assert "HTTP/1.1 200 OK" in page(client)
        accepting.wait_log('Key configured for PSK identity "test3"')


@VERSIONS
def test_a_client_resumes_and_offers_its_key_beside_the_session(start, server, secrets, version):
    keys = [f"PSKsecrets = {secrets()}", f"sslVersion = TLSv1.{version[-1]}"]
    for outer, inner in ((Stock, Stunnel), (Stunnel, Stock), (Stunnel, Stunnel)):
        accepting = server(*keys, kind=inner, backend=start(Recorder(answer_once)))
        client = server(*keys, "client = yes", kind=outer, backend=accepting)
        for count in range(1, 4):
            assert "HTTP/1.1 200 OK" in page(client)
            client.wait_ended(count)
        accepting.wait_log("TLS accepted: previous session reused", 2)
        if outer == Stunnel:
            told = [line.split(": ")[1] for line in client.log_lines("TLS connected: ")]
            assert told == ["PSK", *2 * ["previous session reused"]]


def test_an_identity_that_is_not_in_the_file(secrets, tmp_path):
    port = free_port()
    config = tmp_path / "test.conf"
    text = f"pid =\nforeground = yes\nsyslog = no\n[web]\nclient = yes\naccept = 127.0.0.1:{port}\n"
    text += f"connect = 127.0.0.1:{port}\nPSKsecrets = {secrets()}\nPSKidentity = test9\n"
    config.write_text(text)
    for binary in filter(None, (Stock.BINARY, BINARY)):
        done = subprocess.run([binary, config], capture_output=True, text=True, timeout=30)
        assert done.returncode == 1
        assert "Service [web]: No key found for the specified PSK identity" in done.stderr


def test_a_server_ignores_an_identity(both, secrets):
    for daemon in both(free_port(), f"PSKsecrets = {secrets()}", "PSKidentity = test9"):
        daemon.wait_log("PSK identity is ignored in the server mode")


# ---- other peers, and faults ----------------------------------------------------------------


@pytest.mark.skipif(not shutil.which("gnutls-cli"), reason="needs gnutls-cli")
@pytest.mark.parametrize("suites", ["+VERS-TLS1.2:+PSK", "+VERS-TLS1.3:+ECDHE-PSK"])
def test_gnutls_has_the_same_key(server, secrets, suites):
    """Debian 12's gnutls-cli dies of ECDHE-PSK with TLS 1.2."""
    stunnel = server(f"PSKsecrets = {secrets()}")
    priority = f"NORMAL:-VERS-ALL:-KX-ALL:{suites}"
    command = ["gnutls-cli", "--logfile=/dev/null", "--priority", priority, "-p", str(stunnel.port)]
    command += ["--pskusername", "test2", "--pskkey", OTHER, "127.0.0.1"]
    done = subprocess.run(command, input=REQUEST, capture_output=True, text=True, timeout=30)
    assert "HTTP/1.1 200 OK" in done.stdout


WRONG = [
    ("test1", "Not in identity:key format", 1),
    (f"test1:{SECRET}\n # remark\n", "Not in identity:key format", 2),
    (f"test1:{OTHER[:30]}\n", "Key shorter than 16 bytes", 1),
    ("test1:short\n", "Key shorter than 16 bytes", 1),
    (f"test1:{'g' * 513}\n", "Key longer than 512 bytes", 1),
    (f"{'t' * 257}:{SECRET}\n", "Identity longer than 256 characters", 1),
]


def refusal(binary, tmp_path, path):
    port = free_port()
    config = tmp_path / "test.conf"
    text = f"pid =\nforeground = yes\nsyslog = no\n[web]\naccept = 127.0.0.1:{port}\n"
    config.write_text(text + f"connect = 127.0.0.1:{port}\nPSKsecrets = {path}\n")
    done = subprocess.run([binary, config], capture_output=True, text=True, timeout=30)
    assert done.returncode == 1
    assert f'7: "PSKsecrets = {path}": ' in done.stderr
    assert "Failed to read PSK secrets" in done.stderr
    assert SECRET not in done.stderr
    return done.stderr


@pytest.mark.parametrize("lines, why, at", WRONG)
def test_what_is_wrong_with_a_line(secrets, tmp_path, lines, why, at):
    path = secrets(lines)
    for binary in filter(None, (Stock.BINARY, BINARY)):
        told = refusal(binary, tmp_path, path)
        assert re.search(f"line {at}: {why}", told)


def test_a_file_without_keys(secrets, tmp_path):
    assert "secrets: it is empty" in refusal(BINARY, tmp_path, secrets("\n"))
    assert "No such file or directory" in refusal(BINARY, tmp_path, tmp_path / "missing")


def test_a_file_that_everybody_can_read_is_warned_of(server, secrets):
    path = secrets(mode=0o644)
    for kind in (Stock, Stunnel):
        assert server(f"PSKsecrets = {path}", kind=kind).log_lines(f"Insecure file permissions on {path}")


def test_an_identity_that_stands_twice_is_the_last(server, secrets):
    stunnel = server(f"PSKsecrets = {secrets(f'test1:{SECRET}{chr(10)}test1:{OTHER}{chr(10)}')}")
    assert "HTTP/1.1 200 OK" in request(stunnel, "-tls1_2", *psk("test1", OTHER))
    assert "HTTP/1.1" not in request(stunnel, "-tls1_2", *psk("test1"))
