# SPDX-License-Identifier: ISC
"""What is of a patched stock stunnel's own: its options, and sections that are not for them."""

import os
import re
import ssl
import subprocess
import threading

import pytest

from certs import certificates
from peers import BINARY, PATCHED, Stunnel, service, wait_for
from recorder import OK, Recorder, read_only
from tls_client import TlsClient, client_context

pytestmark = pytest.mark.skipif(not PATCHED, reason="STUNNEL is no patched stock")

HEADERS = [
    "forwarded = yes",
    "httpAddHeader = X-A: b",
    "httpDelHeader = X-A",
    "httpSetHeader = X-A: %{client_ip}",
    "requestId = yes",
    "xForwardedFor = yes",
    "xForwardedPort = yes",
    "xForwardedProto = yes",
    "xRealIP = yes",
]


def refusal(start, *options):
    with pytest.raises(AssertionError) as error:
        start(Stunnel(service(9, *options)))
    return str(error.value)


@pytest.mark.parametrize("option", [*HEADERS, "proxyVersion = 2", "httpMaxHead = 2000"])
def test_client_mode_refuses_them(start, option):
    assert "not with 'client = yes'" in refusal(start, "client = yes", option)


@pytest.mark.parametrize("protocol", ["smtp", "imap", "connect"])
def test_other_protocols_refuse_headers(start, protocol):
    text = refusal(start, f"protocol = {protocol}", "xForwardedFor = yes")
    assert "Header options are for HTTP" in text


@pytest.mark.parametrize(
    "option, why",
    [
        ("xForwardedFor = perhaps", "xForwardedFor"),
        ("httpSetHeader = X Y: z", "X Y"),
        ("httpSetHeader = X: %{nonsense}", "nonsense"),
        ("httpMaxHead = 10", "Illegal size of a head (1024 to 65536)"),
        ("httpMaxHead = 1e4", "Illegal size of a head (1024 to 65536)"),
        ("httpMaxFields = 257", "Illegal number of fields (8 to 256)"),
        ("httpConnect = maybe", "either 'yes' or 'no'"),
        ("trustedProxy = 10.0.0.1/8", "Not an address or block of addresses"),
        ("proxyVersion = 3", "The PROXY protocol has versions 1 and 2"),
        ("proxyMaxLength = 51", "Illegal length of a header (52 to 4096)"),
        ("proxyMapped = yes", "either 'fold' or 'keep'"),
        ("proxyTLV = colour", "colour"),
        ("proxyTLV = ssl", "proxyTLV needs proxyVersion = 2"),
    ],
)
def test_bad_values(start, option, why):
    text = refusal(start, "protocol = proxy", option)
    assert why in text
    if "needs" not in why:
        assert f'"{option}": ' in text


def test_help_and_version_list_them():
    for flag, preset in (("-help", None), ("-version", "no")):
        said = subprocess.run([BINARY, flag], check=False, capture_output=True, text=True).stderr
        section = said.split("Service-level options:")[1]
        assert "xForwardedFor" in section and "proxyMaxLength" in section
        if preset:
            assert f"xForwardedFor          = {preset}\n" in section


def test_defaults_are_inherited_and_undone(start):
    backends = [start(Recorder()) for _ in range(3)]
    sections = [
        service(backends[0].port, name="first"),
        service(backends[1].port, "xForwardedFor = no", name="second"),
        service(backends[2].port, "httpAddHeader = X-Own: third", name="third"),
    ]
    defaults = "xForwardedFor = replace\nhttpAddHeader = X-All: %{client_ip}\n"
    stunnel = start(Stunnel(defaults + "".join(sections)))
    for endpoint in stunnel.endpoints():
        with TlsClient(int(endpoint.rsplit(":", 1)[1]), source="127.0.0.7") as client:
            assert client.get("/").status == 200
    first, second, third = [backend.data for backend in backends]
    assert b"X-Forwarded-For: 127.0.0.7\r\n" in first and b"X-All: 127.0.0.7\r\n" in first
    assert b"X-Forwarded-For" not in second and b"X-All: 127.0.0.7\r\n" in second
    assert b"X-All: 127.0.0.7\r\nX-Own: third\r\n" in third and b"X-Own" not in first + second


def test_service_without_options_is_blind(start):
    """Beside one that is not."""
    backend, other = start(Recorder(read_only)), start(Recorder())
    config = service(other.port, "xForwardedFor = yes", name="http") + service(backend.port)
    stunnel = start(Stunnel(config))
    junk = b"GET / HTTP/1.1\n\n\0\x01 not HTTP\r\n"
    with TlsClient(int(stunnel.endpoints()[1].rsplit(":", 1)[1])) as client:
        client.send(junk)
        wait_for(lambda: backend.connections and backend.data == junk, "the bytes")


