# SPDX-License-Identifier: ISC
"""httpKeepAlive = pool: clients share the connections to a backend, and get their own answers."""

import contextlib
import resource
import threading

import pytest

from peers import Apache, Haproxy, Nginx, Stunnel, daemon_only, free_port, service, wait_for
from recorder import OK, Recorder
from test_metrics import Metered
from tls_client import TlsClient

pytestmark = daemon_only

POOL = ["xForwardedFor = replace", "httpKeepAlive = pool"]
ONE = "workers = 1\n"  # each worker has connections of its own
GET = b"GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n"
POST = b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\nhi"


def echo(connection):
    """Answers with the path, so that an answer shows whose it is."""
    while (request := connection.take_request()) is not None:
        path = request.split()[1]
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(path), path))


@pytest.fixture
def pool(start, front):
    """pool(serve, *options): a backend and the daemon before it."""

    def start_both(serve=echo, *options, settings=""):
        backend = start(Recorder(serve))
        return backend, front(backend, *POOL, *options, settings=ONE + settings)

    return start_both


def get(client, path, *headers):
    response = client.get(path, headers)
    assert response.status == 200
    return response.body.decode()


def introduced(stack, stunnel, count, path="/first"):
    """Clients behind their first request, which has a backend connection of its own."""
    clients = [stack.enter_context(TlsClient(stunnel.port)) for _ in range(count)]
    for n, client in enumerate(clients):
        assert get(client, f"{path}/{n}") == f"{path}/{n}"
    return clients


def still_open(backend):
    return [connection for connection in backend.connections if not connection.ended]


def lines_of(connection):
    return [request[0] for request in connection.requests()]


# ---- many clients, few connections -------------------------------------------------------------


def test_clients_share_one_connection(pool):
    backend, stunnel = pool(echo, "httpPoolMax = 1")
    with contextlib.ExitStack() as stack:
        clients = introduced(stack, stunnel, 20)
        wait_for(lambda: len(still_open(backend)) == 1, "one connection")
        kept = still_open(backend)[0]
        for turn in range(5):
            for n, client in enumerate(clients):
                assert get(client, f"/{turn}/{n}") == f"/{turn}/{n}"
    assert len(backend.connections) == 20
    assert len(lines_of(kept)) == 101


def test_a_first_request_has_a_connection_of_its_own(pool):
    """It could not be sent again by its client, as one on a connection that was in use."""
    backend, stunnel = pool()
    with contextlib.ExitStack() as stack:
        introduced(stack, stunnel, 5)
    assert [len(lines_of(c)) for c in backend.connections] == [1] * 5


def test_a_first_request_takes_one_that_is_there_on_request(pool):
    backend, stunnel = pool(echo, "httpPoolFirst = yes")
    with contextlib.ExitStack() as stack:
        introduced(stack, stunnel, 5)
        client = stack.enter_context(TlsClient(stunnel.port))
        client.send(POST % b"/post")  # it could not be sent again
        assert client.response().body == b"/post"
    assert [len(lines_of(c)) for c in backend.connections] == [5, 1]


def test_no_client_waits_for_another_ones_answer(pool):
    """One whose answer is on its way is nobody else's."""
    go = threading.Event()

    def serve(connection):
        while (request := connection.take_request()) is not None:
            path = request.split()[1]
            if path == b"/slow":
                connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n/s")
                go.wait(30)
                connection.send(b"low")
            else:
                head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"
                connection.send(head % len(path) + path)

    backend, stunnel = pool(serve)
    with contextlib.ExitStack() as stack:
        slow, other = introduced(stack, stunnel, 2)
        slow.send(GET % b"/slow")
        slow.read_until(b"/s")
        for n in range(5):
            assert get(other, f"/{n}") == f"/{n}"
        go.set()
        assert slow.take(3) == b"low"
        assert get(slow, "/again") == "/again"
    assert len(backend.connections) == 2


