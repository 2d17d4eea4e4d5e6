# SPDX-License-Identifier: ISC
"""Files of certificates and keys: which are taken, and what is said of those that are not."""

import re
import subprocess
from pathlib import Path

import pytest

from certs import certificates, client_certificates, rsa_certificate
from peers import BINARY, DEADLINE, Stunnel, daemon_only, free_port, service
from recorder import Recorder
from tls_client import TlsClient

pytestmark = daemon_only


def openssl(*arguments):
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


# ---- files of every kind, by name -----------------------------------------------------------


def text(*files):
    return b"".join(Path(file).read_bytes() for file in files)


def pkcs12(path, *options):
    names = certificates()
    openssl("pkcs12", "-export", "-in", names.cert, "-inkey", names.key, "-out", path, *options)


def chain_in_pkcs12(path):
    """With the certificates above the leaf in the wrong order."""
    folder = client_certificates()
    leaf, above = path.with_suffix(".leaf"), path.with_suffix(".above")
    openssl("x509", "-in", folder / "below.pem", "-out", leaf)
    above.write_bytes(text(folder / "root.pem", folder / "middle.pem"))
    pair = ["-in", leaf, "-inkey", folder / "below.key", "-certfile", above]
    openssl("pkcs12", "-export", *pair, "-passout", "pass:", "-out", path)


def converted(command, source, *options):
    return lambda path: openssl(command, "-in", source(), *options, "-out", path)


def holding(*parts):
    """Each part is bytes, or what returns a file."""
    return lambda path: path.write_bytes(
        b"".join(part if isinstance(part, bytes) else text(part()) for part in parts)
    )


def cert():
    return certificates().cert


def key():
    return certificates().key


def other_cert():
    return certificates().other_cert


def other_key():
    return certificates().other_key


def crl():
    return client_certificates() / "crl.pem"


def weak(path):
    made = path.with_suffix(".made")
    request = ["-x509", "-newkey", "rsa:1024", "-nodes", "-subj", "/CN=weak", "-keyout", made]
    openssl("req", *request, "-out", path)


def legacy_key(path):
    options = ["-v1", "PBE-MD5-DES", "-passout", "pass:1234"]
    providers = ["-provider", "legacy", "-provider", "default"]
    openssl("pkcs8", "-topk8", "-in", key(), *options, *providers, "-out", path)


def ssh_key(path):
    body = b"b3BlbnNzaC1rZXktdjEAAAAA\n"
    label = b"OPENSSH PRIVATE KEY-----\n"
    path.write_bytes(b"-----BEGIN " + label + body + b"-----END " + label)


MAKERS = {
    "cert": holding(cert),
    "key": holding(key),
    "other.key": holding(other_key),
    "rsa.key": lambda path: path.write_bytes(text(rsa_certificate().key)),
    "key-first": holding(key, cert),
    "among-others": holding(b"Bag Attributes\n", cert, b"\nnotes\n", other_cert, crl, key),
    "byte-order-mark": holding(b"\xef\xbb\xbf", cert),
    "der.cert": converted("x509", cert, "-outform", "der"),
    "der.key": converted("pkey", key, "-outform", "der"),
    "der.crl": converted("crl", crl, "-outform", "der"),
    "pkcs12": lambda path: pkcs12(path, "-passout", "pass:"),
    "pkcs12-without-key": lambda path: pkcs12(path, "-passout", "pass:", "-nokeys"),
    "pkcs12-without-mac": lambda path: pkcs12(
        path, "-passout", "pass:", "-nomac", "-keypbe", "NONE", "-certpbe", "NONE"
    ),
    "pkcs12-with-chain": chain_in_pkcs12,
    "pkcs12-old": lambda path: pkcs12(path, "-passout", "pass:", "-legacy"),
    "key-old": legacy_key,
    "csr": lambda path: openssl("req", "-new", "-key", key(), "-subj", "/CN=a", "-out", path),
    "public": converted("pkey", key, "-pubout"),
    "public.der": converted("pkey", key, "-pubout", "-outform", "der"),
    "pkcs7": lambda path: openssl(
        "crl2pkcs7", "-nocrl", "-certfile", cert(), "-outform", "der", "-out", path
    ),
    "ssh": ssh_key,
    "crl": holding(crl),
    "empty": holding(),
    "prose": holding(b"the certificate is in the other folder\n"),
    "utf-16": lambda path: path.write_text(cert().read_text(), encoding="utf-16"),
    "damaged": lambda path: path.write_bytes(text(cert()).replace(b"\nM", b"\n!", 1)),
    "damaged-behind": holding(cert, b"-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n"),
    "cut": lambda path: path.write_bytes(text(cert())[:300]),
    "large": lambda path: path.write_bytes(b"\n" * (2 << 20)),
    "leaf-second": holding(other_cert, cert),
    "leaf-second-with-key": holding(other_cert, cert, key),
    "weak": weak,
    "folder": lambda path: path.mkdir(),
    "missing": lambda path: None,
}


