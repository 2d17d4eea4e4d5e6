# SPDX-License-Identifier: ISC
"""How files in the wild are written: the same bytes for Debian's stunnel and for the daemon."""

import re
import subprocess

import pytest

from certs import certificates
from peers import BINARY, DEADLINE, Stock, Stunnel, beside_stock, free_port
from recorder import Recorder
from tls_client import TlsClient

pytestmark = beside_stock

# What a file is made of, by what is odd in it; {preset} are the lines for log and certificate.
FILES = {
    "crlf": "{preset}[web]\naccept = {accept}\nconnect = {backend}\n".replace("\n", "\r\n"),
    "cr-anywhere": "{preset}[we\rb]\nacc\rept = {accept}\nconnect\r = \r{backend}\n",
    "bom": "\ufeff{preset}[web]\naccept = {accept}\nconnect = {backend}\n",
    "bom-before-a-section": "\ufeff; comment\n{preset}[web]\naccept={accept}\nconnect={backend}\n",
    "comments": "# a\n;b\n  # c\n\t; d\n{preset}[web]\n;accept = 1\naccept = {accept}\n"
    "#\nconnect = {backend}\n;",
    "blank-lines": "\n \n\t\n{preset}\n\n[web]\n\naccept = {accept}\n\n\nconnect = {backend}\n\n",
    "no-blanks": "{preset}[web]\naccept={accept}\nconnect={backend}\nTIMEOUTclose=1",
    "tabs": "{preset}\t[web]\t\n\taccept\t=\t{accept}\t\nconnect\t\t=\t\t{backend}\t \n",
    "blanks-in-the-name": "{preset}[ my  web ]\naccept = {accept}\nconnect = {backend}\n",
    "brackets-in-the-name": "{preset}[a]b[c]\naccept = {accept}\nconnect = {backend}\n",
    "no-name": "{preset}[]\naccept = {accept}\nconnect = {backend}\n",
    "letters-of-any-case": "{preset}[web]\nACCEPT = {accept}\nCoNnEcT = {backend}\nclient = NO\n",
    "the-last-one-counts": "{preset}[web]\naccept = {accept}\nconnect = {backend}\n"
    "debug = 3\ndebug = info\nTIMEOUTidle = 1\nTIMEOUTidle = 60\n",
    "defaults-before-sections": "{preset}connect = {backend}\nTIMEOUTclose = 0\n[web]\n"
    "accept = {accept}\n",
    "no-end-of-line": "{preset}[web]\naccept = {accept}\nconnect = {backend}",
    "same-name-twice": "{preset}[web]\naccept = {accept}\nconnect = {backend}\n"
    "[web]\naccept = 127.0.0.1:0\nconnect = {backend}\n",
    "equals-in-a-value": "{preset}setuid =root\n[web]\naccept = {accept}\nconnect ={backend}\n",
}
REFUSED = {
    "quotes": '[web]\naccept = "{accept}"\nconnect = {backend}\n',
    "comment-behind-a-value": "[web]\naccept = {accept} ; here\nconnect = {backend}\n",
    "continued-line": "[web]\naccept = \\\n{accept}\nconnect = {backend}\n",
    "no-bracket": "[web\naccept = {accept}\nconnect = {backend}\n",
    "no-equals": "[web]\naccept {accept}\nconnect = {backend}\n",
    "colon-for-equals": "[web]\naccept: {accept}\nconnect = {backend}\n",
    "global-in-a-section": "[web]\naccept = {accept}\nconnect = {backend}\npid = /tmp/pid\n",
    "yes-by-another-word": "[web]\naccept = {accept}\nconnect = {backend}\nclient = true\n",
    "bom-in-the-middle": "\ufeff[web]\naccept = {accept}\nconnect = {backend}\n",
    "unknown": "[web]\naccept = {accept}\nconnect = {backend}\nnosuch = 1\n",
    "name-without-letters": "= 1\n[web]\naccept = {accept}\nconnect = {backend}\n",
}


class Written:
    """Beside a program: its configuration is these bytes alone."""

    def write(self, config):
        preset = f"foreground = yes\nsyslog = no\noutput = {self.log}\ndebug = 6\n"
        preset += f"cert = {certificates().cert}\nkey = {certificates().key}\n"
        self.accept = f"127.0.0.1:{free_port()}"
        text = config.replace("{preset}", preset).replace("{accept}", self.accept)
        self.config.write_bytes(text.encode())

    def endpoints(self):
        return [self.accept]


class WrittenStock(Written, Stock):
    pass


class WrittenStunnel(Written, Stunnel):
    pass


def of_backend(text, backend):
    return text.replace("{backend}", f"127.0.0.1:{backend.port}")


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_read_as_by_stock(start, name):
    backend = start(Recorder())
    named = []
    for kind in (WrittenStock, WrittenStunnel):
        daemon = start(kind(of_backend(FILES[name], backend)))
        with TlsClient(daemon.port) as client:
            assert client.get("/").body == b"ok"
        daemon.wait_ended(1)
        named.append(re.findall(r"Service \[(.*)\] accepted connection", daemon.log_text()))
        named.append("UTF-8 byte order mark detected" in daemon.log_text())
    assert named[:2] == named[2:]


@pytest.mark.parametrize("name", REFUSED)
def test_what_stock_refuses_is_refused_with_its_words(tmp_path, name):
    config = tmp_path / "test.conf"
    preset = f"foreground = yes\nsyslog = no\ncert = {certificates().cert}\n"
    text = preset + f"key = {certificates().key}\n" + REFUSED[name]
    text = text.replace("{accept}", f"127.0.0.1:{free_port()}").replace("{backend}", "127.0.0.1:1")
    config.write_bytes(text.encode())
    told = []
    for binary in (Stock.BINARY, BINARY):
        done = subprocess.run(
            [binary, config], check=False, capture_output=True, text=True, timeout=DEADLINE
        )
        assert done.returncode == 1
        place = rf"{re.escape(str(config))}:\d+: |Service \[.*?\]: [\w ]*"
        told.append(re.findall(place, done.stderr))
    assert told[0] and set(told[0]) <= set(told[1])  # the daemon tells all that is wrong at once