def test_clients_at_once_get_their_own_answers(pool):
    """Chunks, lengths, POST and pipelined requests, of which each answer names its request."""

    def serve(connection):
        while (request := connection.take_request()) is not None:
            path = request.split()[1]
            if path.endswith(b"c"):
                head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                connection.send(head + b"%x\r\n%s\r\n0\r\n\r\n" % (len(path), path))
            else:
                head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"
                connection.send(head % len(path) + path)

    backend, stunnel = pool(serve)
    wrong = []

    def talk(name):
        with TlsClient(stunnel.port) as client:
            for turn in range(30):
                paths = [b"/%d/%d/%d%s" % (name, turn, i, b"c" * (i % 2)) for i in range(4)]
                client.send(b"".join((POST if i == 2 else GET) % p for i, p in enumerate(paths)))
                got = [client.response().body for _ in paths]
                if got != paths:
                    wrong.append((paths, got))

    threads = [threading.Thread(target=talk, args=[n]) for n in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert sum(len(c.data.split(b" HTTP/1.1\r\n")) - 1 for c in backend.connections) == 1200
    assert len(backend.connections) < 100


def test_idle_clients_cost_the_backend_a_handful(start, front):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    clients = min(1000, hard // 2 - 200)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    backend = start(Recorder(echo))
    stunnel = front(backend, *POOL, "httpPoolMax = 8", settings=ONE)
    with contextlib.ExitStack() as stack:
        stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        idle = introduced(stack, stunnel, clients)
        wait_for(lambda: len(still_open(backend)) <= 8, "the others to be closed")
        for client in idle[::100]:
            assert get(client, "/later") == "/later"
    assert len(backend.connections) == clients


@pytest.mark.parametrize("server", [Nginx, Apache, Haproxy])
def test_real_backends(start, server):
    """Which connection a request came over tells nginx and haproxy by number, apache by its port."""
    if server is Nginx:
        backend = start(Nginx(server="location / { return 200 '$connection $request_uri'; }"))
    elif server is Apache:
        backend = start(Apache('Header always set X-Over "expr=%{REMOTE_PORT}"'))
    else:
        port = free_port()
        answer = 'return status 200 content-type text/plain lf-string "%[src_port] %[path]"'
        backend = start(Haproxy(f"frontend web\n    bind 127.0.0.1:{port}\n    http-request {answer}"))
        backend.port = port
    stunnel = start(Stunnel(ONE + service(backend.port, *POOL, "httpPoolMax = 2")))
    over = []
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(TlsClient(stunnel.port)) for _ in range(10)]
        for turn in range(4):
            for n, client in enumerate(clients):
                response = client.get(f"/{turn}/{n}")
                if server is Apache:
                    assert response.status == 404
                    over.append(response.header("X-Over")[0])
                else:
                    number, path = response.body.decode().split()
                    assert path == f"/{turn}/{n}"
                    over.append(number)
    assert len(set(over[:10])) == 10
    assert len(set(over[10:])) == 1 and over[10] in over[:10]


def test_each_request_has_its_turn_of_the_targets(start):
    """Each target has connections of its own."""
    backends = [start(Recorder(echo)), start(Recorder(echo))]
    targets = [f"connect = 127.0.0.1:{backend.port}" for backend in backends]
    section = service(targets[0].split(" = ")[1], targets[1], "failover = rr", *POOL)
    stunnel = start(Stunnel(ONE + section))
    with contextlib.ExitStack() as stack:
        clients = introduced(stack, stunnel, 2)
        for turn in range(5):
            for n, client in enumerate(clients):
                assert get(client, f"/{turn}/{n}") == f"/{turn}/{n}"
    assert [[len(lines_of(c)) for c in b.connections] for b in backends] == [[6], [6]]


# ---- who shares with nobody ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "challenge",
    ["WWW-Authenticate: NTLM", "Proxy-Authenticate: Basic realm=x, negotiate",
     "WWW-Authenticate: Digest a=b\r\nWWW-Authenticate: Kerberos abc="],
)
def test_who_logs_in_by_connections_keeps_his_own(pool, challenge):
    """Whoever gets the connection of such a client would be logged in as him."""

    def serve(connection):
        while (request := connection.take_request()) is not None:
            if request.startswith(b"GET /login"):
                head = "HTTP/1.1 401 Unauthorized\r\n%s\r\nContent-Length: 0\r\n\r\n"
                connection.send((head % challenge).encode())
            else:
                connection.send(OK)

    backend, stunnel = pool(serve)
    with TlsClient(stunnel.port) as user, TlsClient(stunnel.port) as other:
        assert user.get("/login").status == 401
        assert other.get("/other/1").status == 200
        assert user.get("/secret/1").status == 200
        assert other.get("/other/2").status == 200
        assert user.get("/secret/2").status == 200
        assert other.get("/other/3").status == 200
    first, second = [lines_of(c) for c in backend.connections]
    assert [line.split()[1] for line in first] == ["/login", "/secret/1", "/secret/2"]
    assert [line.split()[1] for line in second] == ["/other/1", "/other/2", "/other/3"]


