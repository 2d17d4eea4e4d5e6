# SPDX-License-Identifier: ISC
"""Real clients, through the daemon to nginx: each as it comes, and each request has the address.

Every client says that it is 6.6.6.6. What nginx logged is compared with what the client says
that it did: so many requests, over so many connections; what it stored, with what was sent.
"""

import http.client
import os
import random
import re
import shutil
import subprocess
import urllib.request

import pytest

from certs import certificates
from peers import Nginx, Stunnel, service, wait_for
from tls_client import DEADLINE, TlsClient, client_context

CLIENT = "127.0.0.5"  # of those that can be told where to connect from
LOOPBACK = "127.0.0.1"
FORGED = "X-Forwarded-For: 6.6.6.6"
FORGED_HEADERS = dict([FORGED.split(": ")])
PAGE = "<p>hello</p>\n"
REQUESTS = 50
LOAD = 1000
CONNECTIONS = 10
BODY = random.Random(0).randbytes(100_000)  # misplaced bytes would show


def needs(program):
    return pytest.mark.skipif(not shutil.which(program), reason=f"there is no {program} here")


class Site:
    """The daemon and nginx, which serves a page under /page and stores what is PUT under /put.

    nginx logs two lines of a header as one with a comma.
    """

    def __init__(self, start):
        puts = "location /put { dav_methods PUT; }"
        pages = "location /page { try_files /index.html =404; }"
        self.nginx = start(Nginx(server=puts + pages))
        (self.nginx.root / "put").mkdir()
        self.stunnel = start(Stunnel(service(self.nginx.port, "xForwardedFor = replace")))
        self.port = self.stunnel.port
        self.url = f"https://127.0.0.1:{self.port}"

    def seen(self, count):
        """All requests that nginx saw once it saw `count` and the clients are gone, as fields."""
        self.nginx.wait_log(count)
        wait_for(lambda: self.stunnel.ended() == self.connections(), "the clients to be gone")
        return [line.split("|") for line in self.nginx.log_lines()]

    def connections(self):
        return len(self.stunnel.log_lines("accepted connection from"))

    def took(self, count):
        """Whether it was that many connections; the log of newer stocks comes a second late."""
        return len(self.stunnel.wait_log("accepted connection from", count)) == count

    def saw(self, requests, address=LOOPBACK):
        """Asserts that it was these requests, from there, in any order."""
        expected = [[f"{request} HTTP/1.1", address, LOOPBACK] for request in requests]
        assert sorted(self.seen(len(expected))) == sorted(expected)

    def saw_load(self, count, surplus=0, version="1.1"):
        """Asserts that it was so many requests for the page.

        `surplus` is for a client that stops, and does not count what it still waits for.
        """
        seen = self.seen(count)
        assert {tuple(fields) for fields in seen} == {
            (f"GET /page HTTP/{version}", LOOPBACK, LOOPBACK)
        }
        assert count <= len(seen) <= count + surplus

    def stored(self, count, body=BODY):
        """Asserts that this body arrived whole, so many times."""
        for n in range(1, count + 1):
            assert (self.nginx.root / f"put/{n}").read_bytes() == body


@pytest.fixture
def site(start):
    return Site(start)


def gets(count=REQUESTS):
    return [f"GET /page/{n}" for n in range(1, count + 1)]


def puts(count=REQUESTS):
    return [f"PUT /put/{n}" for n in range(1, count + 1)]


@pytest.fixture
def body(tmp_path):
    """A file that holds BODY."""
    path = tmp_path / "body"
    path.write_bytes(BODY)
    return path


def run(*command, **environment):
    """What a client printed; it has to be content. No proxy and no language is preset."""
    inherited = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
    result = subprocess.run(
        [str(word) for word in command],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=3 * DEADLINE,
        env={**inherited, "LC_ALL": "C", **environment},
    )
    assert result.returncode == 0, f"{command}: {result.stdout}\n{result.stderr}"
    return result.stdout + result.stderr


def number(pattern, text):
    """The number that a client's report gives there."""
    found = re.search(pattern, text)
    assert found, f"no {pattern} in: {text}"
    return int(found[1])


