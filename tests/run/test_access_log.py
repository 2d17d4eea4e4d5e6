# SPDX-License-Identifier: ISC
"""accessLog: one line a request, that nothing a client sends can forge or break."""

import json
import os
import re
import signal
import subprocess
import threading

import pytest

from peers import (
    PATCHED,
    Nginx,
    Stunnel,
    daemon_only,
    free_port,
    service,
    stock_before,
    takes_sessions,
    wait_for,
)
from recorder import OK, Recorder, answer_each, read_only
from tls_client import TlsClient, client_context, dial, read_to_end

LOG = "accessLog = {folder}/access"
JSON = "accessLogFormat = json"
COMBINED = re.compile(
    r'(?P<client>\S+) - - \[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\] "(?P<request>.*?)" '
    r'(?P<status>\d{3}) (?P<bytes>\d+) "(?P<referer>.*?)" "(?P<agent>.*?)" '
    r"(?P<first>\d+\.\d{6}) (?P<total>\d+\.\d{6}) (?P<version>TLSv1\.[23]) (?P<cipher>\S+) "
    r"(?P<sni>\S+) (?P<reused>[01]) (?P<id>[0-9a-f]{16}-[0-9a-f]+-[0-9a-f]+)"
)
UPGRADE = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
HEAD = b"GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Logged:
    """A daemon with an access log, and a backend."""

    def __init__(self, start, *options, serve=None, backend=None, globals_=""):
        self.backend = backend or start(Recorder(serve or answer_each()))
        text = service(self.backend.port, LOG, *options)
        self.stunnel = start(Stunnel(f"{globals_}\n{text}"))
        self.path = self.stunnel.folder / "access"
        self.hurry = True

    def client(self, **options):
        return TlsClient(self.stunnel.port, source="127.0.0.9", **options)

    def lines(self, count):
        """USR1 makes the daemon write at once what it would write within a second.

        Each worker writes what it gathered, so that lines of two connections are in any order.
        """

        def there():
            if self.path.exists() and self.path.read_text().count("\n") >= count:
                return True
            if self.hurry:
                self.stunnel.signal(signal.SIGUSR1)
            return False

        wait_for(there, f"{count} lines of the access log")
        lines = self.path.read_text().split("\n")
        assert lines.pop() == "" and len(lines) == count
        return lines

    def matches(self, count):
        found = [COMBINED.fullmatch(line) for line in self.lines(count)]
        assert all(found), self.lines(count)
        return found

    def records(self, count):
        return [json.loads(line) for line in self.lines(count)]


def start_json(start, *options, **more):
    return Logged(start, JSON, *options, **more)


# ---- what a line says -------------------------------------------------------------------------


def test_combined_is_the_default(start):
    logged = Logged(start, "xForwardedFor = yes", "requestId = yes")
    logged.hurry = False
    with logged.client() as client:
        client.get("/one", ["User-Agent: test/1.0", "Referer: https://example.test/"])
        client.get("/two")
    one, two = logged.matches(2)
    assert (one["client"], one["request"]) == ("127.0.0.9", "GET /one HTTP/1.1")
    assert (one["status"], one["bytes"]) == ("200", "2")
    assert (one["referer"], one["agent"]) == ("https://example.test/", "test/1.0")
    assert (two["request"], two["referer"], two["agent"]) == ("GET /two HTTP/1.1", "-", "-")
    assert (one["version"], one["sni"], one["reused"]) == ("TLSv1.3", "localhost", "0")
    assert 0 < float(one["first"]) <= float(one["total"])
    sent = [f"X-Request-ID: {line['id']}" for line in (one, two)]
    assert [id_ in request for id_, request in zip(sent, logged.backend.requests)] == [True, True]