@pytest.mark.parametrize("name", ["Authorization", "proxy-authorization"])
def test_credentials_without_a_challenge(pool, name):
    backend, stunnel = pool()
    with TlsClient(stunnel.port) as user, TlsClient(stunnel.port) as other:
        get(user, "/1")
        get(other, "/1")
        get(user, "/mine/2", f"{name}: negotiate YIIabc=")
        get(other, "/2")
        get(user, "/mine/3")
    mine = [c for c in backend.connections if b"/mine/2" in c.data]
    assert len(mine) == 1 and [line.split()[1] for line in lines_of(mine[0])] == ["/mine/2", "/mine/3"]


def test_others_log_in_as_they_like(pool):
    backend, stunnel = pool(echo, "httpPoolMax = 1")
    with contextlib.ExitStack() as stack:
        one, two = introduced(stack, stunnel, 2)
        for client in (one, two, one):
            get(client, "/", "Authorization: Basic YTpi")
    assert len(backend.connections) == 2


# ---- what is not clean ---------------------------------------------------------------------------

LONG = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
UNCLEAN = {
    "unasked": LONG + b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwrong",
    "close": LONG.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"),
    "http-1.0": LONG.replace(b"1.1", b"1.0").replace(b"\r\n\r\n", b"\r\nConnection: keep-alive\r\n\r\n"),
    "bare-lf": LONG.replace(b"OK\r\n", b"OK\n"),
    "two-lengths": LONG.replace(b"\r\n\r\n", b"\r\nContent-Length: 2\r\n\r\n"),
    "length-and-coding": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"2\r\nok\r\n0\r\n\r\n",
    "chunk-space": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2 \r\nok\r\n0\r\n\r\n",
    "trailer": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n"
    b"Content-Length: 3\r\n\r\n",
    "empty-lines": b"\r\n" + LONG,
    "odd-interim": b"HTTP/1.1 142 What\r\n\r\n" + LONG,
    "304-with-length": b"HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\n",
    "204-with-length": b"HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\n",
}


def answers_once(answer):
    """The one answer to /odd; to all others their path."""

    def serve(connection):
        while (request := connection.take_request()) is not None:
            path = request.split()[1]
            whole = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(path), path)
            connection.send(answer if path == b"/odd" else whole)

    return serve


def odd_is_not_shared(backend, odd, other):
    """The connection that /odd came over ends behind it."""
    before = len(backend.connections)
    got = odd()
    mine = [c for c in backend.connections if b" /odd " in c.data][0]
    wait_for(lambda: mine.ended, "the end of the connection")
    for n in range(3):
        assert get(other, f"/{n}") == f"/{n}"
    assert mine.data.rstrip().count(b"HTTP/1.1\r\n") == mine.data.split(b" /odd ")[0].count(b"HTTP/1.1\r\n") + 1
    assert len(backend.connections) >= before
    return got


@pytest.mark.parametrize("name", UNCLEAN)
def test_an_answer_that_is_not_clean_ends_its_connection(pool, name):
    backend, stunnel = pool(answers_once(UNCLEAN[name]))
    with contextlib.ExitStack() as stack:
        client, other = introduced(stack, stunnel, 2)

        def odd():
            client.send(GET % b"/odd")
            return client.read_until(b"\r\n\r\n")

        odd_is_not_shared(backend, odd, other)


@pytest.mark.parametrize(
    "request_, answer",
    [
        (b"HEAD /odd HTTP/1.1\r\nHost: h\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"),
        (b"GET /odd HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", LONG),
        (b"GET /odd HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi", LONG),
    ],
    ids=["head", "upgrade", "get-with-content"],
)
def test_requests_behind_which_a_connection_ends(pool, request_, answer):
    backend, stunnel = pool(answers_once(answer))
    with contextlib.ExitStack() as stack:
        client, other = introduced(stack, stunnel, 2)

        def odd():
            client.send(request_)
            return client.read_until(b"\r\n\r\n")

        assert b"200 OK" in odd_is_not_shared(backend, odd, other)