def curl(*arguments):
    """[status, connections opened] of each transfer."""
    trust = ["--cacert", certificates().ca, "--interface", CLIENT]
    report = ["--no-progress-meter", "--fail", "-w", r"%{http_code} %{num_connects}\n"]
    lines = run("curl", "-q", *trust, *report, "-H", FORGED, *arguments).splitlines()
    return [[int(word) for word in line.split()] for line in lines]


@needs("curl")
def test_curl(site):
    done = curl("-o", "/dev/null", f"{site.url}/page/[1-{REQUESTS}]")
    assert done == [[200, 1]] + [[200, 0]] * (REQUESTS - 1)
    site.saw(gets(), CLIENT)
    assert site.took(1)


@needs("curl")
def test_curl_in_parallel(site):
    parallel = ["--parallel", "--parallel-max", 4]
    done = curl(*parallel, "-o", "/dev/null", f"{site.url}/page/[1-{REQUESTS}]")
    assert [status for status, _ in done] == [200] * REQUESTS
    site.saw(gets(), CLIENT)
    opened = sum(count for _, count in done)
    assert site.took(opened) and opened < REQUESTS


@needs("curl")
@pytest.mark.parametrize("framing", ["Content-Length: 2000000", "Transfer-Encoding: chunked"])
def test_curl_uploads_after_100_continue(site, tmp_path, framing):
    """It would wait for the 100 longer than we wait for curl."""
    (tmp_path / "body").write_bytes(BODY * 20)
    expect = ["-H", "Expect: 100-continue", "--expect100-timeout", 1000]
    upload = ["-X", "PUT", "-H", framing, "--data-binary", f"@{tmp_path}/body"]
    done = curl(*expect, *upload, "-o", "/dev/null", f"{site.url}/put/[1-5]")
    assert done == [[201, 1]] + [[201, 0]] * 4
    site.saw(puts(5), CLIENT)
    site.stored(5, BODY * 20)
    assert site.took(1)


@needs("wget")
def test_wget(site):
    options = ["--no-verbose", "--no-config", "--no-hsts", "--output-document=/dev/null"]
    trust = [f"--ca-certificate={certificates().ca}", f"--bind-address={CLIENT}"]
    urls = [f"{site.url}/page/{n}" for n in range(1, REQUESTS + 1)]
    output = run("wget", *options, *trust, f"--header={FORGED}", *urls)
    assert output.count(f"[{len(PAGE)}/{len(PAGE)}] -> ") == REQUESTS
    site.saw(gets(), CLIENT)
    assert site.took(1)


def test_python_http_client(site):
    client = http.client.HTTPSConnection(
        "localhost", site.port, timeout=DEADLINE, context=client_context()
    )

    def ask(method, path, body=None, **how):
        client.request(method, path, body, FORGED_HEADERS, **how)
        response = client.getresponse()
        return response.status, response.read()

    for n in range(1, REQUESTS + 1):
        assert ask("GET", f"/page/{n}") == (200, PAGE.encode())
        assert ask("HEAD", f"/page/{n}") == (200, b"")
        how = {"encode_chunked": True} if n % 2 else {}
        blocks = iter([BODY[:1], BODY[1:]])  # which http.client sends as chunks
        assert ask("PUT", f"/put/{n}", blocks if how else BODY, **how) == (201, b"")
    client.close()
    site.saw(gets() + [request.replace("GET", "HEAD") for request in gets()] + puts())
    site.stored(REQUESTS)
    assert site.took(1)


def test_python_urllib_closes_each_time(site):
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=client_context())
    )
    for n in range(1, 11):
        request = urllib.request.Request(f"{site.url}/page/{n}", headers=FORGED_HEADERS)
        with opener.open(request, timeout=DEADLINE) as response:
            assert (response.status, response.read()) == (200, PAGE.encode())
    site.saw(gets(10))
    assert site.took(10)