def test_bytes_and_status_are_those_that_nginx_counted(start):
    nginx = start(Nginx(server="location /some { return 203 '0123456789'; }"))
    (nginx.root / "page").write_text("x" * 300000)
    logged = start_json(start, backend=nginx)
    with logged.client() as client:
        assert len(client.get("/page").body) == 300000
        client.get("/some")
        client.send(HEAD.replace(b"GET", b"HEAD") % b"/page")
        client.response("HEAD")
        client.get("/none")
    seen = [(record["status"], record["bytes"]) for record in logged.records(4)]
    assert seen[:3] == [(200, 300000), (203, 10), (200, 0)]
    assert seen[3][0] == 404 and seen[3][1] > 0


@takes_sessions
def test_a_resumed_session_and_no_server_name(start):
    logged = start_json(start)
    context = client_context()
    with logged.client(context=context) as first:
        first.get("/1")
        session = first.session
    with logged.client(context=context, session=session) as again:
        again.get("/2")
    found = {record["request"]: record["session_reused"] for record in logged.records(2)}
    assert found == {"GET /1 HTTP/1.1": 0, "GET /2 HTTP/1.1": 1}


def test_chunks_and_responses_until_close(start):
    answers = {
        b"/chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        b"/close": b"HTTP/1.1 200 OK\r\n\r\nto the end",
    }

    def serve(connection):
        for _ in answers:
            request = connection.take_request()
            connection.send(answers[request.split()[1]])

    logged = start_json(start, serve=serve)
    with logged.client() as client:
        client.get("/chunked")
        client.send(HEAD % b"/close")
        assert client.recv_all().endswith(b"to the end")
    assert [(r["status"], r["bytes"]) for r in logged.records(2)] == [(200, 13), (200, 10)]


def test_pipelined_requests_are_in_order(start):
    logged = start_json(start)
    with logged.client() as client:
        client.send(b"".join(HEAD % b"/%d" % n for n in range(50)))
        for _ in range(50):
            client.response()
    records = logged.records(50)
    assert [r["request"] for r in records] == [f"GET /{n} HTTP/1.1" for n in range(50)]
    assert len({r["request_id"] for r in records}) == 50


def test_interim_responses_are_no_answer(start):
    def serve(connection):
        connection.take_request()
        connection.send(b"HTTP/1.1 103 Early Hints\r\n\r\n" + OK)

    logged = start_json(start, serve=serve)
    with logged.client() as client:
        client.get("/")
    assert [record["status"] for record in logged.records(1)] == [200]


def test_a_tunnel_is_logged_at_its_end(start):
    def serve(connection):
        connection.take_request()
        connection.send(SWITCH + b"12345")
        read_only(connection)

    logged = start_json(start, serve=serve)
    with logged.client() as client:
        client.send(UPGRADE)
        client.read_until(b"12345")
    assert [(r["status"], r["bytes"]) for r in logged.records(1)] == [(101, 5)]


def test_it_makes_an_http_service_of_any(start):
    logged = start_json(start)
    with logged.client() as client:
        client.send(b"this is no HTTP\r\n\r\n")
        assert client.response().status == 400
    assert logged.records(1)[0]["request"] == "this is no HTTP"


# ---- answers of ours --------------------------------------------------------------------------


def refused(start, data, *options, **more):
    logged = start_json(start, *options, **more)
    with logged.client() as client:
        client.send(data)
        body = client.response().body
    record = logged.records(1)[0]
    assert record["bytes"] == len(body)
    return record["status"], record["request"]


def test_a_bad_request(start):
    data = b"GET /x HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"
    assert refused(start, data) == (400, "GET /x HTTP/1.1")


def test_a_bad_chunk(start):
    data = b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"
    assert refused(start, data, serve=read_only) == (400, "POST /x HTTP/1.1")


def test_a_slow_head(start):
    assert refused(start, b"GET /x HT", "TIMEOUTrequest = 1") == (408, "")


@daemon_only
def test_a_backend_that_is_not_there(start):
    class Nobody:
        port = free_port()

    assert refused(start, HEAD % b"/x", backend=Nobody) == (503, "GET /x HTTP/1.1")


