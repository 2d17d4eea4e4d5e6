# SPDX-License-Identifier: ISC
"""certReload with OCSPstaple: each certificate has its own staple, and never another one's."""

import os
import re
import signal
from pathlib import Path

from peers import daemon_only, wait_for
from test_cert_reload import rename
from test_ocsp import pki
from test_several_certificates import s_client
from test_stapling import SERIALS, answer_file, answering, own, stapled, stapling  # noqa: F401

pytestmark = daemon_only


def followed(folder, lines):
    """Lines for files that certReload follows, which now hold those that `lines` name."""
    for line, name in zip(lines, ("www.pem", "www.key")):
        rename(Path(line.split(" = ")[1]), folder / name)
    return [f"cert = {folder}/www.pem", f"key = {folder}/www.key", "certReload = 1"]


def wait_stapled(daemon, serial):
    """Until then a certificate that is not this one's may come without a staple, or with its own."""

    def look():
        text = s_client(daemon, "-status", "-CAfile", f"{pki()}/root.pem")
        cert = SERIALS[re.search(r"^subject=CN ?= ?(\S+)$", text, re.M)[1]]
        told = re.search(r"Serial Number: (\w+)\s+Cert Status: good", text)
        assert told is None or told[1] == cert
        return told is not None and cert == serial

    wait_for(lambda: all(look() for _ in range(4)), f"the staple of {serial}")


def test_renewed_certificate_gets_its_own(start, stapling, tmp_path):  # noqa: F811
    """Also from a fetcher that was started later; one that names no responder goes without."""
    responder = start(answering())
    lines = followed(tmp_path, own("own-good", responder.port))
    stunnel = stapling(*lines, "OCSPstaple = yes")
    wait_stapled(stunnel, "11")
    old = stunnel.processes()
    followed(tmp_path, own("own-next", responder.port))
    wait_stapled(stunnel, "55")
    assert stunnel.processes() == old
    os.kill(old[-1], signal.SIGKILL)
    stunnel.wait_log("OCSP: Stapling for: CN=own-next", 2)
    followed(tmp_path, own("own-good"))
    wait_for(lambda: stapled(stunnel) is None, "the one without")
    followed(tmp_path, own("own-good", responder.port))
    wait_stapled(stunnel, "11")


def test_file_is_followed_with_its_certificate(start, stapling, tmp_path):  # noqa: F811
    responder, path = start(answering()), tmp_path / "answer.der"
    own("own-next")
    lines = followed(tmp_path, own("own-good"))
    answer_file(responder, "own-good", path)
    stunnel = stapling(*lines, f"OCSPstaple = {path}")
    wait_stapled(stunnel, "11")
    answer_file(responder, "own-next", path)
    stunnel.wait_log("OCSPstaple: ")
    assert stunnel.log_lines("the answer is about another certificate")
    assert stapled(stunnel) == ("11", "good")
    followed(tmp_path, own("own-next"))
    wait_stapled(stunnel, "55")
    path.write_bytes(path.read_bytes()[:100])
    stunnel.wait_log("it holds no answer in DER")
    assert stapled(stunnel) == ("55", "good")
    followed(tmp_path, own("own-good"))
    answer_file(responder, "own-good", path)
    wait_stapled(stunnel, "11")
