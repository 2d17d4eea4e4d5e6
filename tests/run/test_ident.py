# SPDX-License-Identifier: ISC
"""ident: the client's host is asked who the client is (RFC 1413), with Debian's stunnel beside ours."""

import contextlib
import re
import socket

import pytest

from peers import Stunnel, as_root, daemon_only, service
from recorder import Recorder
from tls_client import TlsClient, client_context

pytestmark = [daemon_only, as_root]


class Identd(Recorder):
    """Answers with `text`, where {ports} stands for the query; port 113 of the loopback."""

    def __init__(self, text):
        self.text = text
        super().__init__(self.answer, port=113)

    def answer(self, connection):
        query = connection.take_until(b"\r\n").decode().strip()
        for piece in self.text.replace("{ports}", query).split("|"):
            connection.send(piece.encode())


def hello(connection):
    connection.send(b"hello")
    connection.sock.recv(1)


def greeted(stunnel):
    """Whether a client is let in; how it ended is the daemon's to say."""
    with contextlib.suppress(OSError), TlsClient(stunnel.port) as client:
        return client.recv() == b"hello"
    return False


def refused(stunnel):
    lines = stunnel.wait_log("REFUSED by IDENT")
    return [re.sub(r"127.0.0.1:\d+", "ADDR", line) for line in lines]


GOOD = [
    "{ports} : USERID : UNIX : me\r\n",
    "{ports}:userid:OTHER:me\n",
    "{ports} : USERID : UNIX , utf-8 :  |me\r\n",
]
BAD = ["{ports} : USERID : UNIX : you\r\n", "{ports} : USERID : UNIX : me too\r\n"]
FAULTY = {
    "{ports} : ERROR : NO-USER\r\n": "Incorrect IDENT response type",
    "nonsense\r\n": "Malformed IDENT response",
    "{ports} : USERID : me\r\n": "Malformed IDENT response",
    "{ports} : USERID : UNIX : me": "Malformed IDENT response",
    "": "Malformed IDENT response",
    "x" * 600: "Malformed IDENT response",
}


def test_who_is_the_user_is_let_in_as_by_stock(start, both):
    identd = start(Identd(GOOD[0]))
    stock, ours = both(start(Recorder(hello)), "ident = me")
    for stunnel in (stock, ours):
        assert greeted(stunnel)
        assert stunnel.log_lines("IDENT authentication passed")
    queries = [connection.data for connection in identd.connections]
    assert len(queries) == 2
    for query, stunnel in zip(queries, (stock, ours)):
        assert re.fullmatch(rb"\d+ ?, ?%d\r\n" % stunnel.port, query)


@pytest.mark.parametrize("answer", GOOD)
def test_each_spelling_of_an_answer_is_understood(start, front, answer):
    start(Identd(answer))
    assert greeted(front(start(Recorder(hello)), "ident = me"))


@pytest.mark.parametrize("answer", BAD)
def test_another_user_is_refused_as_by_stock(start, both, answer):
    start(Identd(answer))
    backend = start(Recorder(hello))
    stock, ours = both(backend, "ident = me")
    assert not greeted(stock)
    assert not greeted(ours)
    assert refused(ours) == refused(stock)
    assert backend.connections == []


@pytest.mark.parametrize("answer", FAULTY)
def test_what_is_no_answer_lets_nobody_in(start, front, answer):
    start(Identd(answer))
    stunnel = front(start(Recorder(hello)), "ident = me")
    assert not greeted(stunnel)
    stunnel.wait_log(FAULTY[answer])


def test_without_a_service_at_the_client_nobody_is_let_in(start, front):
    stunnel = front(start(Recorder(hello)), "ident = me")
    assert not greeted(stunnel)
    stunnel.wait_log("Connection refused")
    stunnel.wait_log("REFUSED by IDENT")


def test_a_service_that_is_silent_is_not_waited_for_for_ever(start, front):
    start(Recorder(lambda connection: connection.sock.recv(100) and connection.sock.recv(1), port=113))
    stunnel = front(start(Recorder(hello)), "ident = me", "TIMEOUTbusy = 1")
    assert not greeted(stunnel)
    stunnel.wait_log("TIMEOUTbusy exceeded")


def test_a_client_of_a_unix_socket_is_refused(start, tmp_path):
    path = str(tmp_path / "sock")
    stunnel = start(Stunnel(service(start(Recorder(hello)).port, "ident = me", accept=path)))
    with socket.socket(socket.AF_UNIX) as sock, pytest.raises(OSError):
        sock.connect(path)
        client_context().wrap_socket(sock, server_hostname="localhost")
    stunnel.wait_log("IDENT not supported on Unix sockets")


def test_a_section_that_a_name_leads_to_asks_nobody():
    config = service(1) + "[two]\nconnect = 1\nsni = web:a.test\nident = me\n"
    with pytest.raises(AssertionError, match=r"ident is for the section that accepts, \[web\]"):
        Stunnel(config).__enter__()
