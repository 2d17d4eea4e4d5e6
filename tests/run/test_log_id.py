# SPDX-License-Identifier: ISC
"""logId: what names a connection in the brackets of its lines, with Debian's stunnel beside ours."""

import re

import pytest

from peers import daemon_only
from recorder import Recorder
from tls_client import TlsClient

pytestmark = daemon_only


def ids_of(stunnel):
    """Of two connections, one after the other."""
    for _ in range(2):
        with TlsClient(stunnel.port) as client:
            assert client.recv() == b"hello"
    stunnel.wait_ended(2)
    return re.findall(r"LOG5\[(\w+)\]: Service \[web\] accepted", stunnel.log_text())


def hello(connection):
    connection.send(b"hello")


FORMS = {"sequential": r"\d+", "unique": r"[0-9A-Za-z]{22}", "process": r"\d+", "thread": r"\d+"}


@pytest.mark.parametrize("form", FORMS)
def test_a_connection_is_named_as_by_stock(start, both, form):
    both_of_them = both(start(Recorder(hello)), f"logId = {form}", settings="workers = 1\n")
    for stunnel in both_of_them:
        ids = ids_of(stunnel)
        assert len(ids) == 2
        assert all(re.fullmatch(FORMS[form], one) for one in ids)
        if form in ("sequential", "unique"):
            assert ids[0] != ids[1]
        if form == "sequential":
            assert ids == ["0", "1"]
        if form == "process":
            assert {int(one) for one in ids} <= set(stunnel.processes())


def test_all_lines_of_a_connection_have_its_id(start, front):
    """A client that ends before it has read the close_notify resets its connection."""
    stunnel = front(start(Recorder(hello)), "logId = unique")
    for one in ids_of(stunnel):
        of_it = re.findall(rf"LOG\d\[{one}\]: (.*)", stunnel.log_text())
        assert sum(line.startswith("TLS accepted") for line in of_it) == 1
        assert sum(line.startswith(("Connection closed", "Connection reset")) for line in of_it) == 1
