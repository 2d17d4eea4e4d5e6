# SPDX-License-Identifier: ISC
"""WebSocket with a real library on both sides and with Chromium, direct and through haproxy."""

import asyncio
import http
import json
import re
import resource
import threading

import pytest

import devtools
from peers import Haproxy, Nginx, Stunnel, free_port, service, wait_for
from tls_client import DEADLINE, TlsClient, client_context

websockets = pytest.importorskip("websockets")
# The interface that is common to Debian's and Ubuntu's version and to later ones.
connect = pytest.importorskip("websockets.legacy.client").connect
serve = pytest.importorskip("websockets.legacy.server").serve

CLIENT = "127.0.0.5"
FORGED = [
    ("X-Forwarded-For", "6.6.6.6"),
    ("x-forwarded-for", "6.6.6.7, 6.6.6.8"),
    ("X_Forwarded_For", "6.6.6.9"),
]
SOCKETS = 1000
SOURCES = [f"127.0.0.{n}" for n in range(2, 12)]
DESCRIPTORS = 4 * SOCKETS  # of this process, which has both ends of every socket
HANDSHAKE = (
    b"GET /%s HTTP/1.1\r\nHost: localhost\r\n"
    b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
    b"X-Forwarded-For: 6.6.6.6\r\n\r\n"
)
PAGE = """<!doctype html><link rel=icon href=data:,><title>echo</title>
<script>
const echoed = [];
const texts = ["hello", "x".repeat(100000), "bye"];
const socket = new WebSocket(`wss://${location.host}/page`);
socket.onopen = () => texts.forEach((text) => socket.send(text));
socket.onmessage = (event) => {
    echoed.push(event.data);
    if (echoed.length == texts.length) socket.close(4000, "all echoed");
};
</script>
"""


