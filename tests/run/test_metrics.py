# SPDX-License-Identifier: ISC
"""metrics: what the daemon has done in numbers, which are those of the access log."""

import http.client
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time
from pathlib import Path

import pytest

import devtools
from peers import DEADLINE, Stunnel, as_root, daemon_only, free_port, own_address, service, wait_for
from recorder import Recorder
from test_new_program import children, upgrade
from test_notify import Unit, quick  # noqa: F401
from test_ocsp import Responder, gets_in, pki, verifying
from test_stapling import answering, own
from tls_client import TlsClient, client_context, dial, read_to_end

pytestmark = daemon_only

LOG = "accessLog = {folder}/access"
FORMAT = "accessLogFormat = %{status} %{time}"
ANSWERS = {
    b"/": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    b"/200": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    b"/204": b"HTTP/1.1 204 No Content\r\n\r\n",
    b"/302": b"HTTP/1.1 302 Found\r\nLocation: /200\r\nContent-Length: 0\r\n\r\n",
    b"/404": b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno",
    b"/503": b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n",
    b"/mended": b"HTTP/1.1 200 OK\r\nA: b\r\n c\r\nContent-Length: 2\r\n\r\nok",
}
BAD = b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"


def serve(connection):
    while request := connection.take_request():
        connection.send(ANSWERS[request.split()[1]])


def built_without():
    listed = subprocess.run(
        [Stunnel("").binary, "-test", "-fd", "0"],
        input=f"metrics = 1\n{service(1)}",
        check=False,
        capture_output=True,
        text=True,
    )
    return "without libmicrohttpd" in listed.stderr


# ---- the format ---------------------------------------------------------------------------------

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*"'
SAMPLE = re.compile(rf"({NAME})(?:\{{({LABEL}(?:,{LABEL})*)\}})? (\d+(?:\.\d+)?)")


def parse(text):
    """Samples by name and labels; strict about all that version 0.0.4 of the format says."""
    assert text.endswith("\n")
    samples, types, family = {}, {}, None
    for line in text[:-1].split("\n"):
        if line.startswith("# HELP "):
            family, text_of_help = line[7:].split(" ", 1)
            assert family not in types and text_of_help
        elif line.startswith("# TYPE "):
            name, kind = line[7:].split(" ")
            assert name == family and kind in {"counter", "gauge", "histogram"}
            types[name] = kind
        else:
            found = SAMPLE.fullmatch(line)
            assert found, line
            suffixes = ["_bucket", "_sum", "_count"] if types[family] == "histogram" else [""]
            assert found[1] in [family + suffix for suffix in suffixes], line
            labels = re.findall(LABEL, found[2] or "")
            assert len(labels) == len({label.split("=")[0] for label in labels})
            key = (found[1], *labels)
            assert key not in samples, line
            samples[key] = float(found[3])
    for name, kind in types.items():
        assert name.endswith("_total") == (kind == "counter")
    return samples


def check_histograms(samples):
    """Each bucket has those before it, and the last one all."""
    counts = {key: value for key, value in samples.items() if key[0].endswith("_count")}
    assert counts
    for (name, *labels), count in counts.items():
        bucket = name.replace("_count", "_bucket")
        buckets = [value for key, value in samples.items() if key[:-1] == (bucket, *labels)]
        assert buckets == sorted(buckets) and buckets[-1] == count
        assert samples[(bucket, *labels, 'le="+Inf"')] == count
        assert (name.replace("_count", "_sum"), *labels) in samples


def promtool(text):
    binary = shutil.which("promtool")
    if binary:
        subprocess.run([binary, "check", "metrics"], input=text, check=True, text=True)


ALERTS = Path(__file__).resolve().parents[2] / "doc/prometheus-alerts.yml"


def test_alerts_are_on_figures_that_there_are(start):
    text = ALERTS.read_text()
    names = set(re.findall(r"stunnel_\w+", text))
    _, figures = Metered(start).get()
    assert names and names <= set(re.findall(r"^# TYPE (\S+)", figures, re.M))
    binary = shutil.which("promtool")
    if binary:
        subprocess.run([binary, "check", "rules", ALERTS], check=True)


DASHBOARD = Path(__file__).resolve().parents[2] / "doc/grafana-dashboard.json"


