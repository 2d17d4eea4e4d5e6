# SPDX-License-Identifier: ISC
"""Log and access log on full disks, and where files cannot be opened again."""

import grp
import json
import os
import re
import resource
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from certs import certificates
from peers import Stunnel, as_root, can_mount, daemon_only, free_port, service, wait_for
from recorder import Recorder
from tls_client import TlsClient, dial

pytestmark = daemon_only

DATE = r"\d{4}\.\d\d\.\d\d \d\d:\d\d:\d\d LOG"
ACCESS = ["accessLog = {folder}/access", "accessLogFormat = json"]


def get(stunnel, *paths):
    """A connection for each, so that all workers have some."""
    for path in paths:
        with TlsClient(stunnel.port) as client:
            assert client.get(path).status == 200


def paths(prefix, count):
    return [f"/{prefix}/{n}" for n in range(count)]


def records(text):
    """The lines that are whole. What a full disk left of one stands alone."""
    found = []
    for line in text.splitlines():
        assert '{"time"' not in line[1:], f"two lines in one: {line}"
        try:
            found.append(json.loads(line))
        except ValueError:
            pass
    return found


def requests(text):
    return {record["request"].split()[1] for record in records(text)}


def assert_no_line_is_glued(text):
    assert [line for line in text.splitlines() if re.search(DATE, line[1:])] == []


def wait_count(stunnel, why):
    """Each worker says with its next line what it has lost."""
    said = re.compile(rf"\d+ log line\(s\) lost: {why}")
    wait_for(lambda: get(stunnel, "/after") or said.search(stunnel.log_text()), "a count")


class Limited:
    """Files of these processes may grow by `more` bytes within the block."""

    def __init__(self, stunnel, size):
        self.pids = stunnel.processes()
        self.size = size

    def __enter__(self):
        self._set(self.size)

    def __exit__(self, *_):
        self._set(resource.RLIM_INFINITY)

    def _set(self, size):
        for pid in self.pids:
            _, most = resource.prlimit(pid, resource.RLIMIT_FSIZE)
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, most))


# ---- full disks -------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [1, 3])
def test_a_log_that_may_not_grow_begins_anew_and_counts_what_is_missing(start, front, workers):
    backend = start(Recorder())
    stunnel = front(backend, settings=f"workers = {workers}\n")
    get(stunnel, *paths("before", 2))
    stunnel.wait_ended(2)
    size = stunnel.log.stat().st_size + 150
    with Limited(stunnel, size):
        get(stunnel, *paths("full", 8))
        wait_for(lambda: stunnel.log.stat().st_size == size, "the log to be full")
    wait_count(stunnel, "File too large")
    assert_no_line_is_glued(stunnel.log_text())


@pytest.mark.parametrize("workers", [1, 3])
def test_an_access_log_that_may_not_grow_is_completed_later(start, workers):
    backend = start(Recorder())
    config = f"debug = warning\nworkers = {workers}\n" + service(backend.port, *ACCESS)
    stunnel = start(Stunnel(config))
    access = stunnel.folder / "access"
    get(stunnel, *paths("before", 2))
    wait_for(lambda: len(requests(access.read_text())) == 2, "the first lines")
    size = access.stat().st_size + 150
    with Limited(stunnel, size):
        get(stunnel, *paths("full", 8))
        stunnel.wait_log(f"Cannot write access log: {access}: File too large")
        get(stunnel, *paths("more", 8))
    expected = {*paths("before", 2), *paths("full", 8), *paths("more", 8)}
    wait_for(lambda: requests(access.read_text()) == expected, "all lines")
    assert len(stunnel.log_lines("Cannot write access log")) <= workers


class OnSmallDisk(Stunnel):
    """{folder}/disk is a file system of its own, which only the daemon sees; of so many bytes."""

    def __init__(self, config, size):
        super().__init__("")
        disk = self.folder / "disk"
        disk.mkdir()
        mount = f"mount -t tmpfs -o size={size} none {disk} && exec \"$@\""
        self.wrapper = ["unshare", "-m", "sh", "-c", mount, "sh"]
        self.log = disk / "stunnel.log"
        self.write(config)

    @property
    def disk(self):
        return Path(f"/proc/{self.pid}/root{self.folder}/disk")

    def log_text(self):
        log = self.disk / "stunnel.log"
        return log.read_text("latin-1") if self.pid and log.exists() else ""


