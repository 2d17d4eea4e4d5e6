# SPDX-License-Identifier: ISC
"""Headless Chromium, driven over the pipe of its DevTools protocol."""

import base64
import hashlib
import itertools
import json
import os
import select
import shutil
import signal
import subprocess
import tempfile
import time

from certs import certificates
from tls_client import DEADLINE

BINARY = shutil.which("chromium")


def key_hash():
    """Of the server's public key, as --ignore-certificate-errors-spki-list takes it."""
    command = ["openssl", "x509", "-in", certificates().cert, "-pubkey", "-noout"]
    pem = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    der = base64.b64decode("".join(pem.splitlines()[1:-1]))
    return base64.b64encode(hashlib.sha256(der).digest()).decode()


class Chromium:
    """A browser with one tab; trusts the test certificate's key and asks nobody else."""

    FLAGS = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--disable-quic",
        "--disable-sync",
        "--disable-extensions",
        "--disable-component-update",
        "--disable-background-networking",
        "--no-first-run",
        "--no-proxy-server",
        "--remote-debugging-pipe",
    ]

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="stunnel-test-chromium-")
        self.numbers = itertools.count(1)
        self.process = None
        self.buffered = b""

    def __enter__(self):
        to_browser, self.write_end = os.pipe()
        self.read_end, from_browser = os.pipe()
        flags = [
            *self.FLAGS,
            f"--ignore-certificate-errors-spki-list={key_hash()}",
            f"--user-data-dir={self.folder}",
        ]
        # The browser reads commands from descriptor 3 and writes answers to 4.
        shell = f'exec "$@" 3<&{to_browser} 4>&{from_browser}'
        self.process = subprocess.Popen(
            ["bash", "-c", shell, "bash", BINARY, *flags, "about:blank"],
            pass_fds=[to_browser, from_browser],
            env={**os.environ, "TMPDIR": self.folder, "HOME": self.folder},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        os.close(to_browser)
        os.close(from_browser)
        targets = self.call("Target.getTargets")["targetInfos"]
        page = next(target["targetId"] for target in targets if target["type"] == "page")
        attached = self.call("Target.attachToTarget", targetId=page, flatten=True)
        self.session = attached["sessionId"]
        self.page_call("Page.enable")
        self.page_call("Network.enable")
        self.page_call("Network.setCacheDisabled", cacheDisabled=True)
        return self

    def __exit__(self, *_):
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        os.close(self.write_end)
        os.close(self.read_end)
        shutil.rmtree(self.folder, ignore_errors=True)

    def open(self, url):
        """Loads a page with all that belongs to it."""
        answer = self.page_call("Page.navigate", url=url)
        assert not answer.get("errorText"), answer
        self._wait(lambda message: message.get("method") == "Page.loadEventFired")

    def evaluate(self, expression):
        return self.page_call("Runtime.evaluate", expression=expression)["result"].get("value")

    def page_call(self, method, **parameters):
        return self.call(method, self.session, **parameters)

    def call(self, method, session=None, **parameters):
        number = next(self.numbers)
        message = {"id": number, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        os.write(self.write_end, json.dumps(message).encode() + b"\0")
        answer = self._wait(lambda message: message.get("id") == number)
        assert "error" not in answer, answer
        return answer["result"]

    def _wait(self, wanted):
        end = time.monotonic() + DEADLINE
        while True:
            while b"\0" not in self.buffered:
                left = max(0, end - time.monotonic())
                assert select.select([self.read_end], [], [], left)[0], "the browser is silent"
                data = os.read(self.read_end, 65536)
                assert data, "the browser is gone"
                self.buffered += data
            text, self.buffered = self.buffered.split(b"\0", 1)
            message = json.loads(text)
            if wanted(message):
                return message
