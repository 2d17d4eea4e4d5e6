# SPDX-License-Identifier: ISC
"""sni = PRIMARY:PATTERN: certificate, backend and rules follow the name that is asked for."""

import pytest

from certs import certificates
from peers import Stunnel, daemon_only, free_port, service, stock_since, takes_any_name
from recorder import Recorder
from tls_client import TlsClient, client_context

takes_patterns = stock_since(4, 55, "takes a pattern for a name")


@pytest.fixture
def front(start):
    """A primary and two secondary services, and the backend of each."""
    backends = {name: start(Recorder()) for name in ("primary", "wild", "other")}
    own = f"cert = {certificates().other_cert}\nkey = {certificates().other_key}\n"
    config = service(backends["primary"].port, "httpSetHeader = X-By: primary", name="primary")
    for name, pattern, extra in (("wild", "*.example.test", ""), ("other", "other.test", own)):
        config += (
            f"[{name}]\nsni = primary:{pattern}\n{extra}"
            f"connect = 127.0.0.1:{backends[name].port}\nhttpSetHeader = X-By: {name}\n"
        )
    return start(Stunnel(config)), backends


@pytest.mark.parametrize(
    "name, expected",
    [
        pytest.param("localhost", "primary", marks=takes_any_name),
        pytest.param("a.example.test", "wild", marks=takes_patterns),
        pytest.param("a.b.EXAMPLE.test", "wild", marks=takes_patterns),
        pytest.param("example.test", "primary", marks=takes_any_name),
        ("other.test", "other"),
        ("OTHER.TEST", "other"),
        pytest.param("x.other.test", "primary", marks=takes_any_name),
        (None, "primary"),
    ],
)
def test_switch(front, name, expected):
    stunnel, backends = front
    with TlsClient(stunnel.port, sni=name, context=client_context(verify=False)) as client:
        client.get("/1")
        client.get("/2")
        subject = client.tls.getpeercert(binary_form=True)
    for service_name, backend in backends.items():
        seen = [f"X-By: {expected}" in request for request in backend.requests]
        assert seen == ([True, True] if service_name == expected else [])
    assert (b"other" in subject) == (expected == "other")


@takes_any_name
def test_log_names_the_service(front):
    stunnel, _ = front
    context = client_context(verify=False)
    for name in ("other.test", "unknown.test", None):
        with TlsClient(stunnel.port, sni=name, context=context) as client:
            client.get("/")
    stunnel.wait_log("SNI: switched to service [other]")
    stunnel.wait_log("SNI: no pattern matched servername: unknown.test")
    stunnel.wait_log("SNI: no servername received")


@daemon_only
def test_the_first_of_many_names_in_the_file_counts(start):
    """Whole names are found by text, patterns one after the other, and their order is the file's."""
    backend = start(Recorder())
    patterns = [
        "early.example.test",
        "Twice.example.test",
        *(f"name{n}.example.test" for n in range(300)),
        "*.example.test",
        "late.example.test",
        "*",
        "twice.example.test",
        "other.test",
    ]
    config = "debug = notice\n" + service(backend.port, name="primary")
    for n, pattern in enumerate(patterns):
        config += f"[{n}]\nsni = primary:{pattern}\nconnect = 127.0.0.1:{backend.port}\n"
    stunnel = start(Stunnel(config))
    for name, first in {
        "EARLY.example.test": 0,
        "twice.example.test": 1,
        "name0.example.test": 2,
        "name299.example.test": 301,
        "name300.example.test": 302,
        "late.example.test": 302,
        "other.test": 304,
    }.items():
        before = len(stunnel.log_lines("SNI: switched"))
        with TlsClient(stunnel.port, sni=name, context=client_context(verify=False)) as client:
            client.get("/")
        stunnel.wait_log("SNI: switched", before + 1)
        assert stunnel.log_lines("SNI: switched")[-1] == f"SNI: switched to service [{first}]"


def test_secondary_without_backend_of_its_own_is_refused(start):
    """It takes one endpoint from sni, and needs another."""
    config = service(free_port(), name="primary") + "[second]\nsni = primary:a.test\n"
    stunnel = Stunnel(config)
    with pytest.raises(AssertionError, match="Each service must define two endpoints"):
        start(stunnel)
