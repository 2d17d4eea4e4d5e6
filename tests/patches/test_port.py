# SPDX-License-Identifier: ISC
"""What an old stock does as before on an OpenSSL of today, with 00-openssl-port.patch.

STUNNEL_PORTED names a stunnel that was built from such a tree, with this patch alone or all of them.
"""

import contextlib
import os
import re
import shutil
import socket
import ssl
import subprocess
import threading

import pytest

from certs import certificates, client_certificates, rsa_certificate
from peers import DEADLINE, Program, free_port, service, wait_for
from recorder import Recorder
from sessiond import Sessiond
from tls_client import TlsClient, client_context

PORTED = os.environ.get("STUNNEL_PORTED", "")

pytestmark = pytest.mark.skipif(not PORTED, reason="STUNNEL_PORTED names no stunnel")

VERSION = ""
if PORTED:
    told = subprocess.run([PORTED, "-version"], check=False, capture_output=True, text=True)
    VERSION = told.stderr

TLS12, TLS13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3


class Stock(Program):
    """An old stunnel: it has none of our options, and no defaults that a test could live with."""

    name = "stock"

    def __init__(self, config, cert=None):
        super().__init__()
        pair = cert or certificates()
        self.config = self.folder / "stunnel.conf"
        preset = f"foreground = yes\nsyslog = no\ndebug = 7\npid =\ncert = {pair.cert}\nkey = {pair.key}\n"
        self.config.write_text(preset + config)

    def command(self):
        return [PORTED, str(self.config)]

    def endpoints(self):
        lines = self.config.read_text().splitlines()
        return [line.split(" = ")[1] for line in lines if line.startswith("accept = ")]

    @property
    def port(self):
        return int(self.endpoints()[-1].rsplit(":", 1)[1])

    def wait_log(self, text):
        wait_for(lambda: text in self.report(), f"the log to have: {text}")

    def refusal(self):
        """What it says when it does not start."""
        done = subprocess.run(
            self.command(),
            check=False,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            text=True,
            timeout=DEADLINE,
        )
        shutil.rmtree(self.folder)
        assert done.returncode != 0
        return done.stderr


@pytest.fixture
def start():
    with contextlib.ExitStack() as stack:
        yield stack.enter_context


def front(start, *options, **more):
    """A stunnel before a backend that answers every request."""
    return start(Stock(service(start(Recorder()).port, *options), **more))


def s_client(port, *options):
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", *options]
    done = subprocess.run(command, check=False, capture_output=True, input="", text=True, timeout=DEADLINE)
    return done.stdout


# ---- versions and options ---------------------------------------------------------------------


@pytest.mark.parametrize("option", ["NO_SSLv2", "NO_SSLv3", "ALL", "SINGLE_DH_USE"])
def test_option_whose_value_became_0_is_taken(start, option):
    stock = front(start, f"options = {option}")
    with TlsClient(stock.port) as client:
        assert client.get("/").status == 200


def test_option_that_never_was_is_refused():
    assert "Illegal " in Stock(service(1, "options = NO_SUCH_OPTION")).refusal()


@pytest.mark.parametrize("version", [TLS12, TLS13])
def test_server_speaks_what_the_client_speaks(start, version):
    stock = front(start)
    with TlsClient(stock.port, context=client_context(version=version)) as client:
        assert client.get("/").status == 200


@pytest.mark.skipif(
    re.search(r"stunnel 4\.(4\d|5[0-3]) ", VERSION) is not None, reason="knows no TLSv1.2"
)
def test_one_version_alone(start):
    stock = front(start, "sslVersion = TLSv1.2")
    with TlsClient(stock.port) as client:
        assert client.tls.version() == "TLSv1.2"


@pytest.mark.parametrize("version", ["SSLv2", "SSLv3"])
def test_version_that_openssl_lacks_is_refused(version):
    """In stunnel's own words."""
    assert f"{version} not supported" in Stock(service(1, f"sslVersion = {version}")).refusal()


@pytest.mark.parametrize("version", ["TLSv1", "TLSv1.1"])
def test_version_that_the_level_rules_out_is_refused(version):
    """It could never shake hands."""
    said = Stock(service(1, f"sslVersion = {version}")).refusal()
    unknown = f'"sslVersion = {version}": Incorrect version of SSL protocol'  # TLSv1.1 to a 4.46
    assert f"sslVersion = {version} needs ciphers with @SECLEVEL=0" in said or unknown in said


