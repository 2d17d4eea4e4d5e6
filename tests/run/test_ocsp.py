# SPDX-License-Identifier: ISC
"""A peer's certificate is accepted only if an OCSP responder knows it to be good."""

import functools
import os
import re
import signal
import socket
import ssl
import struct
import subprocess

import pytest

from certs import LEAF_NAMES, ROOT_NAMES, _issue, _join, certificates, client_certificates
from peers import BINARY, Program, Stunnel, daemon_only, free_port, service, wait_for
from recorder import Recorder
from tls_client import TlsClient, client_context

pytestmark = daemon_only

VERSIONS = pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
SERIALS = {"ocsp-good": "11", "ocsp-revoked": "22", "ocsp-unknown": "33"}
ROWS = """V\t491231000000Z\t\t11\tunknown\t/CN=ocsp-good
R\t491231000000Z\t240101000000Z\t22\tunknown\t/CN=ocsp-revoked
"""
EARLIER = """
#include <sys/time.h>
#include <time.h>
time_t time(time_t *t)
{
	struct timeval now;
	gettimeofday(&now, 0);
	now.tv_sec -= 86400;
	if (t)
		*t = now.tv_sec;
	return now.tv_sec;
}
"""


@functools.cache
def pki():
    """The folder of client_certificates(), with those of SERIALS, and a responder's of its own."""
    folder = client_certificates()
    for name, serial in SERIALS.items():
        names = [*LEAF_NAMES, "subjectAltName=DNS:localhost"]
        _issue(folder, name, f"/CN={name}", names, "root", "-set_serial", f"0x{serial}")
    _issue(folder, "delegate", "/CN=delegate", [*LEAF_NAMES, "extendedKeyUsage=OCSPSigning"], "root")
    (folder / "ocsp-index").write_text(ROWS)
    return folder


def aia_certificate(name, port):
    """As one of SERIALS, and it names a responder."""
    folder = pki()
    extensions = [*LEAF_NAMES, f"authorityInfoAccess=OCSP;URI:http://127.0.0.1:{port}/ocsp"]
    _issue(folder, f"{name}-aia", f"/CN={name}", extensions, "root", "-set_serial", f"0x{SERIALS[name]}")
    return f"{name}-aia"


class Responder(Program):
    """`openssl ocsp`; options come after its own."""

    name = "ocsp"

    def __init__(self, *options, signer="root", ca="root", port=None, rows=ROWS, preload=None):
        super().__init__()
        self.port = port or free_port()
        self.options, self.signer, self.ca, self.preload = options, signer, ca, preload
        (self.folder / "index").write_text(rows)

    def command(self):
        folder = pki()
        command = ["openssl", "ocsp", "-port", str(self.port), "-index", f"{self.folder}/index"]
        command += ["-CA", f"{folder}/{self.ca}.pem", "-rsigner", f"{folder}/{self.signer}.pem"]
        return [*command, "-rkey", f"{folder}/{self.signer}.key", *self.options]

    def environment(self):
        return {**os.environ, "LD_PRELOAD": str(self.preload)} if self.preload else os.environ

    def endpoints(self):
        return [str(self.port)]

    def asked(self):
        """How many requests came."""
        return self.report().count("Request received") or self.report().count("OCSP Request Data")

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/"


def chain(name, serial, leaf_port, middle_port):
    """A good certificate and its intermediate of that serial, whose ports of responders may be None."""
    folder = pki()

    def aia(port):
        return [f"authorityInfoAccess=OCSP;URI:http://127.0.0.1:{port}/ocsp"] if port else []

    _issue(folder, "between", f"/CN={name}", [*ROOT_NAMES, *aia(middle_port)], "root", "-set_serial", serial)
    leaf = [*LEAF_NAMES, *aia(leaf_port)]
    _issue(folder, "ocsp-below", "/CN=ocsp-below", leaf, "between", "-set_serial", "0x11")
    _join(folder, "ocsp-below", "ocsp-below", "between", "root")
    return "ocsp-below"


VERIFY = ["verifyChain = yes", "CAfile = {pki}/root.pem"]