def test_a_dashboard_asks_for_figures_that_there_are(start, tmp_path):
    """All names and labels of its queries; promtool, where it is, reads the queries as a rule each."""
    dashboard = json.loads(DASHBOARD.read_text())
    targets = [target for panel in dashboard["panels"] for target in panel.get("targets", [])]
    variables = [v["query"]["query"] for v in dashboard["templating"]["list"][1:]]
    queries = [target["expr"] for target in targets] + variables
    text = " ".join(queries)
    _, figures = Metered(start).get()
    types = dict(re.findall(r"^# TYPE (\S+) (\w+)$", figures, re.M))
    names = {re.sub("_bucket$", "", name) for name in re.findall(r"stunnel_\w+", text)}
    assert names <= types.keys() and types.keys() - names <= {"stunnel_handshake_groups_total"}
    labels = set(re.findall(r"[{,](\w+)=", text)) | set(
        " ".join(re.findall(r"by \((.*?)\)", text)).replace(",", " ").split()
    )
    labels |= set(re.findall(r"\{\{(\w+)\}\}", " ".join(t["legendFormat"] for t in targets)))
    rows = (DASHBOARD.parents[1] / "stunnel/metrics/figures.c").read_text()
    told = set(re.findall(r'(?:ALL_OF|AXIS)\("(\w+)"', rows)) | {"service", "target", "le"}
    assert labels - told == {"job", "instance"}  # which Prometheus adds
    binary = shutil.which("promtool")
    if binary:
        plain = [t["expr"].replace("$__rate_interval", "5m") for t in targets]
        rules = [{"record": f"r:{i}", "expr": expr} for i, expr in enumerate(plain)]
        file = tmp_path / "rules.yml"
        file.write_text(json.dumps({"groups": [{"name": "all", "rules": rules}]}))
        subprocess.run([binary, "check", "rules", file], check=True)


# ---- the daemon ---------------------------------------------------------------------------------


class Metered:
    """A daemon with figures, before a backend."""

    def __init__(self, start, *options, globals_="", place=None, host="", name="web", run=True, answer=serve):
        self.place = place or free_port()
        self.backend = start(Recorder(answer))
        self.text = f"metrics = {host and host + ':'}{self.place}\n{globals_}\n"
        self.text += service(self.backend.port, "xForwardedFor = yes", *options, name=name)
        self.stunnel = Stunnel(self.text)
        if run:
            start(self.stunnel)

    def get(self, path="/metrics", method="GET", host="127.0.0.1"):
        connection = http.client.HTTPConnection(host, self.place)
        connection.request(method, path)
        response = connection.getresponse()
        body = response.read().decode()
        connection.close()
        return response, body

    def samples(self):
        response, text = self.get()
        assert response.status == 200
        assert response.getheader("Content-Type") == "text/plain; version=0.0.4; charset=utf-8"
        return parse(text)

    def value(self, name, *labels, of="web"):
        service_label = [f'service="{of}"'] if of else []
        return self.samples().get((f"stunnel_{name}", *service_label, *labels), 0)

    def requests(self, **of):
        classes = ["none", "1xx", "2xx", "3xx", "4xx", "5xx"]
        return {c: self.value("requests_total", f'class="{c}"', **of) for c in classes}

    def process(self):
        """The process that serves the figures: the last of the master's children."""
        return self.stunnel.processes()[-1]


@pytest.fixture(autouse=True)
def _built():
    if built_without():
        pytest.skip("the program was built without libmicrohttpd-dev")


def ask(stunnel, paths, **options):
    with TlsClient(stunnel.port, **options) as client:
        return [client.get(f"/{path}").status for path in paths]


def test_the_text_is_what_prometheus_reads(start):
    metered = Metered(start, LOG, name='we"b\\')
    assert ask(metered.stunnel, ["200", "404", "mended"]) == [200, 404, 200]
    _, text = metered.get()
    samples = parse(text)
    check_histograms(samples)
    promtool(text)
    assert samples[("stunnel_requests_total", 'service="we\\"b\\\\"', 'class="2xx"')] == 2
    response, _ = metered.get(method="HEAD")
    assert response.status == 200 and int(response.getheader("Content-Length")) > 1000
    assert metered.get("/metric")[0].status == 404
    response, _ = metered.get(method="POST")
    assert (response.status, response.getheader("Allow")) == (405, "GET, HEAD")


def test_only_the_server_of_figures_has_its_library(start):
    """It brings GnuTLS, which has no business in a process that has private keys."""
    metered = Metered(start)
    server = metered.process()
    mapped = {pid: Path(f"/proc/{pid}/maps").read_text() for pid in metered.stunnel.processes()}
    assert len(mapped) > 2
    assert [pid for pid, maps in mapped.items() if "libmicrohttpd" in maps] == [server]
    assert [pid for pid, maps in mapped.items() if "gnutls" in maps] in ([], [server])


def test_without_its_library_there_are_no_figures(start, tmp_path):
    (tmp_path / "libmicrohttpd.so.12").write_text("this is none")
    metered = Metered(start, run=False)
    stunnel = metered.stunnel
    stunnel.write(metered.text.split("\n", 1)[1])
    stunnel.wrapper = ["env", f"LD_LIBRARY_PATH={tmp_path}"]
    start(stunnel)
    stunnel.write(metered.text)
    stunnel.signal(signal.SIGHUP)
    (why,) = stunnel.wait_log("metrics needs libmicrohttpd: ")
    assert str(tmp_path) in why
    stunnel.wait_log("The server of metrics could not be started")
    stunnel.wait_log("Failed to reload the configuration file")
    assert ask(stunnel, ["200"]) == [200]


