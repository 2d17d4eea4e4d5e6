# SPDX-License-Identifier: ISC
"""Throw-away keys and certificates, made once a run with openssl."""

import atexit
import functools
import shutil
import subprocess
import tempfile
from pathlib import Path
from types import SimpleNamespace



ROOT_NAMES = ["basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign,cRLSign"]
LEAF_NAMES = ["basicConstraints=CA:FALSE"]
CRL_CONFIG = """
[ca]
default_ca = own
[own]
database = {folder}/index
certificate = {folder}/root.pem
private_key = {folder}/root.key
default_md = sha256
default_crl_days = 30
"""


@functools.cache
def certificates():
    """Paths: ca; cert and key, for the usual names; other_cert and other_key, for other.test."""
    folder = _folder()
    _openssl(*_request(folder, "ca", "/CN=Test CA"), "-x509", "-days", "30")
    for name, names in (
        ("server", "DNS:localhost,DNS:*.example.test,IP:127.0.0.1,IP:::1"),
        ("other", "DNS:other.test"),
    ):
        _issue(folder, name, f"/CN={name}", [*LEAF_NAMES, f"subjectAltName={names}"], "ca")
        (folder / f"{name}.key").chmod(0o644)  # tests read it as other users, too
    return SimpleNamespace(
        ca=folder / "ca.pem",
        cert=folder / "server.pem",
        key=folder / "server.key",
        other_cert=folder / "other.pem",
        other_key=folder / "other.key",
    )


@functools.cache
def rsa_certificate():
    """Paths: cert and key; as the server's own in certificates(), whose ca signed it."""
    folder = certificates().ca.parent
    key = ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]
    _openssl("genpkey", *key, "-out", f"{folder}/rsa.key")
    names = "subjectAltName=DNS:localhost,DNS:*.example.test"
    _issue(folder, "rsa", "/CN=rsa", [*LEAF_NAMES, names], "ca")
    (folder / "rsa.key").chmod(0o644)
    return SimpleNamespace(cert=folder / "rsa.pem", key=folder / "rsa.key")


@functools.cache
def curve_certificate(curve):
    """Likewise, with an EC key."""
    folder = certificates().ca.parent
    key = ["-algorithm", "EC", "-pkeyopt", f"ec_paramgen_curve:{curve}"]
    _openssl("genpkey", *key, "-out", f"{folder}/{curve}.key")
    names = "subjectAltName=DNS:localhost,DNS:*.example.test"
    _issue(folder, curve, f"/CN={curve}", [*LEAF_NAMES, names], "ca")
    return SimpleNamespace(cert=folder / f"{curve}.pem", key=folder / f"{curve}.key")


@functools.cache
def client_certificates():
    """A folder with NAME.pem and NAME.key of certificates for clients.

    Of `root`: `signed`, `listed` (with names of its own), `twin` (as `listed`, with another key),
    `again` (as `listed`, issued anew), `expired`, `revoked`, `odd` and `long` (by their subjects).
    `below` is of `middle`, which is of `root`; below.pem holds all three. Of `elsewhere`, which no
    service trusts: `stranger` and `guest`. `selfmade` is its own issuer. `trusted.pem` holds
    `root`, `listed` and `guest`; `crl.pem` is the list of `root`, `nobody.pem` an earlier one.
    """
    folder = _folder()
    for name in ("root", "elsewhere"):
        _issue(folder, name, f"/O=Clients/CN={name}", ROOT_NAMES)
    _issue(folder, "middle", "/O=Clients/CN=middle", ROOT_NAMES, "root")
    _issue(folder, "selfmade", "/CN=selfmade", LEAF_NAMES)
    names = "subjectAltName=DNS:listed.example.test,email:listed@example.test,IP:192.0.2.1"
    person = "/C=PL/O=Example, Inc./CN=listed"
    _issue(folder, "listed", person, [*LEAF_NAMES, names], "root", "-set_serial", "0xABCDEF01")
    _issue(folder, "twin", person, LEAF_NAMES, "root")
    shutil.copy(folder / "listed.key", folder / "again.key")
    _issue(folder, "again", person, LEAF_NAMES, "root", "-set_serial", "77")
    for name, issuer in (
        ("signed", "root"),
        ("below", "middle"),
        ("stranger", "elsewhere"),
        ("guest", "elsewhere"),
    ):
        _issue(folder, name, f"/CN={name}", LEAF_NAMES, issuer)
    _issue(folder, "revoked", "/CN=revoked", LEAF_NAMES, "root", "-set_serial", "0x66")
    odd = '/O=Za\u017c\u00f3\u0142\u0107 "g\u0119\u015bl\u0105"; a/CN=odd\r\nX-Forged: 1'
    _issue(folder, "odd", odd, LEAF_NAMES, "root", "-utf8")
    _issue(folder, "long", "/OU=" + "/OU=".join(["x" * 60] * 40), LEAF_NAMES, "root")
    _expired(folder)
    _join(folder, "below", "below", "middle", "root")
    _join(folder, "trusted", "root", "listed", "guest")
    _list_revoked(folder, "crl", "66")
    _list_revoked(folder, "nobody")
    return folder


def _folder():
    folder = Path(tempfile.mkdtemp(prefix="stunnel-certs-"))
    folder.chmod(0o755)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _openssl(*arguments):
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)


def _request(folder, name, subject):
    """`openssl req`, with the key of that name if there is one."""
    key = ["-key", f"{folder}/{name}.key"]
    if not (folder / f"{name}.key").exists():
        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        key += ["-keyout", f"{folder}/{name}.key"]
    return ["req", *key, "-batch", "-subj", subject, "-out", f"{folder}/{name}.pem"]


def _issue(folder, name, subject, extensions, issuer=None, *options):
    """Signed by its own key if no issuer is named."""
    by = ["-CA", f"{folder}/{issuer}.pem", "-CAkey", f"{folder}/{issuer}.key"] if issuer else []
    add = [word for extension in extensions for word in ("-addext", extension)]
    _openssl(*_request(folder, name, subject), *add, "-x509", *by, "-days", "30", *options)


def _expired(folder):
    _openssl(*_request(folder, "expired", "/CN=expired"))
    request = ["-req", "-in", f"{folder}/expired.pem", "-out", f"{folder}/expired.pem"]
    issuer = ["-CA", f"{folder}/root.pem", "-CAkey", f"{folder}/root.key", "-set_serial", "5"]
    _openssl("x509", *request, *issuer, "-days", "-1")


def _join(folder, name, *parts):
    text = "".join((folder / f"{part}.pem").read_text() for part in parts)
    (folder / f"{name}.pem").write_text(text)


def _list_revoked(folder, name, *serials):
    """A list of root's."""
    config = folder / "crl.conf"
    config.write_text(CRL_CONFIG.format(folder=folder))
    rows = [["R", "491231000000Z", "240101000000Z", n, "unknown", "/CN=revoked"] for n in serials]
    (folder / "index").write_text("".join("\t".join(row) + "\n" for row in rows))
    _openssl("ca", "-config", config, "-gencrl", "-out", folder / f"{name}.pem")