@as_root
def test_a_full_disk_that_is_freed(start):
    if not can_mount():
        pytest.skip("cannot mount")
    backend = start(Recorder())
    options = [option.format(folder="{folder}/disk") for option in ACCESS]
    stunnel = start(OnSmallDisk("workers = 2\n" + service(backend.port, *options), 96 * 1024))
    access, filler = stunnel.disk / "access", stunnel.disk / "filler"
    get(stunnel, *paths("before", 2))
    wait_for(lambda: len(requests(access.read_text())) == 2, "the first lines")
    with pytest.raises(OSError), open(filler, "wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    get(stunnel, *paths("full", 60))
    filler.unlink()
    wait_count(stunnel, "No space left on device")
    wait_for(lambda: {*paths("full", 60)} <= requests(access.read_text()), "all requests")
    assert_no_line_is_glued(stunnel.log_text())


# ---- reopening --------------------------------------------------------------------------------


def test_usr1_tries_all_files_whatever_fails(start):
    """Each that cannot be opened is named; the others are new ones, also where workers write."""
    backend = start(Recorder())
    sections = [
        service(backend.port, f"accessLog = {{folder}}/{where}", name=where.replace("/", "-"))
        for where in ("logs/one", "two", "logs/three", "four")
    ]
    stunnel = Stunnel("workers = 2\n")
    logs, moved = stunnel.folder / "logs", stunnel.folder / "moved"
    logs.mkdir()
    stunnel.log = logs / "stunnel.log"
    stunnel.write("workers = 2\n" + "".join(sections))
    start(stunnel)
    logs.rename(moved)
    for name in ("two", "four"):
        (stunnel.folder / name).rename(stunnel.folder / f"{name}.1")
    stunnel.log = moved / "stunnel.log"
    stunnel.signal(signal.SIGUSR1)
    for error in ("log file: {}/stunnel.log", "access log: {}/one", "access log: {}/three"):
        stunnel.wait_log(f"Cannot open {error.format(logs)}: No such file or directory", 3)
    for name, port in zip(("logs-one", "two", "logs-three", "four"), ports(stunnel)):
        with TlsClient(port) as client:
            assert client.get(f"/{name}").status == 200
    for name in ("two", "four"):
        new = stunnel.folder / name
        wait_for(lambda: new.exists() and f"/{name} " in new.read_text(), f"{name}, anew")


@as_root
@pytest.mark.parametrize("mode", [0o700, 0o711], ids="{:o}".format)
def test_logs_where_workers_may_not_go_are_warned_of_at_the_start(start, mode):
    """Opened by root they are written, but not opened again after a rotation."""
    stunnel = Stunnel("")
    logs = stunnel.folder / "logs"
    logs.mkdir()
    logs.chmod(mode)
    stunnel.log = logs / "stunnel.log"
    section = service(start(Recorder()).port, f"accessLog = {logs}/access")
    stunnel.write(f"workers = 2\nsetuid = nobody\nsetgid = nogroup\n{section}")
    start(stunnel)
    warnings = [
        f"Workers cannot open {what} after a rotation: {logs}/{name}: Permission denied (13)"
        for what, name in (("the log file", "stunnel.log"), ("access log", "access"))
    ]
    assert stunnel.log_lines("rotation") == (warnings if mode == 0o700 else [])


def ports(stunnel):
    return [int(endpoint.rsplit(":", 1)[1]) for endpoint in stunnel.endpoints()]


@as_root
@pytest.mark.parametrize("there", [True, False], ids=["rotated", "new"])
def test_a_file_that_was_made_for_us_keeps_mode_and_group(start, there):
    """logrotate's `create` says who reads logs; the workers only need to write them."""
    stunnel = Stunnel("")
    logs = [stunnel.log, stunnel.folder / "access"]
    section = service(start(Recorder()).port, f"accessLog = {logs[1]}")
    stunnel.write(f"workers = 2\nsetuid = nobody\nsetgid = nogroup\n{section}")

    def rotate():
        for log in logs if there else []:
            log.unlink(missing_ok=True)
            log.touch()
            log.chmod(0o604)
            os.chown(log, 0, grp.getgrnam("adm").gr_gid)

    def rights():
        return [(log.owner(), log.group(), f"{log.stat().st_mode & 0o777:o}") for log in logs]

    wanted = ("nobody", "adm", "604") if there else ("nobody", "nogroup", "640")
    rotate()
    start(stunnel)
    assert rights() == [wanted] * 2
    rotate()
    stunnel.signal(signal.SIGUSR1)
    stunnel.wait_log("Log file reopened")
    wait_for(lambda: rights() == [wanted] * 2, "the owner of the new files")
    with TlsClient(stunnel.port) as client:
        client.get("/rotated")
    wait_for(lambda: "/rotated" in logs[1].read_text(), "a line in the new access log")
    assert "Cannot" not in stunnel.log_text()


# ---- what the program was started with, and how lines look --------------------------------------


class Captured:
    """The program with a socket as its standard output, which no path could open."""

    def __init__(self, config):
        self.port = free_port()
        files = certificates()
        section = service(free_port(), name='a"\\\u00e9', accept=f"127.0.0.1:{self.port}")
        self.ours, theirs = socket.socketpair()
        self.process = subprocess.Popen(
            [Stunnel("").binary, "-fd", "0"], stdin=subprocess.PIPE, stdout=theirs, stderr=theirs
        )
        text = f"syslog = no\nworkers = 1\ncert = {files.cert}\nkey = {files.key}\n"
        self.process.stdin.write((text + config + section).encode())
        self.process.stdin.close()
        theirs.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        assert self.process.wait() == 0
        self.ours.close()

    def heard(self, text):
        """Lines up to the end of one that has this text."""
        data = b""
        while text.encode() not in data or not data.endswith(b"\n"):
            more = self.ours.recv(65536)
            assert more, data
            data += more
        return data.decode().splitlines()


def test_an_access_log_goes_to_a_socket_that_is_standard_output(start):
    config = "foreground = quiet\naccessLog = stdout\naccessLogFormat = %{request} %{status}\n"
    stunnel = start(Captured(config))
    wait_for(lambda: is_up(stunnel.port), "the daemon")
    for n in range(2):
        with TlsClient(stunnel.port) as client:
            assert client.get(f"/{n}").status == 503
        stunnel.process.send_signal(signal.SIGUSR1)
        assert stunnel.heard(f"/{n}")[-1] == f"GET /{n} HTTP/1.1 503"


def is_up(port):
    try:
        dial(port).close()
    except ConnectionRefusedError:
        return False
    return True


@pytest.mark.parametrize("where", ["stdout", "stderr"])
def test_a_log_in_json_goes_there_once(start, where):
    """Whatever a line holds: bytes of UTF-8 are told one by one, as in access logs."""
    settings = f"output = {where}\nlogFormat = json\ndebug = info\n"
    stunnel = start(Captured(f"foreground = {'yes' if where == 'stderr' else 'quiet'}\n{settings}"))
    lines = [json.loads(line) for line in stunnel.heard("Accepting new connections")]
    found = [line for line in lines if line["text"].startswith("Initializing service")]
    assert [line["text"] for line in found] == ['Initializing service [a"\\\u00c3\u00a9]']
    assert (found[0]["level"], found[0]["id"]) == ("info", "main")
    time = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
    assert all(re.fullmatch(time, line["time"]) for line in lines)


def test_lines_may_have_milliseconds(start, front):
    stunnel = front(start(Recorder()), settings="logFormat = milliseconds\n")
    stunnel.wait_log("Accepting new connections")
    assert re.match(DATE.replace(" LOG", r"\.\d{3} LOG\d\[main\]: "), stunnel.log_text())


@pytest.mark.parametrize("option", ["output", "accessLog"])
def test_in_the_background_there_is_no_standard_output(option):
    text = f"foreground = no\n{option} = stdout\n{service(1)}"
    command = [Stunnel("").binary, "-test", "-fd", "0"]
    told = subprocess.run(command, input=text, check=False, capture_output=True, text=True)
    assert told.returncode == 1
    assert "stdout is not open here: that needs foreground = yes or quiet" in told.stderr