@pytest.fixture
def file(tmp_path):
    """file(NAME): the path of such a file, which an error may have in it."""

    def make(name):
        path = tmp_path / name
        if not path.exists():
            MAKERS[name](path)
        return path

    return make


# ---- files that are taken -------------------------------------------------------------------


@pytest.mark.parametrize(
    "cert, key",
    [
        ("cert", "key"),
        ("key-first", None),
        ("among-others", None),
        ("byte-order-mark", "key"),
        ("der.cert", "der.key"),
        ("der.cert", "key"),
        ("cert", "pkcs12"),
        ("pkcs12", None),
        ("pkcs12", "key"),
        ("pkcs12-without-key", "key"),
        ("pkcs12-without-mac", None),
    ],
)
def test_taken(start, file, cert, key):
    backend = start(Recorder())
    stunnel = Stunnel(service(backend.port, f"cert = {file(cert)}", *keys(file, key)))
    without_preset_key(stunnel)
    start(stunnel)
    with TlsClient(stunnel.port) as client:  # verifies the name
        assert client.get("/").status == 200


def keys(file, key):
    return [f"key = {file(key)}"] if key else []


def without_preset_key(stunnel):
    """The tests' own default would hide that a section has none."""
    lines = stunnel.config.read_text().splitlines(keepends=True)
    stunnel.config.write_text("".join(line for line in lines if line != f"key = {key()}\n"))


def test_chain_of_pkcs12_is_sent_in_order(start, file):
    stunnel = Stunnel(service(free_port(), f"cert = {file('pkcs12-with-chain')}"))
    without_preset_key(stunnel)
    start(stunnel)
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{stunnel.port}", "-showcerts"]
    said = subprocess.run(command, input="", capture_output=True, text=True, timeout=DEADLINE)
    subjects = re.findall(r"^ ?\d s:.*CN ?= ?(\w+)$", said.stdout, re.M)
    assert subjects == ["below", "middle", "root"]


# ---- files that are not ---------------------------------------------------------------------

KEY_HINT = "name the key's file in 'key', or put the key into this one"
CERT_HINT = "name the certificate's file in 'cert', and the key's in 'key'"
CSR_HINT = "what is wanted is the certificate that a CA makes of it"

# What follows `Failed to load certificate from: FILE: `.
BAD_CERTIFICATES = [
    ("key", f"it holds a private key and no certificate: {CERT_HINT}"),
    ("der.key", f"it holds a private key and no certificate: {CERT_HINT}"),
    ("csr", f"it holds a request for a certificate (CSR) and no certificate: {CSR_HINT}"),
    ("public", "it holds a public key and no certificate"),
    ("public.der", "it holds a public key and no certificate"),
    ("pkcs7", "it holds a PKCS#7 bundle and no certificate: openssl pkcs7 -print_certs unpacks it"),
    ("crl", "it holds a list of revoked certificates and no certificate"),
    ("der.crl", "it holds a list of revoked certificates and no certificate"),
    ("empty", "it is empty"),
    ("prose", "it holds neither PEM nor DER nor PKCS#12"),
    ("utf-16", "it is UTF-16 text, and PEM is ASCII: save it anew"),
    ("damaged", "it is damaged PEM: bad base64 decode"),
    ("damaged-behind", "it is damaged PEM: bad base64 decode"),
    ("cut", "it is damaged PEM: bad end line"),
    ("large", "it is too large for a file of certificates and keys"),
    ("pkcs12-old", "its encryption is one that OpenSSL has given up: openssl pkcs12 -legacy"),
    ("folder", "Is a directory"),
    ("missing", "No such file or directory"),
]

# What follows `Failed to load private key from: FILE: `.
BAD_KEYS = [
    ("cert", f"it holds a certificate and no private key: {KEY_HINT}"),
    ("der.cert", f"it holds a certificate and no private key: {KEY_HINT}"),
    ("ssh", "it holds a private key in OpenSSH's own format and no private key: ssh-keygen -p"),
    ("public", "it holds a public key and no private key"),
    ("csr", f"it holds a request for a certificate (CSR) and no private key: {CSR_HINT}"),
    ("pkcs12-without-key", "it holds PKCS#12 and no private key"),
    ("key-old", "its encryption is one that OpenSSL has given up: openssl pkey -provider legacy"),
    ("empty", "it is empty"),
    ("utf-16", "it is UTF-16 text"),
    ("damaged", "it is damaged PEM: bad base64 decode"),
    ("folder", "Is a directory"),
    ("missing", "No such file or directory"),
]


