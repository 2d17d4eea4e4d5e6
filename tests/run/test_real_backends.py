# SPDX-License-Identifier: ISC
"""Application servers and the proxies in front of them: none of a client's requests is lost."""

import subprocess

import pytest

import apps
from certs import certificates
from peers import daemon_only
from tls_client import TlsClient

ADDRESS = "127.0.0.7"
REQUESTS = 1000
PATH = "/app.jsp?%s"
pytestmark = daemon_only


@pytest.fixture(params=apps.NAMES)
def stunnel(request, start, front):
    """In front of each of the servers."""
    if not apps.installed(request.param):
        pytest.skip(f"there is no {request.param} here")
    return front(apps.start_app(start, request.param), "xForwardedFor = replace")


def ask_a_thousand_times(stunnel):
    with TlsClient(stunnel.port, source=ADDRESS) as client:
        for n in range(REQUESTS):
            response = client.get(PATH % n)
            assert response.status == 200
            assert response.body.decode() == f"{PATH % n} {ADDRESS}"
    assert len(stunnel.log_lines("accepted connection")) == 1


def half_closing(port):
    """Clients that end their side behind their input and wait for the answer."""
    ca = str(certificates().ca)
    return {
        "gnutls-cli": ["gnutls-cli", "--x509cafile", ca, "-p", str(port), "localhost"],
        "socat": ["socat", "-t", "30", "-", f"OPENSSL:localhost:{port},cafile={ca}"],
        "ncat": ["ncat", "--ssl", "localhost", str(port)],
        "s_client": ["openssl", "s_client", "-quiet", "-connect", f"localhost:{port}"],
    }


def ask_and_end(stunnel):
    """All at once; the answer is late."""
    request = f"GET {PATH % 'late'} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    clients = {n: subprocess.Popen(c, **pipes) for n, c in half_closing(stunnel.port).items()}
    for client in clients.values():
        client.stdin.write(request.encode())
        client.stdin.close()
        client.stdin = None
    answers = {name: client.communicate(timeout=30)[0] for name, client in clients.items()}
    for name, answer in answers.items():
        assert f"{PATH % 'late'} 127.0.0.1".encode() in answer, name


def test_no_request_is_lost(stunnel):
    ask_a_thousand_times(stunnel)
    ask_and_end(stunnel)
