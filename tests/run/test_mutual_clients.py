# SPDX-License-Identifier: ISC
"""Clients of Java and GnuTLS that show certificates, to the daemon and to Debian's stock beside it."""

import shutil
import subprocess
from pathlib import Path

import pytest

from certs import certificates
from peers import daemon_only
from recorder import Recorder
from test_ocsp import Responder, pki

pytestmark = daemon_only

# Certificates of peers, and which of them are trusted with a CRL and a responder.
TRUSTED = {
    "ocsp-good": True,
    "ocsp-revoked": False,
    "ocsp-unknown": False,
    "revoked": False,
    "expired": False,
    "stranger": False,
}
SHOWN = {**TRUSTED, "none": False}  # by clients, and whether they get in
JAVA = Path(__file__).parent / "apps/MutualClient.java"


def store(name, folder):
    """The certificate as PKCS#12."""
    if name == "none":
        return name
    files = ["-in", f"{pki()}/{name}.pem", "-inkey", f"{pki()}/{name}.key", "-passout", "pass:secret"]
    subprocess.run(["openssl", "pkcs12", "-export", *files, "-out", folder / f"{name}.p12"], check=True)
    return folder / f"{name}.p12"


def java(port, names, folder):
    command = ["java", JAVA, str(port), certificates().cert, *(store(n, folder) for n in names)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return [line == "in" for line in done.stdout.split()]


def gnutls(port, names, folder):
    def gets_in(name):
        own = [f"--x509certfile={pki()}/{name}.pem", f"--x509keyfile={pki()}/{name}.key"]
        command = ["gnutls-cli", f"--x509cafile={certificates().cert}", f"--port={port}", "localhost"]
        done = subprocess.run(
            [*command, *(own if name != "none" else [])],
            input=b"GET / HTTP/1.0\r\n\r\n",
            capture_output=True,
        )
        return b"HTTP/1.1 200" in done.stdout

    return [gets_in(name) for name in names]


CLIENTS = {"java": java, "gnutls-cli": gnutls}


@pytest.mark.parametrize("program", CLIENTS)
def test_certificates_of_clients(start, both, tmp_path, program):
    if not shutil.which(program):
        pytest.skip(f"there is no {program} here")
    backend, responder = start(Recorder()), start(Responder())
    options = ["verifyChain = yes", f"CAfile = {pki()}/root.pem", f"CRLfile = {pki()}/crl.pem"]
    for stunnel in both(backend, *options, f"OCSP = {responder.url}"):
        assert dict(zip(SHOWN, CLIENTS[program](stunnel.port, SHOWN, tmp_path))) == SHOWN
        for said, count in (("OCSP: ", 1), ("certificate revoked", 1), ("certificate has expired", 1)):
            stunnel.wait_log(said, count)


@pytest.mark.parametrize("program", CLIENTS)
@pytest.mark.parametrize("host, let_in", [("listed.example.test", True), ("other.test", False)])
def test_name_of_a_client(start, both, tmp_path, program, host, let_in):
    if not shutil.which(program):
        pytest.skip(f"there is no {program} here")
    options = ["verifyChain = yes", f"CAfile = {pki()}/root.pem", f"checkHost = {host}"]
    for stunnel in both(start(Recorder()), *options):
        assert CLIENTS[program](stunnel.port, ["listed"], tmp_path) == [let_in]
        stunnel.wait_log("matched with" if let_in else "CERT: Subject checks failed")