def verifying(*options):
    return [line.replace("{pki}", str(pki())) for line in [*VERIFY, *options]]


def gets_in(stunnel, backend, cert, version=ssl.TLSVersion.TLSv1_3, port=None):
    """Whether a client with that certificate gets an answer; else the backend must see nothing."""
    before = len(backend.requests)
    try:
        context = client_context(version=version, cert=cert)
        with TlsClient(port or stunnel.port, context=context) as client:
            status = client.get("/").status
    except (EOFError, ConnectionError, ssl.SSLError):
        assert len(backend.requests) == before
        return False
    assert status == 200
    return True


@VERSIONS
@pytest.mark.parametrize("signer", ["root", "delegate"])
def test_good_revoked_and_unknown_certificates(start, front, version, signer):
    backend, responder = start(Recorder()), start(Responder(signer=signer))
    stunnel = front(backend, *verifying(f"OCSP = {responder.url}"), settings="workers = 2\n")
    for _ in range(3):
        assert gets_in(stunnel, backend, "ocsp-good", version)
    stunnel.wait_log("OCSP: Accepted (good)", 3)
    assert not gets_in(stunnel, backend, "ocsp-revoked", version)
    stunnel.wait_log("OCSP: Rejected (revoked)")
    stunnel.wait_log("Rejected by OCSP at depth=0: CN=ocsp-revoked")
    assert not gets_in(stunnel, backend, "ocsp-unknown", version)
    stunnel.wait_log("OCSP: Rejected (OCSPrequire = yes)")
    stunnel.wait_log("the responder does not know the certificate")


def test_inconclusive_answers_where_none_is_required(start, front):
    backend, responder = start(Recorder()), start(Responder())
    options = verifying(f"OCSP = {responder.url}", "OCSPrequire = no")
    stunnel = front(backend, *options)
    assert gets_in(stunnel, backend, "ocsp-unknown")
    stunnel.wait_log("OCSP: Accepted (OCSPrequire = no)")
    assert not gets_in(stunnel, backend, "ocsp-revoked")


def test_revoked_certificates_are_redirected(start, front):
    backend, other, responder = start(Recorder()), start(Recorder()), start(Responder())
    options = verifying(f"OCSP = {responder.url}", f"redirect = 127.0.0.1:{other.port}")
    stunnel = front(backend, *options)
    for cert in ("ocsp-revoked", "ocsp-unknown", "stranger", None):
        assert gets_in(stunnel, other, cert)
    assert (len(backend.requests), len(other.requests)) == (0, 4)
    assert gets_in(stunnel, backend, "ocsp-good")
    assert (len(backend.requests), len(other.requests)) == (1, 4)


def test_responder_that_certificates_name(start, front):
    backend, responder = start(Recorder()), start(Responder())
    stunnel = front(backend, *verifying("OCSPaia = yes"))
    assert gets_in(stunnel, backend, aia_certificate("ocsp-good", responder.port))
    assert not gets_in(stunnel, backend, aia_certificate("ocsp-revoked", responder.port))
    stunnel.wait_log("OCSP: Rejected (revoked)")
    assert not gets_in(stunnel, backend, "ocsp-good")
    stunnel.wait_log("no responder is named")


def test_responder_of_the_certificate_is_asked_if_the_first_one_fails(start, front):
    backend, responder = start(Recorder()), start(Responder())
    stunnel = front(backend, *verifying(f"OCSP = http://127.0.0.1:{free_port()}/", "OCSPaia = yes"))
    assert gets_in(stunnel, backend, aia_certificate("ocsp-good", responder.port))
    assert not gets_in(stunnel, backend, aia_certificate("ocsp-revoked", responder.port))


CHAINS = {
    "good": ("0x11", "up", True, True),
    "revoked": ("0x22", "up", True, False),
    "down": ("0x11", "down", True, False),
    "down, none is required": ("0x11", "down", False, True),
    "revoked, none is required": ("0x22", "up", False, False),
    "not named": ("0x11", "none", True, True),
}


