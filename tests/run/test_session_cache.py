# SPDX-License-Identifier: ISC
"""Sessions of clients without tickets: one cache for all workers, that outlives a reload."""

import os
import re
import shutil
import signal
import ssl
import subprocess

import pytest

from certs import certificates, client_certificates
from peers import Stunnel, daemon_only, service, wait_for
from recorder import Recorder
from test_new_program import upgrade
from tls_client import TlsClient, client_context

pytestmark = daemon_only

VERSIONS = pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
FOLDER = client_certificates()


def ticketless(version=ssl.TLSVersion.TLSv1_2, cert=None):
    """A client's context that offers no tickets; TLS 1.3 means other ones, that it always takes."""
    context = client_context(version=version, cert=cert)
    context.options |= ssl.OP_NO_TICKET
    return context


def session_of(port, context, sni="localhost"):
    with TlsClient(port, sni=sni, context=context) as client:
        client.get("/")
        return client.session


def resumes(port, context, session, sni="localhost"):
    with TlsClient(port, sni=sni, context=context, session=session) as client:
        assert client.get("/").status == 200
        return client.tls.session_reused


@VERSIONS
@pytest.mark.parametrize("option", ["debug = info", "options = NO_TICKET"])
def test_resumption_across_workers(start, front, version, option):
    """Clients go without close_notify, as most do."""
    stunnel = front(start(Recorder()), option, settings="workers = 4\n")
    context = ticketless(version)
    session = session_of(stunnel.port, context)
    for _ in range(20):
        with TlsClient(stunnel.port, context=context, session=session) as client:
            client.get("/")
            assert client.tls.session_reused
            session = client.session
    stunnel.wait_log("TLS accepted: previous session reused", 20)
    assert len(stunnel.wait_log("TLS accepted: new session negotiated")) == 1


@VERSIONS
def test_resumption_across_a_reload_and_a_crash(start, front, version):
    stunnel = front(start(Recorder()), "options = NO_TICKET", settings="workers = 2\n")
    context = ticketless(version)
    session = session_of(stunnel.port, context)
    stunnel.replace_workers()
    assert resumes(stunnel.port, context, session)
    old = stunnel.processes()[1:]
    for worker in old:
        os.kill(worker, signal.SIGKILL)
    wait_for(lambda: len(set(stunnel.processes()[1:]) - set(old)) == 2, "new workers")
    assert resumes(stunnel.port, context, session)


@VERSIONS
def test_resumption_across_upgrades(start, front, version):
    stunnel = front(start(Recorder()), "options = NO_TICKET", settings="workers = 2\n")
    context = ticketless(version)
    session = session_of(stunnel.port, context)
    for _ in range(2):
        upgrade(stunnel)
        assert resumes(stunnel.port, context, session)


@VERSIONS
def test_certificate_of_a_resumed_client_is_known(start, front, version):
    verify = ["verifyChain = yes", f"CAfile = {FOLDER}/trusted.pem"]
    header = "httpSetHeader = X-Client: %{client_cert_subject}"
    backend = start(Recorder())
    stunnel = front(backend, "options = NO_TICKET", *verify, header)
    context = ticketless(version, cert="signed")
    session = session_of(stunnel.port, context)
    assert resumes(stunnel.port, context, session)
    assert all("X-Client: CN=signed" in request for request in backend.requests)
    assert len(backend.requests) == 2


@VERSIONS
def test_session_is_not_taken_where_more_is_asked_of_the_client(start, version):
    """Neither on another port nor under another name of the same one."""
    backend = start(Recorder())
    verify = f"verifyChain = yes\nCAfile = {FOLDER}/trusted.pem\n"
    config = "options = NO_TICKET\n" + service(backend.port, name="open")
    config += f"[name]\nsni = open:name.example.test\nconnect = 127.0.0.1:{backend.port}\n{verify}"
    config += service(backend.port, name="closed") + verify
    stunnel = start(Stunnel(config))
    free, closed = (int(endpoint.rsplit(":")[-1]) for endpoint in stunnel.endpoints())
    context = ticketless(version, cert="signed")
    session = session_of(free, context)
    assert resumes(free, context, session)
    assert not resumes(free, context, session, sni="name.example.test")
    assert not resumes(closed, context, session)
    session = session_of(free, context, sni="name.example.test")
    assert resumes(free, context, session, sni="name.example.test")
    assert not resumes(free, context, session)


