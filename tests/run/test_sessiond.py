# SPDX-License-Identifier: ISC
"""`sessiond`: sessions of clients at a daemon that several hosts ask over UDP."""

import re
import socket
import ssl
import subprocess
import threading
import time

import pytest

from certs import client_certificates
from peers import Stunnel, daemon_only, free_port, service, wait_for
from recorder import Recorder
from sessiond import GET, MISSING, NEW, REMOVE, Sessiond, honest
from tls_client import TlsClient, client_context

pytestmark = daemon_only

TLS12, TLS13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
VERSIONS = pytest.mark.parametrize("version", [TLS12, TLS13])


def option(sessiond):
    return f"sessiond = 127.0.0.1:{sessiond.port}"


def visit(stunnel, context, session=None, sni="localhost", port=None):
    """(whether the client's session was resumed, the session that it has got); it ends cleanly."""
    port = port or stunnel.port
    with TlsClient(port, sni=sni, context=context, session=session) as client:
        assert client.get("/").status == 200
        reused, session = client.tls.session_reused, client.session
        client.end()
        client.closed_by_peer()
    return reused, session


def new_session(stunnel, sessiond, context, **where):
    """A session, once the daemon has it: datagrams may come late."""
    _, session = visit(stunnel, context, **where)
    wait_for(lambda: sessiond.kept, "the daemon to have the session")
    return session


@pytest.fixture
def hosts(start, front):
    """hosts(*options): (the daemon, a stunnel that makes sessions, one that has to ask for them, ...).

    Each stunnel has a cache of its own, in which it looks first.
    """

    def start_hosts(*options, backend=None):
        backend, sessiond = backend or start(Recorder()), start(Sessiond())
        options = [option(sessiond), "debug = info", *options]
        fronts = [front(backend, *options, settings="workers = 1\n") for _ in range(2)]
        return sessiond, *fronts

    return start_hosts


def resumes(stunnel, context, session, **where):
    """An answer may always be late, and then the next one is not."""
    wait_for(lambda: visit(stunnel, context, session, **where)[0], "the session to be resumed")
    return True


def said(stunnel):
    """What the log has of the daemon, without what differs from session to session."""
    lines = stunnel.log_lines("cache_transfer: ")
    return {re.sub("id=[0-9A-F]{64}|length=[1-9][0-9]*", "", line[line.index("cache_") :]) for line in lines}


def normal(packet):
    return packet.version, packet.kind, packet.timeout, len(packet.id), bool(packet.session)


@VERSIONS
def test_packets_and_lines_are_those_of_stock(start, both, version):
    """Stock gives an answer a fraction of a millisecond, and so may have to ask several times."""
    context = client_context(version=version)
    seen = []
    for index in range(2):
        sessiond = start(Sessiond())
        one, two = (both(start(Recorder()), option(sessiond), "debug = info")[index] for _ in range(2))
        session = new_session(one, sessiond, context)
        assert resumes(two, context, session)
        wait_for(lambda: "cache_transfer: session found" in said(two), "the line")
        lines = said(one) | said(two) - {"cache_transfer: recv timeout"}
        seen.append(({normal(packet) for packet in sessiond.packets}, lines))
    assert seen[0] == seen[1]
    assert seen[1][0] == {(1, NEW, 300, 32, True), (1, GET, 0, 32, False)}


@pytest.mark.parametrize("index", [0, 1], ids=["stock", "ours"])
def test_own_session_is_not_asked_for(start, both, index):
    sessiond = start(Sessiond())
    stunnel = both(start(Recorder()), option(sessiond))[index]
    context = client_context(version=TLS12)
    session = new_session(stunnel, sessiond, context)
    assert visit(stunnel, context, session)[0]
    assert not sessiond.asked()


@VERSIONS
def test_session_of_another_host(hosts, version):
    sessiond, one, two = hosts()
    context = client_context(version=version)
    session = new_session(one, sessiond, context)
    assert resumes(two, context, session)
    two.wait_log("TLS accepted: previous session reused")
    assert not two.log_lines("cache_transfer: request=new") or version == TLS13


