# SPDX-License-Identifier: ISC
"""SIGURG: a new program takes over, and no request is lost; one that cannot start changes nothing."""

import os
import re
import shutil
import signal
import ssl
import subprocess
from pathlib import Path

import pytest

from faults import Faulty
from peers import DEADLINE, Stunnel, daemon_only, service, wait_for
from test_daemon_mode import Daemon
from test_listing import lists, total
from test_notify import Unit, quick  # noqa: F401
from recorder import Recorder, answer_each
from test_reload import Load
from tls_client import TlsClient, client_context, dial, read_to_end

pytestmark = daemon_only

HTTP = "xForwardedFor = yes"
DONE = "accepts connections"


def upgrade(stunnel, pid=None):
    """Returns the new master."""
    before = len(stunnel.log_lines("Upgraded: process"))
    os.kill(pid or stunnel.process.pid, signal.SIGURG)
    wait_for(
        lambda: len(stunnel.log_lines("Upgraded: process")) > before
        or stunnel.log_lines("Failed to upgrade"),
        "the upgrade",
    )
    lines = stunnel.log_lines("Upgraded: process")
    assert len(lines) > before, stunnel.log_text()
    return int(lines[-1].split()[2])


def own_copy(config):
    """A daemon whose program may be replaced."""
    stunnel = Stunnel(config)
    stunnel.binary = shutil.copy(stunnel.binary, stunnel.folder / "stunnel")
    return stunnel


def replace(stunnel, text):
    """As a package does: the file is another one from now on."""
    new = stunnel.folder / "new"
    new.write_text(text)
    new.chmod(0o755)
    new.rename(stunnel.binary)


def test_no_request_is_lost_under_load(start):
    backend = start(Recorder(answer_each()))
    stunnel = start(Stunnel("workers = 2\nTIMEOUTdrain = 600\n" + service(backend.port, HTTP)))
    with Load(stunnel.port, keep_alive=4, new_connections=3) as load:
        for _ in range(int(os.environ.get("UPGRADES", "3"))):
            load.wait_progress()
            upgrade(stunnel)
        load.wait_progress()
    assert load.errors == []
    assert len(backend.requests) == sum(load.answered)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tickets_are_taken_by_the_new_program(start, version):
    stunnel = start(Stunnel("workers = 1\n" + service(start(Recorder()).port, HTTP)))
    context = client_context(version=version)
    with TlsClient(stunnel.port, context=context) as client:
        assert client.get("/").status == 200
        session = client.session
    upgrade(stunnel)
    with TlsClient(stunnel.port, context=context, session=session) as client:
        assert client.get("/").status == 200
        assert client.tls.session_reused


def test_old_connections_go_on(start):
    stunnel = start(Stunnel("workers = 1\n" + service(start(Recorder()).port, HTTP)))
    with TlsClient(stunnel.port) as client:
        assert client.get("/").status == 200
        upgrade(stunnel)
        stunnel.wait_log("Worker 1 drains: 1 connection(s) left")
        assert client.get("/").status == 200


@pytest.mark.parametrize(
    "text, reason",
    [("#!/bin/sh\necho no such library >&2; exit 127\n", None), ("no program", "Exec format error")],
)
def test_a_program_that_cannot_start_changes_nothing(start, text, reason):
    stunnel = start(own_copy("workers = 1\n" + service(start(Recorder()).port, HTTP)))
    replace(stunnel, text)
    with TlsClient(stunnel.port) as client:
        assert client.get("/").status == 200
        stunnel.signal(signal.SIGURG)
        stunnel.wait_log("Failed to upgrade: everything stays as it was")
        assert client.get("/").status == 200
    with TlsClient(stunnel.port) as client:
        assert client.get("/").status == 200


def test_a_file_that_is_refused_changes_nothing(start):
    """Also not the path of a Unix socket; then it is mended."""
    backend = start(Recorder())
    config = f"workers = 2\n[web]\naccept = {{folder}}/socket\nconnect = {backend.port}\n{HTTP}\n"
    config += service(backend.port, HTTP).replace("[", "[tcp-", 1)
    stunnel = start(Stunnel(config))
    stunnel.write(config + "nonsense = yes\n")
    stunnel.signal(signal.SIGURG)
    stunnel.wait_log("Failed to upgrade")
    for to in (str(stunnel.folder / "socket"), int(stunnel.endpoints()[1].rsplit(":")[-1])):
        with TlsClient(to) as client:
            assert client.get("/").status == 200
    stunnel.write(config)
    upgrade_after_failure(stunnel)
    with TlsClient(str(stunnel.folder / "socket")) as client:
        assert client.get("/").status == 200