def test_connections_handshakes_and_errors_are_counted(start):
    metered = Metered(start)
    context = client_context()
    with TlsClient(metered.stunnel.port, context=context) as client:
        client.get("/200")
        assert metered.value("connections") == 1
        client.get("/mended")
        session = client.session
    with TlsClient(metered.stunnel.port) as client:
        client.send(BAD)
        assert client.response().status == 400
    ask(metered.stunnel, ["200"], session=session, context=context)
    ask(metered.stunnel, ["200"], context=client_context(version=ssl.TLSVersion.TLSv1_2))
    wait_for(lambda: metered.value("connections") == 0, "the connections to end")
    assert metered.value("connections_total") == 4
    versions = [("TLSv1.3", "no", 2), ("TLSv1.3", "yes", 1), ("TLSv1.2", "no", 1)]
    for version, resumed, count in versions:
        labels = [f'version="{version}"', f'resumed="{resumed}"']
        assert metered.value("handshakes_total", *labels) == count
    assert metered.value("handshake_seconds_count") == 4
    assert metered.value("mended_total", 'error="answer-fold"') == 1
    assert metered.value("refused_total", 'error="host-duplicate"') == 1
    assert metered.value("backend_connections_total") == 3
    assert metered.value("bytes_total", 'direction="to_backend"') == sum(
        len(connection.data) for connection in metered.backend.connections
    )


