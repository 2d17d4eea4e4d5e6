# SPDX-License-Identifier: ISC
"""Names of backends that the load could not resolve: looked up again, and nobody else waits."""

import shutil

import pytest

from names import SILENT, NameServer, needs_names, stunnel_with_names
from peers import Stunnel, daemon_only, free_port, service, wait_for
from recorder import OK, Recorder
from tls_client import TlsClient

pytestmark = [daemon_only, needs_names]

HTTP = "xForwardedFor = yes"
HEAD = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


def ports(stunnel):
    return [int(endpoint.rsplit(":", 1)[-1]) for endpoint in stunnel.endpoints()]


def answer_and_close(connection):
    """A backend without keep-alive: says who it is, and ends."""
    if connection.take_request() is not None:
        name = connection.sock.getsockname()[0].encode()
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(name), name))


# ---- the load -----------------------------------------------------------------------------------


def test_a_failed_lookup_is_not_repeated_at_once(start):
    """A silent name server: asked once more, it would take the same time again."""
    names = start(NameServer(backend_test=SILENT))
    names.patience(1)
    stunnel = start(stunnel_with_names(names, service(f"backend.test:{free_port()}", HTTP)))
    stunnel.wait_log("Configuration successful")
    assert names.asked("backend.test") == 1


NETWORKS = {
    "no interface": "true",
    "loopback": "ip link set lo up",
    "IPv4 only": "ip link set lo up && ip address add 192.0.2.1/24 dev lo",
}


@pytest.mark.skipif(shutil.which("ip") is None, reason="there is no ip(8) here")
@pytest.mark.parametrize("network", NETWORKS)
def test_what_is_known_here_needs_no_configured_address(start, network):
    """localhost, and addresses in figures, of a family that no interface has an address of."""
    targets = ["127.0.0.1", "::1", "localhost", "six.test"]
    names = start(NameServer())
    with open(names.folder / "hosts", "a", encoding="ascii") as hosts:
        hosts.write("::1 six.test\n")
    config = "".join(
        service(f"{target}:80", name=target, accept=f"{{folder}}/{n}")
        for n, target in enumerate(targets)
    )
    stunnel = stunnel_with_names(names, config)
    stunnel.wrapper = ["unshare", "-n", "sh", "-c", f'{NETWORKS[network]} && exec "$@"', "sh"] + (
        stunnel.wrapper
    )
    start(stunnel)
    stunnel.wait_log("Configuration successful")
    assert stunnel.log_lines("Cannot resolve") == []
