# SPDX-License-Identifier: ISC
"""What `make install` leaves, systemd's opinion of the units, and what other packages make of it."""

import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from certs import certificates
from peers import BINARY, DEADLINE, Stunnel, daemon_only, free_port
from recorder import Recorder
from tls_client import TlsClient

pytestmark = daemon_only

BUILD = Path(BINARY).resolve().parent.parent
SYSCONFDIR = "/usr/local/etc"
needs_systemd = pytest.mark.skipif(
    not shutil.which("systemd-analyze"), reason="systemd-analyze is not there"
)


def run(*command, **options):
    done = subprocess.run(command, capture_output=True, text=True, timeout=10 * DEADLINE, **options)
    return done.returncode, done.stdout + done.stderr


def make(folder, *words):
    if not (BUILD / "Makefile").exists():
        pytest.skip(f"{BUILD} is no folder of a build")
    status, said = run("make", "-C", str(BUILD), "--silent", *words, f"DESTDIR={folder}")
    assert status == 0, said


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """As with the default folders, whatever the build was configured with."""
    folder = tmp_path_factory.mktemp("installed")
    make(folder, "install-data", f"sysconfdir={SYSCONFDIR}", "prefix=/usr/local")
    return folder


def test_the_folder_of_the_configuration_has_a_sample(installed):
    sample = (installed / SYSCONFDIR[1:] / "stunnel/stunnel.conf-sample").read_text()
    lines = [line for line in sample.splitlines() if line and line[0] != ";"]
    assert not lines, "all of it is commented out"


def test_the_sample_is_a_configuration(installed, tmp_path):
    """Its options are ours: the faults are files, users and ports of the machine."""
    text = (installed / SYSCONFDIR[1:] / "stunnel/stunnel.conf-sample").read_text()
    config = tmp_path / "stunnel.conf"
    config.write_text(re.sub(r"^;(?=[a-zA-Z\[])", "", text, flags=re.M))
    _, said = run(BINARY, "-test", str(config))
    assert "not valid here" not in said
    assert "No such file" in said  # the certificate: all of the file was read


def test_what_is_there_stays(installed, tmp_path):
    mine = tmp_path / SYSCONFDIR[1:] / "stunnel/stunnel.conf-sample"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine\n")
    for target in ("install-data", "uninstall-local"):
        make(tmp_path, target, f"sysconfdir={SYSCONFDIR}", "prefix=/usr/local")
        assert mine.read_text() == "mine\n"


def test_the_manual_names_the_file_that_is_read(tmp_path):
    """Of this build: the program says which."""
    _, said = run(BINARY, "-version")
    path = re.search(r"^Default configuration file: (.*)$", said, re.M)[1]
    sysconfdir = path.removesuffix("/stunnel/stunnel.conf")
    make(tmp_path, "install-data", f"sysconfdir={sysconfdir}", "prefix=/usr")
    manual = (tmp_path / "usr/share/man/man8/stunnel.8").read_text()
    assert f".Pa {path}\n" in manual
    other = "/elsewhere"
    make(tmp_path, "install-data", f"sysconfdir={other}", "prefix=/usr")
    manual = (tmp_path / "usr/share/man/man8/stunnel.8").read_text()
    assert f".Pa {other}/stunnel/stunnel.conf\n" in manual
    assert "/usr/local/etc" not in manual


def test_stunnel3_runs_the_program_beside_it(tmp_path):
    make(tmp_path, "install-binSCRIPTS", "bindir=/usr/local/bin")
    script = (tmp_path / "usr/local/bin/stunnel3").read_text()
    assert re.search(r"^stunnel='/.*/stunnel'$", script, re.M)


@pytest.fixture(scope="module")
def units(installed, tmp_path_factory):
    """All units in one folder; the program that they start is the one under test."""
    folder = tmp_path_factory.mktemp("units")
    source = Path(__file__).resolve().parents[2] / "tools/systemd"
    for path in (*source.glob("*.target"), *source.glob("*.socket"), *BUILD.glob("tools/systemd/*.service")):
        text = re.sub(r"^(Exec\w+=)\S*/stunnel ", rf"\1{BINARY} ", path.read_text(), flags=re.M)
        assert "@" not in re.sub(r"@system-service|@privileged @resources|stunnel@\S*", "", text)
        (folder / path.name).write_text(text)
    return folder


@needs_systemd
@pytest.mark.parametrize("name", ["stunnel.service", "stunnel@.service", "stunnel.target", "stunnel.socket"])
def test_systemd_understands_a_unit(units, name):
    path = str(units / name).replace("@.", "@www.") if "@" in name else str(units / name)
    if "@" in name:
        shutil.copy(units / name, path)
    status, said = run("systemd-analyze", "verify", "--man=no", path)
    ours = [line for line in said.splitlines() if "stunnel" in line]
    assert (status, ours) == (0, [])


