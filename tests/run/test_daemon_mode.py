# SPDX-License-Identifier: ISC
"""foreground = no, and giving up privileges: pid file, setuid, setgid, chroot."""

import os
import pwd
import signal
import stat
from pathlib import Path

import pytest

from peers import Stunnel, as_root, daemon_only, free_port, listening_ports, service, wait_for
from recorder import Recorder
from tls_client import TlsClient

pytestmark = daemon_only

class Daemon(Stunnel):
    """Runs in the background: what was started ends at once, the pid file says who stays."""

    def __init__(self, config, root=None):
        """`root` is what chroot shall be, within the daemon's folder."""
        super().__init__("")
        self.root = self.folder / root if root else Path("/")
        inside = self.root / self.folder.relative_to("/")
        for folder in (inside / "run", inside, self.folder):
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o777)
        chroot = f"chroot = {self.root}" if root else ""
        self.write(f"foreground = no\n{chroot}\npid = {self.folder}/run/pid\n{config}")
        self.log = inside / "stunnel.log"
        self.pid_file = inside / "run/pid"

    def _started(self):
        """The launcher returned 0, and by then everything is in place."""
        if self.process.poll() is None:
            return False
        self.pid = None  # the launcher's
        assert self.process.returncode == 0, self.report()
        assert self.stderr.read_text() == ""
        self.pid = int(wait_for(self._pid_text, "the pid file"))
        return True

    def _pid_text(self):
        return self.pid_file.exists() and self.pid_file.read_text().strip()

    def stop(self):
        """There is no exit code to ask for."""
        if self.pid:
            self.signal(signal.SIGTERM)
            wait_for(lambda: not Path(f"/proc/{self.pid}").exists(), "the daemon to end")
            self.pid = None
        assert not self.sanitizer_report(), self.sanitizer_report()


def test_launcher_returns_when_the_port_listens(start):
    backend = start(Recorder())
    stunnel = Daemon(service(backend.port))
    start(stunnel)
    assert stunnel.port in listening_ports()
    assert os.readlink(f"/proc/{stunnel.pid}/cwd") == "/"
    assert os.getsid(stunnel.pid) != os.getsid(0)
    assert [os.readlink(f"/proc/{stunnel.pid}/fd/{fd}") for fd in range(3)] == ["/dev/null"] * 3
    serves(stunnel)
    stunnel.stop()
    assert not stunnel.pid_file.exists()
    assert stunnel.port not in listening_ports()


@pytest.mark.parametrize("closed", range(1, 8), ids="{:03b}".format)
@pytest.mark.parametrize("kind", [Daemon, Stunnel])
def test_started_without_standard_streams(start, kind, closed):
    """Bit N: descriptor N is closed."""
    backend = start(Recorder())
    stunnel = kind("workers = 2\n" + service(backend.port))
    closing = " ".join(f"{fd}<&-" for fd in range(3) if closed & 1 << fd)
    stunnel.wrapper = ["sh", "-c", f'exec "$@" {closing}', "sh"]
    start(stunnel)
    workers = stunnel.processes()[1:]
    assert len(workers) == 2
    for _ in range(4):
        serves(stunnel)
    assert stunnel.processes()[1:] == workers
    for pid in workers:
        streams = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in range(3) if closed & 1 << fd]
        assert set(streams) == {"/dev/null"}


def test_files_of_the_daemon(start):
    stunnel = Daemon(service(free_port()))
    start(stunnel)
    assert stat.S_IMODE(stunnel.pid_file.stat().st_mode) == 0o644
    assert stat.S_IMODE(stunnel.log.stat().st_mode) == 0o640
    assert stunnel.pid_file.read_text() == f"{stunnel.pid}\n"


def test_reload_in_the_background(start):
    """Relative to where it was started: the working directory is another one by then."""
    backend = start(Recorder())
    config = service(backend.port, "httpSetHeader = X-Rule: old")
    stunnel = Daemon(config)
    stunnel.command = lambda: [*Stunnel.command(stunnel)[:-1], "stunnel.conf"]
    start(stunnel)
    text = stunnel.config.read_text()
    stunnel.config.write_text(text.replace("X-Rule: old", "X-Rule: new"))
    stunnel.replace_workers()
    with TlsClient(stunnel.port) as client:
        client.get("/")
    assert backend.requests[0][-1] == "X-Rule: new"


def test_failure_is_told_by_the_launcher(start):
    taken = start(Recorder())
    stunnel = Daemon(service(free_port(), accept=f"127.0.0.1:{taken.port}"))
    with pytest.raises(AssertionError, match="Address already in use"):
        start(stunnel)
    assert stunnel.process.returncode == 1
    assert not stunnel.pid_file.exists()


@as_root
@pytest.mark.parametrize("chroot", [False, True], ids=["setuid", "chroot"])
def test_privileges_are_given_up(start, chroot):
    backend = start(Recorder())
    config = "workers = 2\nsetuid = nobody\nsetgid = nogroup\n" + service(backend.port)
    stunnel = Daemon(config, root="root" if chroot else None)
    start(stunnel)
    workers = stunnel.processes()[1:]
    assert len(workers) == 2
    for pid in workers:
        assert_nobody(pid)
        assert os.readlink(f"/proc/{pid}/root") == (str(stunnel.root) if chroot else "/")
    serves(stunnel)

    switched = [f"Switched to chroot directory: {stunnel.root}"] if chroot else []
    assert stunnel.log_lines("Switched to chroot directory") == switched

    stunnel.log.rename(stunnel.log.with_suffix(".1"))
    stunnel.signal(signal.SIGUSR1)
    wait_for(lambda: serves(stunnel) and stunnel.ended(), "a worker to write to the new log")

    stunnel.reload()
    stunnel.wait_gone(workers)
    serves(stunnel)
    for pid in stunnel.processes()[1:]:
        assert_nobody(pid)


def serves(stunnel):
    with TlsClient(stunnel.port) as client:
        assert client.get("/").status == 200
    return True


def assert_nobody(pid):
    """No id, group or capability of root is left."""
    nobody = pwd.getpwnam("nobody")
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    facts = dict(line.split(":", 1) for line in lines)
    assert facts["Uid"].split() == [str(nobody.pw_uid)] * 4
    assert facts["Gid"].split() == [str(nobody.pw_gid)] * 4
    assert facts["Groups"].split() in ([], [str(nobody.pw_gid)])
    assert int(facts["CapEff"], 16) == int(facts["CapPrm"], 16) == 0


@as_root
def test_privileged_port_is_bound_before_and_after_a_reload(start):
    backend = start(Recorder())
    port = next(port for port in range(700, 1000) if port not in listening_ports())
    accept = f"127.0.0.1:{port}"
    stunnel = Daemon("setuid = nobody\nsetgid = nogroup\n" + service(backend.port, accept=accept))
    start(stunnel)
    stunnel.reload()
    serves(stunnel)