def upgrade_after_failure(stunnel):
    stunnel.signal(signal.SIGURG)
    stunnel.wait_log("Upgraded: process")


def test_a_term_ends_the_new_process_too(start):
    """Where it has not come so far; a reload meanwhile would be one of the same file."""
    stunnel = start(Faulty("workers = 1\nchroot = /\n" + service(start(Recorder()).port, HTTP)))
    stunnel.fault("hang")
    stunnel.signal(signal.SIGURG)
    stunnel.wait_log("Upgrading: process")
    stunnel.signal(signal.SIGHUP)
    stunnel.wait_log("Not reloaded, since the upgrade reads the file")
    with TlsClient(stunnel.port) as client:
        assert client.get("/").status == 200
    heir = int(stunnel.log_lines("Upgrading: process")[0].split()[2])
    stunnel.signal(signal.SIGTERM)
    assert stunnel.process.wait(DEADLINE) == 0
    stunnel.mend("hang")
    stunnel.wait_gone([heir])


def test_whoever_waits_for_the_first_process_goes_on_waiting(start):
    """In the foreground it passes signals on, and its end and status are those of the newest one.
    Those in the middle end with their connections, so that there are two however many there were."""
    stunnel = start(Stunnel("workers = 1\n" + service(start(Recorder()).port, HTTP)))
    new = upgrade(stunnel)
    stunnel.wait_gone([pid for pid in stunnel.processes()[1:] if pid != new and parent(pid) != new])
    stunnel.signal(signal.SIGHUP)
    stunnel.wait_log("New workers accept connections")
    with TlsClient(stunnel.port) as client:
        assert client.get("/").status == 200
        newest = upgrade(stunnel)
        stunnel.wait_log("Worker 1 drains: 1 connection(s) left")
        stunnel.signal(signal.SIGHUP)
        stunnel.wait_log("New workers accept connections", 2)
        assert client.get("/").status == 200
        assert {new, newest} <= set(children(stunnel.pid))
    wait_for(lambda: children(stunnel.pid) == [newest], "the process in the middle to end")

    stunnel.write("nonsense = yes\n")
    stunnel.signal(signal.SIGURG)
    stunnel.wait_log("Failed to upgrade")
    wait_for(lambda: children(stunnel.pid) == [newest], "nothing to be left of the one that failed")
    stunnel.signal(signal.SIGTERM)
    assert stunnel.process.wait(DEADLINE) == 0
    assert not Path(f"/proc/{newest}").exists()


def test_all_that_drain_end_with_whom_somebody_waits_for(start):
    stunnel = start(Stunnel("workers = 1\n" + service(start(Recorder()).port, HTTP)))
    with TlsClient(stunnel.port) as client, TlsClient(stunnel.port) as other:
        assert client.get("/").status == other.get("/").status == 200
        middle = upgrade(stunnel)
        stunnel.wait_log("Worker 1 drains: 2 connection(s) left")
        with TlsClient(stunnel.port) as third:
            assert third.get("/").status == 200
            newest = upgrade(stunnel)
            stunnel.wait_log("Worker 1 drains: 1 connection(s) left")
            masters = children(stunnel.pid)
            assert {middle, newest} <= set(masters)
            os.kill(newest, signal.SIGTERM)
            wait_for(lambda: newest not in children(stunnel.pid), "it to be seen")
            assert stunnel.process.poll() is None and other.get("/").status == 200
            stunnel.signal(signal.SIGTERM)
            assert stunnel.process.wait(DEADLINE) == 0
    assert not any(Path(f"/proc/{pid}").exists() for pid in masters)


def children(pid):
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def parent(pid):
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
    except OSError:
        return None


