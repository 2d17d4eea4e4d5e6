# SPDX-License-Identifier: ISC
"""redirect: clients that verification refuses are led elsewhere instead of being cut off."""

import ssl
import subprocess

import pytest

from certs import certificates, client_certificates
from peers import BINARY, Stunnel, daemon_only, service
from recorder import Recorder
from tls_client import TlsClient, client_context

pytestmark = daemon_only

TLS12, TLS13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
CLIENTS = (None, "signed", "listed", "guest", "stranger")
TRUST = f"CAfile = {client_certificates()}/trusted.pem"


def answering(text):
    answer = f"HTTP/1.1 200 OK\r\nContent-Length: {len(text)}\r\n\r\n{text}"
    return Recorder(serve=answers(answer.encode()))


def answers(answer):
    def serve(connection):
        while connection.take_request():
            connection.send(answer)

    return serve


@pytest.fixture
def targets(start):
    """Where clients go that are authenticated, and where others."""
    return start(answering("inside")), start(answering("outside"))


def reached(to, cert, version=TLS13, context=None, **client):
    """What the client gets from the backend that it reached."""
    context = context or client_context(version=version, cert=cert, verify=False)
    with TlsClient(to, context=context, **client) as connection:
        return connection.get("/").body.decode()


def redirecting(outside, *options):
    return [TRUST, f"redirect = 127.0.0.1:{outside.port}", *options]


@pytest.mark.parametrize("version", [TLS12, TLS13])
@pytest.mark.parametrize("how", ["verifyChain = yes", "verify = 1", "verify = 2", "verify = 3", "verifyPeer = yes"])
def test_who_is_redirected(targets, both, how, version):
    """Whoever a service without redirect refuses: beside stock, which leads the same clients away."""
    inside, outside = targets
    daemons = both(inside, *redirecting(outside, how))
    stock, ours = [
        {cert: reached(daemon.port, cert, version) for cert in CLIENTS} for daemon in daemons
    ]
    assert ours == stock
    assert {"inside", "outside"} >= set(ours.values())
    assert ours[None] == ours["stranger"] == "outside"
    away = list(ours.values()).count("outside")
    assert [len(d.wait_log("Redirecting connection", away)) for d in daemons] == [away, away]


def test_a_name_that_is_not_checked_for_is_led_away(targets, front):
    inside, outside = targets
    options = redirecting(outside, "verifyChain = yes", "checkHost = nobody.example")
    stunnel = front(inside, *options)
    assert reached(stunnel.port, "signed") == "outside"
    stunnel.wait_log("CERT: Subject checks failed")


@pytest.mark.parametrize("version", [TLS12, TLS13])
def test_a_resumed_session_stays_what_it_was(targets, front, version):
    """Also with the same certificate shown again: a session is authenticated or it is not."""
    inside, outside = targets
    stunnel = front(inside, *redirecting(outside, "verifyChain = yes"))
    for cert, where in ((None, "outside"), ("stranger", "outside"), ("signed", "inside")):
        context = client_context(version=version, cert=cert, verify=False)
        with TlsClient(stunnel.port, context=context) as first:
            assert first.get("/").body.decode() == where
            session = first.session
        with TlsClient(stunnel.port, context=context, session=session) as second:
            assert second.get("/").body.decode() == where
            assert second.tls.session_reused
    assert len(stunnel.wait_log("Redirecting connection", 4)) == 4


def test_no_session_leads_in_after_redirect_is_gone(targets, front):
    """A ticket of a client that was led away is not one of a client that is let in."""
    inside, outside = targets
    with_redirect = redirecting(outside, "verifyChain = yes")
    stunnel = front(inside, *with_redirect)
    context = client_context(version=TLS12, cert="stranger", verify=False)
    with TlsClient(stunnel.port, context=context) as first:
        assert first.get("/").body == b"outside"
        session = first.session
    without = "\n".join(
        line for line in stunnel.config.read_text().splitlines() if not line.startswith("redirect")
    )
    stunnel.config.write_text(without + "\n")
    stunnel.replace_workers()
    with pytest.raises((ssl.SSLError, ConnectionError)):
        TlsClient(stunnel.port, context=context, session=session)


def test_headers_tell_that_nobody_was_verified(targets, front):
    inside, outside = targets
    told = ["httpSetHeader = X-Verify: %{client_cert_verify}", "xForwardedFor = yes"]
    stunnel = front(inside, *redirecting(outside, "verifyChain = yes"), *told)
    for cert, backend in (("signed", inside), ("stranger", outside), (None, outside)):
        reached(stunnel.port, cert)
        lines = backend.requests[-1]
        assert [line for line in lines if line.startswith("X-Forwarded-For: ")]
        assert ("X-Verify: SUCCESS" in lines) == (cert == "signed"), lines


def test_the_proxy_header_is_for_the_target_alone(targets, front):
    """As in stock since 5.74: who serves strangers need not speak the PROXY protocol."""
    inside, outside = targets
    stunnel = front(inside, *redirecting(outside, "verifyChain = yes", "protocol = proxy"))
    assert reached(stunnel.port, None) == "outside"
    assert outside.data.startswith(b"GET / ")
    with TlsClient(stunnel.port, context=client_context(cert="signed")) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        stunnel.wait_log("Service [web] connected remote server", 2)
        client.recv()
    assert inside.data.startswith(b"PROXY TCP4 127.0.0.1 ")


def test_a_section_that_a_name_leads_to_has_its_own(targets, start):
    inside, outside = targets
    other = service(inside.port, *redirecting(outside, "verifyChain = yes"), name="other")
    other = other.replace("accept = 127.0.0.1:", "sni = web:other.example\n;")
    stunnel = start(Stunnel(service(inside.port) + other))
    assert reached(stunnel.port, None) == "inside"
    assert reached(stunnel.port, None, sni="other.example") == "outside"


def test_further_targets_and_names_are_tried(targets, front):
    inside, outside = targets
    closed = start_closed()
    options = ["verifyChain = yes", f"redirect = localhost:{outside.port}"]
    first = [TRUST, f"redirect = 127.0.0.1:{closed}"]
    for delay in ("yes", "no"):
        stunnel = front(inside, *first, *options, f"delay = {delay}", name=f"delay-{delay}")
        assert reached(stunnel.port, None) == "outside"
        assert reached(stunnel.port, "signed") == "inside"


def start_closed():
    """A port on which nobody listens."""
    with Recorder() as recorder:
        return recorder.port


REFUSED = [
    ("", 'Either "verifyChain" or "verifyPeer" has to be enabled for "redirect" to work'),
    ("client = yes", '"redirect" is unsupported in client sections'),
    ("verifyChain = yes\nredirect = nowhere", "Cannot resolve redirect target"),
]


@pytest.mark.parametrize("options, reason", REFUSED)
def test_what_is_refused(tmp_path, options, reason):
    file = tmp_path / "test.conf"
    keys = f"cert = {certificates().cert}\nkey = {certificates().key}\n{TRUST}\n"
    file.write_text(keys + service(1, "redirect = 127.0.0.1:1", *options.split("\n")))
    done = subprocess.run(
        [BINARY, "-test", file], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert reason in done.stderr
