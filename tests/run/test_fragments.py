# SPDX-License-Identifier: ISC
"""The configurations in README.md and doc/ are taken by the programs that they are for."""

import re
import subprocess
from pathlib import Path

import pytest

from certs import certificates
from peers import BINARY, DEADLINE, PATCHED

if PATCHED:
    pytest.skip("the papers are the daemon's", allow_module_level=True)

TOP = Path(__file__).resolve().parents[2]
PAPERS = ["README.md", "doc/proxy-protocol.md"]


def fragments(file):
    """Blocks of code in the papers that begin with a comment that names the file, alone."""
    found = []
    for paper in PAPERS:
        for block in re.findall(r"^```\n(.*?)^```$", (TOP / paper).read_text(), re.M | re.S):
            if re.match(rf"[#;] (/\S+/)?{re.escape(file)}\n", block):
                found.append(pytest.param(block, id=f"{paper}-{len(found)}"))
    assert found
    return found


def said(*command):
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("text", fragments("haproxy.cfg"))
def test_haproxy(tmp_path, text):
    config = tmp_path / "haproxy.cfg"
    config.write_text(text)
    code, output = said("haproxy", "-c", "-f", config)
    assert (code, "WARNING" in output) == (0, False), output


@pytest.mark.parametrize("text", fragments("stunnel.conf"))
def test_stunnel(tmp_path, text):
    names = certificates()
    text = text.replace("/etc/stunnel/www.pem", str(names.cert))
    text = text.replace("/etc/stunnel/www.key", str(names.key))
    config = tmp_path / "stunnel.conf"
    config.write_text(f"syslog = no\noutput = {tmp_path}/log\n{text}")
    code, output = said(BINARY, "-test", config)
    assert code == 0, output


@pytest.mark.parametrize("text", fragments("nginx.conf"))
def test_nginx(tmp_path, text):
    if "load_module" in text:
        pytest.skip("where the module lies is for the distribution to say")
    config = tmp_path / "nginx.conf"
    config.write_text(f"pid {tmp_path}/pid;\nevents {{}}\n{text}")
    code, output = said("nginx", "-t", "-e", "stderr", "-c", config)
    assert code == 0, output
