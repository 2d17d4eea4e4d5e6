# SPDX-License-Identifier: ISC
"""A short life under valgrind: no leak and no error, in the master and in its workers."""

import re
import shutil

import pytest

from peers import BINARY, Stunnel, daemon_only, service
from recorder import Recorder
from tls_client import TlsClient


def unsuited():
    if shutil.which("valgrind") is None:
        return "there is no valgrind here"
    try:
        with open(BINARY, "rb") as file:
            return "a sanitizer is built in" if b"__asan_init" in file.read() else None
    except FileNotFoundError:
        return None  # the test will say so


@daemon_only
@pytest.mark.skipif(unsuited() is not None, reason=str(unsuited()))
def test_no_leak_and_no_error(start):
    backend = start(Recorder())
    stunnel = Stunnel("")
    valgrind = [
        "valgrind",
        "--leak-check=full",
        "--show-leak-kinds=definite,indirect",
        "--errors-for-leak-kinds=definite,indirect",
        f"--log-file={stunnel.folder}/valgrind.%p",
    ]
    stunnel.wrapper = valgrind
    config = "workers = 2\npid = {folder}/pid\n"
    config += service(backend.port, "xForwardedFor = chain", "httpSetHeader = X: %{sni}")
    stunnel.write(config)
    start(stunnel)
    for _ in range(2):
        with TlsClient(stunnel.port) as client:
            for _ in range(5):
                assert client.get("/", ["X-Forwarded-For: 203.0.113.66"]).status == 200
            client.send(b"GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n")
            assert client.response().status == 400
        old = stunnel.processes()[1:]
        stunnel.reload()
        stunnel.wait_gone(old)
    stunnel.stop()
    reports = {path.name: path.read_text() for path in stunnel.folder.glob("valgrind.*")}
    assert len(reports) == 1 + 3 * 2  # the master, and two workers for each configuration
    for name, report in reports.items():
        assert re.search(r"ERROR SUMMARY: 0 errors", report), f"{name}: {report}"