def test_pipelining_by_raw_socket(site):
    """All at once, with bodies among them that look like requests; the answers come in order."""
    head = f" HTTP/1.1\r\nHost: localhost\r\n{FORGED}\r\n".encode()
    body = b"GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"
    length = b"Content-Length: %d\r\n\r\n" % len(body)
    with TlsClient(site.port, source=CLIENT) as client:
        for n in range(1, REQUESTS + 1):
            client.send(b"GET /page/%d" % n + head + b"\r\n")
            client.send(b"PUT /put/%d" % n + head + length + body)
        for n in range(1, REQUESTS + 1):
            assert client.response().body == PAGE.encode()
            assert client.response().header("Location")[0].endswith(f"/put/{n}")
    site.saw(gets() + puts(), CLIENT)
    site.stored(REQUESTS, body)
    assert site.took(1)


NODE_FETCH = """
const loop = async (first) => {
    for (let n = first; n <= COUNT; n += 4) {
        const page = await fetch(`${SITE}/page/${n}`, { headers: FORGED });
        if (page.status != 200 || await page.text() != PAGE) throw page.status;
        const put = await fetch(`${SITE}/put/${n}`, { method: "PUT", headers: FORGED, body: BODY });
        if (put.status != 201 || await put.text() != "") throw put.status;
        done += 2;
    }
};
Promise.all([1, 2, 3, 4].map(loop)).then(() => { console.log("done " + done); process.exit(0); });
"""

NODE_AGENT = """
const https = require("https");
const agent = new https.Agent({ keepAlive: true, maxSockets: 4 });
const ask = (method, path, body, status, expected) => {
    const request = https.request(SITE + path, { method, agent, headers: FORGED }, (response) => {
        let text = "";
        response.on("data", (data) => { text += data; });
        response.on("end", () => {
            if (response.statusCode != status || text != expected) throw response.statusCode;
            if (++done == 2 * COUNT) { console.log("done " + done); agent.destroy(); }
        });
    });
    request.end(body);
};
for (let n = 1; n <= COUNT; n++) {
    ask("GET", `/page/${n}`, undefined, 200, PAGE);
    ask("PUT", `/put/${n}`, BODY, 201, "");
}
"""


@needs("node")
@pytest.mark.parametrize("script", [NODE_FETCH, NODE_AGENT], ids=["fetch", "agent"])
def test_node(site, body, script):
    preset = f"""
        const SITE = "{site.url}", COUNT = {REQUESTS}, PAGE = {PAGE!r};
        const FORGED = {FORGED_HEADERS!r}, BODY = require("fs").readFileSync("{body}");
        let done = 0;
    """
    # a rejected promise and an exception are both an exit code
    output = run("node", "-e", preset + script, NODE_EXTRA_CA_CERTS=str(certificates().ca))
    assert number(r"done (\d+)", output) == 2 * REQUESTS
    site.saw(gets() + puts())
    site.stored(REQUESTS)
    assert site.connections() < REQUESTS


JAVA = """
import java.io.FileInputStream;
import java.net.URI;
import java.net.http.*;
import java.nio.file.Path;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.util.*;
import java.util.concurrent.*;
import javax.net.ssl.*;

public class Client {
    static HttpClient client;

    static SSLContext trusting(String ca) throws Exception {
        KeyStore trusted = KeyStore.getInstance(KeyStore.getDefaultType());
        trusted.load(null, null);
        try (FileInputStream file = new FileInputStream(ca)) {
            trusted.setCertificateEntry(
                "ca", CertificateFactory.getInstance("X.509").generateCertificate(file));
        }
        TrustManagerFactory managers =
            TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        managers.init(trusted);
        SSLContext tls = SSLContext.getInstance("TLS");
        tls.init(null, managers.getTrustManagers(), null);
        return tls;
    }

    static void ask(HttpRequest.Builder request, int status, String expected) throws Exception {
        request.header("X-Forwarded-For", "6.6.6.6");
        HttpResponse<String> response =
            client.send(request.build(), HttpResponse.BodyHandlers.ofString());
        if (response.statusCode() != status || !response.body().equals(expected))
            throw new IllegalStateException(response + response.body());
    }

    static HttpRequest.Builder to(String uri) {
        return HttpRequest.newBuilder(URI.create(uri));
    }

    public static void main(String[] arguments) throws Exception {
        String url = arguments[0], page = arguments[1];
        int count = Integer.parseInt(arguments[2]);
        Path body = Path.of(arguments[3]);
        client = HttpClient.newBuilder()
            .sslContext(trusting(arguments[4]))
            .version(HttpClient.Version.valueOf(arguments[5]))
            .build();
        ExecutorService threads = Executors.newFixedThreadPool(4);
        List<Future<Integer>> loops = new ArrayList<>();
        for (int i = 1; i <= 4; i++) {
            int first = i;
            loops.add(threads.submit(() -> {
                int done = 0;
                for (int n = first; n <= count; n += 4, done += 2) {
                    ask(to(url + "/page/" + n), 200, page);
                    ask(to(url + "/put/" + n).PUT(HttpRequest.BodyPublishers.ofFile(body))
                        .expectContinue(n % 3 == 0), 201, "");
                }
                return done;
            }));
        }
        threads.shutdown();
        int done = 0;
        for (Future<Integer> loop : loops)
            done += loop.get();
        System.out.println("done " + done);
    }
}
"""


