# SPDX-License-Identifier: ISC
"""X-Forwarded-For is believed from listed proxies, and request ids are unique."""

import re

import pytest

from peers import Stunnel, service
from recorder import Recorder
from tls_client import TlsClient

FORGED = ("X-Forwarded-For: 203.0.113.1", "X-Forwarded-For: 203.0.113.2")


def seen(start, trusted, source, to=None):
    backend = start(Recorder())
    options = [f"trustedProxy = {each}" for each in trusted]
    stunnel = start(Stunnel(service(backend.port, "xForwardedFor = trusted", *options)))
    with TlsClient(stunnel.port, source=source) as client:
        client.get("/", headers=FORGED)
    lines = backend.connections[0].requests()[0]
    return [line for line in lines if line.lower().startswith("x-forwarded-for")]


@pytest.mark.parametrize(
    "trusted",
    [
        ["127.0.0.5"],
        ["127.0.0.0/8"],
        ["192.0.2.0/24, 127.0.0.4/31"],
        ["::1", "::ffff:127.0.0.0/104"],
    ],
)
def test_chain_from_a_listed_proxy(start, trusted):
    assert seen(start, trusted, "127.0.0.5") == [
        "X-Forwarded-For: 203.0.113.1, 203.0.113.2, 127.0.0.5"
    ]


@pytest.mark.parametrize(
    "trusted", [[], ["127.0.0.4"], ["127.0.0.6/31, 10.0.0.0/8"], ["::/0"], ["::ffff:127.0.0.6"]]
)
def test_replaced_from_anybody_else(start, trusted):
    assert seen(start, trusted, "127.0.0.5") == ["X-Forwarded-For: 127.0.0.5"]


def test_request_ids_are_unique(start):
    """Over requests, connections, workers, reloads and restarts; the client's own goes."""
    backend = start(Recorder())
    config = "workers = 3\n" + service(backend.port, "requestId = yes")
    for _ in range(2):
        stunnel = start(Stunnel(config))
        for _ in range(2):
            for _ in range(10):
                with TlsClient(stunnel.port) as client:
                    client.get("/", headers=("X-Request-ID: mine",))
                    client.get("/", headers=("x_request_id: mine",))
            stunnel.reload()
        stunnel.stop()
    ids = [
        line
        for connection in backend.connections
        for request in connection.requests()
        for line in request
        if re.match("x.request.id", line, re.I)
    ]
    assert len(ids) == len(set(ids)) == 80
    assert all(re.fullmatch("X-Request-ID: [0-9a-f]{16}-[0-9a-f]+-[12]", line) for line in ids)
