# SPDX-License-Identifier: ISC
"""Debian's stock stunnel and the daemon with the same file: what their peers and logs tell."""

import re
import ssl

import pytest

from recorder import Recorder
from tls_client import TlsClient, client_context

# What both log of one connection, with the numbers and ports taken out.
TOKENS = re.compile(
    r"Service \[\w+\] accepted connection from|TLS accepted: [\w ]+|TLSv1\.\d ciphersuite: \w+"
    r"|s_connect: connect(?:ing|ed)|Service \[\w+\] connected remote server from"
    r"|Connection \w+: \d+ byte\(s\) sent to TLS, \d+ byte\(s\) sent to socket"
)


def tokens(daemon):
    daemon.wait_ended(1)
    return TOKENS.findall(daemon.log_text())


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_connection_of_a_server(start, both, version):
    backend = start(Recorder())
    daemons = both(backend)
    for daemon in daemons:
        with TlsClient(daemon.port, context=client_context(version=version)) as client:
            assert client.get("/").body == b"ok"
    stock, ours = map(tokens, daemons)
    assert stock == ours
