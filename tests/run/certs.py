# SPDX-License-Identifier: ISC
"""Throw-away keys and certificates, made once a run with openssl."""

import atexit
import functools
import shutil
import subprocess
import tempfile
from pathlib import Path
from types import SimpleNamespace


@functools.cache
def certificates():
    """Paths: ca; cert and key, for the usual names; other_cert and other_key, for other.test."""
    folder = Path(tempfile.mkdtemp(prefix="stunnel-certs-"))
    folder.chmod(0o755)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    _openssl(*_request(folder, "ca", "Test CA"), "-x509", "-days", "30")
    _issue(folder, "server", "DNS:localhost,DNS:*.example.test,IP:127.0.0.1,IP:::1")
    _issue(folder, "other", "DNS:other.test")
    return SimpleNamespace(
        ca=folder / "ca.pem",
        cert=folder / "server.pem",
        key=folder / "server.key",
        other_cert=folder / "other.pem",
        other_key=folder / "other.key",
    )


def _openssl(*arguments):
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)


def _request(folder, name, common_name):
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    files = ["-keyout", f"{folder}/{name}.key", "-out", f"{folder}/{name}.pem"]
    return ["req", *key, "-batch", "-subj", f"/CN={common_name}", *files]


def _issue(folder, name, names):
    extensions = ["-addext", f"subjectAltName={names}", "-addext", "basicConstraints=CA:FALSE"]
    request = _request(folder, name, name)
    issuer = ["-CA", f"{folder}/ca.pem", "-CAkey", f"{folder}/ca.key"]
    try:
        _openssl(*request, *extensions, "-x509", *issuer, "-days", "30")
    finally:
        (folder / f"{name}.key").chmod(0o644)  # tests read it as other users, too