def test_a_backend_that_does_not_answer(start):
    def serve(connection):
        connection.take_request()

    options = ["httpKeepAlive = client"]
    assert refused(start, HEAD % b"/x", *options, serve=serve) == (502, "GET /x HTTP/1.1")


def head(line, *fields):
    return "\r\n".join([line, "Host: a", "Connection: close", *fields, "", ""]).encode()


GET = head("GET /x HTTP/1.1")
ANSWER = b"HTTP/1.1 200 OK\r\n"
CHUNKED = ANSWER + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"
GOT = {  # the status, what is asked, what the backend sends before it closes
    "no host": (400, b"GET /x HTTP/1.1\r\n\r\n", b""),
    "no length": (411, head("POST /x HTTP/1.1", "Transfer-Encoding: chunked"), b""),
    "expectation": (417, head("GET /x HTTP/1.1", "Expect: more"), b""),
    "coding": (501, head("POST /x HTTP/1.1", "Transfer-Encoding: gzip, chunked"), b""),
    "refused answer": (502, GET, ANSWER + b"Content-Length: 5, 6\r\n\r\nhello"),
    "refused to head": (502, head("HEAD /x HTTP/1.1"), ANSWER + b"no colon\r\n\r\n"),
    "mended answer": (206, GET, b"HTTP/1.1 206\nContent-Length: 5\nContent-Length : 5\n\nhello"),
    "mended chunks": (200, GET, CHUNKED.replace(b"5", b"5 ") + b"0 \n\n"),
    "cut length": (200, GET, ANSWER + b"Content-Length: 9\r\n\r\nhello"),
    "cut chunk": (200, GET, CHUNKED + b"9\r\nhello"),
    "bad chunk": (200, GET, CHUNKED + b"five\r\n"),
}


@pytest.mark.parametrize("name", GOT)
def test_status_and_bytes_are_what_the_client_got(start, name):
    status, asked, sent = GOT[name]

    def serve(connection):
        connection.take_request()
        connection.send(sent)

    logged = start_json(start, "httpRequireLength = yes", serve=serve)
    with logged.client() as client:
        client.send(asked)
        answer, content = client.recv_all().split(b"\r\n\r\n", 1)
    assert answer.split()[1] == b"%d" % status
    record = logged.records(1)[0]
    assert (record["status"], record["bytes"]) == (status, len(content))


def test_a_request_without_tls(start):
    logged = start_json(start)
    with dial(logged.stunnel.port) as sock:
        sock.sendall(GET)
        answer, content = read_to_end(sock).split(b"\r\n\r\n", 1)
    assert answer.split()[1] == b"400"
    record = logged.records(1)[0]
    assert (record["status"], record["bytes"]) == (400, len(content))


@daemon_only
def test_a_request_that_the_client_may_repeat(start):
    """The backend ends where the second request comes: the client is closed, and gets no status."""

    def serve(connection):
        connection.take_request()
        connection.send(OK)
        connection.take_request()

    logged = Logged(start, serve=serve)
    with logged.client() as client:
        client.get("/1")
        client.send(b"POST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi")
        assert client.recv_all() == b""
        assert client.ended == "close_notify"
    seen = [(m["request"], m["status"], m["bytes"]) for m in logged.matches(2)]
    assert seen == [("GET /1 HTTP/1.1", "200", "2"), ("POST /2 HTTP/1.1", "000", "0")]


def test_a_bad_request_behind_good_ones(start):
    logged = start_json(start)
    with logged.client() as client:
        client.send(HEAD % b"/1" + HEAD % b"/2" + b"bad\r\n\r\n")
        client.recv_all()
    seen = [(record["request"], record["status"]) for record in logged.records(3)]
    assert seen == [("GET /1 HTTP/1.1", 200), ("GET /2 HTTP/1.1", 200), ("bad", 400)]