class EchoServer:
    """Echoes messages; refuses /refused with 403, and serves a page that opens a socket."""

    def __init__(self):
        self.requests = []  # (path, its header lines that claim an address) of each
        self.open = 0
        self.closes = []  # (code, reason) of each socket that its client closed
        self.port = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self):
        self._thread.start()
        self._server = self._run(self._listen())
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_):
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def saw(self, requests):
        """Asserts that it was these, (path, client) each, in any order."""
        expected = [(path, [f"x-forwarded-for: {client}"]) for path, client in requests]
        assert sorted(self.requests) == sorted(expected)

    def report(self):
        return f"{self.open} open, {self.closes}, {self.requests}"

    def _run(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(DEADLINE)

    async def _listen(self):
        return await serve(
            self._echo,
            "127.0.0.1",
            0,
            process_request=self._judge,
            backlog=SOCKETS,
            ping_interval=None,
            close_timeout=DEADLINE,
        )

    async def _close(self):
        self._server.close()
        await self._server.wait_closed()

    async def _judge(self, path, headers):
        claims = [
            f"{name.lower()}: {value}"  # haproxy writes all names so
            for name, value in headers.raw_items()
            if re.sub("[^a-z]", "", name.lower()) == "xforwardedfor"
        ]
        self.requests.append((path, claims))
        if path == "/refused":
            return http.HTTPStatus.FORBIDDEN, [("Content-Type", "text/plain")], b"refused"
        if path == "/":
            return http.HTTPStatus.OK, [("Content-Type", "text/html")], PAGE.encode()
        return None

    async def _echo(self, socket, _path=None):
        self.open += 1
        try:
            async for message in socket:
                await socket.send(message)
        except websockets.exceptions.ConnectionClosedError:
            pass  # without a close frame: close_code says so
        finally:
            self.open -= 1
            self.closes.append((socket.close_code, socket.close_reason))


class Way:
    """The daemon before an echo server, which is the backend itself or haproxy's."""

    def __init__(self, start, through_haproxy):
        self.server = start(EchoServer())
        port = self.server.port
        if through_haproxy:
            port = free_port()
            start(
                Haproxy(
                    f"""
listen web
    bind 127.0.0.1:{port}
    timeout tunnel 60s
    server echo 127.0.0.1:{self.server.port}
"""
                )
            )
        self.stunnel = start(Stunnel("workers = 1\n" + service(port, "xForwardedFor = replace")))

    def connect(self, path, source=CLIENT, context=None, **options):
        """A client's socket, as an asynchronous context."""
        return connect(
            f"wss://127.0.0.1:{self.stunnel.port}{path}",
            ssl=context or client_context(),
            local_addr=(source, 0),
            extra_headers=FORGED,
            ping_interval=None,
            open_timeout=None,
            close_timeout=DEADLINE,
            **options,
        )


@pytest.fixture(params=["direct", "haproxy"])
def way(request, start):
    return Way(start, request.param == "haproxy")


def within_deadline(coroutine, seconds=DEADLINE):
    return asyncio.run(asyncio.wait_for(coroutine, seconds))


def test_messages_are_echoed(way):
    messages = ["text", b"\0\r\n\r\nGET / HTTP/1.1\r\n", "", "y" * 500_000, bytes(range(256)) * 999]

    async def talk():
        async with way.connect("/echo") as socket:
            for message in messages:  # in turn, then all at once
                await socket.send(message)
                assert await socket.recv() == message
            await asyncio.gather(*[socket.send(message) for message in messages])
            assert [await socket.recv() for _ in messages] == messages
            await (await socket.ping(b"are you there"))
            await socket.close(4001, "enough")
        assert (socket.close_code, socket.close_reason) == (4001, "enough")

    within_deadline(talk())
    wait_for(lambda: way.server.closes, "the server to see the close")
    assert way.server.closes == [(4001, "enough")]
    way.server.saw([("/echo", CLIENT)])


def test_socket_without_compression(way):
    """The frames are then what the application sent, and look like requests to who looks."""
    text = "GET /smuggled HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n"

    async def talk():
        async with way.connect("/plain", compression=None) as socket:
            for n in range(100):
                await socket.send(f"{n} {text}")
                assert await socket.recv() == f"{n} {text}"

    within_deadline(talk())
    way.server.saw([("/plain", CLIENT)])


@pytest.fixture
def descriptors():
    """Enough of them for this test's process, and for the servers that it starts after that."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < DESCRIPTORS:
        pytest.skip(f"a process may have {hard} files at most here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, DESCRIPTORS), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_thousand_sockets_open_at_once(descriptors, way):
    """In one worker."""
    source = {n: SOURCES[n % len(SOURCES)] for n in range(SOCKETS)}
    context = client_context()

    async def open_one(n, few):
        async with few:
            return await way.connect(f"/{n}", source[n], compression=None, context=context)

    async def echo(n, socket, word):
        await socket.send(f"{word} {n}")
        assert await socket.recv() == f"{word} {n}"

    async def talk():
        few = asyncio.Semaphore(50)  # in the handshake at once
        sockets = await asyncio.gather(*[open_one(n, few) for n in range(SOCKETS)])
        for word in ("once", "twice"):
            await asyncio.gather(*[echo(n, socket, word) for n, socket in enumerate(sockets)])
            assert way.server.open == SOCKETS
            assert way.stunnel.ended() == 0
        await asyncio.gather(*[socket.close() for socket in sockets])

    within_deadline(talk(), 4 * DEADLINE)
    way.stunnel.wait_ended(SOCKETS)
    assert len(way.stunnel.wait_log("accepted connection from", SOCKETS)) == SOCKETS
    way.server.saw([(f"/{n}", source[n]) for n in source])
    wait_for(lambda: len(way.server.closes) == SOCKETS, "the server to see all closes")
    assert set(way.server.closes) == {(1000, "")}


@pytest.mark.skipif(devtools.BINARY is None, reason="there is no chromium here")
def test_chromium_opens_a_socket_to_where_its_page_came_from(start, way):
    browser = start(devtools.Chromium())
    browser.open(f"https://localhost:{way.stunnel.port}/")
    closed = "socket.readyState == WebSocket.CLOSED"
    wait_for(lambda: browser.evaluate(closed), "the page's socket to be closed")
    assert json.loads(browser.evaluate("JSON.stringify(echoed)")) == ["hello", "x" * 100_000, "bye"]
    wait_for(lambda: way.server.closes, "the server to see the close")
    assert way.server.closes == [(4000, "all echoed")]
    way.server.saw([("/", "127.0.0.1"), ("/page", "127.0.0.1")])


def test_library_is_told_that_its_socket_was_refused(way):
    async def talk():
        with pytest.raises(websockets.exceptions.InvalidStatusCode) as refusal:
            async with way.connect("/refused"):
                pass
        assert refusal.value.status_code == 403

    within_deadline(talk())
    way.server.saw([("/refused", CLIENT)])


def test_refused_socket_leaves_the_connection_to_haproxy_usable(start):
    """For another refusal, for a page, and then for a socket."""
    way = Way(start, through_haproxy=True)
    with TlsClient(way.stunnel.port, source=CLIENT) as client:
        for _ in range(2):
            client.send(HANDSHAKE % b"refused")
            refusal = client.response()
            assert (refusal.status, refusal.body) == (403, b"refused")
        assert client.get("/", [f"{name}: {value}" for name, value in FORGED]).status == 200
        client.send(HANDSHAKE % b"echo")
        assert client.read_until(b"\r\n\r\n").startswith(b"HTTP/1.1 101 ")
        client.send(b"\x81\x85\0\0\0\0again")  # a text frame under a mask of zeros
        assert client.take(7) == b"\x81\x05again"
    way.server.saw([(path, CLIENT) for path in ("/refused", "/refused", "/", "/echo")])
    assert len(way.stunnel.wait_log("accepted connection from")) == 1


@pytest.mark.parametrize("status", [200, 400, 403])
def test_socket_refused_by_nginx_leaves_its_connection_usable(start, front, status):
    backend = start(Nginx(server=f"location /refused {{ return {status} no; }}"))
    stunnel = front(backend, "xForwardedFor = replace")
    with TlsClient(stunnel.port, source=CLIENT) as client:
        for _ in range(3):
            client.send(HANDSHAKE % b"refused")
            refusal = client.response()
            assert (refusal.status, refusal.body) == (status, b"no")
            assert client.get("/", ["x-forwarded-for: 6.6.6.6"]).body == b"<p>hello</p>\n"
    expected = [f"GET {path} HTTP/1.1|{CLIENT}|127.0.0.1" for path in ("/refused", "/")]
    assert backend.wait_log(6) == expected * 3
    assert len(stunnel.wait_log("accepted connection from")) == 1
    assert len(stunnel.wait_log("connected remote server")) == 1