def java_compiles():
    """A JRE runs no source file."""
    if not shutil.which("java"):
        return False
    modules = subprocess.run(["java", "--list-modules"], capture_output=True, text=True).stdout
    return "jdk.compiler" in modules


@pytest.mark.skipif(not java_compiles(), reason="there is no java with a compiler here")
@pytest.mark.parametrize("version", ["HTTP_1_1", "HTTP_2"])
def test_java_http_client(site, tmp_path, body, version):
    """By default it offers HTTP/2 in the handshake and gets along without."""
    source = tmp_path / "Client.java"
    source.write_text(JAVA)
    trusted = certificates().ca
    output = run("java", source, site.url, PAGE, REQUESTS, body, trusted, version)
    assert number(r"done (\d+)", output) == 2 * REQUESTS
    site.saw(gets() + puts())
    site.stored(REQUESTS)
    assert site.connections() < REQUESTS


@needs("ab")
def test_ab(site):
    """Which speaks HTTP/1.0 with keep-alive."""
    load = ["-n", LOAD, "-c", CONNECTIONS, "-k", "-q"]
    output = run("ab", *load, "-H", FORGED, f"{site.url}/page")
    assert number(r"Complete requests: +(\d+)", output) == LOAD
    assert "Write errors" not in output
    assert number(r"Failed requests: +(\d+)", output) == 0
    assert number(r"Keep-Alive requests: +(\d+)", output) == LOAD
    assert "Non-2xx" not in output
    site.saw_load(LOAD, CONNECTIONS, "1.0")
    assert site.connections() <= CONNECTIONS


PIPELINE = """
local requests
function init()
    requests = string.rep(wrk.format(), DEPTH)
end
function request()
    return requests
end
"""


@needs("wrk")
@pytest.mark.parametrize("depth", [1, 8])
def test_wrk(site, tmp_path, depth):
    script = tmp_path / "pipeline.lua"
    script.write_text(PIPELINE.replace("DEPTH", str(depth)))
    load = ["-t", 1, "-c", CONNECTIONS, "-d", 1, "-s", script]
    output = run("wrk", *load, "-H", FORGED, f"{site.url}/page")
    claimed = number(r"(\d+) requests in", output)
    assert "Socket errors" not in output and "Non-2xx" not in output
    site.saw_load(claimed, CONNECTIONS * depth)
    assert site.connections() <= CONNECTIONS + 1 < claimed  # one looks whether anybody listens


@needs("h2load")
def test_h2load_with_http1(site):
    load = ["--h1", "-n", LOAD, "-c", CONNECTIONS]
    output = run("h2load", *load, "-H", FORGED, f"{site.url}/page")
    assert number(r"(\d+) succeeded", output) == LOAD
    assert number(r"(\d+) failed", output) == number(r"(\d+) errored", output) == 0
    assert number(r"(\d+) 2xx", output) == LOAD
    site.saw_load(LOAD)
    assert site.took(CONNECTIONS)