def test_a_daemon_in_the_background_is_upgraded_by_the_command(start):
    """The pid file is the new one's, which has no terminal, and no pipe of the old one's."""
    stunnel = start(Daemon("workers = 1\n" + service(start(Recorder()).port, HTTP)))
    command = [stunnel.binary, "-upgrade", stunnel.config]
    old = stunnel.pid
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE)
    stunnel.pid = int(stunnel.pid_file.read_text())
    assert f"[.] Process {stunnel.pid} took the place of {old}" in done.stderr and done.returncode == 0
    stunnel.wait_gone([old])
    for pid in stunnel.processes():
        assert [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in range(3)] == ["/dev/null"] * 3
    with TlsClient(stunnel.port) as client:
        assert client.get("/").status == 200

    stunnel.config.write_text(stunnel.config.read_text() + "nonsense = yes\n")
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE)
    assert done.returncode == 1 and "nonsense" in done.stderr
    assert not stunnel.log_lines("Failed to upgrade")
    stunnel.signal(signal.SIGURG)
    stunnel.wait_log("The new program: [!]")
    stunnel.wait_log("Failed to upgrade")
    assert int(stunnel.pid_file.read_text()) == stunnel.pid


def test_connections_of_the_first_program_in_the_background_count(start):
    limited = service(start(Recorder()).port, HTTP, "maxConnections = 1")
    stunnel = start(Daemon("workers = 1\n" + limited))
    with TlsClient(stunnel.port) as client:
        assert client.get("/").status == 200
        stunnel.pid = upgrade(stunnel, stunnel.pid)
        stunnel.wait_log("Worker 1 drains: 1 connection(s) left")
        with dial(stunnel.port) as second:
            assert read_to_end(second) == b""
        assert client.get("/").status == 200


@pytest.mark.parametrize("kind", [Stunnel, Daemon])
def test_a_list_in_the_log_has_connections_of_programs_before_this_one(start, kind):
    """Each once, also of a program with two generations."""
    stunnel = start(kind("workers = 1\n" + service(start(Recorder()).port, HTTP)))
    clients = []

    def connect():
        clients.append(TlsClient(stunnel.port))
        assert clients[-1].get("/").status == 200

    connect()
    stunnel.reload()
    stunnel.wait_log("New workers accept connections")
    for _ in range(2):
        connect()
        new = upgrade(stunnel, stunnel.pid)
        stunnel.pid = new if kind is Daemon else stunnel.pid
    connect()
    *listed, last = lists(stunnel)
    peers = ["%s:%d" % client.sock.getsockname() for client in clients]
    assert sorted(re.search(r"from ([^,]*),", line)[1] for line in listed) == sorted(peers)
    assert total([last]) == len(clients)
    for client in clients:
        client.close()
    wait_for(lambda: total(lists(stunnel)) == 0, "an empty list")


def test_programs_before_this_one_open_their_logs_again(start):
    """Where only the newest is known, as to logrotate: nobody writes to the old file any more."""
    stunnel = start(Daemon("workers = 1\n" + service(start(Recorder()).port, HTTP)))
    with TlsClient(stunnel.port) as client:
        assert client.get("/").status == 200
        old = stunnel.pid
        worker = children(old)[0]
        stunnel.pid = upgrade(stunnel, old)
        rotated = stunnel.log.rename(stunnel.folder / "rotated")
        stunnel.signal(signal.SIGUSR1)
        wait_for(lambda: not any(has_open(pid, rotated) for pid in (old, worker)), "the old file to be closed")
        assert all(has_open(pid, stunnel.log) for pid in (old, worker))


def has_open(pid, path):
    return any(entry.resolve() == path for entry in Path(f"/proc/{pid}/fd").iterdir())


def test_the_service_manager_hears_of_it_from_the_old_process(start, quick):  # noqa: F811
    """Nobody else may say which process is the main one."""
    unit = start(Unit("workers = 1\n" + service(start(Recorder()).port, HTTP), quick, WATCHDOG_USEC="600000000"))
    quick.wait(READY="1")
    quick.forget()
    new = upgrade(unit)
    assert quick.wait(MAINPID=str(new)).keys() == {"MAINPID", "READY"}
    assert quick.wait(READY="1")["MAINPID"] == str(new)
    assert new not in quick.senders[:-1] and quick.senders[-1] == new
    assert unit.process.wait(DEADLINE) == 0
    os.kill(new, signal.SIGHUP)
    quick.wait(RELOADING="1")
    assert quick.wait(READY="1")["MAINPID"] == str(new)
    os.kill(new, signal.SIGTERM)
    quick.wait(STOPPING="1")
    unit.wait_gone([new])
