# SPDX-License-Identifier: ISC
"""OCSPstaple: a server sends what a responder says of its own certificate."""

import re
import subprocess

import pytest

from certs import LEAF_NAMES, _issue, _openssl, rsa_certificate
from peers import BINARY, daemon_only, free_port, service
from test_ocsp import Responder, pki
from test_several_certificates import s_client, start_without_preset

pytestmark = daemon_only

VERSIONS = pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
NONE = "OCSP response: no response sent"
SERIALS = {"own-good": "11", "own-revoked": "22", "own-rsa": "44", "own-next": "55"}
ROWS = """V\t491231000000Z\t\t11\tunknown\t/CN=own-good
R\t491231000000Z\t240101000000Z\t22\tunknown\t/CN=own-revoked
V\t491231000000Z\t\t44\tunknown\t/CN=own-rsa
V\t491231000000Z\t\t55\tunknown\t/CN=own-next
"""


def own(name, port=None):
    """Lines for one of SERIALS, which names a responder at the port."""
    folder = pki()
    extensions = [*LEAF_NAMES, "subjectAltName=DNS:localhost"]
    if port:
        extensions.append(f"authorityInfoAccess=OCSP;URI:http://127.0.0.1:{port}/")
    options = ["-set_serial", f"0x{SERIALS[name]}"]
    _issue(folder, name, f"/CN={name}", extensions, "root", *options)
    if name == "own-rsa":
        (folder / "rsa.key").write_bytes(rsa_certificate().key.read_bytes())
        _openssl("req", "-key", folder / "rsa.key", "-subj", f"/CN={name}", "-x509", *options,
                 "-CA", folder / "root.pem", "-CAkey", folder / "root.key", "-out", folder / f"{name}.pem",
                 *[word for extension in extensions for word in ("-addext", extension)])  # fmt: skip
        return [f"cert = {folder}/{name}.pem", f"key = {folder}/rsa.key"]
    return [f"cert = {folder}/{name}.pem", f"key = {folder}/{name}.key"]


def answering(port=None, signer="root"):
    return Responder("-nmin", "60", port=port, rows=ROWS, signer=signer)


TRUST = [f"CAfile = {pki()}/root.pem"]


@pytest.fixture
def stapling(start):
    def start_stapling(*options, workers=2):
        before = f"workers = {workers}\n"
        return start_without_preset(start, *TRUST, *options, before=before)

    return start_stapling


def stapled(daemon, *arguments):
    """Serial and state that the answer tells, which the client has verified; None without one."""
    text = s_client(daemon, "-status", "-CAfile", f"{pki()}/root.pem", *arguments)
    if NONE in text:
        return None
    assert "OCSP Response Status: successful" in text, text
    return re.search(r"Serial Number: (\w+)\s+Cert Status: (\w+)", text).groups()


@VERSIONS
@pytest.mark.parametrize("signer", ["root", "delegate"])
def test_what_the_responder_says(start, stapling, version, signer):
    responder = start(answering(signer=signer))
    stunnel = stapling(*own("own-good", responder.port), "OCSPstaple = yes")
    stunnel.wait_log("OCSP: Stapling for: CN=own-good")
    for _ in range(4):
        assert stapled(stunnel, version) == ("11", "good")
    assert NONE not in s_client(stunnel, version)  # which asks for none, and gets none


def test_each_certificate_has_its_own(start, stapling):
    responder = start(answering())
    pairs = own("own-good", responder.port) + own("own-rsa", responder.port)
    stunnel = stapling(*pairs, "OCSPstaple = yes")
    stunnel.wait_log("OCSP: Stapling for: ", 2)
    assert stapled(stunnel, "-tls1_2", "-cipher", "ECDHE+aECDSA") == ("11", "good")
    assert stapled(stunnel, "-tls1_3", "-sigalgs", "RSA-PSS+SHA256") == ("44", "good")


def test_service_of_a_server_name(start, stapling):
    """The one that accepts staples nothing."""
    responder = start(answering())
    named = own("own-good", responder.port) + ["OCSPstaple = yes", "sni = web:good.test"]
    plain = own("own-revoked") + ["[named]", "connect = 1", *TRUST, *named]
    stunnel = stapling(*plain)
    stunnel.wait_log("OCSP: Stapling for: ")
    assert stapled(stunnel, "-servername", "good.test") == ("11", "good")
    assert stapled(stunnel, "-servername", "other.test") is None


def test_revoked_certificate_is_not_stapled(start, stapling):
    responder = start(answering())
    stunnel = stapling(*own("own-revoked", responder.port), "OCSPstaple = yes")
    stunnel.wait_log("OCSP: No staple for: CN=own-revoked: it was revoked")
    assert stapled(stunnel) is None


def test_answer_of_somebody_else_is_not_stapled(start, stapling):
    responder = start(answering(signer="stranger"))
    stunnel = stapling(*own("own-good", responder.port), "OCSPstaple = yes")
    stunnel.wait_log("the answer is not signed by whom we trust")
    assert stapled(stunnel) is None


def test_certificate_without_a_responder_is_no_warning(stapling):
    stunnel = stapling(*own("own-good"), "OCSPstaple = yes")
    assert stapled(stunnel) is None
    assert not re.search(r" LOG[0-4]\[", stunnel.log_text())


def test_issuer_that_is_not_known(start, stapling):
    lines = own("own-good", free_port())
    stunnel = start_without_preset(start, *lines, "OCSPstaple = yes")
    stunnel.wait_log("Its responder is not asked")
    assert stapled(stunnel) is None


def test_answer_outlives_responder_reload_and_worker(start, stapling):
    """One that was down at the start is asked again."""
    port = free_port()
    stunnel = stapling(*own("own-good", port), "OCSPstaple = yes", workers=1)
    stunnel.wait_log("OCSP: No staple for: CN=own-good: the responder does not answer")
    assert stapled(stunnel) is None
    responder = start(answering(port=port))
    stunnel.reload()
    stunnel.wait_log("OCSP: Stapling for: CN=own-good")
    responder.stop()
    stunnel.replace_workers()
    assert stapled(stunnel) == ("11", "good")


def answer_file(responder, name, path):
    folder = pki()
    command = ["openssl", "ocsp", "-no_nonce", "-noverify", "-url", responder.url]
    command += ["-issuer", f"{folder}/root.pem", "-cert", f"{folder}/{name}.pem"]
    subprocess.run([*command, "-respout", path], check=True, capture_output=True)


def test_file_is_read_again_by_a_reload(start, stapling, tmp_path):
    responder, path = start(answering()), tmp_path / "answer.der"
    lines = own("own-good")
    own("own-revoked")
    answer_file(responder, "own-revoked", path)
    stunnel = stapling(*lines, f"OCSPstaple = {path}")
    stunnel.wait_log(f"It is not sent: {path}: the answer is about another certificate")
    assert stapled(stunnel) is None
    answer_file(responder, "own-good", path)
    stunnel.replace_workers()
    assert stapled(stunnel) == ("11", "good")


@pytest.mark.parametrize(
    "content, reason",
    [(None, "No such file or directory"), (b"0" * 100, "no answer in DER"), (b"", "")],
)
def test_file_without_an_answer(tmp_path, content, reason):
    path = tmp_path / "answer.der"
    if content is not None:
        path.write_bytes(content)
    text = service(80, *own("own-good"), *TRUST, f"OCSPstaple = {path}")
    done = subprocess.run([BINARY, "-test", "-fd", "0"], input=text, capture_output=True, text=True)
    assert done.returncode == 1
    assert f"Failed to load OCSP response from: {path}" in done.stderr
    assert reason in done.stderr
