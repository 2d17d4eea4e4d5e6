# SPDX-License-Identifier: ISC
"""A backend that closes does not cost the client its TLS connection."""

import http.server
import socket
import threading

import pytest

from peers import Apache, Nginx, Stunnel, daemon_only, free_port, service, wait_for
from recorder import OK, Recorder, answer_each, read_only
from tls_client import TlsClient

OPTIONS = ["xForwardedFor = replace"]
CLOSE = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"
ADDRESS = "127.0.0.7"
POST = b"POST /p HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\nhi"


pytestmark = daemon_only


def start_both(start, serve, *options):
    backend = start(Recorder(serve))
    stunnel = start(Stunnel(service(backend.port, *OPTIONS, *options)))
    return backend, stunnel


def get_all(stunnel, paths):
    """The statuses, all over one connection."""
    with TlsClient(stunnel.port, source=ADDRESS) as client:
        return [client.get(path).status for path in paths]


def answer_once(answer):
    """A backend that answers one request a connection, and closes."""

    def serve(connection):
        connection.take_request()
        connection.send(answer)
        connection.end()
        read_only(connection)

    return serve


def give_up_at(n, how="end"):
    """A backend that answers until the n-th request of all, which it takes and closes without a
    word, and every one like it: what counts is kept in the function itself."""
    lock = threading.Lock()
    left = [n]

    def serve(connection):
        while connection.take_request() is not None:
            with lock:
                left[0] -= 1
                mine = left[0]
            if mine == 0:
                if how == "reset":
                    connection.reset()
                return
            connection.send(OK)

    return serve


# ---- the backend closes after a response ------------------------------------------------------


@pytest.mark.parametrize("answer", [CLOSE, OK], ids=["announced", "unannounced"])
def test_every_request_over_another_backend_connection(start, answer):
    backend, stunnel = start_both(start, answer_once(answer))
    paths = [f"/{n}" for n in range(20)]
    assert get_all(stunnel, paths) == [200] * 20
    answered = [connection.requests()[0] for connection in backend.connections]
    assert [request[0] for request in answered] == [f"GET {path} HTTP/1.1" for path in paths]
    assert all(r.count(f"X-Forwarded-For: {ADDRESS}") == 1 for r in backend.requests)
    assert len(stunnel.log_lines("accepted connection")) == 1


def test_the_client_is_not_told_to_close(start):
    _, stunnel = start_both(start, answer_once(CLOSE))
    with TlsClient(stunnel.port) as client:
        response = client.get()
        assert response.header("Connection") == ["keep-alive"]
        assert response.body == b"ok"


def test_both_go_together_if_that_is_asked_for(start, front):
    backend = start(Recorder(answer_once(CLOSE)))
    stunnel = front(backend, *OPTIONS, "httpKeepAlive = both")
    with TlsClient(stunnel.port) as client:
        response = client.get()
        assert response.header("Connection") == ["close"]
        assert client.recv() == b""


def test_a_proxy_header_on_each_backend_connection(start):
    backend, stunnel = start_both(start, answer_once(CLOSE), "protocol = proxy")
    assert get_all(stunnel, ["/1", "/2", "/3"]) == [200] * 3
    assert len(backend.connections) == 3
    for connection in backend.connections:
        assert connection.data.startswith(f"PROXY TCP4 {ADDRESS} 127.0.0.1 ".encode())


def test_pipelined_requests_lose_nothing(start):
    backend, stunnel = start_both(start, answer_once(CLOSE))
    heads = [b"GET /%d HTTP/1.1\r\nHost: localhost\r\n\r\n" % n for n in range(5)]
    with TlsClient(stunnel.port) as client:
        client.send(b"".join(heads))
        assert [client.response().status for _ in heads] == [200] * 5
    assert len(backend.connections) == 5


def test_a_body_behind_a_renewal(start):
    """A body that comes later than its head, to a backend connection that is new."""
    backend, stunnel = start_both(start, answer_once(CLOSE))
    with TlsClient(stunnel.port) as client:
        assert client.get().status == 200
        client.send(POST[:-1])
        client.send(POST[-1:])
        assert client.response().status == 200
    assert backend.connections[1].data.endswith(b"\r\n\r\nhi")