def complaint(tmp_path, lines, at):
    """What is said of line `at` of the section, which has to be the one at fault."""
    config = tmp_path / "test.conf"
    section = ["[web]", f"accept = 127.0.0.1:{free_port()}", "connect = 1", *lines]
    config.write_text("\n".join(["foreground = quiet", "syslog = no", *section]) + "\n")
    done = subprocess.run(
        [BINARY, config],
        input="1234\n",
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        start_new_session=True,
    )
    assert done.returncode == 1
    found = re.findall(rf'{config}:(\d+): "(.*?)": Service \[web\]: (.*)', done.stderr)
    assert [where[:2] for where in found] == [(str(6 + at), lines[at])], done.stderr
    return found[0][2]


@pytest.mark.parametrize("name, why", BAD_CERTIFICATES, ids=[name for name, _ in BAD_CERTIFICATES])
def test_no_certificate(tmp_path, file, name, why):
    said = complaint(tmp_path, [f"cert = {file(name)}", f"key = {key()}"], 0)
    assert said.startswith(f"Failed to load certificate from: {file(name)}: {why}")


@pytest.mark.parametrize("name, why", BAD_KEYS, ids=[name for name, _ in BAD_KEYS])
def test_no_key(tmp_path, file, name, why):
    said = complaint(tmp_path, [f"cert = {cert()}", f"key = {file(name)}"], 1)
    assert said.startswith(f"Failed to load private key from: {file(name)}: {why}")


def test_certificate_alone_where_no_key_is_named(tmp_path, file):
    said = complaint(tmp_path, [f"cert = {file('cert')}"], 0)
    why = f"it holds a certificate and no private key: {KEY_HINT}"
    assert said == f"Failed to load private key from: {file('cert')}: {why}"


@pytest.mark.parametrize(
    "cert, key, at, why",
    [
        ("cert", "other.key", 1, "{key}: key values mismatch"),
        ("cert", "rsa.key", 1, "{key}: key type mismatch"),
        ("leaf-second", "key", 0, "{key}: it is the key of certificate 2 in {cert}"),
        ("leaf-second-with-key", None, 0, "{cert}: it is the key of certificate 2 in {cert}"),
    ],
)
def test_key_of_another_certificate(tmp_path, file, cert, key, at, why):
    said = complaint(tmp_path, [f"cert = {file(cert)}", *keys(file, key)], at)
    why = why.format(cert=file(cert), key=file(key) if key else "")
    assert said.startswith(f"Private key does not match the certificate: {why}")


def test_certificate_below_the_security_level(tmp_path, file):
    said = complaint(tmp_path, [f"cert = {file('weak')}", f"key = {key()}"], 0)
    why = "ee key too small: OpenSSL's security level 2 asks for RSA of 2048 bits"
    assert said.startswith(f"Failed to use certificate from: {file('weak')}: {why}")


@pytest.mark.parametrize(
    "option, name, why",
    [
        ("CAfile", "key", "it holds a private key and no certificate"),
        ("CAfile", "csr", "it holds a request for a certificate (CSR) and no certificate: "),
        ("CAfile", "der.cert", "it is not PEM, which is wanted"),
        ("CAfile", "pkcs12", "it is not PEM, which is wanted"),
        ("CAfile", "empty", "it is empty"),
        ("CAfile", "damaged", "it is damaged PEM: bad base64 decode"),
        ("CAfile", "folder", "Is a directory"),
        ("CRLfile", "cert", "it holds a certificate and no list of revoked certificates"),
        ("CRLfile", "der.crl", "it is not PEM, which is wanted"),
        ("CRLfile", "prose", "it holds neither PEM nor DER nor PKCS#12"),
        ("CRLfile", "missing", "No such file or directory"),
    ],
)
def test_no_list_of_certificates(tmp_path, file, option, name, why):
    lines = [f"cert = {cert()}", f"key = {key()}", f"{option} = {file(name)}"]
    if option == "CAfile":  # for nothing that is verified it would be a warning
        lines.append("verifyChain = yes")
    said = complaint(tmp_path, lines, 2)
    what = {"CAfile": "trusted certificates from", "CRLfile": "revocation lookup file"}[option]
    assert said.startswith(f"Failed to load {what}: {file(name)}: {why}")
