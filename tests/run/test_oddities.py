# SPDX-License-Identifier: ISC
"""Hundreds of odd configuration files: what Debian's stunnel makes of each, the daemon does as well.

Where it does not, oddities.py has the reason, and doc/compatibility.md shows it.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

import oddities
from certs import certificates
from peers import BINARY, DEADLINE, Stock, beside_stock, free_port, listening_ports, sanitized
from recorder import Recorder
from tls_client import client_context
from tls_server import TlsServer

pytestmark = [
    beside_stock,
    pytest.mark.skipif(sanitized(), reason="verdicts are the same; the fuzzer reads files sanitized"),
]

HELLO = b"hello\n"
KNOWN = {name: row.ours for row in oddities.DIFFERENCES for name in row.names.split()}
AT_ONCE = 2 * (os.cpu_count() or 1)  # files; each waits more than it works
LINE = re.compile(r'^(?:\[!\] )?((?:FOLDER|FILES|\.)/\S*:\d+): ".*": (.*)$', re.M)
SECTION = re.compile(r"^(?:\[!\] )?(?:Service \[.*?\]|Inetd mode|Global options): (.*)$", re.M)
SOME_REASON = re.compile(r"^(?:\[!\]|.* LOG[0-3]\[\w+\]:) ..", re.M)


@dataclass
class Seen:
    code: int  # exit status; None: it served
    said: str
    by_client: object = None  # what came back, and over what


class Trials:
    """Starts any file with any binary. Certificates and other files that it may name are in `folder`."""

    def __init__(self, folder, echo, tls):
        self.folder = folder
        self.backends = {"echo": echo.port, "tls": tls.port}
        made = certificates()
        self.files = {"ca.pem": made.ca, "cert.pem": made.cert, "other.key": made.other_key}
        self.files["key.pem"] = folder / "key.pem"
        shutil.copy(made.key, folder / "key.pem")
        for name, content in oddities.FILES.items():
            path = self.files[name] = folder / name
            if isinstance(content, dict):
                path.mkdir()
                for inner, text in content.items():
                    (path / inner).write_text(text)
            else:
                path.write_bytes(content)
                path.chmod(0o600)
        self.context = client_context(verify=False)
        self.lock = threading.Lock()

    def run(self, who, name, text):
        """Until it ends, or serves and a client was there."""
        folder = Path(tempfile.mkdtemp(prefix=f"{who}-{name}-", dir=self.folder))
        folder.chmod(0o755)
        with self.lock:
            port = free_port()
        values = {"accept": f"127.0.0.1:{port}", "port": port, "folder": folder}
        for word, value in {**values, **self.backends, **self.files}.items():
            text = text.replace("{%s}" % word, str(value))
        (folder / "conf").write_bytes(text.encode("utf-16" if name == "utf16" else "utf-8"))
        said = folder / "said"
        with open(said, "wb") as output:
            process = subprocess.Popen(
                [Stock.BINARY if who == "stock" else BINARY, folder / "conf"],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=folder,
                start_new_session=True,
            )
        try:
            seen = self._watch(process, name, said, port)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        seen.said = said.read_text("latin-1")
        for value, word in (folder, "FOLDER"), (self.folder, "FILES"), (port, "PORT"):
            seen.said = seen.said.replace(str(value), word)
        return seen

    def _watch(self, process, name, said, port):
        quiet = name in oddities.QUIET
        end = time.monotonic() + DEADLINE
        while time.monotonic() < end:
            if process.poll() is not None:
                return Seen(process.returncode, "")
            if b"Accepting new connections" in said.read_bytes() or (
                quiet and port in listening_ports()
            ):
                asked = not name.startswith(oddities.NOT_ASKED)
                return Seen(None, "", self._ask(name, port) if asked else None)
            time.sleep(0.01)
        raise AssertionError(f"{name}: it neither serves nor ends: {said.read_text('latin-1')}")

    def _ask(self, name, port):
        for host in "127.0.0.1", "::1":
            try:
                with socket.create_connection((host, port), DEADLINE) as sock:
                    return self._echoed(name, sock)
            except ConnectionRefusedError:
                continue
            except OSError:
                return "nothing"
        return "nobody listens"

    def _echoed(self, name, sock):
        how = []
        if not name.startswith("client-"):
            sock = self.context.wrap_socket(sock, server_hostname="localhost")
            how = [sock.version(), sock.cipher()[0]]
        sock.sendall(HELLO)
        came = sock.recv(100)
        return (*how, re.sub(rb"\d{4,}", b"PORT", came)) if came else "nothing"


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    """By case: what was seen of stock and of the daemon."""
    folder = tmp_path_factory.mktemp("oddities")
    folder.chmod(0o755)

    def echo(connection):
        if connection.receive():
            connection.send(connection.data)

    with Recorder(echo) as plain, TlsServer(echo) as tls, ThreadPoolExecutor(AT_ONCE) as pool:
        trials = Trials(folder, plain, tls)
        cases = oddities.cases()
        jobs = {
            (who, name): pool.submit(trials.run, who, name, text)
            for name, text in cases.items()
            for who in ("stock", "ours")
        }
        both = {name: [jobs[who, name].result() for who in ("stock", "ours")] for name in cases}
        for name in [name for name in cases if verdict(*both[name]) != KNOWN.get(name, "")]:
            # Once in ten runs beside other work a client of one of them was late: alone it counts.
            both[name] = [trials.run(who, name, cases[name]) for who in ("stock", "ours")]
        yield both


def verdict(stock, ours):
    """"" where they do the same."""
    if stock.code is None and ours.code is None:
        return "" if stock.by_client == ours.by_client else "other"
    if stock.code is None:
        return "refused"
    return "taken" if ours.code is None else ""


def test_a_file_is_taken_or_refused_as_by_stock(seen):
    """And a client of one that is taken gets the same, but for reasons that are listed."""
    found = {name: verdict(*both) for name, both in seen.items()}
    assert {name: what for name, what in found.items() if what} == KNOWN


def test_what_both_refuse_is_told_as_by_stock(seen):
    """The same line and stock's words, or those that are listed; and always what is wrong."""
    wrong = []
    for name, (stock, ours) in seen.items():
        if stock.code is None or ours.code is None:
            continue
        told = [row for row in LINE.findall(stock.said) if row[1] not in oddities.FOLLOWS]
        reasons = [reason for _, reason in told] + SECTION.findall(stock.said)
        missing = [text for text in reasons if text.lower() not in ours.said.lower()]
        missing += sorted({place for place, _ in told} - {place for place, _ in LINE.findall(ours.said)})
        missing = [text for text in missing if text not in oddities.FOLLOWS]
        if missing and not [words for words in oddities.OTHER_WORDS if words in ours.said]:
            wrong.append(f"{name}: {missing} is not said: {ours.said}")
        if not SOME_REASON.search(ours.said.replace("Configuration failed", "")) or ours.code != 1:
            wrong.append(f"{name}: ends with {ours.code}, and no reason: {ours.said}")
    assert not wrong, "\n".join(wrong)
