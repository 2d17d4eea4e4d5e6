# SPDX-License-Identifier: ISC
"""A short life under valgrind: no leak and no error, in the master and in its workers."""

import re
import shutil
from types import SimpleNamespace

import pytest

from peers import PATCHED, Stunnel, daemon_only, free_port, sanitized, service
from recorder import Recorder
from test_ocsp import Responder, gets_in, verifying
from test_session_cache import resumes, session_of, ticketless
from test_stapling import TRUST, answering, own, stapled
from tls_client import PlainClient, TlsClient


def unsuited():
    if shutil.which("valgrind") is None:
        return "there is no valgrind here"
    try:
        return "a sanitizer is built in" if sanitized() else None
    except FileNotFoundError:
        return None  # the test will say so


suited = pytest.mark.skipif(unsuited() is not None, reason=str(unsuited()))

VALGRIND = [
    "valgrind",
    "--leak-check=full",
    "--show-leak-kinds=definite,indirect",
    "--errors-for-leak-kinds=definite,indirect",
]


def under_valgrind(config):
    """A stunnel whose processes report to valgrind.PID in its folder."""
    stunnel = Stunnel(config)
    stunnel.wrapper = [*VALGRIND, f"--log-file={stunnel.folder}/valgrind.%p"]
    return stunnel


def reports(stunnel):
    return {path.name: path.read_text() for path in stunnel.folder.glob("valgrind.*")}


def use(stunnel):
    """Some requests of one connection, and one that is refused."""
    with TlsClient(stunnel.port) as client:
        for _ in range(5):
            assert client.get("/", ["X-Forwarded-For: 203.0.113.66"]).status == 200
        client.send(b"GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n")
        assert client.response().status == 400


@daemon_only
@suited
def test_no_leak_and_no_error(start):
    config = "workers = 2\npid = {folder}/pid\n"
    config += service(start(Recorder()).port, "xForwardedFor = chain", "httpSetHeader = X: %{sni}")
    stunnel = start(under_valgrind(config))
    for _ in range(2):
        use(stunnel)
        stunnel.replace_workers()
    stunnel.stop()
    assert len(reports(stunnel)) == 1 + 3 * 2  # the master, and two workers for each configuration
    for name, report in reports(stunnel).items():
        assert re.search(r"ERROR SUMMARY: 0 errors", report), f"{name}: {report}"


def is_clean(stunnel):
    stunnel.stop()
    for name, report in reports(stunnel).items():
        assert re.search(r"ERROR SUMMARY: 0 errors", report), f"{name}: {report}"


@daemon_only
@suited
@pytest.mark.parametrize("psk", [False, True], ids=["certificate", "psk"])
def test_client_mode(start, tmp_path, psk):
    """Sessions that are resumed with a server, or keys in place of them."""
    secrets = tmp_path / "secrets"
    secrets.write_text("one:0123456789abcdef0123456789abcdef\n")
    keys = [f"PSKsecrets = {secrets}", "sslVersionMax = TLSv1.2", "ciphers = PSK"]
    lines = keys if psk else []
    server = start(under_valgrind("workers = 1\n" + service(start(Recorder()).port, *lines)))
    client = service(server.port, "client = yes", "sessionCacheTimeout = 60", *lines)
    stunnel = start(under_valgrind("workers = 1\n" + client))
    for _ in range(3):
        with PlainClient(stunnel.port) as plain:
            plain.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert plain.recv().startswith(b"HTTP/1.1 200")
    stunnel.wait_log("TLS connected: PSK" if psk else "TLS connected: previous session reused")
    is_clean(stunnel)
    is_clean(server)


def use_sessions_and_responders(stunnel, stapling, backend):
    stunnel.wait_log("OCSP: Stapling for: CN=own-good")
    assert stapled(SimpleNamespace(port=stapling), "-tls1_3") == ("11", "good")
    context = ticketless(cert="ocsp-good")
    session = session_of(stunnel.port, context)
    assert resumes(stunnel.port, context, session)
    assert not gets_in(stunnel, backend, "ocsp-revoked")


@daemon_only
@suited
def test_sessions_and_responders(start):
    """Sessions in the cache, responders that are asked about clients, and about our own certificate."""
    backend, about_client, about_us = start(Recorder()), start(Responder("-nmin", "5")), start(answering())
    stapling = free_port()
    config = service(backend.port, *verifying(f"OCSP = {about_client.url}"))
    options = [*own("own-good", about_us.port), *TRUST, "OCSPstaple = yes"]
    config += service(backend.port, *options, name="stapled", accept=f"127.0.0.1:{stapling}")
    stunnel = start(under_valgrind("workers = 1\n" + config))
    use_sessions_and_responders(stunnel, stapling, backend)
    stunnel.replace_workers()
    stunnel.wait_log("OCSP: Stapling for: CN=own-good", 2)
    use_sessions_and_responders(stunnel, stapling, backend)  # a child that serves nobody is killed at the end
    is_clean(stunnel)


@pytest.mark.skipif(not PATCHED, reason="STUNNEL is no patched stock")
@suited
def test_patched_stock_leaks_nothing_of_ours(start):
    """Of what it did not free itself, sections that a reload replaced are the most."""
    header = service(start(Recorder()).port, "xForwardedFor = chain", "httpSetHeader = X: %{sni}")
    proxy = service(
        start(Recorder()).port, "protocol = proxy", "proxyVersion = 2", "proxyTLV = ssl", name="proxy"
    )
    stunnel = start(under_valgrind(header + proxy))
    for _ in range(2):
        use(stunnel)
        stunnel.reload()
    stunnel.stop()
    leaks, errors = [], []
    for part in re.split(r"^==\d+== \n", "".join(reports(stunnel).values()), flags=re.M)[1:]:
        if re.search(r"^==\d+==    (?:at|by) 0x", part, re.M):
            (leaks if " in loss record " in part else errors).append(part)
    assert [error for error in errors if "libwrap_auth" not in error] == []  # stock's, in 4.57
    assert [leak for leak in leaks if re.search(r"\bforward|tls_facts|\bh1_", leak)] == []