# ---- the backend closes instead of answering --------------------------------------------------


@pytest.mark.parametrize("how", ["end", "reset"])
def test_an_unanswered_request_is_sent_again_once(start, how):
    backend, stunnel = start_both(start, give_up_at(2, how))
    assert get_all(stunnel, ["/1", "/2"]) == [200, 200]
    lines = [[request[0] for request in c.requests()] for c in backend.connections]
    assert lines == [["GET /1 HTTP/1.1", "GET /2 HTTP/1.1"], ["GET /2 HTTP/1.1"]]
    again = backend.connections[1].requests()[0]
    assert again == backend.connections[0].requests()[1]


def answered_first_only():
    """A backend that answers the very first request, and no other one."""
    first = threading.Event()

    def serve(connection):
        while connection.take_request() is not None:
            if first.is_set():
                return
            first.set()
            connection.send(OK)

    return serve


def test_and_not_twice(start):
    backend, stunnel = start_both(start, answered_first_only())
    with TlsClient(stunnel.port) as client:
        assert client.get("/1").status == 200
        response = client.get("/2")
        assert response.status == 502
        assert client.recv() == b""
    assert [len(c.requests()) for c in backend.connections] == [2, 1]
    assert stunnel.wait_log("backend-closed")


@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_what_is_not_idempotent_is_not_sent_again(start, method):
    backend, stunnel = start_both(start, give_up_at(2))
    with TlsClient(stunnel.port) as client:
        assert client.get("/1").status == 200
        client.send(f"{method} /2 HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        assert client.recv() == b""
        assert client.ended == "close_notify"
    assert len(backend.connections) == 1
    stunnel.wait_log("leaves it to repeat a request to 127.0.0.1")


def test_a_request_with_content_is_not_sent_again(start):
    backend, stunnel = start_both(start, give_up_at(2))
    with TlsClient(stunnel.port) as client:
        assert client.get("/1").status == 200
        client.send(POST.replace(b"POST", b"PUT"))
        assert client.recv() == b""
        assert client.ended == "close_notify"
    assert len(backend.connections) == 1


@pytest.mark.parametrize("how", ["end", "reset"])
def test_an_upload_to_a_connection_that_was_closed_meanwhile(start, how):
    """What is written fails, and what the client still sends does not reset its close."""
    backend, stunnel = start_both(start, give_up_at(2, how))
    with TlsClient(stunnel.port) as client:
        assert client.get("/1").status == 200
        client.send(b"POST /2 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n")
        wait_for(lambda: b"POST" in backend.connections[0].data, "the request")
        for _ in range(10):
            client.send(100_000 * b"x")
        assert client.recv() == b""
        assert client.ended == "close_notify"


@pytest.mark.parametrize("mode", ["client", "both"])
@pytest.mark.parametrize("begin", [b"", b"HTTP/1.1 200 O", b"HTTP/1.1 200 OK\r\nA: b\r\n"])
def test_an_answer_that_does_not_get_to_the_end_of_its_head_is_502(start, mode, begin):
    def serve(connection):
        connection.take_request()
        connection.send(begin)

    _, stunnel = start_both(start, serve, f"httpKeepAlive = {mode}")
    with TlsClient(stunnel.port) as client:
        assert client.get("/1").status == 502
        assert client.recv() == b""
        assert client.ended == "close_notify"
    stunnel.wait_log("backend-closed (RFC 9110 15.6.3)")


def test_the_first_request_of_a_connection_is_not_sent_again(start):
    """It did not come too late: the backend does not like it."""
    backend, stunnel = start_both(start, give_up_at(1))
    assert get_all(stunnel, ["/1"]) == [502]
    assert len(backend.connections) == 1


def test_nothing_is_sent_again_after_an_interim_response(start):
    first = threading.Event()

    def serve(connection):
        while connection.take_request() is not None:
            if first.is_set():
                connection.send(b"HTTP/1.1 103 Early Hints\r\n\r\n")
                return
            first.set()
            connection.send(OK)

    backend, stunnel = start_both(start, serve)
    with TlsClient(stunnel.port) as client:
        assert client.get("/1").status == 200
        client.send(b"GET /2 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        data = client.recv_all()
        assert data.startswith(b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 502 ")
    assert len(backend.connections) == 1


def test_what_is_sent_again_is_the_request_and_nothing_else(start, front):
    """Not the end of the content before it, which could begin like a request of the client's own."""

    def serve(connection):
        if not connection.take_until(b"\r\n\r\n").startswith(b"POST"):
            connection.send(OK)
            read_only(connection)
            return
        connection.send(OK)  # before the content came
        connection.take_until(b"GET /second")
        connection.end()

    backend = start(Recorder(serve))
    stunnel = front(backend, *OPTIONS)
    forged = b"GET /forged HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n"
    with TlsClient(stunnel.port, source=ADDRESS) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        assert client.response().status == 200
        content = b"%x\r\n%s\r\n0\r\n\r\n" % (len(forged), forged)
        client.send(content + b"GET /second HTTP/1.1\r\nHost: a\r\n\r\n")
        assert client.response().status == 200
    expected = f"GET /second HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: {ADDRESS}\r\n\r\n"
    assert backend.connections[1].data == expected.encode()


def test_what_came_unasked_answers_no_later_request(start, front):
    """Also where the answer before it does not fit into the client's socket."""

    def serve(connection):
        path = connection.take_request().split()[1]
        if path == b"/right":
            connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nright")
        else:
            body = int(path[1:]) * b"x"
            head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"
            connection.send(head % len(body) + body + head % 5 + b"wrong")
        read_only(connection)

    backend = start(Recorder(serve))
    stunnel = front(backend, *OPTIONS, "socket = a:SO_SNDBUF=65536")
    for size in range(60_000, 400_000, 20_000):
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32768)
            sock.connect(("127.0.0.1", stunnel.port))
            with TlsClient(sock) as client:
                request = b"GET /%s HTTP/1.1\r\nHost: a\r\n\r\n"
                client.send(request % b"%d" % size + request % b"right")
                wait_for(client.readable, "the answer to fill the socket")
                assert len(client.response().body) == size
                assert client.response().body == b"right"


@pytest.mark.parametrize("closes", [True, False], ids=["closes", "lingers"])
def test_a_client_that_is_done_gets_all_its_answers(start, front, closes):
    def serve(connection):
        connection.take_request()
        connection.send(CLOSE)
        if closes:
            connection.end()
        read_only(connection)

    backend = start(Recorder(serve))
    stunnel = front(backend, *OPTIONS)
    request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    with TlsClient(stunnel.port) as client:
        client.send(2 * request)
        client.end()
        client.sock.shutdown(socket.SHUT_WR)
        assert client.recv_all().count(b"HTTP/1.1 200 OK\r\n") == 2
    assert len(backend.connections) == 2


def test_our_answer_to_head_has_no_content(start, front):
    backend = start(Recorder(lambda connection: connection.take_request()))
    stunnel = front(backend, *OPTIONS)
    with TlsClient(stunnel.port) as client:
        client.send(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n")
        answer = client.recv_all()
    assert answer.startswith(b"HTTP/1.1 502 Bad Gateway\r\n") and answer.endswith(b"\r\n\r\n")


def test_a_response_that_breaks_off_is_an_abort(start):
    def serve(connection):
        connection.take_request()
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart")

    _, stunnel = start_both(start, serve)
    with TlsClient(stunnel.port) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        data = client.recv_all()
        assert data.endswith(b"part")
    assert stunnel.wait_log("The backend ended inside a message")


# ---- between two backend connections ----------------------------------------------------------


def test_a_backend_that_is_not_there_any_more(start):
    backend, stunnel = start_both(start, answer_once(CLOSE))
    with TlsClient(stunnel.port) as client:
        assert client.get().status == 200
        backend.close()
        assert client.get().status == 503
        assert client.recv() == b""


def test_another_target_takes_over(start, front):
    second = start(Recorder())
    first = start(Recorder(answer_once(CLOSE)))
    target = f"connect = 127.0.0.1:{second.port}"
    stunnel = front(first, *OPTIONS, target)
    with TlsClient(stunnel.port) as client:
        assert client.get("/1").status == 200
        first.close()
        assert client.get("/2").status == 200
    assert second.requests[0][0] == "GET /2 HTTP/1.1"


def test_a_bad_request_is_answered(start):
    _, stunnel = start_both(start, answer_once(CLOSE))
    with TlsClient(stunnel.port) as client:
        assert client.get().status == 200
        client.send(b"GET / HTTP/1.1\r\n\r\n")
        assert client.response().status == 400
        assert client.recv() == b""


def test_a_slow_head_is_answered_with_408(start):
    _, stunnel = start_both(start, answer_once(CLOSE), "TIMEOUTrequest = 1")
    with TlsClient(stunnel.port) as client:
        assert client.get().status == 200
        client.send(b"GET / HT")
        assert client.response().status == 408


def test_an_idle_client_is_closed(start):
    _, stunnel = start_both(start, answer_once(CLOSE), "TIMEOUTidle = 1", "TIMEOUTrequest = 300")
    with TlsClient(stunnel.port) as client:
        assert client.get().status == 200
        assert client.recv() == b""
        assert client.ended == "close_notify"
    assert stunnel.wait_log("TIMEOUTidle exceeded")


# ---- the client leaves ------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["client", "both"])
def test_a_client_that_leaves_while_its_requests_wait(start, front, mode):
    """A request is pending, and what comes behind it is not read: that must not hide the end."""
    backend = start(Recorder(read_only))
    stunnel = front(backend, OPTIONS[0], f"httpKeepAlive = {mode}")
    upgrade = b"GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    with TlsClient(stunnel.port) as client:
        client.send(upgrade + b"behind")
        wait_for(lambda: backend.connections and backend.connections[0].data, "the request")
        client.sock.close()
    stunnel.wait_ended(1)


@pytest.mark.parametrize("mode", ["client", "both"])
def test_a_client_that_leaves_before_it_is_refused(start, front, mode):
    """Its bad request stands behind a good one, which is not answered."""
    backend = start(Recorder(read_only))
    stunnel = front(backend, OPTIONS[0], f"httpKeepAlive = {mode}")
    with TlsClient(stunnel.port) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\nbad\r\n\r\n")
        wait_for(lambda: backend.connections and backend.connections[0].data, "the request")
        client.sock.close()
    stunnel.wait_ended(1)


# ---- real backends ----------------------------------------------------------------------------


def test_nginx_that_closes_after_every_response(start, front):
    backend = start(Nginx(server="keepalive_requests 1;"))
    stunnel = front(backend, *OPTIONS)
    assert get_all(stunnel, [f"/{n}" for n in range(20)]) == [404] * 20
    assert len(backend.wait_log(20)) == 20
    assert all(f"|{ADDRESS}|" in line for line in backend.log_lines())
    assert len(stunnel.log_lines("accepted connection")) == 1


@pytest.mark.parametrize("config", ["KeepAlive Off", "MaxKeepAliveRequests 2"])
def test_apache_that_closes(start, front, config):
    backend = start(Apache(config))
    stunnel = front(backend, *OPTIONS)
    assert get_all(stunnel, [f"/{n}" for n in range(20)]) == [404] * 20
    assert all(f"|{ADDRESS}|" in line for line in backend.wait_log(20))
    assert len(stunnel.log_lines("accepted connection")) == 1


def test_a_server_of_http_1_0(front):
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", free_port()), http.server.SimpleHTTPRequestHandler
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        stunnel = front(server.server_port, *OPTIONS)
        assert get_all(stunnel, ["/no-such-file"] * 5) == [404] * 5
        assert len(stunnel.log_lines("accepted connection")) == 1
    finally:
        server.shutdown()
        server.server_close()


def test_answer_each_still_shares_one_connection(start):
    backend, stunnel = start_both(start, answer_each())
    assert get_all(stunnel, ["/1", "/2", "/3"]) == [200] * 3
    assert len(backend.connections) == 1
