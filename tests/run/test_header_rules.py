# SPDX-License-Identifier: ISC
"""httpSetHeader, httpAddHeader, httpDelHeader, and what their templates stand for."""

import ssl

import pytest

from peers import Stunnel, daemon_only, free_port, service, takes_sessions
from recorder import Recorder
from tls_client import TlsClient, client_context


def values(request, name):
    lines = [line.split(": ", 1) for line in request[1:]]
    return [line[1] for line in lines if line[0].lower() == name.lower()]


def seen_with(start, *options, headers=(), **client):
    """The request head that reaches the backend."""
    backend = start(Recorder())
    stunnel = start(Stunnel(service(backend.port, *options)))
    with TlsClient(stunnel.port, **client) as connection:
        assert connection.get("/", headers).status == 200
    return backend.requests[0]


def template(start, text, **client):
    return values(seen_with(start, f"httpSetHeader = X-Seen: {text}", **client), "X-Seen")


# ---- rules ----------------------------------------------------------------------------------


def test_set_replaces_all_lines_of_the_client(start):
    sent = ["X-Proto: http", "x-proto: ftp", "X_Proto: gopher"]
    request = seen_with(start, "httpSetHeader = X-Proto: https", headers=sent)
    assert request == ["GET / HTTP/1.1", "Host: localhost", "X-Proto: https"]


def test_add_leaves_the_lines_of_the_client(start):
    request = seen_with(start, "httpAddHeader = Via: 1.1 front", headers=["Via: 1.0 mine"])
    assert values(request, "Via") == ["1.0 mine", "1.1 front"]


def test_add_twice(start):
    request = seen_with(start, "httpAddHeader = X-A: 1", "httpAddHeader = X-A: 2")
    assert values(request, "X-A") == ["1", "2"]


def test_delete(start):
    sent = ["X-Debug: 1", "x-debug: 2", "X_DEBUG: 3", "X-Debugger: stays"]
    request = seen_with(start, "httpDelHeader = X-Debug", headers=sent)
    assert request[1:] == ["Host: localhost", "X-Debugger: stays"]


def test_rules_come_in_their_order_before_the_fields_of_the_client(start):
    request = seen_with(
        start,
        "httpSetHeader = X-Proto: https",
        "xForwardedFor = yes",
        "httpAddHeader = X-Port: 443",
        headers=["Accept: */*"],
        source="127.0.0.5",
    )
    assert request[1:] == [
        "Host: localhost",
        "X-Proto: https",
        "X-Forwarded-For: 127.0.0.5",
        "X-Port: 443",
        "Accept: */*",
    ]


def test_every_request_of_a_connection(start):
    backend = start(Recorder())
    stunnel = start(Stunnel(service(backend.port, "httpSetHeader = X-Proto: https")))
    with TlsClient(stunnel.port) as client:
        for n in range(20):
            client.get(f"/{n}", ["X-Proto: http"])
    assert [values(request, "X-Proto") for request in backend.requests] == [["https"]] * 20


# ---- templates ------------------------------------------------------------------------------


def test_text_and_percent_sign(start):
    assert template(start, "100%% of it; a=b # c") == ["100% of it; a=b # c"]


def test_client_address_and_port(start):
    backend = start(Recorder())
    option = "httpSetHeader = X-Seen: %{client_ip} %{client_port}"
    stunnel = start(Stunnel(service(backend.port, option)))
    with TlsClient(stunnel.port, source="127.0.0.9") as client:
        client.get("/")
        assert values(backend.requests[0], "X-Seen") == ["%s %d" % client.address]


def test_server_address_and_port(start):
    backend = start(Recorder())
    option = "httpSetHeader = X-Seen: %{server_ip}:%{server_port}"
    config = service(backend.port, option, accept=f"0.0.0.0:{free_port()}")
    stunnel = start(Stunnel(config))
    with TlsClient(("127.0.0.3", stunnel.port)) as client:
        client.get("/")
    assert values(backend.requests[0], "X-Seen") == [f"127.0.0.3:{stunnel.port}"]


def test_ipv6_addresses(start):
    backend = start(Recorder())
    option = "httpSetHeader = X-Seen: [%{client_ip}]:%{client_port} [%{server_ip}]:%{server_port}"
    stunnel = start(Stunnel(service(backend.port, option, accept=f"::1:{free_port()}")))
    with TlsClient(("::1", stunnel.port)) as client:
        client.get("/")
        port = client.address[1]
    assert values(backend.requests[0], "X-Seen") == [f"[::1]:{port} [::1]:{stunnel.port}"]


@pytest.mark.parametrize("name", ["localhost", "a.example.test"])
def test_sni(start, name):
    assert template(start, "<%{sni}>", sni=name) == [f"<{name}>"]


@pytest.mark.parametrize(
    "name, seen",
    [
        ('a"; role="admin', "a%22%3B%20role%3D%22admin"),
        ("a\\", "a%5C"),
        ("a, b", "a%2C%20b"),
        ("100%41", "100%2541"),
        ("[2001:db8::1]", "%5B2001%3Adb8%3A%3A1%5D"),
        ("under_score.EXAMPLE-1.test", "under_score.EXAMPLE-1.test"),
    ],
)
def test_server_name_is_a_host_name_whatever_the_client_sent(start, name, seen):
    context = client_context(verify=False)
    text = '"%{sni}"; port=443, by=%{sni}'
    assert template(start, text, sni=name, context=context) == [f'"{seen}"; port=443, by={seen}']


def test_no_sni(start):
    context = client_context(verify=False)
    assert template(start, "<%{sni}>", sni=None, context=context) == ["<>"]


@daemon_only
def test_alpn(start):
    context = client_context(alpn=["http/1.1"])
    assert template(start, "<%{alpn}>", context=context) == ["<http/1.1>"]


def test_no_alpn(start):
    assert template(start, "<%{alpn}>") == ["<>"]


@pytest.mark.parametrize(
    "version, text",
    [(ssl.TLSVersion.TLSv1_2, "TLSv1.2"), (ssl.TLSVersion.TLSv1_3, "TLSv1.3")],
)
def test_tls_version(start, version, text):
    assert template(start, "%{tls_version}", context=client_context(version=version)) == [text]


def test_tls_cipher(start):
    backend = start(Recorder())
    stunnel = start(Stunnel(service(backend.port, "httpSetHeader = X-Seen: %{tls_cipher}")))
    with TlsClient(stunnel.port) as client:
        client.get("/")
        assert values(backend.requests[0], "X-Seen") == [client.tls.cipher()[0]]


@takes_sessions
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_session_reused(start, version):
    backend = start(Recorder())
    stunnel = start(Stunnel(service(backend.port, "httpSetHeader = X-Seen: %{session_reused}")))
    context = client_context(version=version)
    session = None
    for _ in range(2):
        with TlsClient(stunnel.port, context=context, session=session) as client:
            client.get("/")
            session = client.session
    assert [values(request, "X-Seen") for request in backend.requests] == [["0"], ["1"]]
