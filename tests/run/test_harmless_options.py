# SPDX-License-Identifier: ISC
"""What stock stunnel has and what cannot matter here is taken, served with, and told in the log."""

import re
import ssl

import pytest

from peers import Stunnel, daemon_only, service
from recorder import Recorder
from tls_client import TlsClient, client_context

pytestmark = daemon_only

# Of the whole program: they stand before the sections.
GLOBAL = [
    "RNDfile = /dev/urandom",
    "RNDbytes = 64",
    "RNDoverwrite = no",
    "RNDoverwrite = yes",
    "EGD = /run/egd-pool",
    "compression = zlib",
    "compression = deflate",
    "compression = rle",
]
IDLE = ["stack = 65536", "listenqueue = 0", "ListenQueue = 1024"]

ANYWAY = [
    "transparent = no",
    "transparent = none",
    "OCSPaia = no",
    "client = no",
    "options = NO_TLSv1.1",
    "options = -NO_TLSv1.2",
    "session = 86400",
    "ciphers = ECDHE-RSA-AES256-SHA384:RC4:HIGH:!MD5:!aNULL",
]
GLOBAL_ANYWAY = ["engine = auto", "fips = no"]


def answered(start, line, *, default):
    """Serves with the line, as a default or in a section; the daemon."""
    backend = start(Recorder())
    before, inside = (f"{line}\n", []) if default else ("", [line])
    stunnel = start(Stunnel(before + service(backend.port, *inside)))
    with TlsClient(stunnel.port) as client:
        assert client.get("/").status == 200
    return stunnel


@pytest.mark.parametrize(
    ("line", "default"),
    [(line, True) for line in [*GLOBAL, *IDLE]] + [(line, False) for line in IDLE],
)
def test_an_option_without_effect_is_taken_and_told(start, line, default):
    stunnel = answered(start, line, default=default)
    told = stunnel.log_lines(f'"{line}": It has no effect here: ')
    assert len(told) == 1
    assert not [text for text in stunnel.log_text().splitlines() if " LOG4[" in text]


@pytest.mark.parametrize("line", [*GLOBAL_ANYWAY, *ANYWAY])
def test_a_value_that_asks_for_what_happens_anyway_is_taken(start, line):
    answered(start, line, default=True)
    if line in ANYWAY:
        answered(start, line, default=False)


@pytest.mark.parametrize("line", ["service = web", "setuid = root", "setgid = root"])
def test_what_a_section_cannot_say_is_a_warning(start, line):
    """As in stock it changes nothing there; but who wrote it believes that it does."""
    stunnel = answered(start, line, default=False)
    assert re.search(rf' LOG4\[.*"{line}": .*It has no effect here: ', stunnel.log_text())


VERSIONS = pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])


@VERSIONS
@pytest.mark.parametrize(
    "line, seconds",
    [
        ("", 300),
        ("session = 86400", 86400),
        ("session = 0", 7200),
        ("sessionCacheTimeout = 0", 7200),
    ],
)
def test_a_session_lasts_as_long_as_the_configuration_says(start, front, version, line, seconds):
    """The server tells the client so in the ticket (RFC 5077 3.3, RFC 8446 4.6.1)."""
    backend = start(Recorder())
    stunnel = front(backend, line)
    with TlsClient(stunnel.port, context=client_context(version=version)) as client:
        client.get("/")
        assert client.session.ticket_lifetime_hint == seconds


@VERSIONS
@pytest.mark.parametrize("said, seconds", [(86400, 86400), (0, 7200)])
def test_a_session_lasts_as_the_section_of_its_server_name_says(start, version, said, seconds):
    """Not as the one that accepted. As in stock, 0 is OpenSSL's default."""
    backend = start(Recorder())
    named = service(backend.port, f"session = {said}", "sni = web:*.test", name="named")
    named = named.replace(named.splitlines()[1] + "\n", "")  # its accept
    stunnel = start(Stunnel(service(backend.port, "session = 600") + named))
    context = client_context(version=version)
    lives = []
    for sni in ("localhost", "other.test"):
        context.check_hostname = False
        with TlsClient(stunnel.port, sni=sni, context=context) as client:
            client.get("/")
            lives.append(client.session.ticket_lifetime_hint)
    assert lives == [600, seconds]


@VERSIONS
def test_sessions_are_not_resumed_where_they_must_not(start, front, version):
    backend = start(Recorder())
    stunnel = front(backend, "sessionResume = no")
    context = client_context(version=version)
    with TlsClient(stunnel.port, context=context) as client:
        client.get("/")
        session = client.session
    for _ in range(2):
        with TlsClient(stunnel.port, context=context, session=session) as client:
            client.get("/")
            assert not client.tls.session_reused


def test_names_are_looked_up_for_connections_with_delay(start):
    """What cannot be resolved at the load is then no matter for it."""
    backend = start(Recorder())
    bad = service("no.such.host.invalid:80", "delay = yes", "xForwardedFor = yes", name="bad")
    good = service(f"localhost:{backend.port}", "delay = yes", name="good")
    stunnel = start(Stunnel(good + bad))
    good, bad = [int(endpoint.rsplit(":")[-1]) for endpoint in stunnel.endpoints()]
    assert not stunnel.log_lines("delaying DNS lookup")
    with TlsClient(good) as client:
        assert client.get("/").status == 200
    with TlsClient(bad) as client:
        assert client.get("/").status == 503
