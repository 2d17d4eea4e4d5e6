# SPDX-License-Identifier: ISC
"""A key in a PKCS#11 token (SoftHSM's), by OpenSSL's provider for them; Debian has one from 13 on."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from certs import certificates
from peers import Stunnel, daemon_only, sanitized, service
from recorder import Recorder
from tls_client import TlsClient

PIN = "1234"
MODULE = next((p for p in Path("/usr/lib").glob("**/libsofthsm2.so")), None)


def provider():
    said = subprocess.run(["openssl", "version", "-m"], capture_output=True, text=True, check=True)
    folder = os.environ.get("OPENSSL_MODULES") or said.stdout.split('"')[1]
    return Path(folder) / "pkcs11.so"


pytestmark = [
    daemon_only,
    pytest.mark.skipif(
        not (MODULE and shutil.which("softhsm2-util") and provider().exists()),
        reason="needs softhsm2 and pkcs11-provider",
    ),
    pytest.mark.skipif(sanitized(), reason="the provider loads the token with RTLD_DEEPBIND"),
]


class WithToken(Stunnel):
    """`module` are lines for the provider in OpenSSL's configuration."""

    def __init__(self, config, module):
        super().__init__(config)
        (self.folder / "tokens").mkdir()
        (self.folder / "softhsm").write_text(f"directories.tokendir = {self.folder}/tokens\n")
        (self.folder / "openssl").write_text(
            f"""openssl_conf = init
[init]
providers = all
[all]
default = builtin
pkcs11 = token
[builtin]
activate = 1
[token]
module = {provider()}
pkcs11-module-path = {MODULE}
activate = 1
{module}
"""
        )
        token = ["softhsm2-util", "--token", "test", "--pin", PIN]
        self._run("softhsm2-util", "--init-token", "--free", "--label", "test", "--pin", PIN, "--so-pin", PIN)
        self._run(*token, "--import", certificates().key, "--label", "web", "--id", "01")

    def _run(self, *command):
        softhsm = {**os.environ, "SOFTHSM2_CONF": f"{self.folder}/softhsm"}
        subprocess.run(command, env=softhsm, check=True, capture_output=True)

    def environment(self):
        softhsm, openssl = f"{self.folder}/softhsm", f"{self.folder}/openssl"
        return {**super().environment(), "SOFTHSM2_CONF": softhsm, "OPENSSL_CONF": openssl}


def config(backend):
    key = f"key = pkcs11:token=test;object=web;type=private?pin-value={PIN}"
    return service(backend.port, f"cert = {certificates().cert}", key)


def answers(stunnel, times=4):
    for _ in range(times):
        with TlsClient(stunnel.port) as client:  # verifies the certificate
            assert client.get("/").status == 200


def test_workers_sign_with_a_token_and_a_reload_goes_on(start):
    stunnel = start(WithToken(config(start(Recorder())), f"pkcs11-module-token-pin = {PIN}"))
    answers(stunnel)
    stunnel.reload()
    answers(stunnel)
    stunnel.stop()


def test_a_worker_asks_nobody_for_a_pin(start):
    stunnel = start(WithToken(config(start(Recorder())), ""))
    with pytest.raises((OSError, EOFError)):
        answers(stunnel, 1)
    stunnel.wait_log("UI_")
    assert "Enter PIN" not in stunnel.stderr.read_text()
