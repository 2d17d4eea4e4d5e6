# SPDX-License-Identifier: ISC
"""traceContext: one traceparent in every request, and its id in the access log."""

import re

import pytest

from peers import wait_for
from recorder import Recorder
from tls_client import TlsClient

PARENT = re.compile(r"traceparent: 00-([0-9a-f]{32})-([0-9a-f]{16})-01")
ID, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
GOOD = f"00-{ID}-{SPAN}-01"
BAD = {
    "zero id": f"00-{'0' * 32}-{SPAN}-01",
    "zero parent": f"00-{ID}-{'0' * 16}-01",
    "upper case": GOOD.upper(),
    "no hex": GOOD.replace("4bf9", "4bg9"),
    "version ff": f"ff{GOOD[2:]}",
    "short": GOOD[:-1],
    "more behind version 00": f"{GOOD}-00",
    "no dash behind a later version": f"01{GOOD[2:]}.00",
    "a list": f"{GOOD}, {GOOD}",
    "empty": "",
}


def seen(backend, name="trace"):
    return [line for line in backend.requests[-1] if line.lower().startswith(name)]


def ask(front, *headers, source=None):
    with TlsClient(front.port, source=source) as client:
        assert client.get("/", headers=headers).status == 200


@pytest.fixture
def traced(start, front):
    backend = start(Recorder())
    return front(backend, "traceContext = yes"), backend


def test_each_request_without_one_begins_a_trace_of_its_own(traced):
    front, backend = traced
    ids, parents = set(), set()
    for _ in range(2):
        with TlsClient(front.port) as client:
            for _ in range(20):
                assert client.get("/", headers=["tracestate: a=1"]).status == 200
                (line,) = seen(backend)
                found = PARENT.fullmatch(line)
                assert found and int(found[1], 16) and int(found[2], 16), line
                ids.add(found[1])
                parents.add(found[2])
    assert (len(ids), len(parents)) == (40, 40)


@pytest.mark.parametrize("what", BAD)
def test_one_that_is_not_valid_is_none_and_neither_is_its_state(traced, what):
    front, backend = traced
    ask(front, f"traceparent: {BAD[what]}", "tracestate: a=1")
    (line,) = seen(backend)
    assert PARENT.fullmatch(line)[1] != ID


@pytest.mark.parametrize("other", [f"traceparent: {GOOD}", f"Trace_Parent: {GOOD}", "trace-parent: x"])
def test_two_are_none_also_under_a_name_that_only_some_take_for_it(traced, other):
    front, backend = traced
    for headers in ([f"traceparent: {GOOD}", other], [other, f"traceparent: {GOOD}"]):
        ask(front, *headers, "tracestate: a=1")
        (line,) = seen(backend)
        assert PARENT.fullmatch(line)[1] != ID


def test_one_under_another_name_is_none(traced):
    front, backend = traced
    ask(front, f"trace_parent: {GOOD}", "tracestate: a=1")
    (line,) = seen(backend)
    assert PARENT.fullmatch(line)[1] != ID


def test_the_access_log_tells_the_id(start, front):
    backend = start(Recorder())
    options = ["accessLog = {folder}/access", "accessLogFormat = %{request} %{trace_id}"]
    stunnel = front(backend, "traceContext = yes", *options)
    with TlsClient(stunnel.port) as client:
        client.get("/begun")
        begun = PARENT.fullmatch(seen(backend)[0])[1]
        client.get("/continued", headers=[f"traceparent: {GOOD}"])
        client.send(b"GET / HTTP/1.1\r\n\r\n")
        assert client.response().status == 400
    path = stunnel.folder / "access"
    lines = wait_for(
        lambda: path.exists() and len(path.read_text().splitlines()) == 3 and path.read_text(), "lines"
    ).splitlines()
    assert lines[:2] == [f"GET /begun HTTP/1.1 {begun}", f"GET /continued HTTP/1.1 {ID}"]
    assert re.fullmatch(r"GET / HTTP/1.1 [0-9a-f]{32}", lines[2])


def test_a_header_of_ones_own_may_have_the_id(start, front):
    backend = start(Recorder())
    ask(front(backend, "httpSetHeader = X-Trace: %{trace_id}"), f"traceparent: {GOOD}")
    assert seen(backend, "x-trace") == [f"X-Trace: {ID}"]


def test_with_trusted_only_traces_of_trusted_proxies_go_on(start, front):
    backend = start(Recorder())
    stunnel = front(backend, "traceContext = trusted", "trustedProxy = 127.0.0.5/32")
    headers = [f"traceparent: {GOOD}", "tracestate: a=1"]
    ask(stunnel, *headers, source="127.0.0.5")
    assert seen(backend) == headers
    ask(stunnel, *headers, source="127.0.0.6")
    (line,) = seen(backend)
    assert PARENT.fullmatch(line)[1] != ID