@needs_systemd
@pytest.mark.parametrize(("name", "exposure"), [("stunnel.service", 15), ("stunnel@.service", 42)])
def test_a_unit_is_hardened(units, name, exposure):
    """Tenths: at most 1.5 without root's rights."""
    command = ["systemd-analyze", "security", "--offline=yes", f"--threshold={exposure}"]
    status, said = run(*command, str(units / name))
    assert status == 0, said


def test_a_reload_tests_the_file_where_it_can_see_the_keys(units, tmp_path):
    """systemd before 253 hides LoadCredential's folder from what a reload runs."""
    bad = tmp_path / "stunnel.conf"
    bad.write_text("bad = 1\n")
    text = (units / "stunnel.service").read_text()
    if "Type=notify-reload" in text:
        pytest.skip("this systemd has a reload of its own")
    line = re.search(r"^ExecReload=(.*-test.*)$", text, re.M)[1].replace("$$", "$")
    words = shlex.split(re.sub(r"\S+/stunnel -test [^\s;]+", f"{BINARY} -test {bad}", line))
    assert "bad = 1" in run(*words)[1]
    assert run(*words, env={"CREDENTIALS_DIRECTORY": str(tmp_path)})[0] == 1
    assert run(*words, env={"CREDENTIALS_DIRECTORY": "/hidden"})[0] == 0


# ---- other packages -------------------------------------------------------------------------------

TOOLS = Path(__file__).resolve().parents[2] / "tools"


@pytest.mark.skipif(not shutil.which("rpmspec"), reason="rpm is not there")
def test_the_spec_lists_what_is_installed(tmp_path):
    """And it is for this release."""
    spec = TOOLS / "rpm/stunnel-http.spec"
    places = [("_unitdir", "/usr/lib/systemd/system"), ("_libdir", "/usr/lib")]
    macros = [word for name, path in places for word in ("--define", f"{name} {path}")]
    status, text = run("rpmspec", "-P", *macros, str(spec))
    assert status == 0, text
    told = (TOOLS.parent / "configure.ac").read_text()
    version = re.search(r"^AC_INIT\(\[stunnel-http\], \[(.*)\]\)", told, re.M)[1]
    assert f"\nVersion:        {version}\n" in text
    folders = {"prefix": "/usr", "sysconfdir": "/etc", "docdir": "/usr/share/doc/stunnel-http"}
    folders |= {"mandir": "/usr/share/man", "libdir": "/usr/lib"}
    make(tmp_path, "install", *[f"{name}={path}" for name, path in folders.items()])
    files = text.split("\n%files\n")[1].split("\n\n")[0].splitlines()
    places = [line.split()[-1].rstrip("*") for line in files if line.split()[-1].startswith("/")]
    found = [f"/{path.relative_to(tmp_path)}" for path in tmp_path.rglob("*") if path.is_file()]
    missed = [path for path in found if not any(path.startswith(place) for place in places)]
    assert not missed
    units = {path.name.removesuffix(".in") for path in (TOOLS / "systemd").iterdir()} - {"stunnel.socket"}
    assert {Path(place).name for place in places if "/systemd/" in place} == units
    there = [place for place in places if "/systemd/" not in place and "/var/log" not in place]
    assert not [place for place in there if not any(path.startswith(place) for path in found)]


def test_the_image_has_what_the_program_loads(tmp_path):
    text = (TOOLS / "container/Containerfile").read_text()
    copied = re.findall(r"^COPY --from=build /out(\S+) \1$", text, re.M)
    make(tmp_path, "install", "prefix=/usr", "libdir=/usr/lib", "sysconfdir=/etc")
    found = [path for name in ("bin", "lib") for path in (tmp_path / "usr" / name).rglob("*") if path.is_file()]
    paths = {f"/{path.relative_to(tmp_path)}" for path in found} - {"/usr/bin/stunnel3"}
    assert len(paths) >= 2
    assert not [path for path in paths if not path.startswith(tuple(copied))]


def test_the_image_has_a_health_check_that_can_fail(start):
    """Its configuration is served as it says: the log is on standard error, the check is answered."""
    text = (TOOLS / "container/stunnel.conf").read_text()
    check = re.search(r"^HEALTHCHECK CMD (.*)$", (TOOLS / "container/Containerfile").read_text(), re.M)
    figures, port, backend = free_port(), free_port(), start(Recorder())
    changes = {"9100": figures, "8443": port, "backend:8080": f"127.0.0.1:{backend.port}"}
    keys = certificates()
    changes |= {"/etc/stunnel/tls.pem": keys.cert, "/etc/stunnel/tls.key": keys.key}
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, str(new))
    command = json.loads(check[1].replace("9100", str(figures)))
    assert run(*command)[0] != 0
    stunnel = start(InImage(text))
    assert run(*command)[0] == 0
    with TlsClient(port) as client:
        assert client.get().body == b"ok"
    assert "Service [https] accepted connection" in stunnel.report()


class InImage(Stunnel):
    """As the image starts it: the file is all that there is."""

    def write(self, config):
        self.config.write_text(config)