def test_an_answer_before_the_request_is_complete(pool):
    def serve(connection):
        while (head := connection.take_until(b"\r\n\r\n")) is not None:
            connection.send(OK)
            if head.startswith(b"POST"):
                connection.take(2)

    backend, stunnel = pool(serve)
    with contextlib.ExitStack() as stack:
        client = stack.enter_context(TlsClient(stunnel.port))
        other = stack.enter_context(TlsClient(stunnel.port))
        assert client.get("/1").status == other.get("/1").status == 200
        client.send(b"POST /odd HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nh")
        assert client.response().status == 200
        client.send(b"i")
        mine = [c for c in backend.connections if b" /odd " in c.data][0]
        wait_for(lambda: mine.ended, "the end of the connection")
        assert client.get("/2").status == other.get("/2").status == 200
    assert mine.data.endswith(b"hi")


def test_what_comes_while_nobody_asks(pool):
    """It would answer the next client's request."""
    backend, stunnel = pool()
    with contextlib.ExitStack() as stack:
        client, other = introduced(stack, stunnel, 2)
        for connection in backend.connections:
            connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwrong")
        stunnel.wait_log("something unasked", 2)
        assert get(client, "/2") == "/2"
        assert get(other, "/2") == "/2"
    assert len(backend.connections) == 3


def test_a_tunnel_is_its_clients(pool):
    def serve(connection):
        while (request := connection.take_request()) is not None:
            if b"Upgrade" not in request:
                connection.send(OK)
                continue
            connection.send(b"HTTP/1.1 101 Go\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
            connection.send(connection.take(4))

    backend, stunnel = pool(serve)
    with TlsClient(stunnel.port) as client, TlsClient(stunnel.port) as other:
        assert client.get("/1").status == other.get("/1").status == 200
        client.send(b"GET /ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
        client.read_until(b"\r\n\r\n")
        assert other.get("/2").status == 200
        client.send(b"ping")
        assert client.take(4) == b"ping"
    tunnel = [c for c in backend.connections if b"/ws" in c.data]
    assert [line.split()[1] for line in lines_of(tunnel[0])] == ["/ws"]


# ---- a backend that closes -----------------------------------------------------------------------


def test_backends_that_close_idle_connections(pool):
    """Each connection takes two requests and is then closed without a word."""

    def serve(connection):
        for _ in range(2):
            request = connection.take_request()
            if request is None:
                return
            path = request.split()[1]
            connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(path), path))

    backend, stunnel = pool(serve)
    with contextlib.ExitStack() as stack:
        clients = introduced(stack, stunnel, 4)
        for turn in range(20):
            for n, client in enumerate(clients):
                assert get(client, f"/{turn}/{n}") == f"/{turn}/{n}"


def gives_up(what):
    """Takes a request with that path and closes without an answer, if it is not a connection's
    first: as if the close had been on its way already."""

    def serve(connection):
        first = True
        while (request := connection.take_request()) is not None:
            path = request.split()[1]
            if path == what and not first:
                connection.reset()
                return
            first = False
            connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(path), path))

    return serve


def test_a_request_on_a_connection_that_closes_goes_over_a_new_one(pool):
    backend, stunnel = pool(gives_up(b"/race"))
    with contextlib.ExitStack() as stack:
        client, other, _ = introduced(stack, stunnel, 3)
        assert get(client, "/race") == "/race"
        assert get(client, "/then") == "/then"
        assert get(other, "/then") == "/then"
    raced = [lines_of(c) for c in backend.connections if b"/race" in c.data]
    assert len(backend.connections) == 4  # and not over the next one that is there
    assert raced[0][-1] == raced[1][0] == "GET /race HTTP/1.1"


def test_a_request_that_cannot_be_repeated_is_left_to_its_client(pool):
    """As on a connection that only it used: the client is closed without an answer."""
    backend, stunnel = pool(gives_up(b"/race"))
    with contextlib.ExitStack() as stack:
        client, other = introduced(stack, stunnel, 2)
        client.send(POST % b"/race")
        assert client.recv() == b"" and client.ended == "close_notify"
        stunnel.wait_log("leaves it to repeat a request to")
        assert get(other, "/2") == "/2"


def test_a_first_request_is_not_lost(pool):
    """Though all connections that are there would lose it."""
    backend, stunnel = pool(gives_up(b"/race"))
    with contextlib.ExitStack() as stack:
        introduced(stack, stunnel, 3)
        client = stack.enter_context(TlsClient(stunnel.port))
        client.send(POST % b"/race")
        assert client.response().body == b"/race"