@pytest.mark.parametrize("case", CHAINS)
def test_intermediate(start, both, case):
    """Each certificate but the root is asked about, of the responder that it names."""
    serial, state, required, let_in = CHAINS[case]
    backend, root = start(Recorder()), start(Responder())
    below = Responder(signer="between", ca="between")
    ports = {"up": root.port, "down": free_port(), "none": None}
    cert = chain("between", serial, below.port, ports[state])
    start(below)
    options = verifying("OCSPaia = yes")
    if required:
        stunnels = both(backend, *options)
    else:
        stunnels = [start(Stunnel(service(backend.port, *options, "OCSPrequire = no")))]
    for stunnel in stunnels:
        assert gets_in(stunnel, backend, cert) == let_in
        if not let_in:
            stunnel.wait_log("Rejected by OCSP at depth=1: CN=between")


def test_configured_responder_is_asked_about_the_leaf_alone(start, front):
    """The intermediate, which was revoked, names nobody."""
    backend, below = start(Recorder()), Responder(signer="between", ca="between")
    cert = chain("between", "0x22", None, None)
    start(below)
    stunnel = front(backend, *verifying(f"OCSP = {below.url}", "OCSPaia = yes"))
    assert gets_in(stunnel, backend, cert)


def test_responder_that_is_down_and_comes_back(start, front):
    backend, port = start(Recorder()), free_port()
    stunnel = front(backend, *verifying(f"OCSP = http://127.0.0.1:{port}"))
    assert not gets_in(stunnel, backend, "ocsp-good")
    stunnel.wait_log("OCSP: Rejected (OCSPrequire = yes)")
    start(Responder(port=port))
    wait_for(lambda: gets_in(stunnel, backend, "ocsp-good"), "the responder to be asked again")


def test_responder_that_is_slow_holds_up_nobody_else(start):
    """One worker, and clients of another service while the first waits."""
    backend = start(Recorder())
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        asks = service(backend.port, *verifying(f"OCSP = {url}", "TIMEOUTocsp = 1"), name="asks")
        plain = service(backend.port, name="plain")
        stunnel = start(Stunnel("workers = 1\n" + asks + plain))
        other = int(stunnel.endpoints()[1].rsplit(":")[-1])
        context = client_context(version=ssl.TLSVersion.TLSv1_3, cert="ocsp-good")
        with TlsClient(stunnel.port, context=context) as waiting:
            asked, _ = silent.accept()
            with asked, pytest.raises(ssl.SSLError, match="alert handshake failure"):
                assert gets_in(stunnel, backend, None, port=other)
                waiting.recv()
    stunnel.wait_log("TIMEOUTocsp exceeded")
    stunnel.wait_log("OCSP: Rejected (OCSPrequire = yes)")
    assert len(backend.requests) == 1


LIARS = {
    "signed by somebody else": {"signer": "stranger"},
    "signed by a certificate that may not": {"signer": "signed"},
    "with a bad signature": {"options": ["-badsig"]},
}


@pytest.mark.parametrize("lie", LIARS)
def test_answer_that_proves_nothing(start, front, lie):
    how = dict(LIARS[lie])
    backend, responder = start(Recorder()), start(Responder(*how.pop("options", []), **how))
    stunnel = front(backend, *verifying(f"OCSP = {responder.url}"))
    assert not gets_in(stunnel, backend, "ocsp-good")
    stunnel.wait_log("the answer is not signed by whom we trust")


def test_stale_answer(start, front, tmp_path):
    (tmp_path / "earlier.c").write_text(EARLIER)
    library = tmp_path / "earlier.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", library, tmp_path / "earlier.c"], check=True)
    backend = start(Recorder())
    responder = start(Responder("-nmin", "5", preload=library))
    stunnel = front(backend, *verifying(f"OCSP = {responder.url}"))
    assert not gets_in(stunnel, backend, "ocsp-good")
    stunnel.wait_log("the answer is not valid now")