def test_old_version_at_level_0(start):
    stock = front(start, "sslVersion = TLSv1", "ciphers = ALL:@SECLEVEL=0")
    assert "New, TLSv1.0," in s_client(stock.port, "-tls1", "-cipher", "ALL:@SECLEVEL=0")


class TlsServer:
    """Takes one connection, and keeps which version of TLS it had."""

    def __init__(self):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificates().cert, certificates().key)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(DEADLINE)
        self.port = self.listener.getsockname()[1]
        self.version = None
        self.thread = threading.Thread(target=self._serve, daemon=True)

    def _serve(self):
        sock, _ = self.listener.accept()
        sock.settimeout(DEADLINE)
        with self.context.wrap_socket(sock, server_side=True) as tls:
            tls.sendall(tls.recv(100))
            self.version = tls.version()

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.thread.join(DEADLINE)
        self.listener.close()


def test_client_speaks_the_best_version_by_default(start):
    with TlsServer() as server:
        stock = start(Stock(service(server.port, "client = yes")))
        with socket.create_connection(("127.0.0.1", stock.port), DEADLINE) as sock:
            sock.sendall(b"hello")
            assert sock.recv(100) == b"hello"
    assert server.version == "TLSv1.3"


def test_client_without_the_curve_of_old_default(start):
    stock = front(start)
    assert "New, TLSv1.3," in s_client(stock.port, "-tls1_3", "-groups", "X25519")


def test_curve_that_is_set(start):
    stock = front(start, "curve = secp384r1")
    assert "New, TLSv1.3," in s_client(stock.port, "-tls1_3", "-groups", "P-384")
    assert "New, TLSv1.3," not in s_client(stock.port, "-tls1_3", "-groups", "X25519")


@pytest.mark.parametrize("own", [False, True])
def test_dh_parameters(start, tmp_path, own):
    """Stunnel's, or those behind the certificate."""
    pair = rsa_certificate()
    if own:
        make = ["openssl", "genpkey", "-genparam", "-algorithm", "DH", "-pkeyopt", "group:ffdhe3072"]
        parameters = subprocess.run(make, check=True, capture_output=True).stdout
        (tmp_path / "cert.pem").write_bytes(pair.cert.read_bytes() + parameters)
        pair = type(pair)(cert=tmp_path / "cert.pem", key=pair.key)
    stock = front(start, cert=pair)
    said = s_client(stock.port, "-tls1_2", "-cipher", "DHE-RSA-AES128-GCM-SHA256")
    assert f"Server Temp Key: DH, {3072 if own else 2048} bits" in said


# ---- ends -------------------------------------------------------------------------------------


def test_end_without_close_notify_resets_nothing(start):
    backend = start(Recorder())
    stock = start(Stock(service(backend.port)))
    with TlsClient(stock.port) as client:
        assert client.get("/").status == 200
        client.sock.close()
    wait_for(lambda: backend.connections[0].ended, "the backend to see the end")
    assert backend.connections[0].ended == "eof"
    stock.wait_log("SSL socket closed ")
    stock.wait_log("Connection closed")
    assert "Connection reset" not in stock.report()


def test_threads(start):
    """Many at once: none waits for a lock that OpenSSL does not call for any more."""
    stock = front(start)
    clients = [start(TlsClient(stock.port)) for _ in range(30)]
    assert [client.get("/").status for client in clients] == [200] * 30


# ---- who may come in --------------------------------------------------------------------------


def trusting(name, *options):
    return [f"CAfile = {client_certificates() / name}.pem", *options]


def is_served(port, cert=None):
    try:
        with TlsClient(port, context=client_context(cert=cert)) as client:
            return client.get("/").status == 200
    except (ssl.SSLError, OSError, EOFError):
        return False


@pytest.mark.parametrize(
    "level,served",
    [
        (0, [None, "signed", "listed", "stranger"]),
        (1, [None, "signed", "listed"]),
        (2, ["signed", "listed"]),
        (3, ["listed"]),
    ],
)
def test_levels_of_verification(start, level, served):
    stock = front(start, *trusting("trusted", f"verify = {level}"))
    names = [None, "signed", "listed", "twin", "stranger"]
    came = [name for name in names if is_served(stock.port, name)]
    assert [name for name in came if name != "twin"] == served
    assert ("twin" in came) == (level < 3)


