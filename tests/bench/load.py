# SPDX-License-Identifier: ISC
"""Load on a front, and the CPU that it took: what the tables of this folder are made of."""

import contextlib
import os
import re
import socket
import ssl
import statistics
import subprocess
import threading
from pathlib import Path

TICK = 1e6 / os.sysconf("SC_CLK_TCK")  # microseconds of what the kernel counts in such
CONNECTIONS = 64
THREADS = 4  # that open connections side by side

# wrk prints up to p99 by itself.
PERCENTILES = """
done = function(summary, latency)
  io.write(string.format("p50 %d p99 %d p99.9 %d us\\n",
    latency:percentile(50), latency:percentile(99), latency:percentile(99.9)))
end
"""


def scheduled(pid):
    """Microseconds that a process's threads ran, by the scheduler; 0 where the kernel does not tell."""
    total = 0
    for thread in Path(f"/proc/{pid}/task").glob("*/schedstat"):
        with contextlib.suppress(OSError):  # it has just ended
            total += int(thread.read_text().split()[0])
    return total / 1000


def cpu(front):
    """Microseconds of user and system time of its processes, and of those of them that ended.

    Of threads that live it is exact, but for a slice that one is in right now. What ended is known in
    ticks alone: a thread by its process's count, where that is more than the threads have that are
    left; a process by its parent's, once that has waited for it and unless it ignores SIGCHLD.
    """
    total = 0
    for pid in front.processes():
        with contextlib.suppress(OSError):  # it has just ended: its parent has been asked before
            fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            user, system, *ended = (int(field) * TICK for field in fields[11:15])
            total += max(user + system, scheduled(pid)) + sum(ended)
    return total


def port_of(front):
    return int(front.endpoints()[0].rsplit(":", 1)[-1])


def wrk(front, seconds, *options, scheme="https", connections=CONNECTIONS):
    """What wrk says after that many seconds of requests."""
    url = f"{scheme}://127.0.0.1:{port_of(front)}/"
    command = ["wrk", "-t1", f"-c{connections}", f"-d{max(1, int(seconds))}s", *options, url]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    # A server that closes after each answer ends wrk's reading with an error that is none.
    if re.search("Non-2xx", said) or ("Socket errors" in said and "-H" not in options):
        raise SystemExit(f"{front.name} failed:\n{said}")
    return said


def spent(front, seconds, *options, **more):
    """Microseconds of CPU, requests, and requests a second."""
    before = cpu(front)
    said = wrk(front, seconds, *options, **more)
    used = cpu(front) - before
    requests = int(re.search(r"(\d+) requests in", said)[1])
    return used, requests, float(re.search(r"Requests/sec: *([\d.]+)", said)[1])


def load(front, seconds, *options, **more):
    """Microseconds of CPU a request, and requests a second."""
    used, requests, rate = spent(front, seconds, *options, **more)
    return used / requests, rate


def latency(front, seconds, connections):
    """Of requests by that many connections: p50, p99 and p99.9, in microseconds."""
    script = front.folder / "percentiles.lua"
    script.write_text(PERCENTILES)
    said = wrk(front, seconds, "-s", str(script), connections=connections)
    return [int(n) for n in re.search(r"p50 (\d+) p99 (\d+) p99.9 (\d+)", said).groups()]


# ---- connections of one request ---------------------------------------------------------------

REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
RESET = b"\1\0\0\0\0\0\0\0"  # struct linger


def context(version=None):
    one = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    one.check_hostname = False
    one.verify_mode = ssl.CERT_NONE
    if version:
        one.minimum_version = one.maximum_version = version
    return one


def read_answer(tls):
    got = b""
    while b"\r\n\r\n" not in got or len(got) - got.index(b"\r\n\r\n") - 4 < 1024:
        piece = tls.recv(65536)
        if not piece:
            raise SystemExit(f"no whole answer: {got[:200]}")
        got += piece


def connection(port, tls_context, session=None, reset=False, requests=1):
    """Requests and its end, as a browser's, or as of a client that is gone: the session."""
    sock = socket.create_connection(("127.0.0.1", port))
    if reset:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    tls = tls_context.wrap_socket(sock, server_hostname="localhost", session=session)
    for _ in range(requests):
        tls.sendall(REQUEST)
        read_answer(tls)
    session = tls.session
    if not reset:
        with contextlib.suppress(OSError):  # a front need not answer close_notify
            tls.unwrap()
    tls.close()
    return session


def connections(front, count, resume=False, version=None, reset=False):
    """Microseconds of CPU a connection, of `count` by four clients; each resumes its last one."""

    def client():
        ours, session = context(version), None
        for _ in range(count // THREADS):
            got = connection(port_of(front), ours, session, reset)
            session = got if resume else None

    before = cpu(front)
    threads = [threading.Thread(target=client) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return (cpu(front) - before) / (count // THREADS * THREADS)


# ---- bytes and memory --------------------------------------------------------------------------


def download(front, path, size, scheme="https"):
    """Seconds of CPU a GiB."""
    before = cpu(front)
    url = f"{scheme}://127.0.0.1:{port_of(front)}/{path}"
    subprocess.run(["curl", "-skf", "-o", "/dev/null", url], check=True)
    return (cpu(front) - before) / 1e6 / (size / 2**30)


def memory(front, kind="Anonymous"):
    """KiB that its processes have to themselves: pages of files come and go as others use them.

    Pages that a child has from its parent count in each; of kind Pss, a share in each.
    """
    total = 0
    for pid in front.processes():
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        total += int(re.search(rf"^{kind}: *(\d+)", rollup, re.M)[1])
    return total


def idle(front, count, stack):
    """Opens connections that have had their answer and are kept alive, until the stack closes."""
    ours = context()
    for _ in range(count):
        sock = socket.create_connection(("127.0.0.1", port_of(front)))
        tls = stack.enter_context(ours.wrap_socket(sock, server_hostname="localhost"))
        tls.sendall(REQUEST)
        read_answer(tls)


def idle_memory(front, count):
    """KiB a connection that has had its answer and is kept alive.

    The first of them take what earlier ones have left in the heap, with their buffers: they do not
    count.
    """
    with contextlib.ExitStack() as stack:
        idle(front, 6 * CONNECTIONS, stack)
        before = memory(front)
        idle(front, count, stack)
        return (memory(front) - before) / count


# ---- tables ------------------------------------------------------------------------------------


def print_table(title, runs, beside):
    """Of each front (by name: cost and rate of each round) a line, with ratios to one of them."""
    rounds = len(runs[beside])
    columns = "".join(f"{f'round {n + 1}':>10}" for n in range(rounds))
    peer = beside.split(",", maxsplit=1)[0]
    print(f"{title:<28}{columns}{'median':>10}{'/' + peer:>10}{'requests/s':>12}")
    median = {name: statistics.median(cost for cost, _ in runs[name]) for name in runs}
    for name, measured in runs.items():
        costs = "".join(f"{cost:>10.1f}" for cost, _ in measured)
        rate = statistics.median(rate for _, rate in measured)
        print(f"{name:<28}{costs}{median[name]:>10.1f}{median[name] / median[beside]:>10.2f}{rate:>12.0f}")
