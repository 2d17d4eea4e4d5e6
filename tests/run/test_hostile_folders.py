# SPDX-License-Identifier: ISC
"""What root opens in folders of the workers' user stays within what that user has a right to."""

import os
import pwd
import shutil
import signal
import subprocess

import pytest

from faults import Faulty
from peers import DEADLINE, Stunnel, as_root, daemon_only, free_port, service, wait_for
from recorder import Recorder
from tls_client import TlsClient

pytestmark = [daemon_only, as_root]

ROOTS_OWN = "this is root's\n"
REFUSED = "is a symbolic link in a directory that belongs to user"


class InFolderOfNobody(Stunnel):
    """Log, access log and pid file are in {folder}/nobody, which may be the workers' chroot."""

    def __init__(self, chroot, config):
        super().__init__("")
        nobody = pwd.getpwnam("nobody")
        self.owner = nobody.pw_uid
        self.root = self.folder / "nobody"
        self.secret = self.folder / "secret"
        self.secret.mkdir(0o700)
        for name in ("stunnel.log", "access", "pid"):
            (self.secret / name).write_text(ROOTS_OWN)
        for folder in (self.root, self.root / "logs", self.root / "run"):
            folder.mkdir()
            os.chown(folder, self.owner, nobody.pw_gid)
        self.prefix = "" if chroot else self.root
        self.chroot = f"chroot = {self.root}" if chroot else ""
        self.place(config)

    def place(self, config):
        """Writes the configuration, whose paths are those of the workers."""
        self.log = f"{self.prefix}/logs/stunnel.log"
        globals_ = f"setuid = nobody\nsetgid = nogroup\npid = {self.prefix}/run/pid\n{self.chroot}\n"
        self.write(globals_ + config.replace("{logs}", f"{self.prefix}/logs"))
        self.log = self.root / "logs/stunnel.log"

    def swap(self, name):
        """What that user can do at any time; the log is read where it is now."""
        (self.root / name).rename(self.root / "moved")
        (self.root / name).symlink_to(self.secret)
        os.lchown(self.root / name, self.owner, -1)
        if name == "logs":
            self.log = self.root / "moved/stunnel.log"

    def assert_roots_files_are_untouched(self):
        for path in self.secret.iterdir():
            assert path.read_text() == ROOTS_OWN
            assert path.stat().st_uid == 0
        names = sorted(path.name for path in self.secret.iterdir())
        assert names == ["access", "pid", "stunnel.log"]


def options(backend):
    return service(backend.port, "accessLog = {logs}/access")


@pytest.fixture(params=[True, False], ids=["chroot", "setuid"])
def stunnel(start, request):
    daemon = InFolderOfNobody(request.param, options(start(Recorder())))
    return daemon


def serves(stunnel):
    with TlsClient(stunnel.port) as client:
        assert client.get("/").status == 200


def test_usr1_with_a_link_to_roots_folder(start, stunnel):
    start(stunnel)
    stunnel.swap("logs")
    stunnel.signal(signal.SIGUSR1)
    for kind, name in (("log file", "stunnel.log"), ("access log", "access")):
        stunnel.wait_log(f"Cannot open {kind}: {stunnel.root}/logs/{name}: logs {REFUSED}")
    serves(stunnel)
    stunnel.wait_ended(1)
    stunnel.assert_roots_files_are_untouched()


def test_hup_with_a_link_to_roots_folder(start, stunnel):
    start(stunnel)
    stunnel.swap("logs")
    stunnel.signal(signal.SIGHUP)
    stunnel.wait_log("Failed to reload the configuration file")
    assert stunnel.log_lines(REFUSED)
    serves(stunnel)
    stunnel.assert_roots_files_are_untouched()


@pytest.mark.parametrize("name", ["logs", "run"])
def test_start_with_a_link_to_roots_folder(stunnel, name):
    stunnel.swap(name)
    done = subprocess.run(stunnel.command(), capture_output=True, text=True, timeout=DEADLINE)
    assert done.returncode == 1
    assert f"{name} {REFUSED}" in done.stderr
    stunnel.assert_roots_files_are_untouched()
    shutil.rmtree(stunnel.folder)