def test_verification_of_the_certificate_alone(start):
    stock = front(start, *trusting("selfmade", "verify = 4"))
    assert is_served(stock.port, "selfmade")
    assert not is_served(stock.port, "stranger")
    assert not is_served(stock.port)


@pytest.mark.parametrize("kind", ["CRLfile", "CRLpath"])
def test_revoked_certificate(start, tmp_path, kind):
    where = client_certificates() / "crl.pem"
    if kind == "CRLpath":
        shutil.copy(where, tmp_path)
        subprocess.run(["openssl", "rehash", tmp_path], check=True)
        where = tmp_path
    stock = front(start, *trusting("root", "verify = 2", f"{kind} = {where}"))
    assert is_served(stock.port, "signed")
    assert not is_served(stock.port, "revoked")
    assert is_served(stock.port, "signed")


class Responder(Program):
    """Of OCSP, for root's certificates."""

    name = "ocsp"

    def __init__(self):
        super().__init__()
        self.port = free_port()
        rows = [["V", "491231000000Z", "", "ABCDEF01", "unknown", "/CN=listed"]]
        rows += [["R", "491231000000Z", "240101000000Z", "66", "unknown", "/CN=revoked"]]
        (self.folder / "index").write_text("".join("\t".join(row) + "\n" for row in rows))

    def command(self):
        root = client_certificates() / "root"
        files = ["-index", self.folder / "index", "-CA", f"{root}.pem"]
        signer = ["-rsigner", f"{root}.pem", "-rkey", f"{root}.key"]
        return ["openssl", "ocsp", "-port", str(self.port), *files, *signer]

    def endpoints(self):
        return [str(self.port)]


def test_ocsp(start):
    responder = start(Responder())
    url = f"OCSP = http://127.0.0.1:{responder.port}/"
    stock = front(start, *trusting("root", "verify = 2", url))
    assert is_served(stock.port, "listed")
    assert not is_served(stock.port, "revoked")
    stock.wait_log("OCSP: Certificate revoked")


def test_ocsp_without_a_responder_lets_nobody_in(start):
    stock = front(start, *trusting("root", "verify = 2", f"OCSP = http://127.0.0.1:{free_port()}/"))
    assert not is_served(stock.port, "listed")


def test_names(start):
    """SNI: each service has its own certificate."""
    pair = certificates()
    main, other = (start(Recorder()).port for _ in range(2))
    own = [f"cert = {pair.other_cert}", f"key = {pair.other_key}", "sni = main:other.test"]
    section = "\n".join(["[other]", f"connect = 127.0.0.1:{other}", *own]) + "\n"
    stock = start(Stock(service(main, name="main") + section))
    for name, context in ((None, client_context(verify=False)), ("other.test", client_context())):
        with TlsClient(stock.port, sni=name, context=context) as client:
            assert client.get("/").status == 200


# ---- sessions ---------------------------------------------------------------------------------


@pytest.mark.skipif("stunnel 4." not in VERSION, reason="5.x keeps sessions in sessiond or tickets only")
@pytest.mark.parametrize("version", [TLS12, TLS13])
def test_session_is_resumed(start, version):
    stock = front(start)
    context = client_context(version=version)
    with TlsClient(stock.port, context=context) as client:
        client.get("/")
        session = client.session
    with TlsClient(stock.port, context=context, session=session) as client:
        assert client.get("/").status == 200
        assert client.tls.session_reused


def test_session_of_another_process(start):
    """Stock waits a fraction of a millisecond for sessiond: it may take some attempts."""
    sessiond = start(Sessiond())
    one, two = (front(start, f"sessiond = 127.0.0.1:{sessiond.port}") for _ in range(2))
    context = client_context(version=TLS12)
    with TlsClient(one.port, context=context) as client:
        client.get("/")
        session = client.session
    wait_for(lambda: sessiond.kept, "the session to be kept")

    def is_resumed():
        with TlsClient(two.port, context=context, session=session) as client:
            return client.get("/").status == 200 and client.tls.session_reused

    wait_for(is_resumed, "the other stunnel to take the session")
    assert session.id.ljust(32, b"\0") in sessiond.asked()