def test_session_that_a_client_spoils_is_removed(hosts):
    """By a fatal alert, behind which no session is resumed (RFC 5246 7.2.2)."""
    sessiond, one, two = hosts()
    context = client_context(version=TLS12)
    session = new_session(one, sessiond, context)
    with TlsClient(two.port, context=context, session=session) as client:
        client.sock.sendall(b"\x17\x03\x03\x00\x20" + b"x" * 32)
        with pytest.raises(ssl.SSLError, match="BAD_RECORD_MAC"):
            client.recv()
        reused = client.tls.session_reused
    wait_for(lambda: any(packet.kind == REMOVE for packet in sessiond.packets), "the removal")
    removed = [packet for packet in sessiond.packets if packet.kind == REMOVE]
    assert [normal(packet) for packet in removed] == [(1, REMOVE, 0, 32, False)]
    assert (removed[0].id == session.id) == reused


def test_session_lives_as_long_as_the_option_says(hosts):
    """As many seconds as stock has the packet say at most."""
    sessiond, stunnel, _ = hosts("sessionCacheTimeout = 70000")
    new_session(stunnel, sessiond, client_context(version=TLS12))
    assert [packet.timeout for packet in sessiond.packets] == [64800]


def test_session_of_a_service_that_a_name_leads_to(start):
    backend, sessiond = start(Recorder()), start(Sessiond())
    named = f"[name]\nsni = main:name.test\nconnect = 127.0.0.1:{backend.port}\n{option(sessiond)}\n"
    one, two = (start(Stunnel(service(backend.port, name="main") + named)) for _ in range(2))
    context = client_context(version=TLS12, verify=False)
    session = new_session(one, sessiond, context, sni="name.test")
    assert resumes(two, context, session, sni="name.test")
    asked = len(sessiond.packets)
    assert not visit(two, context, session, sni="other.test")[0]
    assert len(sessiond.packets) == asked


# ---- answers ----------------------------------------------------------------------------------


def changed(**fields):
    """Answers honestly, but for those fields of the packet."""

    def reply(packet, kept):
        answer = packet.answer(kept[packet.id])
        for name, value in fields.items():
            setattr(answer, name, value)
        return [answer.encode()]

    return reply


ANSWERS = {
    "none": lambda packet, kept: [],
    "that there is none": lambda packet, kept: [packet.answer(None).encode()],
    "that there is none, with one": changed(kind=MISSING),
    "about another session": changed(id=b"x" * 32),
    "of another version": changed(version=2),
    "of another kind": changed(kind=0x55),
    "empty": lambda packet, kept: [b""],
    "cut": lambda packet, kept: [honest(packet, kept)[0][:20]],
    "without the session": changed(session=b""),
    "no session": changed(session=b"garbage"),
    "half a session": lambda packet, kept: [honest(packet, kept)[0][:-9]],
    "more than a session": lambda packet, kept: [honest(packet, kept)[0] + b"x"],
    "too long": lambda packet, kept: [honest(packet, kept)[0] + b"x" * 600],
}


@pytest.mark.parametrize("answer", ANSWERS)
@VERSIONS
def test_answer_that_is_no_session(hosts, version, answer):
    sessiond, one, stunnel = hosts()
    context = client_context(version=version)
    session = new_session(one, sessiond, context)
    sessiond.reply = ANSWERS[answer]
    assert not visit(stunnel, context, session)[0]
    assert len(sessiond.asked()) == 1
    if answer == "none":
        stunnel.wait_log("cache_transfer: recv timeout")
    if "there is none" in answer:
        stunnel.wait_log("cache_transfer: session not found")
    sessiond.reply = honest
    assert resumes(stunnel, context, session)