def test_end_with_a_link_to_roots_folder(start, stunnel):
    start(stunnel)
    stunnel.swap("run")
    stunnel.stop()
    assert stunnel.log_lines(f"pid: run {REFUSED}")
    stunnel.assert_roots_files_are_untouched()


def test_the_log_itself_as_a_link(start, stunnel):
    start(stunnel)
    stunnel.log.rename(stunnel.root / "logs/old")
    stunnel.log.symlink_to(stunnel.secret / "stunnel.log")
    stunnel.log = stunnel.root / "logs/old"
    stunnel.signal(signal.SIGUSR1)
    stunnel.wait_log(f"stunnel.log {REFUSED}")
    stunnel.assert_roots_files_are_untouched()


def test_a_second_name_of_a_file_of_root(start, stunnel):
    start(stunnel)
    stunnel.log.rename(stunnel.root / "logs/old")
    stunnel.log.hardlink_to(stunnel.secret / "stunnel.log")
    stunnel.log = stunnel.root / "logs/old"
    stunnel.signal(signal.SIGUSR1)
    stunnel.wait_log("stunnel.log: Too many links")
    stunnel.assert_roots_files_are_untouched()


class Raced(InFolderOfNobody, Faulty):
    """The user acts between two calls of ours."""


def test_a_second_name_that_is_taken_away_when_the_file_is_open(start):
    stunnel = start(Raced(False, "log = overwrite\n" + options(start(Recorder()))))
    stunnel.fault("unlink")
    for name in ("stunnel.log", "access"):
        log = stunnel.root / "logs" / name
        log.rename(log.with_suffix(".1"))
        log.hardlink_to(stunnel.secret / name)
    stunnel.signal(signal.SIGUSR1)
    victim = stunnel.secret / "stunnel.log"

    def reopened():
        return "Log file reopened" in stunnel.log_text() + victim.read_text()

    wait_for(reopened, "a line in either file")
    stunnel.assert_roots_files_are_untouched()
    serves(stunnel)
    stunnel.wait_ended(1)
    assert stunnel.log.stat().st_uid == stunnel.owner


def test_a_file_of_root_under_the_name_of_the_log_is_not_given_away(start, stunnel):
    """Its owner's folder lets the user give it that name, who may not read it."""
    start(stunnel)
    for name in ("stunnel.log", "access"):
        log = stunnel.root / "logs" / name
        log.rename(log.with_suffix(".1"))
        log.write_text(ROOTS_OWN)
        log.chmod(0o600)
    stunnel.signal(signal.SIGUSR1)
    for what in ("the log file", f"access log {stunnel.prefix}/logs/access"):
        stunnel.wait_log(f"Cannot hand {what} to user {stunnel.owner}: it was there before")
    for name in ("stunnel.log", "access"):
        assert (stunnel.root / "logs" / name).stat().st_uid == 0


def test_a_log_of_an_earlier_start_is_handed_over_in_a_folder_of_root(start, stunnel):
    os.chown(stunnel.root / "logs", 0, 0)
    stunnel.log.write_text("an earlier line\n")
    start(stunnel)
    assert stunnel.log.stat().st_uid == stunnel.owner
    assert stunnel.log_text().startswith("an earlier line\n")


@pytest.mark.parametrize("target", ["/var/log", "../../../var/log", "./var/x/../log"])
def test_links_of_root_lead_to_where_they_lead_the_workers(start, target):
    """In a chroot absolute links and `..` stay within."""
    stunnel = InFolderOfNobody(True, service(free_port()))
    os.chown(stunnel.root, 0, 0)
    (stunnel.root / "logs").rmdir()
    (stunnel.root / "logs").symlink_to(target)
    for folder in ("var/log", "var/x"):
        (stunnel.root / folder).mkdir(parents=True, exist_ok=True)
    stunnel.log = stunnel.root / "var/log/stunnel.log"
    start(stunnel)
    stunnel.log.rename(stunnel.log.with_suffix(".1"))
    stunnel.signal(signal.SIGUSR1)
    wait_for(lambda: stunnel.log_lines("Log file reopened"), "the new log")
    assert stunnel.log.stat().st_uid == stunnel.owner