def recorded_answer(responder, name):
    """What the responder says of a certificate, without a nonce, as HTTP."""
    folder = pki()
    command = ["openssl", "ocsp", "-no_nonce", "-noverify", "-url", responder.url]
    command += ["-issuer", f"{folder}/root.pem", "-cert", f"{folder}/{name}.pem"]
    answer = folder / "recorded.der"
    subprocess.run([*command, "-respout", answer], check=True, capture_output=True)
    body = answer.read_bytes()
    head = f"HTTP/1.0 200 OK\r\nContent-Type: application/ocsp-response\r\nContent-Length: {len(body)}"
    return head.encode() + b"\r\n\r\n" + body


@pytest.mark.parametrize(
    "about, nonce, reason",
    [
        ("ocsp-good", "no", None),
        ("ocsp-good", "yes", "the answer has another nonce"),
        ("ocsp-revoked", "no", "the answer is about another certificate"),
    ],
)
def test_answer_that_is_replayed(start, front, about, nonce, reason):
    recorded = recorded_answer(start(Responder("-nmin", "5")), about)

    def serve(connection):
        connection.take_request()
        connection.send(recorded)
        connection.end()

    backend, replayer = start(Recorder()), start(Recorder(serve))
    options = [f"OCSP = http://127.0.0.1:{replayer.port}/here", f"OCSPnonce = {nonce}"]
    stunnel = front(backend, *verifying(*options))
    assert gets_in(stunnel, backend, "ocsp-good") == (reason is None)
    if reason:
        stunnel.wait_log(reason)
    request = replayer.requests[0]
    assert request[0] == "POST /here HTTP/1.0"
    assert {"Host: 127.0.0.1", "User-Agent: stunnel"} <= set(request)


def test_nonce_of_a_responder_that_gives_one(start, front):
    backend, responder = start(Recorder()), start(Responder())
    stunnel = front(backend, *verifying(f"OCSP = {responder.url}", "OCSPnonce = yes"))
    assert gets_in(stunnel, backend, "ocsp-good")


@pytest.mark.parametrize("size", [100000, 10])
def test_answer_that_is_none(start, front, size):
    def serve(connection):
        connection.take_request()
        connection.send(b"HTTP/1.0 200 OK\r\nContent-Type: application/ocsp-response\r\n\r\n")
        connection.send(b"0" * size)
        connection.end()

    backend, fool = start(Recorder()), start(Recorder(serve))
    stunnel = front(backend, *verifying(f"OCSP = http://127.0.0.1:{fool.port}"))
    assert not gets_in(stunnel, backend, "ocsp-good")
    stunnel.wait_log("the responder does not answer")


def resumes(stunnel, version, meanwhile=lambda: None):
    """Whether a client with a good certificate, which was served, is served by its session again."""
    context = client_context(version=version, cert="ocsp-good")
    with TlsClient(stunnel.port, context=context) as client:
        assert client.get("/").status == 200
        session = client.session
    meanwhile()
    with TlsClient(stunnel.port, context=context, session=session) as client:
        assert client.get("/").status == 200
        return client.tls.session_reused


@VERSIONS
@pytest.mark.parametrize("tickets", [True, False])
def test_session_counts_as_long_as_the_answer(start, front, version, tickets):
    """That of a responder without a nextUpdate is over at once."""
    options = [] if tickets else ["options = NO_TICKET"]
    for validity, resumed in ((["-nmin", "5"], True), ([], False)):
        backend, responder = start(Recorder()), start(Responder(*validity))
        stunnel = front(backend, *verifying(f"OCSP = {responder.url}", *options))
        assert resumes(stunnel, version) == resumed
        stunnel.wait_log("OCSP: Accepted (good)", 1 if resumed else 2)
        assert len(stunnel.log_lines("OCSP: Accepted (good)")) == (1 if resumed else 2)


@VERSIONS
def test_session_of_before_a_responder_was_named(start, version):
    backend, responder = start(Recorder()), start(Responder("-nmin", "5"))
    stunnel = start(Stunnel(service(backend.port, *verifying(), accept=free_port())))

    def ask():
        text = stunnel.config.read_text()
        stunnel.config.write_text(f"{text}OCSP = {responder.url}\n")
        stunnel.replace_workers()

    assert not resumes(stunnel, version, ask)
    stunnel.wait_log("OCSP: Accepted (good)")