def test_handshakes_that_fail_are_counted_by_their_reason(start):
    """The client knows no CA; it has no version in common; it speaks HTTP; it goes; it is slow."""
    metered = Metered(start, "sslVersionMin = TLSv1.2", "TIMEOUTbusy = 1")
    stranger = ssl.create_default_context()
    with dial(metered.stunnel.port) as sock, pytest.raises(ssl.SSLCertVerificationError):
        stranger.wrap_socket(sock, server_hostname="localhost")
    subprocess.run(
        ["openssl", "s_client", "-tls1_1", "-cipher", "ALL:@SECLEVEL=0"]
        + ["-connect", f"127.0.0.1:{metered.stunnel.port}"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    with dial(metered.stunnel.port) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert b" 400 " in read_to_end(sock)
    with dial(metered.stunnel.port) as sock:
        sock.sendall(b"\x16\x03\x01")
    with dial(metered.stunnel.port) as sock:
        sock.sendall(b"\x16\x03\x01")
        read_to_end(sock)
    reasons = ["received_unknown_ca", "sent_protocol_version", "plain", "closed", "timeout"]
    counted = {
        key[2]: value
        for key, value in wait_for(lambda: samples_of_failures(metered, 5), "five failures").items()
    }
    assert counted == {f'reason="{reason}"': 1 for reason in reasons}
    assert metered.value("handshakes_total", 'version="TLSv1.3"', 'resumed="no"') == 0


def samples_of_failures(metered, count):
    """Those that have come up, once there are so many."""
    name = "stunnel_handshake_failures_total"
    found = {key: value for key, value in metered.samples().items() if key[0] == name}
    return found if sum(found.values()) >= count else None


def test_a_backend_that_is_not_there_is_counted(start):
    port = free_port()
    metered = Metered(start)
    metered.stunnel.write(metered.text.replace(str(metered.backend.port), str(port)))
    metered.stunnel.replace_workers()  # which know the other backend
    assert ask(metered.stunnel, ["200"]) == [503]
    assert metered.value("backend_failures_total", 'reason="refused"') == 1
    assert metered.value("refused_total", 'error="backend-unavailable"') == 1
    wait_for(lambda: metered.requests()["5xx"] == 1, "the end of the answer")
    assert metered.value("reloads_total", 'result="success"', of=None) == 1


def test_clients_of_an_address_that_has_too_many_are_counted(start):
    metered = Metered(start, "maxConnectionsPerIP = 1", "maxHandshakesPerSecond = 20")
    with TlsClient(metered.stunnel.port) as client:
        client.get("/200")
        for _ in range(5):
            with dial(metered.stunnel.port) as sock:
                assert read_to_end(sock) == b""
    assert metered.value("connections_rejected_total", 'reason="per-ip"') == 5
    assert metered.value("accept_waits_total") >= 1


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tickets_are_counted(start, version):
    """Those of another daemon are refused; TLS 1.3 has another one with each session resumed."""
    metered, other = Metered(start), Metered(start)
    context = client_context(version=version)
    later = 1 if version is ssl.TLSVersion.TLSv1_3 else 0
    sessions = {}
    for daemon in (metered, other):
        with TlsClient(daemon.stunnel.port, context=context) as client:
            client.get("/200")
            sessions[daemon] = client.session
    assert resumption(metered) == [1, 0, 0, 0, 0]
    ask(metered.stunnel, ["200"], context=context, session=sessions[other])
    assert resumption(metered) == [2, 0, 1, 0, 0]
    ask(metered.stunnel, ["200"], context=context, session=sessions[metered])
    assert resumption(metered) == [2 + later, 1, 1, 0, 0]


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_looks_into_the_cache_are_counted(start, version):
    """In TLS 1.3 a ticket is the name of what is there."""
    metered, other = Metered(start, "options = NO_TICKET"), Metered(start, "options = NO_TICKET")
    context = client_context(version=version)
    for daemon, counts in ((other, [0, 0, 0, 0, 1]), (metered, [0, 0, 0, 1, 1])):
        with TlsClient(daemon.stunnel.port, context=context) as client:
            client.get("/200")
            session = client.session
        ask(metered.stunnel, ["200"], context=context, session=session)
        assert resumption(metered) == counts


def resumption(metered):
    """Tickets issued, used and refused; hits and misses of the cache."""
    samples = metered.samples()
    names = [("session_tickets_total", result) for result in ("issued", "used", "refused")]
    names += [("session_cache_total", result) for result in ("hit", "miss")]
    return [samples[(f"stunnel_{name}", 'service="web"', f'result="{result}"')] for name, result in names]


def test_answers_about_clients_are_counted(start):
    responder = start(Responder())
    metered = Metered(start, *verifying(f"OCSP = {responder.url}"))
    for cert in ("ocsp-good", "ocsp-good", "ocsp-revoked", "ocsp-unknown"):
        gets_in(metered.stunnel, metered.backend, cert)
    counts = {v: answers(metered, "peer", v) for v in ("good", "revoked", "inconclusive")}
    assert counts == {"good": 2, "revoked": 1, "inconclusive": 1}


def answers(metered, purpose, verdict):
    return metered.value("ocsp_answers_total", f'verdict="{verdict}"', f'purpose="{purpose}"')


def test_a_staple_has_an_age_and_an_end(start):
    """The first one fails, and so there is none; then one is fetched, and then no more."""
    port, before = free_port(), time.time()
    metered = Metered(start, "OCSPstaple = yes", "CAfile = {}".format(pki() / "root.pem"), run=False)
    metered.stunnel.write("\n".join(own("own-good", port)) + "\n" + metered.text)
    start(metered.stunnel)
    wait_for(lambda: answers(metered, "staple", "inconclusive") == 1, "the first answer")
    names = "ocsp_staple_timestamp_seconds", "ocsp_staple_expiry_timestamp_seconds"
    assert [metered.value(name) for name in names] == [0, 0]
    responder = start(answering(port=port))
    metered.stunnel.reload()
    wait_for(lambda: answers(metered, "staple", "good") == 1, "a good answer")
    since, until = (metered.value(name) for name in names)
    assert before - 1 <= since <= time.time() and 3500 < until - since <= 3600
    responder.stop()
    metered.stunnel.reload()
    wait_for(lambda: answers(metered, "staple", "inconclusive") == 2, "the last answer")
    assert [metered.value(name) for name in names] == [since, until]
    metered.stunnel.write(metered.text.replace("OCSPstaple = yes", ""))
    metered.stunnel.reload()
    metered.stunnel.wait_log("New workers accept connections", 3)
    assert [metered.value(name) for name in names] == [0, 0]


@pytest.mark.parametrize(
    "limit, told",
    [("maxConnections", "too many clients (>=2)"), ("maxConnectionsPerIP", "too many from one address")],
)
def test_connections_of_programs_before_this_one_are_counted(start, limit, told):
    """Also towards limits, until they end; those of a master that is killed end with it."""
    metered = Metered(start, f"{limit} = 2", globals_="workers = 1")
    stunnel = metered.stunnel
    with TlsClient(stunnel.port) as old, TlsClient(stunnel.port) as closing:
        assert old.get("/").status == closing.get("/").status == 200
        middle = upgrade(stunnel)
        stunnel.wait_log("Worker 1 drains: 2 connection(s) left")
        assert metered.value("connections") == 2
        with dial(stunnel.port) as third:
            assert read_to_end(third) == b""
        stunnel.wait_log(told)
        closing.close()
        wait_for(lambda: metered.value("connections") == 1, "its end to be seen")
        with TlsClient(stunnel.port) as client:
            assert client.get("/").status == 200
            newest = upgrade(stunnel)
            stunnel.wait_log("Worker 1 drains: 1 connection(s) left")
            assert metered.value("connections") == 2
            orphan = children(middle)[0]
            os.kill(middle, signal.SIGKILL)
            wait_for(lambda: metered.value("connections") == 1, "those of the one that was killed to be forgotten")
            assert old.get("/").status == 200
        wait_for(lambda: not Path(f"/proc/{orphan}").exists(), "its worker to end")
        with TlsClient(stunnel.port) as client:
            assert client.get("/").status == 200
            assert metered.value("connections") == 2
        assert newest in stunnel.processes()


IN_TURN = "failover = rr"


def of_targets(metered, *names):
    """Of each address: the figures of these names."""
    samples = metered.samples()
    targets = {key[2]: {} for key in samples if key[0] == "stunnel_target_connections_total"}
    for target, found in targets.items():
        found.update({name: samples[(f"stunnel_target_{name}", 'service="web"', target)] for name in names})
    return {target.split('"')[1]: tuple(found.values()) for target, found in targets.items()}


def test_addresses_of_a_service_are_told_apart(start):
    other = start(Recorder(serve))
    metered = Metered(start, f"connect = 127.0.0.1:{other.port}", IN_TURN)
    one, two = (f"127.0.0.1:{backend.port}" for backend in (metered.backend, other))
    names = "connections_total", "failures_total", "connect_seconds_count", "first_byte_seconds_count"
    for _ in range(4):
        assert ask(metered.stunnel, ["200", "404", "200"]) == [200, 404, 200]
    assert of_targets(metered, *names) == {one: (2, 0, 2, 6), two: (2, 0, 2, 6)}
    other.close()
    for _ in range(2):
        assert ask(metered.stunnel, ["200"]) == [200]
    assert of_targets(metered, *names) == {one: (4, 0, 4, 8), two: (2, 1, 2, 6)}
    check_histograms(metered.samples())
    metered.stunnel.signal(signal.SIGURG)
    wait_for(lambda: metered.value("upgrades_total", of=None) == 1, "the upgrade")
    assert of_targets(metered, *names) == {one: (4, 0, 4, 8), two: (2, 1, 2, 6)}


def test_an_address_counts_while_there_are_others(start):
    alone = "xForwardedFor = yes"
    metered = Metered(start, f"connect = 127.0.0.1:{start(Recorder(serve)).port}", IN_TURN)
    port = metered.backend.port
    assert ask(metered.stunnel, ["200"]) + ask(metered.stunnel, ["200"]) == [200, 200]
    with_two = metered.text

    def reload(text):
        metered.stunnel.write(text)
        metered.stunnel.replace_workers()

    reload(with_two[: with_two.index(alone) + len(alone) + 1])
    assert ask(metered.stunnel, ["200"]) == [200]
    wait_for(lambda: of_targets(metered) == {}, "nothing to tell apart")
    reload(with_two)
    wait_for(lambda: of_targets(metered) != {}, "both")
    assert of_targets(metered, "connections_total")[f"127.0.0.1:{port}"] == (1,)


def test_so_many_addresses_are_told_apart_and_make_place_for_others(start):
    def addresses(begin, end):
        return [f"127.0.1.{n}:1" for n in range(begin, end)]

    def lines(addresses):
        return "".join(f"connect = {address}\n" for address in addresses)

    metered = Metered(start, *lines(addresses(1, 40)).splitlines())
    first = f"127.0.0.1:{metered.backend.port}"
    assert list(of_targets(metered)) == [first, *addresses(1, 32)]
    assert ask(metered.stunnel, ["200"]) == [200]
    metered.stunnel.write(metered.text.replace(lines(addresses(1, 40)), lines(addresses(50, 81))))
    metered.stunnel.reload()
    wait_for(lambda: set(of_targets(metered)) == {first, *addresses(50, 81)}, "the new ones")
    assert of_targets(metered, "connections_total")[first] == (1,)


# ---- the counts are those of the access log ------------------------------------------------------

ROUNDS = 12
PATHS = ["200", "204", "302", "404", "503", "mended", "200", "200"]


class Audit:
    """Requests of all kinds, and what the access log says of them."""

    def __init__(self, metered):
        self.metered = metered
        self.stunnel = metered.stunnel
        self.path = self.stunnel.folder / "access"
        self.sent = 0

    def some(self, rounds=ROUNDS):
        """New connections, so that every worker gets some of them."""
        for _ in range(rounds):
            with TlsClient(self.stunnel.port) as client:
                for path in PATHS * 4:
                    assert client.get(f"/{path}").status == int(path if path.isdigit() else 200)
                client.send(BAD)
                assert client.response().status == 400
            self.sent += 4 * len(PATHS) + 1

    def logged(self):
        """Of each class, so many lines; USR1 makes each worker write what it has gathered."""

        def there():
            if self.path.exists() and self.path.read_text().count("\n") >= self.sent:
                return True
            self.stunnel.signal(signal.SIGUSR1)
            return False

        wait_for(there, f"{self.sent} lines of the access log")
        statuses = [line.split()[0] for line in self.path.read_text().splitlines()]
        assert len(statuses) == self.sent
        classes = {c: 0 for c in ["none", "1xx", "2xx", "3xx", "4xx", "5xx"]}
        for status in statuses:
            classes["none" if status == "0" else f"{status[0]}xx"] += 1
        return classes

    def check(self):
        logged = self.logged()
        wait_for(lambda: self.metered.requests() == logged, f"the counts of {logged}", 10)
        samples = self.metered.samples()
        for times in ["request_seconds", "first_byte_seconds"]:
            assert samples[(f"stunnel_{times}_count", 'service="web"')] == self.sent


def test_the_counts_equal_the_access_log_over_a_reload_a_crash_and_upgrades(start):
    metered = Metered(start, LOG, FORMAT, globals_="workers = 2")
    audit = Audit(metered)
    audit.some()
    audit.check()
    metered.stunnel.reload()
    metered.stunnel.wait_log("New workers accept connections")
    audit.some()
    audit.check()
    workers = metered.stunnel.processes()[1:-1]
    os.kill(workers[0], signal.SIGKILL)
    metered.stunnel.wait_gone([workers[0]])
    wait_for(lambda: len(metered.stunnel.processes()) == 4, "another worker")
    assert metered.value("respawns_total", of=None) == 1
    audit.some()
    audit.check()
    began = metered.value("start_time_seconds", of=None)
    for _ in range(2):
        upgrade(metered.stunnel)
        audit.some()
        audit.check()
    assert metered.value("start_time_seconds", of=None) == began
    assert metered.value("upgrades_total", of=None) == 2
    assert metered.value("respawns_total", of=None) == 1
    assert audit.sent > 1000
    assert metered.value("connections") == 0
    assert metered.value("mended_total", 'error="answer-fold"') == 5 * ROUNDS * 4
    assert metered.value("refused_total", 'error="host-duplicate"') == 5 * ROUNDS


def test_requests_are_counted_without_an_access_log_and_those_without_an_answer_too(start):
    metered = Metered(start)
    with TlsClient(metered.stunnel.port) as client:
        client.send(b"GET /200 HTTP/1.1\r\nHost: a\r\n\r\n" * 40)
        for _ in range(40):
            assert client.response().status == 200
    metered.stunnel.write(metered.text.replace(f":{metered.backend.port}", f":{silent(start)}"))
    metered.stunnel.replace_workers()
    with TlsClient(metered.stunnel.port) as client:
        client.send(b"GET /200 HTTP/1.1\r\nHost: a\r\n\r\n")
        wait_for(lambda: metered.value("backend_connections_total") == 2, "the backend")
    wait_for(lambda: metered.requests()["none"] == 1, "the request without an answer")
    assert metered.requests()["2xx"] == 40


def silent(start):
    def read(connection):
        while connection.receive():
            pass

    return start(Recorder(read)).port


# ---- who gets them, and from whom ---------------------------------------------------------------


def test_a_port_alone_is_one_of_the_loopback(start):
    mine, metered = own_address(), Metered(start)
    with pytest.raises(ConnectionRefusedError):
        metered.get(host=mine)


def test_only_addresses_of_metrics_allow_get_them(start):
    mine, metered = own_address(), Metered(start, host="0.0.0.0")
    response, text = metered.get(host=mine)
    assert response.status == 403 and "metricsAllow" in text
    assert metered.get()[0].status == 200
    allow = f"metricsAllow = {mine}/32\nmetricsAllow = 192.0.2.0/24, ::1"
    metered.stunnel.write(f"{allow}\n{metered.text}")
    metered.stunnel.reload()
    wait_for(lambda: metered.get()[0].status == 403, "the new process to serve")
    wait_for(lambda: metered.get(host=mine)[0].status == 200, "the old one to end")


def test_a_unix_socket_serves_who_can_open_it(start):
    metered = Metered(start, place="{folder}/metrics")
    path = str(metered.stunnel.folder / "metrics")
    for _ in range(2):
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(path)
            sock.sendall(b"GET /metrics HTTP/1.0\r\nHost: a\r\n\r\n")
            assert b"stunnel_build_info{" in read_to_end(sock)
        metered.stunnel.reload()
        metered.stunnel.wait_log("New workers accept connections")
    metered.stunnel.stop()
    assert not os.path.exists(path)


def sockets_of(pid):
    links = [os.readlink(link) for link in Path(f"/proc/{pid}/fd").iterdir()]
    return {link[8:-1] for link in links if link.startswith("socket:[")}


def listened_by(pid):
    """Ports on which the process could accept."""
    owned = sockets_of(pid)
    rows = [row.split() for row in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return {int(f[1].rsplit(":", 1)[1], 16) for f in rows if f[3] == "0A" and f[9] in owned}


@as_root
def test_its_process_has_no_other_socket_and_no_rights_and_is_replaced(start):
    metered = Metered(start, globals_="workers = 1\nsetuid = nobody\nsetgid = nogroup")
    worker, process = metered.stunnel.processes()[1:]
    assert listened_by(process) == {metered.place}
    assert listened_by(worker) == {metered.stunnel.port}
    uids = re.search(r"^Uid:\t(.*)$", Path(f"/proc/{process}/status").read_text(), re.M)[1]
    assert "0" not in uids.split()
    os.kill(process, signal.SIGKILL)
    metered.stunnel.wait_log("Metrics process")
    wait_for(lambda: metered.stunnel.processes()[1:] != [worker], "another process")
    assert metered.value("respawns_total", of=None) == 1
    assert ask(metered.stunnel, ["200"]) == [200]
    assert metered.requests()["2xx"] == 1


def test_the_watchdog_hears_of_a_process_that_hangs(start, quick):  # noqa: F811
    config = f"metrics = {free_port()}\nworkers = 1\n" + service(start(Recorder()).port)
    unit = start(Unit(config, quick, WATCHDOG_USEC=str(4 * 1000 * 1000)))
    quick.wait(READY="1")
    for _ in range(3):
        quick.wait(WATCHDOG="1")
    process = unit.processes()[-1]
    os.kill(process, signal.SIGSTOP)
    try:
        unit.wait_log(f"Metrics process {process} hangs")
    finally:
        os.kill(process, signal.SIGCONT)
    quick.wait(WATCHDOG="1")


def test_a_reload_without_the_option_closes_the_port(start):
    metered = Metered(start)
    metered.stunnel.write(metered.text.replace("metrics", ";metrics", 1))
    metered.stunnel.reload()
    metered.stunnel.wait_log("New workers accept connections")
    wait_for(lambda: not listens(metered.place), "nobody to listen")


def test_a_reload_moves_the_port(start):
    metered = Metered(start)
    old, metered.place = metered.place, free_port()
    metered.stunnel.write(metered.text.replace(f"metrics = {old}", f"metrics = {metered.place}"))
    metered.stunnel.reload()
    metered.stunnel.wait_log("New workers accept connections")
    assert metered.value("reloads_total", 'result="success"', of=None) == 1
    wait_for(lambda: not listens(old), "the old port to be closed")


def test_a_reload_widens_the_address_and_goes_back(start):
    """A port of ours is in nobody's way, however narrow it was; somebody else's is."""
    metered = Metered(start)
    own = own_address()
    text = metered.text.replace(f"metrics = {metered.place}", f"metrics = 0.0.0.0:{metered.place}\nmetricsAllow = 0.0.0.0/0")
    with socket.create_server((own, metered.place)) as other:
        metered.stunnel.write(text)
        metered.stunnel.signal(signal.SIGHUP)
        metered.stunnel.wait_log("Failed to reload the configuration file")
        assert metered.stunnel.log_lines(f"to 0.0.0.0:{metered.place}: Address already in use")
        assert ask(metered.stunnel, ["200"]) == [200]
        assert metered.value("reloads_total", 'result="failure"', of=None) == 1
        other.close()
    for n, (place, host) in enumerate([(text, own), (metered.text, "127.0.0.1"), (text, own)], 1):
        metered.stunnel.write(place)
        metered.stunnel.reload()
        metered.stunnel.wait_log("New workers accept connections", n)
        response, _ = metered.get(host=host)
        assert response.status == 200


def listens(port):
    try:
        dial(port).close()
    except ConnectionRefusedError:
        return False
    return True


def test_a_name_that_comes_twice_has_figures_for_each(start):
    port = free_port()
    backend = start(Recorder(serve))
    text = f"metrics = {port}\n" + service(backend.port) + service(backend.port)
    start(Stunnel(text))
    with socket.create_connection(("127.0.0.1", port)) as sock:
        sock.sendall(b"GET /metrics HTTP/1.0\r\nHost: a\r\n\r\n")
        samples = parse(read_to_end(sock).decode().split("\r\n\r\n")[1])
    services = {key[1] for key in samples if key[0] == "stunnel_connections_total"}
    assert services == {'service="web"', 'service="web#2"'}


# ---- the status page ----------------------------------------------------------------------------


class Page:
    """The status page in a browser."""

    def __init__(self, start, metered):
        self.browser = start(devtools.Chromium())
        self.browser.open(f"http://127.0.0.1:{metered.place}/")

    def text(self, where):
        return self.browser.evaluate(f"document.querySelector({where!r}).innerText")

    def enter(self, where, text):
        field = f"document.querySelector({where!r})"
        self.browser.evaluate(f"{field}.value = {text!r}; {field}.dispatchEvent(new Event('input'))")

    def wait(self, where, text):
        wait_for(lambda: text in self.text(where), f"{text} in {where}")


@pytest.fixture
def page(start):
    if devtools.BINARY is None:
        pytest.skip("there is no chromium here")
    return lambda metered: Page(start, metered)


def test_a_browser_shows_what_happens_to_each_service(start, page):
    metered = Metered(start, name="<b>web")
    shown = page(metered)
    shown.wait("#contact", "live")
    assert shown.text("#services h3") == "<b>web"
    assert "serves" in shown.text("#services")
    assert "Nothing so far" in shown.text("#errors")
    assert "<b>web" in shown.text("#certificates")
    assert ask(metered.stunnel, ["200", "mended"]) == [200, 200]
    shown.wait("#errors", "answer-fold")
    shown.browser.evaluate(
        "document.querySelector('#filter').value = 'other';"
        "document.querySelector('#filter').dispatchEvent(new Event('input'))"
    )
    assert shown.text("#services") == ""
    metered.stunnel.stop()
    shown.wait("#contact", "no contact")


def test_a_browser_lists_connections_and_slow_backends(start, page):
    """By words of any column, and by age; what a client sends is text, and its query is not shown."""
    release = threading.Event()

    def wait(connection):
        while connection.take_request():
            release.wait(DEADLINE)
            connection.send(ANSWERS[b"/200"])

    metered = Metered(start, name="web", answer=wait)
    shown = page(metered)
    with TlsClient(metered.stunnel.port, source="127.0.0.7") as slow, TlsClient(metered.stunnel.port) as idle:
        slow.send(b"GET /<b>slow?secret HTTP/1.1\r\nHost: a\r\n\r\n")
        shown.wait("#connections", "/<b>slow")
        assert "secret" not in shown.text("#connections")
        shown.wait("#shown", "2 of 2 open")
        shown.enter("#connection", "127.0.0.7 SLOW")
        shown.wait("#shown", "1 of 2 open")
        row = shown.text("#connections tbody").split("\t")
        assert row[0] == "web" and row[1].startswith("127.0.0.7:") and row[3:5] == ["transfer", "GET /<b>slow"]
        shown.enter("#connection", ">9999")
        shown.wait("#shown", "0 of 2 open")
        assert shown.text("#connections tbody") == "None"
        release.set()
        assert slow.response().status == 200
        shown.wait("#slowest", "web")
        assert idle.get("/200").status == 200


def test_a_browser_tells_the_addresses_of_a_service_apart(start, page):
    metered = Metered(start, f"connect = 127.0.0.1:{start(Recorder(serve)).port}", IN_TURN)
    shown = page(metered)
    shown.wait("#slowest", "No requests")
    for _ in range(2):
        assert ask(metered.stunnel, ["200"]) == [200]
    for port in re.findall(r"connect = 127.0.0.1:(\d+)", metered.text):
        shown.wait("#slowest", f"web \u2192 127.0.0.1:{port}")


def test_connections_of_workers_that_drain_are_listed_and_then_gone(start):
    metered = Metered(start, globals_="workers = 2")
    with TlsClient(metered.stunnel.port) as client:
        client.get("/200")
        metered.stunnel.reload()
        metered.stunnel.wait_log("New workers accept connections")
        peer = "{}:{}".format(*client.sock.getsockname())
        wait_for(lambda: [c["peer"] for c in listed(metered)] == [peer], "the connection")
    wait_for(lambda: listed(metered) == [], "the list without it")


def test_connections_of_programs_before_this_one_are_listed_until_they_end(start):
    metered = Metered(start, globals_="workers = 1")
    clients = [TlsClient(metered.stunnel.port)]
    masters = []
    for _ in range(2):
        assert clients[-1].get("/200").status == 200
        masters.append(upgrade(metered.stunnel))
        clients.append(TlsClient(metered.stunnel.port))
    clients[-1].get("/200")
    peers = ["{}:{}".format(*client.sock.getsockname()) for client in clients]
    wait_for(lambda: [c["peer"] for c in listed(metered)] == peers[::-1], "those of three programs")
    clients[0].close()
    wait_for(lambda: [c["peer"] for c in listed(metered)] == peers[:0:-1], "those of two programs")
    os.kill(masters[0], signal.SIGKILL)
    wait_for(lambda: [c["peer"] for c in listed(metered)] == peers[:1:-1], "that of the newest alone")
    for client in clients[1:]:
        client.close()


def listed(metered):
    return json.loads(metered.get("/connections.json")[1])["shown"]


def test_only_the_oldest_connections_of_a_worker_are_listed(start):
    metered = Metered(start, globals_="workers = 1")
    first = TlsClient(metered.stunnel.port)
    others = [dial(metered.stunnel.port) for _ in range(140)]
    peer = "{}:{}".format(*first.sock.getsockname())
    wait_for(lambda: len(listed(metered)) == 128, "as many as there is room for")
    assert listed(metered)[0]["peer"] == peer
    wait_for(lambda: json.loads(metered.get("/connections.json")[1])["open"] == 141, "all to be accepted")
    for sock in (first.sock, *others):
        sock.close()


def test_the_page_fits_a_phone_and_loads_nothing(start, page):
    metered = Metered(start)
    shown = page(metered)
    shown.browser.page_call(
        "Emulation.setDeviceMetricsOverride", width=360, height=700, deviceScaleFactor=1, mobile=True
    )
    shown.wait("#contact", "live")
    assert shown.browser.evaluate("document.documentElement.scrollWidth") == 360
    loaded = "performance.getEntriesByType('resource').map(entry => new URL(entry.name).pathname).join(' ')"
    assert set(shown.browser.evaluate(loaded).split()) == {"/status.json", "/connections.json"}


def test_the_page_may_not_be_framed_and_runs_no_other_script(start):
    response, text = Metered(start).get("/")
    policy = response.getheader("Content-Security-Policy")
    assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy
    assert response.getheader("X-Content-Type-Options") == "nosniff"
    assert "://" not in text.replace("http://www.w3.org/2000/svg", "")
