# SPDX-License-Identifier: ISC
"""Providers of OpenSSL, and what stands behind URIs: certificates, keys, whom to trust."""

import ssl
import subprocess

import pytest

from certs import certificates, client_certificates
from peers import BINARY, Stock, Stunnel, daemon_only, free_port, service
from recorder import Recorder
from tls_client import TlsClient, client_context

pytestmark = daemon_only

PEM = certificates()


def loaded(tmp_path, *lines, before=(), binary=BINARY, entered=""):
    """A start that ends at once, since nothing can be bound to: what it says."""
    config = tmp_path / "test.conf"
    section = ["[web]", f"accept = 127.0.0.1:{free_port()}", "connect = 1", *lines]
    config.write_text("\n".join(["pid =", "foreground = yes", "syslog = no", *before, *section]) + "\n")
    command = [binary, "-test", config] if binary == BINARY else [binary, config]
    return subprocess.run(
        command, input=entered, capture_output=True, text=True, timeout=30, start_new_session=True
    )


OWN = [f"cert = {PEM.cert}", f"key = {PEM.key}"]


# ---- URIs -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "cert, key", [("file:", "file:"), ("file:", ""), ("", "file:"), ("file://", "file://localhost")]
)
def test_certificate_and_key_behind_uris(start, cert, key):
    lines = [f"cert = {cert}{PEM.cert}", f"key = {key}{PEM.key}"]
    stunnel = start(Stunnel(service(start(Recorder()).port, *lines)))
    with TlsClient(stunnel.port) as client:  # verifies the name
        assert client.get("/").status == 200


def test_a_file_whose_name_looks_like_a_uri(start, tmp_path):
    (tmp_path / "file:pem").write_text(PEM.cert.read_text() + PEM.key.read_text())
    stunnel = Stunnel(service(start(Recorder()).port, "cert = file:pem", "key = file:pem"))
    (stunnel.folder / "file:pem").write_text((tmp_path / "file:pem").read_text())
    start(stunnel)
    with TlsClient(stunnel.port) as client:
        assert client.get("/").status == 200


@pytest.mark.parametrize(
    "line, why",
    [
        ("cert = file:/missing", "Failed to load certificate from: file:/missing: No such file"),
        ("cert = pkcs11:token=a", "Failed to load certificate from: pkcs11:token=a: unregistered scheme"),
        (f"key = file:{PEM.cert}", f"Failed to load private key from: file:{PEM.cert}: no private key"),
    ],
)
def test_what_is_not_there(tmp_path, line, why):
    done = loaded(tmp_path, f"cert = {PEM.cert}", line)
    assert done.returncode == 1 and why in done.stderr


@pytest.mark.parametrize("entered, taken", [("1234\n", True), ("4321\n1234\n", True), ("4321\n", False)])
def test_an_encrypted_key_behind_a_uri(tmp_path, entered, taken):
    key = tmp_path / "key"
    command = ["openssl", "pkey", "-in", PEM.key, "-aes256", "-passout", "pass:1234", "-out", key]
    subprocess.run(command, check=True)
    done = loaded(tmp_path, f"cert = {PEM.cert}", f"key = file:{key}", entered=entered)
    assert done.stderr.count("Enter pass phrase for file:") == entered.count("\n") + (not taken)
    assert (done.returncode == 0) == taken


# ---- CAstore --------------------------------------------------------------------------------


@pytest.fixture(params=["file", "folder"])
def store(request, tmp_path):
    """A URI of the CA that signs clients: of its file, or of a folder that it is in."""
    root = client_certificates() / "root.pem"
    if request.param == "file":
        return f"file:{root}"
    folder = tmp_path / "trusted"
    folder.mkdir()
    (folder / "any-name.pem").write_text(root.read_text())
    return f"file:{folder}"


def test_whom_a_store_trusts(start, front, store):
    stunnel = front(start(Recorder()), "verifyChain = yes", f"CAstore = {store}")
    with TlsClient(stunnel.port, context=client_context(cert="signed")) as client:
        assert client.get("/").status == 200
    with pytest.raises((ssl.SSLError, ConnectionError)):
        with TlsClient(stunnel.port, context=client_context(cert="stranger")) as client:
            client.get("/")
    told = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{stunnel.port}"],
        input="", capture_output=True, text=True, timeout=30,
    ).stdout
    assert "Acceptable client certificate CA names" in told


def test_a_store_that_cannot_be_read(tmp_path):
    """An error where it decides, a warning where it does not: as CAfile's."""
    line = "CAstore = file:/missing"
    why = "Failed to load trusted certificates from: file:/missing: No such file or directory"
    done = loaded(tmp_path, *OWN, line, "verifyChain = yes")
    assert done.returncode == 1 and why in done.stderr
    done = loaded(tmp_path, *OWN, line)
    assert done.returncode == 0 and why in done.stderr
    done = loaded(tmp_path, *OWN, "CAstore =", "verifyChain = yes", before=[line])
    assert 'CApath" or "CAstore" has to be configured' in done.stderr


# ---- providers ------------------------------------------------------------------------------


def test_the_legacy_provider_opens_old_pkcs12(start, tmp_path):
    file = tmp_path / "old.p12"
    command = ["openssl", "pkcs12", "-export", "-legacy", "-passout", "pass:", "-in", PEM.cert]
    subprocess.run([*command, "-inkey", PEM.key, "-out", file], check=True)
    done = loaded(tmp_path, f"cert = {file}")
    assert done.returncode == 1 and "OpenSSL has given up" in done.stderr
    config = service(start(Recorder()).port, f"cert = {file}", f"key = {file}")
    stunnel = start(Stunnel("provider = legacy\n" + config))
    for _ in range(2):
        with TlsClient(stunnel.port) as client:
            assert client.get("/").status == 200
        stunnel.reload()


@pytest.mark.parametrize(
    "line, why",
    [
        ("provider = nonsense", "Failed to load provider"),
        ("providerParameter = nonsense", "Malformed parameter"),
        ("providerParameter = default:=1", "Malformed parameter"),
        ("compression = bzip2", "Specified compression type is not available"),
        ("fips = maybe", "The argument needs to be either 'yes' or 'no'"),
    ],
)
def test_what_is_refused(tmp_path, line, why):
    done = loaded(tmp_path, *OWN, before=[line])
    assert done.returncode == 1 and f": {why}" in done.stderr


def fips_provider():
    done = subprocess.run(
        ["openssl", "list", "-providers", "-provider", "fips"], capture_output=True, check=False
    )
    return done.returncode == 0


@pytest.mark.skipif(fips_provider(), reason="this OpenSSL has a FIPS provider")
def test_fips_without_a_provider(tmp_path):
    for binary in filter(None, (Stock.BINARY, BINARY)):
        done = loaded(tmp_path, *OWN, before=["fips = yes"], binary=binary)
        assert done.returncode == 1
    assert '"fips = yes": FIPS support is not available: FIPS provider not available' in done.stderr
    assert loaded(tmp_path, *OWN, before=["fips = no"]).returncode == 0