def alert(stunnel, cert, version):
    """The alert that a client of OpenSSL gets."""
    files = ["-cert", f"{pki()}/{cert}.pem", "-key", f"{pki()}/{cert}.key"]
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{stunnel.port}", version, *files]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as client:
        told = client.stdout.read()  # its input stays open, so that it waits for the alert
    return re.search(r"SSL alert number (\d+)", told)[1]


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
@pytest.mark.parametrize("cert, up, number", [("ocsp-revoked", True, "44"), ("ocsp-good", False, "40")])
def test_alert_beside_stock(start, both, version, cert, up, number):
    """certificate_revoked, and handshake_failure without an answer."""
    backend, responder = start(Recorder()), start(Responder())
    url = responder.url if up else f"http://127.0.0.1:{free_port()}/"
    for stunnel in both(backend, *verifying(f"OCSP = {url}")):
        assert alert(stunnel, cert, version) == number
        stunnel.wait_log(f"Rejected by OCSP at depth=0: CN={cert}")
        stunnel.wait_log("certificate verify failed")
    assert not backend.requests


class OpensslServer(Program):
    """Tells the alerts that it gets."""

    name = "openssl"

    def __init__(self, files):
        super().__init__()
        self.port, self.files = free_port(), files

    def command(self):
        return ["openssl", "s_server", "-www", "-accept", str(self.port), *self.files]

    def endpoints(self):
        return [str(self.port)]


@pytest.mark.parametrize("cert, up, alert", [("ocsp-revoked", True, 44), ("ocsp-good", False, 40)])
def test_alert_to_a_server_beside_stock(start, both, cert, up, alert):
    responder = start(Responder())
    url = responder.url if up else f"http://127.0.0.1:{free_port()}/"
    files = ["-cert", f"{pki()}/{cert}.pem", "-key", f"{pki()}/{cert}.key"]
    server = start(OpensslServer(files))
    for stunnel in both(server, "client = yes", *verifying(f"OCSP = {url}")):
        with socket.create_connection(("127.0.0.1", stunnel.port)) as sock:
            sock.settimeout(30)
            try:
                assert sock.recv(1) == b""
            except ConnectionError:
                pass
        stunnel.wait_log(f"Rejected by OCSP at depth=0: CN={cert}")
    wait_for(lambda: server.report().count(f"SSL alert number {alert}") == 2, "two alerts")


@pytest.mark.parametrize("require", ["yes", "no"])
def test_client_that_leaves_while_the_responder_is_silent(start, front, require):
    backend = start(Recorder())
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        options = [f"OCSP = {url}", f"OCSPrequire = {require}", "TIMEOUTocsp = 60"]
        stunnel = front(backend, *verifying(*options))
        context = client_context(version=ssl.TLSVersion.TLSv1_3, cert="ocsp-good")
        with TlsClient(stunnel.port, context=context) as client:
            asked, _ = silent.accept()
            client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        with asked:
            stunnel.wait_log("the client reset its connection")
            stunnel.stop()
    assert not backend.requests


def test_service_of_a_server_name_asks(start):
    """The one that accepts does not."""
    backend, responder = start(Recorder()), start(Responder())
    asks = [*verifying(f"OCSP = {responder.url}"), "sni = web:localhost", f"connect = {backend.port}"]
    named = "[named]\n" + "\n".join(asks) + "\n"
    stunnel = start(Stunnel(service(backend.port) + named))
    assert gets_in(stunnel, backend, "ocsp-good")
    assert not gets_in(stunnel, backend, "ocsp-revoked")
    stunnel.wait_log("OCSP: Rejected (revoked)")


def test_fetcher_that_crashes_is_replaced(start, front):
    backend, responder = start(Recorder()), start(Responder())
    stunnel = front(backend, *verifying(f"OCSP = {responder.url}"), settings="workers = 1\n")
    assert gets_in(stunnel, backend, "ocsp-good")
    fetcher = stunnel.processes()[-1]
    os.kill(fetcher, signal.SIGKILL)
    stunnel.wait_log(f"OCSP process {fetcher} terminated on signal 9")
    wait_for(lambda: len(stunnel.processes()) == 3, "another one")
    assert gets_in(stunnel, backend, "ocsp-good")
    assert not gets_in(stunnel, backend, "ocsp-revoked")


