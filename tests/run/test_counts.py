# SPDX-License-Identifier: ISC
"""What was refused or mended is counted over all workers and reloads, and told by USR2 and at the end."""

import re
import signal

from peers import daemon_only, free_port
from recorder import Recorder
from tls_client import TlsClient, dial, read_to_end

ANSWERS = {
    b"/mended": b"HTTP/1.1 200 OK\r\nA: b\r\n c\r\nContent-Length: 2\r\n\r\nok",
    b"/refused": b"HTTP/1.1 200 OK\r\nContent-Length: 2, 3\r\n\r\nok",
}
BAD = b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"
HEADING = "Refused or mended since the start:"
ROUNDS = 20  # enough of them for the kernel to choose every worker's socket
pytestmark = daemon_only


def serve(connection):
    while request := connection.take_request():
        connection.send(ANSWERS[request.split()[1]])


def use(stunnel):
    """A refused request, three mended answers and a refused one, each time on new connections."""
    for _ in range(ROUNDS):
        with TlsClient(stunnel.port) as client:
            client.send(BAD)
            assert client.response().status == 400
        with TlsClient(stunnel.port) as client:
            assert [client.get("/mended").status for _ in range(3)] == [200] * 3
            assert client.get("/refused").status == 502


def counts(rounds):
    return [
        f"host-duplicate (RFC 9112 3.2): {rounds}",
        f"answer-lengths-differ (RFC 9112 6.3): {rounds}",
        f"answer-fold (RFC 9112 5.2): {3 * rounds}",
    ]


def told(stunnel, times):
    """The counts behind the last heading, which is there so many times."""
    stunnel.wait_log(HEADING, times)
    stunnel.wait_log("answer-fold (RFC 9112 5.2): ", times)
    assert len(stunnel.log_lines(HEADING)) == times
    text = stunnel.log_text().rsplit(HEADING, 1)[1]
    return re.findall(r"\]: (\S+ \(RFC [\d. ]+\): \d+)$", text, re.M)


def test_counts_are_those_of_all_workers_and_stay_over_a_reload(start, front):
    stunnel = front(start(Recorder(serve)), "xForwardedFor = replace", settings="workers = 2\n")
    use(stunnel)
    stunnel.signal(signal.SIGUSR2)
    assert told(stunnel, 1) == counts(ROUNDS)
    stunnel.replace_workers()
    use(stunnel)
    stunnel.signal(signal.SIGUSR2)
    assert told(stunnel, 2) == counts(2 * ROUNDS)
    stunnel.stop()
    assert told(stunnel, 3) == counts(2 * ROUNDS)


def test_answers_without_tls_and_without_a_backend_are_counted(front):
    stunnel = front(free_port(), "xForwardedFor = replace")
    with dial(stunnel.port) as sock:
        sock.sendall(BAD)
        assert read_to_end(sock).startswith(b"HTTP/1.1 400 ")
    with TlsClient(stunnel.port) as client:
        assert client.get().status == 503
    stunnel.signal(signal.SIGUSR2)
    stunnel.wait_log("backend-unavailable (RFC 9110 15.6.4): 1")
    assert "plain-http (RFC 9110 7.4): 1" in stunnel.log_lines("")


def test_it_is_told_that_there_is_nothing_to_tell(start, front):
    stunnel = front(start(Recorder()))
    with TlsClient(stunnel.port) as client:
        assert client.get().status == 200
    stunnel.signal(signal.SIGUSR2)
    stunnel.wait_log("Nothing was refused or mended since the start")
    stunnel.stop()
    assert stunnel.log_lines(HEADING) == []