@VERSIONS
def test_session_from_before_a_stricter_configuration_is_not_taken(start, version):
    text = service(start(Recorder()).port, "options = NO_TICKET")
    stunnel = start(Stunnel(text))
    context = ticketless(version, cert="signed")
    session = session_of(stunnel.port, context)
    stunnel.write(text + f"verifyChain = yes\nCAfile = {FOLDER}/trusted.pem\n")
    stunnel.replace_workers()
    assert not resumes(stunnel.port, context, session)


def test_full_cache_forgets_the_oldest_session(start, front):
    stunnel = front(start(Recorder()), "sessionCacheSize = 3")
    context = ticketless()
    sessions = [session_of(stunnel.port, context) for _ in range(4)]
    assert [resumes(stunnel.port, context, each) for each in sessions[1:]] == [True] * 3
    assert not resumes(stunnel.port, context, sessions[0])


@pytest.mark.parametrize("size", [0, 1000000])
def test_large_cache(start, front, size):
    stunnel = front(start(Recorder()), f"sessionCacheSize = {size}")
    context = ticketless()
    sessions = [session_of(stunnel.port, context) for _ in range(20)]
    assert all(resumes(stunnel.port, context, session) for session in sessions)


@VERSIONS
@pytest.mark.parametrize(
    "options",
    [
        ["sessionResume = no"],
        ["sessionResume = no", "options = -NO_TICKET"],
        [
            "verifyChain = yes",
            f"CAfile = {FOLDER}/trusted.pem",
            "httpSetHeader = X-Chain: %{client_cert_chain}",
        ],
    ],
)
@pytest.mark.parametrize("make", [client_context, ticketless])
def test_nothing_is_resumed(start, front, version, options, make):
    """Where it is forbidden, or the client's chain is to be told, which a session does not keep."""
    stunnel = front(start(Recorder()), *options)
    context = make(version=version, cert="signed")
    session = session_of(stunnel.port, context)
    assert not session or not session.has_ticket
    if session:
        assert not resumes(stunnel.port, context, session)


def test_session_ends_with_a_fatal_error(start, front):
    """RFC 5246 7.2.2: it must not be resumed."""
    stunnel = front(start(Recorder()))
    context = ticketless()
    session = session_of(stunnel.port, context)
    with TlsClient(stunnel.port, context=context, session=session) as client:
        assert client.tls.session_reused
        client.sock.sendall(b"\x17\x03\x03\x00\x20" + bytes(32))
        with pytest.raises(ssl.SSLError, match="bad record mac"):
            client.recv()
    assert not resumes(stunnel.port, context, session)


NODE = """
const tls = require('tls'), crypto = require('crypto');
const options = {port: PORT, host: '127.0.0.1', servername: 'localhost', maxVersion: 'TLSv1.2',
                 secureOptions: crypto.constants.SSL_OP_NO_TICKET};
let session, reused = 0;
function once(left) {
  if (!left) return console.log('reused', reused);
  const socket = tls.connect({...options, session}, () => {
    reused += socket.isSessionReused() ? 1 : 0;
    session = socket.getSession();
    socket.end();
  });
  socket.on('close', () => once(left - 1));
}
once(21);
"""


@pytest.mark.skipif(not shutil.which("node"), reason="there is no node here")
def test_node_without_tickets(start, front):
    stunnel = front(start(Recorder()), settings="workers = 3\n")
    environment = {**os.environ, "NODE_EXTRA_CA_CERTS": str(certificates().ca)}
    command = ["node", "-e", NODE.replace("PORT", str(stunnel.port))]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60)
    assert done.stdout == "reused 20\n", done.stderr


@pytest.mark.skipif(not shutil.which("gnutls-cli"), reason="there is no gnutls-cli here")
@pytest.mark.parametrize("version", ["TLS1.2", "TLS1.3"])
def test_gnutls_without_tickets(start, front, version):
    stunnel = front(start(Recorder()), "options = NO_TICKET", settings="workers = 3\n")
    command = ["gnutls-cli", "--resume", f"--x509cafile={certificates().ca}", "-p", str(stunnel.port)]
    command += [f"--priority=NORMAL:-VERS-ALL:+VERS-{version}", "localhost"]
    request = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    done = subprocess.run(command, input=request, capture_output=True, text=True, timeout=60)
    assert re.search(r"This is a resumed session", done.stdout), done.stdout + done.stderr