def test_reload_replaces_the_fetcher(start):
    backend, responder = start(Recorder()), start(Responder())
    config = "workers = 2\n" + service(backend.port, *verifying(f"OCSP = {responder.url}"))
    stunnel = start(Stunnel(config))
    old = stunnel.processes()[1:]
    assert len(old) == 3
    stunnel.reload()
    stunnel.wait_gone(old)
    assert gets_in(stunnel, backend, "ocsp-good")
    assert not gets_in(stunnel, backend, "ocsp-revoked")


def test_client_asks_about_its_server(start):
    backend, responder = start(Recorder()), start(Responder())
    for name, accepted in (("ocsp-good", True), ("ocsp-revoked", False)):
        files = f"cert = {pki()}/{name}.pem\nkey = {pki()}/{name}.key\n"
        server = start(Stunnel(service(backend.port) + files))
        options = ["client = yes", *verifying(f"OCSP = {responder.url}")]
        client = start(Stunnel(service(server.port, *options)))
        before = len(backend.requests)
        with socket.create_connection(("127.0.0.1", client.port)) as sock:
            sock.settimeout(30)
            try:
                sock.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
                answered = sock.recv(100).startswith(b"HTTP/1.1 200")
            except ConnectionError:
                answered = False
        assert answered == accepted
        assert len(backend.requests) == before + accepted
        client.wait_log("OCSP: " + ("Accepted (good)" if accepted else "Rejected (revoked)"))


@pytest.mark.parametrize(
    "lines, reason",
    [
        (["OCSP = http://127.0.0.1/", "verify = 4"], '"verifyChain" has to be enabled for OCSP support'),
        (["OCSPaia = yes", "verifyPeer = yes"], '"verifyChain" has to be enabled for OCSP support'),
        (["OCSP = https://127.0.0.1/"], "Failed to parse OCSP URL"),
        (["OCSP = 127.0.0.1"], "Failed to parse OCSP URL"),
        (["OCSPflag = SURPRISE"], "Illegal OCSP flag"),
        (["TIMEOUTocsp = soon"], "Illegal OCSP connect timeout"),
    ],
)
def test_bad_lines(lines, reason):
    files = certificates()
    preset = [f"cert = {files.cert}", f"key = {files.key}", f"CAfile = {pki()}/root.pem"]
    text = service(80, *preset, *lines)
    done = subprocess.run([BINARY, "-test", "-fd", "0"], input=text, capture_output=True, text=True)
    assert done.returncode == 1
    assert reason in done.stderr


def test_nobody_is_asked_where_nothing_is_verified(start, both):
    """As by stock before 5.71, whose files have OCSPaia beside a verifyChain that is commented out."""
    backend, responder = start(Recorder()), start(Responder())
    trust = ["requireCert = yes", f"CAfile = {pki()}/root.pem"]
    for stunnel in both(backend, f"OCSP = {responder.url}", "OCSPaia = yes", *trust):
        assert gets_in(stunnel, backend, "ocsp-revoked")
    assert responder.asked() == 0
    stunnel.wait_log("It has no effect here: no certificate is verified")


@pytest.mark.parametrize("flag", ["NOCERTS", "noverify", "RESPID_KEY", "NOTIME"])
def test_flags_are_known(start, front, flag):
    backend, responder = start(Recorder()), start(Responder())
    stunnel = front(backend, *verifying(f"OCSP = {responder.url}", f"OCSPflag = {flag}"))
    assert gets_in(stunnel, backend, "ocsp-good") or flag == "NOCERTS"


def test_flag_that_has_answers_not_verified(start, front):
    backend, responder = start(Recorder()), start(Responder(signer="stranger"))
    options = [f"OCSP = {responder.url}", "OCSPflag = NOVERIFY"]
    stunnel = front(backend, *verifying(*options))
    assert gets_in(stunnel, backend, "ocsp-good")
