# SPDX-License-Identifier: ISC
"""What alpn offers, and that a service with header options speaks HTTP/1.1 only."""

import ssl

import pytest

from peers import Stunnel, service, takes_any_name
from recorder import Recorder
from tls_client import TlsClient, client_context


@pytest.fixture
def front(start):
    def start_front(*options):
        backend = start(Recorder())
        return start(Stunnel(service(backend.port, *options)))

    return start_front


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
        (["xForwardedFor = yes"], ["http/1.0"], "http/1.0"),
        (["xForwardedFor = yes"], ["http/1.0", "http/1.1"], "http/1.1"),
        (["xForwardedFor = yes"], [], None),
        (["accessLog = {folder}/log"], ["h2", "http/1.1"], "http/1.1"),
        (["protocol = proxy", "proxyVersion = 2"], ["h2", "http/1.1"], None),
    ],
)
def test_alpn(front, options, offered, chosen):
    stunnel = front(*options)
    with TlsClient(stunnel.port, context=client_context(alpn=offered)) as client:
        assert client.tls.selected_alpn_protocol() == chosen
        assert client.get("/").status == 200


@pytest.mark.parametrize("more", [[], ["alpn = h2, http/1.1"]], ids=["", "alpn"])
def test_client_that_speaks_only_h2_gets_no_h2(front, more):
    """A service with header options never negotiates what it cannot rewrite: RFC 7301 3.2."""
    stunnel = front("xForwardedFor = yes", *more)
    with pytest.raises(ssl.SSLError, match="(?i)no.application.protocol"):
        TlsClient(stunnel.port, context=client_context(alpn=["h2"]))


@takes_any_name
def test_a_server_name_chooses_what_is_offered(start):
    backend = start(Recorder())
    blind = service(backend.port, name="blind")
    http = f"[http]\nsni = blind:h.test\nconnect = 127.0.0.1:{backend.port}\nxRealIP = yes\n"
    stunnel = start(Stunnel(blind + http))
    for sni, chosen in [("h.test", "http/1.1"), ("b.test", None)]:
        context = client_context(verify=False, alpn=["h2", "http/1.1"])
        with TlsClient(stunnel.port, sni=sni, context=context) as client:
            assert client.tls.selected_alpn_protocol() == chosen
            assert client.get("/").status == 200
