# SPDX-License-Identifier: ISC
"""Session tickets: one key for all workers, that outlives a reload."""

import ssl
import subprocess

import pytest

from peers import Stunnel, daemon_only, service, takes_sessions
from recorder import Recorder
from tls_client import DEADLINE, TlsClient, client_context

VERSIONS = pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])


@takes_sessions
@VERSIONS
def test_resumption_across_workers(start, front, version):
    """One ticket key for all workers: whichever accepts, the session is resumed."""
    backend = start(Recorder())
    stunnel = front(backend, "xForwardedFor = yes", settings="workers = 4\n")
    context = client_context(version=version)
    with TlsClient(stunnel.port, context=context) as client:
        client.get("/")
        session = client.session
    for _ in range(20):
        with TlsClient(stunnel.port, context=context, session=session) as client:
            client.get("/")
            assert client.tls.session_reused
            session = client.session
    stunnel.wait_log("TLS accepted: previous session reused", 20)
    assert len(stunnel.wait_log("TLS accepted: new session negotiated")) == 1


@daemon_only
@pytest.mark.parametrize("options, count", [([], 1), (["config = NumTickets:3"], 3)])
def test_tickets_of_a_handshake(start, front, options, count):
    stunnel = front(start(Recorder()), "xForwardedFor = yes", *options)
    said = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{stunnel.port}", "-ign_eof", "-tls1_3"],
        input=b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        capture_output=True,
        timeout=DEADLINE,
    ).stdout
    assert b"200 OK" in said
    assert said.count(b"Post-Handshake New Session Ticket arrived") == count


@daemon_only
@VERSIONS
def test_resumption_across_a_reload(start, front, version):
    backend = start(Recorder())
    stunnel = front(backend, settings="workers = 2\n")
    context = client_context(version=version)
    with TlsClient(stunnel.port, context=context) as client:
        client.get("/")
        session = client.session
    stunnel.replace_workers()
    with TlsClient(stunnel.port, context=context, session=session) as client:
        client.get("/")
        assert client.tls.session_reused


def test_session_of_one_service_is_not_taken_by_another(start):
    """They may stand for different sites; RFC 8446 4.2.11 binds a ticket to its server."""
    backend = start(Recorder())
    stunnel = start(Stunnel(service(backend.port, name="one") + service(backend.port, name="two")))
    one, two = (int(endpoint.rsplit(":")[-1]) for endpoint in stunnel.endpoints())
    context = client_context()
    with TlsClient(one, context=context) as client:
        client.get("/")
        session = client.session
    with TlsClient(two, context=context, session=session) as client:
        assert client.get("/").status == 200
        assert not client.tls.session_reused


def test_names_that_begin_alike_are_not_alike(start):
    backend = start(Recorder())
    names = ["a" * 40 + "1", "a" * 40 + "2"]
    stunnel = start(Stunnel("".join(service(backend.port, name=name) for name in names)))
    one, two = (int(endpoint.rsplit(":")[-1]) for endpoint in stunnel.endpoints())
    context = client_context(version=ssl.TLSVersion.TLSv1_2)
    with TlsClient(one, context=context) as client:
        client.get("/")
        session = client.session
    with TlsClient(two, context=context, session=session) as client:
        assert not client.tls.session_reused


def test_cipher_that_was_withdrawn_is_not_resumed(start):
    """A session from before the reload would bring it back: OpenSSL does not look again."""
    backend = start(Recorder())
    config = service(backend.port, "ciphers = {}", "sslVersionMax = TLSv1.2")
    before, after = "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384"
    stunnel = start(Stunnel(config.replace("{}", before)))
    context = client_context(version=ssl.TLSVersion.TLSv1_2)
    with TlsClient(stunnel.port, context=context) as client:
        client.get("/")
        assert client.tls.cipher()[0] == before
        session = client.session
    stunnel.write(config.replace("{}", after))
    stunnel.replace_workers()
    with TlsClient(stunnel.port, context=context, session=session) as client:
        client.get("/")
        assert client.tls.cipher()[0] == after
        assert not client.tls.session_reused