def test_what_is_never_answered(start):
    logged = start_json(start, "httpKeepAlive = both", serve=read_only)
    with logged.client() as client:
        client.send(HEAD % b"/1" + HEAD % b"/2")
        wait_for(lambda: any(b"/2" in c.data for c in logged.backend.connections), "the requests")
    seen = [(r["request"], r["status"], r["bytes"]) for r in logged.records(2)]
    assert seen == [("GET /1 HTTP/1.1", 0, 0), ("GET /2 HTTP/1.1", 0, 0)]


def test_in_combined_it_has_three_digits(start):
    logged = Logged(start, serve=read_only)
    with logged.client() as client:
        client.send(HEAD % b"/1")
        wait_for(lambda: logged.backend.connections, "the request")
    assert logged.matches(1)[0]["status"] == "000"


# ---- what a client tries ----------------------------------------------------------------------

HEADERS = b"User-Agent: VALUE\r\nReferer: VALUE\r\n\r\n"
HOSTILE = [
    b'"GET /admin HTTP/1.1" 200',
    b"\\",
    b'\\" 200 1 "-" "-',
    b"\xe2\x80\xa8\xc2\x85\xff\xfe",
    b"%0a%0d",
    b"\t tab",
    b'"}\\u000a{"status":1}',
]


@pytest.mark.parametrize("value", HOSTILE)
def test_combined_cannot_be_forged(start, value):
    logged = Logged(start)
    with logged.client() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n" + HEADERS.replace(b"VALUE", value))
        client.response()
    line = logged.lines(1)[0]
    assert line.isascii() and line.isprintable()
    quoted = re.findall(r'"((?:[^"\\]|\\.)*)"', line)
    plain = [re.sub(rb"\\x(..)|\\(.)", _unescape, text.encode()) for text in quoted]
    assert plain == [b"GET / HTTP/1.1", value.strip(), value.strip()]


def _unescape(match):
    return bytes.fromhex(match[1].decode()) if match[1] else match[2]


@pytest.mark.parametrize("value", HOSTILE)
def test_json_cannot_be_forged(start, value):
    logged = start_json(start)
    with logged.client() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: " + value + b"\r\n\r\n")
        client.response()
    record = logged.records(1)[0]
    assert record["status"] == 200
    assert record["user_agent"].encode("latin-1") == value.strip()


def test_a_bad_line_cannot_break_the_log(start):
    logged = Logged(start)
    with logged.client() as client:
        client.send(b'GET /"\x00\x1b[2J\x7f\n127.0.0.1 - - x')
        client.recv_all()
    assert logged.matches(1)[0]["request"] == 'GET /\\"\\x00\\x1B[2J\\x7F'


def test_what_is_too_long_is_cut(start):
    logged = start_json(start)
    with logged.client() as client:
        client.get("/" + 20000 * "x", [f"User-Agent: {2000 * 'y'}"])
    record = logged.records(1)[0]
    assert record["request"] == ("GET /" + 20000 * "x")[:2048]
    assert record["user_agent"] == 512 * "y"


# ---- formats ----------------------------------------------------------------------------------


def test_a_template_of_ones_own(start):
    logged = Logged(start, "accessLogFormat = %{client_ip}:%{client_port} %{status} 100%%")
    with logged.client() as client:
        client.get("/")
        address = client.address
    assert logged.lines(1) == [f"{address[0]}:{address[1]} 200 100%"]