def test_a_first_request_that_is_lost_is_sent_again(pool):
    backend, stunnel = pool(gives_up(b"/race"), "httpPoolFirst = yes")
    with contextlib.ExitStack() as stack:
        introduced(stack, stunnel, 2)
        client = stack.enter_context(TlsClient(stunnel.port))
        assert get(client, "/race") == "/race"
        assert get(client, "/then") == "/then"
    assert [lines_of(c)[-1].split()[1] for c in backend.connections] == ["/race", "/then"]


def test_not_sent_a_third_time(pool):
    def serve(connection):
        while (request := connection.take_request()) is not None:
            if b"/race" in request:
                return
            connection.send(OK)

    backend, stunnel = pool(serve)
    with TlsClient(stunnel.port) as client:
        assert client.get("/1").status == 200
        assert client.get("/race").status == 502
    assert [len(lines_of(c)) for c in backend.connections] == [2, 1]


# ---- how long connections are kept ---------------------------------------------------------------


def test_idle_connections_are_closed(pool):
    backend, stunnel = pool(echo, "TIMEOUTpool = 1")
    with contextlib.ExitStack() as stack:
        client, _ = introduced(stack, stunnel, 2)
        wait_for(lambda: not still_open(backend), "both connections to be closed")
        assert get(client, "/2") == "/2"
    assert len(backend.connections) == 3


@pytest.mark.parametrize("drain", ["0", "30"])
def test_a_reload_closes_them_at_once(pool, drain):
    """Clients of the old configuration go on, each with a connection of its own."""
    backend, stunnel = pool(echo, settings=f"TIMEOUTdrain = {drain}\n")
    with contextlib.ExitStack() as stack:
        client, _ = introduced(stack, stunnel, 2)
        stunnel.reload()
        wait_for(lambda: not still_open(backend), "the end of both connections")
        assert get(client, "/2") == "/2"
        if drain == "0":
            assert get(client, "/3") == "/3"
    assert len(backend.connections) == 3


def test_termination_closes_them(pool):
    backend, stunnel = pool()
    with contextlib.ExitStack() as stack:
        introduced(stack, stunnel, 2)
        stunnel.stop()
        wait_for(lambda: not still_open(backend), "the end of both connections")


# ---- what is told --------------------------------------------------------------------------------


def test_figures(start):
    metered = Metered(start, "httpKeepAlive = pool", globals_="workers = 1")
    with TlsClient(metered.stunnel.port) as one, TlsClient(metered.stunnel.port) as two:
        for client in (one, two, one, two, two):
            assert client.get("/200").status == 200
        wait_for(lambda: metered.value("backend_connections_idle") == 2, "two that are idle")
        assert metered.value("backend_reuses_total") == 3
        assert metered.value("backend_connections_total") == 2
        assert metered.value("connections") == 2


def test_the_access_log_has_the_backend_and_no_time_to_connect(start, front):
    backend = start(Recorder(echo))
    stunnel = front(
        backend, *POOL, "accessLog = {folder}/access",
        "accessLogFormat = %{request} %{backend} %{time_connect}", settings=ONE,
    )
    log = stunnel.folder / "access"
    with contextlib.ExitStack() as stack:
        client, _ = introduced(stack, stunnel, 2)
        get(client, "/later")
        wait_for(lambda: log.exists() and "/later" in log.read_text(), "the line")
    line = [line for line in log.read_text().splitlines() if "/later" in line][0]
    assert line == f"GET /later HTTP/1.1 127.0.0.1:{backend.port} 0.000000"


@pytest.mark.parametrize(
    "options, why",
    [
        (["client = yes"], "connections of TLS to a backend are not shared"),
        (["protocol = proxy"], "a PROXY header tells of one client"),
        (["httpSetHeader = X-Cert: %{client_cert_subject}"], "the backend is told of clients' cert"),
        (["forwarded = yes", "transparent = source"], "with 'transparent' a connection is between"),
        (["httpPoolMax = 0"], "Illegal number of idle connections"),
    ],
)
def test_what_is_not_safe_is_refused(options, why):
    with pytest.raises(AssertionError, match=why):
        with Stunnel(service(1, *POOL, *options)):
            pass


def test_a_program_is_one_clients():
    with pytest.raises(AssertionError, match="a program serves one client"):
        with Stunnel(f"[web]\naccept = 127.0.0.1:{free_port()}\nexec = /bin/cat\n" + "\n".join(POOL)):
            pass
