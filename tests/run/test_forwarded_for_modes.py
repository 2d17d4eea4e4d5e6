# SPDX-License-Identifier: ISC
"""xForwardedFor = yes|append|chain|replace|no, with honest clients and with lying ones."""

import pytest

from peers import Stunnel, free_port, service
from recorder import Recorder
from tls_client import TlsClient

CLIENT = "127.0.0.5"
HONEST = []
ONE_LINE = ["X-Forwarded-For: 203.0.113.66"]
LISTS = ["x-forwarded-for: 203.0.113.1, 203.0.113.2", "X-FORWARDED-FOR:203.0.113.3", "Via: x"]
ALIASES = ["X_Forwarded-For: 203.0.113.1", "X.Forwarded.For: 203.0.113.2", "XForwardedFor: x"]
EMPTY = ["X-Forwarded-For:"]


def forwarded(request):
    """The lines of a request that a lax backend could take for X-Forwarded-For."""

    def folded(line):
        return "".join(c for c in line.split(":")[0].lower() if c.isalnum())

    return [line for line in request if folded(line) == "xforwardedfor"]


@pytest.mark.parametrize(
    "mode, sent, expected",
    [
        ("yes", HONEST, [f"X-Forwarded-For: {CLIENT}"]),
        ("yes", ONE_LINE, [*ONE_LINE, f"X-Forwarded-For: {CLIENT}"]),
        ("append", HONEST, [f"X-Forwarded-For: {CLIENT}"]),
        (
            "append",
            LISTS,
            [
                "x-forwarded-for: 203.0.113.1, 203.0.113.2",
                "X-FORWARDED-FOR: 203.0.113.3",
                f"X-Forwarded-For: {CLIENT}",
            ],
        ),
        ("append", ALIASES, [f"X-Forwarded-For: {CLIENT}"]),
        ("chain", HONEST, [f"X-Forwarded-For: {CLIENT}"]),
        ("chain", ONE_LINE, [f"X-Forwarded-For: 203.0.113.66, {CLIENT}"]),
        ("chain", LISTS, [f"X-Forwarded-For: 203.0.113.1, 203.0.113.2, 203.0.113.3, {CLIENT}"]),
        ("chain", ALIASES, [f"X-Forwarded-For: {CLIENT}"]),
        ("chain", EMPTY, [f"X-Forwarded-For: {CLIENT}"]),
        ("replace", HONEST, [f"X-Forwarded-For: {CLIENT}"]),
        ("replace", ONE_LINE, [f"X-Forwarded-For: {CLIENT}"]),
        ("replace", LISTS, [f"X-Forwarded-For: {CLIENT}"]),
        ("replace", ALIASES, [f"X-Forwarded-For: {CLIENT}"]),
        ("no", HONEST, []),
        ("no", ONE_LINE, ONE_LINE),
        ("no", ALIASES, ALIASES),
    ],
)
def test_what_the_backend_sees(start, front, mode, sent, expected):
    """In the first request of a connection as in the ones that follow."""
    backend = start(Recorder())
    stunnel = front(backend, f"xForwardedFor = {mode}")
    with TlsClient(stunnel.port, source=CLIENT) as client:
        for n in range(3):
            assert client.get(f"/{n}", sent).status == 200
    assert len(backend.connections) == 1
    assert [request[0] for request in backend.requests] == [f"GET /{n} HTTP/1.1" for n in range(3)]
    assert [forwarded(request) for request in backend.requests] == [expected] * 3


def test_our_line_is_the_last_of_its_name_and_before_all_others(start, front):
    backend = start(Recorder())
    stunnel = front(backend, "xForwardedFor = yes")
    with TlsClient(stunnel.port, source=CLIENT) as client:
        client.get("/", ["Accept: x", "X-Forwarded-For: 203.0.113.66"])
    assert backend.requests == [
        [
            "GET / HTTP/1.1",
            "Host: localhost",
            "X-Forwarded-For: 203.0.113.66",
            f"X-Forwarded-For: {CLIENT}",
            "Accept: x",
        ]
    ]


def test_connection_option_does_not_remove_it(start, front):
    """RFC 9110 7.6.1 has the backend drop what Connection names."""
    backend = start(Recorder())
    stunnel = front(backend, "xForwardedFor = yes")
    with TlsClient(stunnel.port, source=CLIENT) as client:
        client.get("/", ["Connection: keep-alive, X-Forwarded-For"])
    assert "Connection: keep-alive" in backend.requests[0]
    assert f"X-Forwarded-For: {CLIENT}" in backend.requests[0]


def test_section_overrides_the_default(start):
    """The value before the first section holds for sections that do not set their own."""
    backend = start(Recorder())
    config = "xForwardedFor = replace\n"
    config += service(backend.port, name="one") + service(
        backend.port, "xForwardedFor = append", name="two"
    )
    stunnel = start(Stunnel(config))
    for endpoint in stunnel.endpoints():
        with TlsClient(int(endpoint.rsplit(":")[-1]), source=CLIENT) as client:
            client.get("/", ONE_LINE)
    assert [forwarded(request) for request in backend.requests] == [
        [f"X-Forwarded-For: {CLIENT}"],
        [*ONE_LINE, f"X-Forwarded-For: {CLIENT}"],
    ]


def test_ipv4_client_of_a_dual_stack_listener_has_its_ipv4_address(start):
    backend = start(Recorder())
    config = service(backend.port, "xForwardedFor = yes", accept=f":::{free_port()}")
    stunnel = start(Stunnel(config))
    with TlsClient(stunnel.port, source=CLIENT) as client:
        client.get("/")
    assert forwarded(backend.requests[0]) == [f"X-Forwarded-For: {CLIENT}"]


def test_ipv6_client(start):
    backend = start(Recorder())
    config = service(backend.port, "xForwardedFor = yes", accept=f"::1:{free_port()}")
    stunnel = start(Stunnel(config))
    with TlsClient(("::1", stunnel.port)) as client:
        client.get("/")
    assert forwarded(backend.requests[0]) == ["X-Forwarded-For: ::1"]