@daemon_only
def test_which_of_two_targets_answered_and_for_whom(start):
    def answers(name):
        return answer_each(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n" + name)

    one, two = start(Recorder(answers(b"1"))), start(Recorder(answers(b"2")))
    logged = start_json(start, f"connect = 127.0.0.1:{two.port}", "failover = rr", backend=one)
    for _ in range(3):
        with logged.client() as client:
            bodies = {client.get(f"/{n}", host="www.example.test").body for n in range(2)}
        assert len(bodies) == 1
    records = logged.records(6)
    assert {r["service"] for r in records} == {"web"}
    assert {r["host"] for r in records} == {"www.example.test"}
    seen = [r["backend"] for r in records]
    assert sorted(seen.count(f"127.0.0.1:{peer.port}") for peer in (one, two)) == [2, 4]
    for record in records:  # the first request of a connection had to wait for the backend's
        first = record["request"] == "GET /0 HTTP/1.1"
        assert (record["connect"] > 0) == first
        assert record["connect"] <= record["first_byte"]


@daemon_only
def test_a_target_that_is_not_there_is_not_the_one_that_answered(start):
    logged = start_json(start, backend=start(Recorder()))
    target = f"127.0.0.1:{logged.backend.port}"
    text = logged.stunnel.config.read_text().replace(
        f"connect = {target}", f"connect = 127.0.0.1:{free_port()}\nconnect = {target}"
    )
    logged.stunnel.config.write_text(text)
    logged.stunnel.reload()
    with logged.client() as client:
        client.get("/")
    assert [record["backend"] for record in logged.records(1)] == [target]


@daemon_only
def test_a_refused_request_has_no_backend(start):
    logged = start_json(start)
    with logged.client() as client:
        client.get("/")
        client.send(b"GET /x HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
        client.recv_all()
    good, bad = logged.records(2)
    assert good["backend"] == f"127.0.0.1:{logged.backend.port}"
    assert (bad["status"], bad["backend"], bad["connect"]) == (400, "", 0)


@daemon_only
def test_each_backend_connection_is_told_with_its_time(start):
    """Behind an answer that closes, the next request waits for another connection."""

    def serve(connection):
        connection.take_request()
        connection.send(OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))

    logged = start_json(start, "httpKeepAlive = client", serve=serve)
    with logged.client() as client:
        client.get("/1")
        client.get("/2")
    assert [record["connect"] > 0 for record in logged.records(2)] == [True, True]


def test_the_section_and_the_backend_in_words(start):
    logged = Logged(start, "accessLogFormat = %{service} %{host} %{backend} %{time_connect}")
    with logged.client() as client:
        client.get("/")
    words = logged.lines(1)[0].split()
    assert words[:3] == ["web", "localhost", f"127.0.0.1:{logged.backend.port}"]
    assert re.fullmatch(r"\d+\.\d{6}", words[3])


def test_a_template_in_json(start):
    logged = Logged(start, 'accessLogFormat = {"agent": "%{user_agent}", "n": %{bytes}}')
    with logged.client() as client:
        client.get("/", ['User-Agent: a"b'])
    assert logged.records(1) == [{"agent": 'a"b', "n": 2}]


def test_two_services_in_one_file_and_a_third_in_another(start):
    backend = start(Recorder())
    names = ["a", "b", "c"]
    files = ["one", "one", "two"]
    sections = [
        service(
            backend.port,
            f"accessLog = {{folder}}/{file}",
            f"accessLogFormat = {name} %{{request}}",
            name=name,
        )
        for name, file in zip(names, files)
    ]
    stunnel = start(Stunnel("".join(sections)))
    for name, endpoint in zip(names, stunnel.endpoints()):
        with TlsClient(int(endpoint.rsplit(":", 1)[1])) as client:
            client.get(f"/{name}")
    stunnel.signal(signal.SIGTERM)
    stunnel.process.wait()
    lines = {file: (stunnel.folder / file).read_text().splitlines() for file in ("one", "two")}
    assert sorted(lines["one"]) == ["a GET /a HTTP/1.1", "b GET /b HTTP/1.1"]
    assert lines["two"] == ["c GET /c HTTP/1.1"]


def test_a_server_name_leads_to_the_log_of_its_section(start):
    backend = start(Recorder())
    primary = service(backend.port, "accessLog = {folder}/primary", name="primary")
    second = f"[second]\nsni = primary:b.test\nconnect = 127.0.0.1:{backend.port}\n{LOG}\n{JSON}\n"
    stunnel = start(Stunnel(primary + second))
    with TlsClient(stunnel.port, sni="b.test", context=client_context(verify=False)) as client:
        client.get("/")
    path = stunnel.folder / "access"
    wait_for(lambda: path.exists() and path.read_text(), "the line")
    assert json.loads(path.read_text())["sni"] == "b.test"
    primary = stunnel.folder / "primary"
    assert not primary.exists() or primary.read_text() == ""


# ---- files ------------------------------------------------------------------------------------


@daemon_only
def test_rotation_loses_nothing(start):
    logged = Logged(start, "accessLogFormat = %{request}", globals_="workers = 2")
    rotated = logged.stunnel.folder / "access.1"
    logged.hurry = False
    with logged.client() as client:
        client.get("/before")
        logged.lines(1)
        logged.path.rename(rotated)
        client.get("/between")
        logged.stunnel.signal(signal.SIGUSR1)
        wait_for(logged.path.exists, "the new file")
        wait_for(lambda: "between" in rotated.read_text() + logged.path.read_text(), "the line")
        client.get("/after")
        wait_for(lambda: "after" in rotated.read_text() + logged.path.read_text(), "the line")
    wait_for(lambda: "between" in rotated.read_text(), "the old line in the old file")
    assert rotated.read_text().splitlines()[:2] == ["GET /before HTTP/1.1", "GET /between HTTP/1.1"]


@pytest.mark.skipif(not PATCHED, reason="the daemon is told by USR1")
def test_a_file_may_be_moved_at_any_time(start):
    logged = Logged(start, "accessLogFormat = %{request}")
    logged.hurry = False
    rotated = logged.stunnel.folder / "access.1"
    with logged.client() as client:
        client.get("/before")
        assert logged.lines(1) == ["GET /before HTTP/1.1"]
        logged.path.rename(rotated)
        client.get("/after")
        assert logged.lines(1) == ["GET /after HTTP/1.1"]
    assert rotated.read_text() == "GET /before HTTP/1.1\n"


@pytest.mark.skipif(not PATCHED, reason="the daemon does not start with such a file")
def test_a_file_that_can_be_opened_again(start, front):
    """Lines are lost meanwhile, requests are not, and both are told once."""
    backend = start(Recorder())
    stunnel = front(backend, "accessLog = {folder}/none/access")
    path = stunnel.folder / "none/access"
    with TlsClient(stunnel.port) as client:
        assert [client.get("/lost").status for _ in range(3)] == [200] * 3
        stunnel.wait_log(f"Cannot write access log: {path}: No such file or directory (2)")
        path.parent.mkdir()
        assert client.get("/kept").status == 200
        stunnel.wait_log(f"Access log is written again: {path}: 3 line(s) lost")
        assert len(stunnel.log_lines("Cannot write access log")) == 1
    assert COMBINED.fullmatch(path.read_text().rstrip("\n"))["request"] == "GET /kept HTTP/1.1"


@pytest.mark.skipif(not PATCHED, reason="the daemon asks for it in the background only")
def test_the_path_is_absolute():
    outcome = _run(Stunnel(service(1, "accessLog = access")))
    assert "Access log must include full path name" in outcome


def test_workers_append_whole_lines(start):
    logged = Logged(start, globals_="workers = 4")

    def talk(n):
        with TlsClient(logged.stunnel.port, source=f"127.0.0.{10 + n}") as client:
            for i in range(50):
                client.get(f"/{n}/{i}", [f"User-Agent: {n * 'x'}"])

    threads = [threading.Thread(target=talk, args=[n]) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = logged.matches(400)
    assert {m["request"] for m in found} == {
        f"GET /{n}/{i} HTTP/1.1" for n in range(8) for i in range(50)
    }
    assert all(m["client"] == f"127.0.0.{10 + int(m['request'][5])}" for m in found)


def test_a_reload_keeps_what_was_gathered(start):
    logged = Logged(start)
    with logged.client() as client:
        client.get("/old")
        logged.stunnel.reload()
        client.get("/old")
    with logged.client() as client:
        client.get("/new")
    assert sorted(m["request"][5:8] for m in logged.matches(3)) == ["new", "old", "old"]


@daemon_only
@pytest.mark.parametrize("drains", [False, True], ids=["serves", "drains"])
def test_lines_of_a_worker_that_is_killed(start, drains):
    """The master writes them, also of a worker whose configuration's logs it has closed."""
    logged = Logged(start, globals_="workers = 1")
    worker = logged.stunnel.processes()[1]
    with logged.client() as client:
        client.get("/0")
        if drains:
            logged.stunnel.reload()
            logged.stunnel.wait_log("New workers accept connections")
        for n in range(1, 20):
            client.get(f"/{n}")
        os.kill(worker, signal.SIGKILL)
        logged.stunnel.wait_log("terminated on signal 9")
    lines = logged.path.read_text().splitlines()
    # The last answer was seen, but perhaps not counted yet.
    assert len(lines) >= 19
    assert [line.split('"')[1] for line in lines] == [f"GET /{n} HTTP/1.1" for n in range(len(lines))]


@daemon_only
def test_a_reload_leaves_no_old_file_open(start):
    logged = Logged(start, globals_="workers = 1")
    old = set(logged.stunnel.processes())
    text = logged.stunnel.config.read_text()
    logged.stunnel.config.write_text(text.replace("/access\n", "/other\n"))
    with logged.client() as client:  # keeps an old worker busy
        client.get("/")
        logged.stunnel.reload()
        logged.stunnel.wait_log("New workers accept connections")
        (new,) = set(logged.stunnel.processes()) - old
        assert _open_files(new) & {str(logged.path), str(logged.path.with_name("other"))} == {
            str(logged.path.with_name("other"))
        }


def _open_files(pid):
    folder = f"/proc/{pid}/fd"
    return {os.readlink(f"{folder}/{fd}") for fd in os.listdir(folder)}


@daemon_only
def test_a_file_that_cannot_be_opened():
    stunnel = Stunnel(service(1, "accessLog = {folder}/none/access"))
    outcome = _run(stunnel)
    assert "Cannot open access log: " in outcome and "/none/access: No such file" in outcome


@daemon_only
def test_nor_at_a_reload_which_then_changes_nothing(start):
    logged = start_json(start)
    text = logged.stunnel.config.read_text()
    logged.stunnel.config.write_text(text.replace("/access\n", "/none/access\n"))
    logged.stunnel.signal(signal.SIGHUP)
    logged.stunnel.wait_log("Failed to reload the configuration file")
    with logged.client() as client:
        client.get("/")
    assert logged.records(1)[0]["status"] == 200


@pytest.mark.parametrize(
    "option, why",
    [
        ("accessLogFormat = %{nothing}", "Unknown template variable"),
        ("accessLogFormat =", "The value is empty"),
        ("accessLogFormat = " + 40 * "%{client_cert_subject}", "could become too long"),
        ("accessLogFormat = " + 12 * "%{request}", "could become too long"),
        ('accessLogFormat = {"a":"' + 6 * "%{request}" + '"}', "could become too long"),
    ],
)
def test_bad_formats(option, why):
    stunnel = Stunnel(service(1, LOG, option))
    outcome = _run(stunnel)
    assert why in outcome
    place = r"^(?:\[.\] )?Line " if stock_before(5, 18) else f"{re.escape(str(stunnel.config))}:"
    assert re.search(place, outcome, re.M)


def _run(stunnel):
    done = subprocess.run(stunnel.command(), capture_output=True, text=True, timeout=30)
    assert done.returncode == 1
    return done.stderr + stunnel.log_text()


def test_a_full_disk_is_told_once(start, front):
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full")
    backend = start(Recorder())
    stunnel = front(backend, "accessLog = /dev/full")
    with TlsClient(stunnel.port) as client:
        assert client.get("/").status == 200
        stunnel.wait_log("Cannot write access log: /dev/full: No space left on device")
        assert client.get("/").status == 200
