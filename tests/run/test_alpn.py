# SPDX-License-Identifier: ISC
"""What alpn offers, and that a service with header options speaks HTTP/1.1 only."""

import ssl

import pytest

from peers import Stunnel, daemon_only, service
from recorder import Recorder
from tls_client import TlsClient, client_context


@pytest.fixture
def front(start):
    def start_front(*options):
        backend = start(Recorder())
        return start(Stunnel(service(backend.port, *options)))

    return start_front


@daemon_only
@pytest.mark.parametrize(
    "options, offered, chosen",
    [
        (["alpn = h2, http/1.1"], ["h2", "http/1.1"], "h2"),
        (["alpn = h2, http/1.1"], ["http/1.1"], "http/1.1"),
        (["alpn = http/1.1"], ["h2", "http/1.1"], "http/1.1"),
        (["alpn = http/1.1"], [], None),
        ([], ["h2", "http/1.1"], None),
        (["xForwardedFor = yes"], ["h2", "http/1.1"], "http/1.1"),
        (["httpDelHeader = X"], ["http/1.1", "h2"], "http/1.1"),
        (["xForwardedFor = yes", "alpn = h2, http/1.1"], ["h2", "http/1.1"], "http/1.1"),
        (["xForwardedFor = yes"], [], None),
    ],
)
def test_alpn(front, options, offered, chosen):
    stunnel = front(*options)
    with TlsClient(stunnel.port, context=client_context(alpn=offered)) as client:
        assert client.tls.selected_alpn_protocol() == chosen
        assert client.get("/").status == 200


def test_client_that_speaks_only_h2_gets_no_h2(front):
    """A service with header options never negotiates what it cannot rewrite."""
    stunnel = front("xForwardedFor = yes", "alpn = h2, http/1.1")
    try:
        with TlsClient(stunnel.port, context=client_context(alpn=["h2"])) as client:
            assert client.tls.selected_alpn_protocol() != "h2"
    except (ssl.SSLError, ConnectionError):
        pass  # RFC 7301 3.2: no_application_protocol