def test_answer_after_others(hosts):
    """Garbage in front of it ends no wait."""
    sessiond, one, stunnel = hosts()
    context = client_context(version=TLS12)
    session = new_session(one, sessiond, context)
    others = [ANSWERS[name] for name in ("empty", "cut", "about another session", "too long")]
    sessiond.reply = lambda *asked: [reply(*asked)[0] for reply in [*others, honest]]
    assert resumes(stunnel, context, session)


def test_daemon_that_is_gone(start, front):
    backend = start(Recorder())
    with Sessiond() as sessiond:
        one, two = (front(backend, option(sessiond), "debug = info") for _ in range(2))
        context = client_context(version=TLS12)
        session = new_session(one, sessiond, context)
    for _ in range(3):
        assert not visit(two, context, session)[0]
    two.wait_log("TLS accepted: new session negotiated", 3)


def test_nobody_else_waits_for_an_answer(hosts):
    """One worker: the other client is served between a question and its answer."""
    sessiond, one, stunnel = hosts()
    context = client_context(version=TLS12)
    session = new_session(one, sessiond, context)

    def is_resumed():
        served, asked, reused = threading.Event(), threading.Event(), []

        def reply(packet, kept):
            asked.set()
            served.wait(30)
            return honest(packet, kept)

        sessiond.reply = reply
        client = threading.Thread(target=lambda: reused.append(visit(stunnel, context, session)[0]))
        client.start()
        assert asked.wait(30)
        visit(stunnel, client_context(version=TLS12))
        served.set()
        client.join()
        return reused[0]

    wait_for(is_resumed, "another client to be served in time")


@pytest.mark.parametrize("end", ["client", "daemon"])
def test_end_while_a_client_waits(hosts, end):
    sessiond, one, stunnel = hosts()
    context = client_context(version=TLS12)
    session = new_session(one, sessiond, context)
    sessiond.reply = ANSWERS["none"]
    hello = ssl.MemoryBIO()
    tls = context.wrap_bio(ssl.MemoryBIO(), hello, server_hostname="localhost", session=session)
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    with socket.create_connection(("127.0.0.1", stunnel.port)) as client:
        client.sendall(hello.read())
        wait_for(sessiond.asked, "the daemon to be asked")
        if end == "daemon":
            stunnel.stop()
    if end == "client":
        stunnel.wait_ended(1)
        visit(stunnel, context)


# ---- sessions that others make up -------------------------------------------------------------


def fields(der):
    """(tag, content) of each field of a sequence in DER."""

    def take(data):
        size, head = data[1], 2
        if size & 0x80:
            head += size & 0x7F
            size = int.from_bytes(data[2:head], "big")
        return data[0], data[head : head + size], data[head + size :]

    rest, found = take(der)[1], []
    while rest:
        tag, content, rest = take(rest)
        found.append((tag, content))
    return found


def sequence(found):
    def put(tag, content):
        size = len(content).to_bytes(2, "big")
        return bytes([tag, 0x82]) + size + content

    return put(0x30, b"".join(put(*field) for field in found))


TAGGED = 0xA0  # fields of a session from here on have the number of their tag, and its order
TIME, TIMEOUT, PEER = TAGGED + 1, TAGGED + 2, TAGGED + 3


def small_certificate(folder):
    command = ["openssl", "req", "-x509", "-newkey", "ed25519", "-nodes", "-subj", "/CN=f"]
    command += ["-keyout", folder / "key", "-outform", "DER", "-out", folder / "der"]
    subprocess.run([*command, "-days", "9", "-config", "/dev/null"], check=True, capture_output=True)
    return (folder / "der").read_bytes()


def integer(number):
    return bytes([2, 8]) + number.to_bytes(8, "big")


FORGERIES = {
    "nothing": lambda folder: {},
    "whom the client is": lambda folder: {PEER: small_certificate(folder)},
    "how long it lasts": lambda folder: {
        TIME: integer(int(time.time()) - 1000),
        TIMEOUT: integer(1 << 30),
    },
}


