# SPDX-License-Identifier: ISC
"""Programs that read stunnel's log make of ours what they make of stock's: logwatch and fail2ban."""

import contextlib
import os
import re
import shutil
import socket
import ssl
import subprocess
from pathlib import Path

import pytest

from peers import DEADLINE, beside_stock, free_port
from recorder import Recorder
from tls_client import TlsClient, client_context

pytestmark = beside_stock

LOGWATCH = Path("/usr/share/logwatch/scripts/services/stunnel")
FILTER = Path("/etc/fail2ban/filter.d/stunnel.conf")
# As sites write it for a jail of their own, since Debian's filter is for a stunnel of long ago.
OWN_FILTER = r"LOG5\[\S+\]: Service \[\S+\] accepted connection from <HOST>:\d+$"


def handshake_fails(port, send):
    """A client that is not let in."""
    with socket.create_connection(("127.0.0.1", port), DEADLINE) as sock:
        send(sock)


def old_client(sock):
    context = client_context(version=ssl.TLSVersion.TLSv1_3, verify=False)
    context.set_alpn_protocols(["http/1.1"])
    with pytest.raises(ssl.SSLError):
        context.wrap_socket(sock, server_hostname="localhost").recv(1)


def plain_client(sock):
    sock.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    with contextlib.suppress(ConnectionResetError):
        while sock.recv(1000):
            pass


@pytest.fixture
def logs(start, both):
    """What stock and ours log of the same clients, from the start to the end."""
    backend, gone = start(Recorder()), free_port()
    found = []
    for port, options in (backend.port, []), (gone, []), (backend.port, ["sslVersionMax = TLSv1.2"]):
        texts = []
        for daemon in both(port, *options):
            with TlsClient(daemon.port) as client:
                if port == gone:
                    client.closed_by_peer()
                else:
                    client.get()
            handshake_fails(daemon.port, plain_client)
            if options:
                handshake_fails(daemon.port, old_client)
            daemon.wait_ended(3 if options else 2)
            daemon.stop()
            texts.append(daemon.log_text())
        found.append(texts)
    return ["".join(texts) for texts in zip(*found)]


@pytest.mark.skipif(not LOGWATCH.exists(), reason="logwatch is not there")
def test_logwatch(logs):
    """Its report, but for lines that it does not know, of stock's as of ours."""

    def report(log):
        lines = re.sub(r"^\S+ \S+ (?=LOG)", "", log, flags=re.M)
        # Stock of 5.74 and later, as ours, names OpenSSL's function as well.
        lines = re.sub(r"(?<=SSL_accept: )\w+@", "", lines)
        environment = {**os.environ, "LOGWATCH_DETAIL_LEVEL": "5"}
        done = subprocess.run(
            ["perl", LOGWATCH],
            input=lines,
            check=True,
            capture_output=True,
            text=True,
            env=environment,
        )
        return done.stdout.split("\n**Unmatched Entries**")[0]

    stock, ours = map(report, logs)
    assert stock == ours
    assert "http request" in ours and "unsupported protocol" in ours
    assert re.search(r"^  \[web\]\n    127.0.0.1 +7 time\(s\)$", ours, re.M)
    assert "Service stopped 3 Time(s)" in ours


@pytest.mark.skipif(not shutil.which("fail2ban-regex"), reason="fail2ban is not there")
def test_fail2ban(logs, tmp_path):
    def matched(log, rule):
        (tmp_path / "log").write_text(log)
        done = subprocess.run(
            ["fail2ban-regex", tmp_path / "log", rule],
            check=False,
            capture_output=True,
            text=True,
            timeout=DEADLINE,
        )
        return int(re.search(r"^Lines: \d+ lines, \d+ ignored, (\d+) matched", done.stdout, re.M)[1])

    assert [matched(log, FILTER) for log in logs] == [0, 0]
    stock, ours = (matched(log, OWN_FILTER) for log in logs)
    assert stock == ours == 7