def test_reload_while_a_connection_runs(start):
    backend = start(Recorder())
    stunnel = start(Stunnel(service(backend.port, "xForwardedFor = yes", "httpAddHeader = X-A: 1")))
    with TlsClient(stunnel.port) as old:
        old.get("/1")
        text = stunnel.config.read_text()
        stunnel.config.write_text(text.replace("X-A: 1", "X-A: 2"))
        stunnel.reload()
        old.get("/2")
        with TlsClient(stunnel.port) as new:
            new.get("/3")
        old.get("/4")
    lines = re.findall(rb"X-A: (\d)", b"".join(c.data for c in backend.connections))
    assert sorted(lines) == [b"1", b"1", b"1", b"2"]


def test_session_of_another_name_is_no_certificate(start):
    """TLS 1.3 resumes before the name has its effect; nobody saw the certificate that it asks for."""
    backend = start(Recorder())
    primary = service(backend.port, "xForwardedFor = yes", name="primary")
    second = "\n".join(
        [
            "[second]",
            "sni = primary:second.test",
            f"connect = 127.0.0.1:{backend.port}",
            f"CAfile = {certificates().cert}",
            "verifyChain = yes",
            "xForwardedFor = yes",
            "",
        ]
    )
    stunnel = start(Stunnel(primary + second))
    context = client_context(verify=False)
    with TlsClient(stunnel.port, context=context) as client:
        client.get("/1")
        session = client.session
    with pytest.raises((ssl.SSLError, ConnectionError, EOFError)):
        with TlsClient(stunnel.port, sni="second.test", context=context, session=session) as client:
            client.get("/2")
    stunnel.wait_log("The TLS session was made under another server name")
    assert len(backend.requests) == 1


def test_refused_client_that_goes_on_sending_gets_the_answer(start):
    backend = start(Recorder())
    stunnel = start(Stunnel(service(backend.port, "xForwardedFor = yes")))
    with TlsClient(stunnel.port) as client:
        client.send(b"GET / HTTP/1.1\n\n" + 100000 * b"x")
        answer = client.recv_all()
        assert answer.startswith(b"HTTP/1.1 400 ")
        client.send(100000 * b"x")
    stunnel.wait_ended(1)
    assert "not transferring any data" not in stunnel.log_text()


def test_refused_client_cannot_send_for_ever(start):
    backend = start(Recorder())
    stunnel = start(Stunnel(service(backend.port, "xForwardedFor = yes")))
    with TlsClient(stunnel.port) as client:
        client.send(b"GET / HTTP/1.1\n\n")
        assert client.recv_all().startswith(b"HTTP/1.1 400 ")
        with pytest.raises(OSError):
            for _ in range(10000):
                client.send(16384 * b"x")
    stunnel.wait_log("goes on sending after its request was refused")
    stunnel.wait_ended(1)


def test_no_descriptor_is_left_behind(start):
    backend = start(Recorder())
    stunnel = start(Stunnel(service(backend.port, "xForwardedFor = yes")))

    def talk(count):
        for n in range(count):
            with TlsClient(stunnel.port) as client:
                client.send(b"GET / HTTP/1.1\n\n" if n % 2 else b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                client.recv()
        done.append(count)
        stunnel.wait_ended(sum(done))

    def descriptors():
        return len(os.listdir(f"/proc/{stunnel.pid}/fd"))

    done = []
    talk(4)
    before = descriptors()
    talk(40)
    assert descriptors() == before


def test_expansion_by_far_more_than_the_buffers(start):
    """Each small request becomes 3 kB; all are sent, and the end with them, before one is read."""
    count = 30  # in flight at most 32
    value = 3000 * "v"

    def serve(connection):
        sent.wait(30)
        for _ in range(count):
            connection.take_request()
            connection.send(OK)

    sent = threading.Event()
    backend = start(Recorder(serve))
    stunnel = start(Stunnel(service(backend.port, f"httpSetHeader = X-Long: {value}")))
    with TlsClient(stunnel.port) as client:
        client.send(count * b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        client.end()
        sent.set()
        assert client.recv_all() == count * OK
    expected = b"GET / HTTP/1.1\r\nHost: a\r\nX-Long: " + value.encode() + b"\r\n\r\n"
    wait_for(lambda: len(backend.data) >= count * len(expected), "the requests")
    assert backend.data == count * expected