@pytest.mark.parametrize("forgery", FORGERIES)
@VERSIONS
def test_session_that_was_changed(start, hosts, tmp_path, version, forgery):
    """Nobody who can send datagrams makes a client somebody, or a session last."""
    backend = start(Recorder())
    header = "httpSetHeader = X-Client: %{client_cert_subject}"
    sessiond, one, stunnel = hosts(header, backend=backend)
    context = client_context(version=version)
    session = new_session(one, sessiond, context)
    put = FORGERIES[forgery](tmp_path)

    def reply(packet, kept):
        found = [field for field in fields(kept[packet.id]) if field[0] not in put]
        found += put.items()
        found.sort(key=lambda field: field[0] if field[0] > TAGGED else 0)
        return [packet.answer(sequence(found)).encode()]

    sessiond.reply = reply
    if not put:
        assert resumes(stunnel, context, session)
    else:
        assert not visit(stunnel, context, session)[0]
        wait_for(
            lambda: visit(stunnel, context, session) and "cache_transfer: session found" in said(stunnel),
            "the daemon's answer to come in time",
        )
        assert len(stunnel.log_lines("TLS accepted: previous session reused")) == 0
    assert not any("CN=f" in line for request in backend.requests for line in request)


def test_session_of_a_service_with_other_settings(start, front):
    backend, sessiond = start(Recorder()), start(Sessiond())
    one = front(backend, option(sessiond))
    two = front(backend, option(sessiond), "debug = info", "ciphers = ECDHE+AESGCM")
    context = client_context(version=TLS12)
    session = new_session(one, sessiond, context)

    def is_found():
        assert not visit(two, context, session)[0]
        return "cache_transfer: session found" in said(two)

    wait_for(is_found, "the daemon's answer to come in time")
    assert resumes(one, context, session)


# ---- sessions that stay here ------------------------------------------------------------------


def test_session_that_tells_who_a_client_is_stays(start, front):
    backend, sessiond = start(Recorder()), start(Sessiond())
    verify = ["verifyChain = yes", f"CAfile = {client_certificates()}/trusted.pem"]
    stunnel = front(backend, option(sessiond), *verify)
    stunnel.wait_log("sessions that tell who a client is stay on this host")
    context = client_context(version=TLS12, cert="signed")
    _, session = visit(stunnel, context)
    assert visit(stunnel, context, session)[0]
    assert not sessiond.packets


def test_session_that_is_too_long_for_a_packet(start, front):
    """With a server name and a protocol of about the greatest length."""
    protocol, name = "p" * 250, ".".join(["n" * 60] * 4)
    backend, sessiond = start(Recorder()), start(Sessiond())
    stunnel = front(backend, option(sessiond), f"alpn = {protocol}", "xForwardedFor = no")
    context = client_context(version=TLS12, verify=False, alpn=[protocol])
    _, session = visit(stunnel, context, sni=name)
    stunnel.wait_log("cache_transfer: encoded session too big (")
    assert visit(stunnel, context, session, sni=name)[0]
    assert not sessiond.packets


def test_client_sections_have_no_use_for_it(start, front):
    backend, sessiond = start(Recorder()), start(Sessiond())
    server = front(backend)
    client = front(server, "client = yes", option(sessiond))
    client.wait_log("It has no effect here: a server issues sessions")
    with socket.create_connection(("127.0.0.1", client.port)) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert plain.recv(100).startswith(b"HTTP/1.1 200")
    assert not sessiond.packets


@pytest.mark.parametrize("value", ["nowhere.invalid:1", "127.0.0.1", "/tmp/daemon"])
def test_address_that_is_none(value):
    stunnel = Stunnel(service(free_port(), f"sessiond = {value}"))
    told = subprocess.run(stunnel.command(), check=False, capture_output=True, text=True)
    assert told.returncode == 1
    assert "Failed to resolve sessiond server address" in told.stderr
