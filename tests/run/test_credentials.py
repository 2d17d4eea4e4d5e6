# SPDX-License-Identifier: ISC
"""Keys that systemd hands to a unit (LoadCredential=): $CREDENTIALS_DIRECTORY in names of files."""

import os
import shutil
import subprocess

import pytest

from certs import certificates
from peers import BINARY, DEADLINE, Stunnel, daemon_only, service
from recorder import Recorder, answer_each
from tls_client import TlsClient

pytestmark = daemon_only

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\none"
FORMS = pytest.mark.parametrize("form", ["$CREDENTIALS_DIRECTORY", "${CREDENTIALS_DIRECTORY}"])
UNSET = "CREDENTIALS_DIRECTORY is not set: systemd sets it in a unit with LoadCredential="


@pytest.fixture
def folder(tmp_path):
    """With the names that the unit gives its credentials."""
    made = certificates()
    for name, path in {"www.pem": made.other_cert, "www.key": made.other_key, "ca": made.ca}.items():
        shutil.copy(path, tmp_path / name)
    (tmp_path / "psk").write_text("test1:oaP4EishaeSaishei6rio6xeeph3az\n")
    (tmp_path / "psk").chmod(0o600)
    return tmp_path


def check(config, tmp_path, **variables):
    """The lines of -test, and its exit status."""
    path = tmp_path / "stunnel.conf"
    path.write_text(config)
    inherited = {k: v for k, v in os.environ.items() if k != "CREDENTIALS_DIRECTORY"}
    command = [BINARY, "-test", str(path)]
    done = subprocess.run(
        command, env={**inherited, **variables}, capture_output=True, text=True, timeout=DEADLINE
    )
    return done.stderr.splitlines(), done.returncode


@FORMS
def test_a_certificate_is_found_in_the_folder(start, folder, form):
    class Unit(Stunnel):
        def environment(self):
            return {**super().environment(), "CREDENTIALS_DIRECTORY": str(folder)}

    with Recorder(answer_each(ANSWER)) as backend:
        files = [f"cert = {form}/www.pem", f"key = {form}/www.key"]
        unit = start(Unit(service(backend.port, *files)))
        old = unit.processes()[1:]
        unit.reload()  # the unit's folder lasts as long as the unit
        unit.wait_gone(old)
        with TlsClient(unit.port, sni="other.test") as client:  # which the other certificate is not for
            assert client.get().body == b"one"


@pytest.mark.parametrize(
    "lines",
    [
        ["PSKsecrets = {}/psk"],
        ["CAfile = {}/ca", "verifyChain = yes"],
        ["CAstore = {}/ca", "verifyChain = yes"],
    ],
)
def test_other_files_are_found_there(folder, lines):
    made = certificates()
    config = f"cert = {made.cert}\nkey = {made.key}\n[web]\naccept = 4433\nconnect = 80\n" + "\n".join(lines)
    name = "$CREDENTIALS_DIRECTORY"
    said, status = check(config.replace("{}", name), folder, CREDENTIALS_DIRECTORY=str(folder))
    assert status == 0, said
    said, status = check(config.replace("{}", name), folder)
    assert status == 1
    assert any(line.startswith("[!]") and line.endswith(UNSET) for line in said)


@pytest.mark.parametrize("name", ["$CREDENTIALS_DIRECTORYS/www.pem", "$HOME/www.pem", "x$CREDENTIALS_DIRECTORY/a"])
def test_nothing_else_is_a_variable(folder, name):
    config = f"[web]\naccept = 4433\nconnect = 80\ncert = {name}\n"
    said, status = check(config, folder, CREDENTIALS_DIRECTORY=str(folder))
    assert status == 1
    assert any(name in line and "No such file" in line for line in said), said
