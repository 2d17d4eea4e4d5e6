# SPDX-License-Identifier: ISC
"""`cert` and `key` given several times, and DH parameters beside a certificate."""

import functools
import re
import subprocess

import pytest

from certs import certificates, rsa_certificate
from peers import BINARY, Stunnel, daemon_only, free_port, service
from recorder import Recorder

pytestmark = daemon_only

ECDSA, RSA = certificates(), rsa_certificate()
CLIENTS = {
    "server": [["-tls1_2", "-cipher", "ECDHE+aECDSA"], ["-tls1_3", "-sigalgs", "ECDSA+SHA256"]],
    "rsa": [["-tls1_2", "-cipher", "ECDHE+aRSA"], ["-tls1_3", "-sigalgs", "RSA-PSS+SHA256"]],
}


def s_client(daemon, *arguments):
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{daemon.port}", *arguments]
    done = subprocess.run(command, input="", capture_output=True, text=True, timeout=30)
    return done.stdout + done.stderr


def subject(daemon, *arguments):
    """Of the certificate that a client gets, or None."""
    found = re.search(r"^subject=CN ?= ?(\w+)$", s_client(daemon, *arguments), re.M)
    return found and found[1]


def start_without_preset(start, *options, before=""):
    """Without the certificate of all tests: options are those of a section, or stand before it."""
    stunnel = Stunnel(before + service(start(Recorder()).port, *options))
    text = re.sub(r"^(cert|key) = .*\n", "", stunnel.config.read_text(), count=2, flags=re.M)
    stunnel.config.write_text(text)
    return start(stunnel)


ORDERS = {
    "in pairs": [f"cert = {ECDSA.cert}", f"key = {ECDSA.key}", f"cert = {RSA.cert}", f"key = {RSA.key}"],
    "keys first, crossed": [f"key = {ECDSA.key}", f"key = {RSA.key}", f"cert = {RSA.cert}", f"cert = {ECDSA.cert}"],
}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("default", [True, False], ids=["default", "section"])
def test_each_client_gets_the_certificate_that_it_can_use(start, order, default):
    lines = ORDERS[order]
    before, inside = ("\n".join(lines) + "\n", []) if default else ("", lines)
    stunnel = start_without_preset(start, *inside, before=before)
    for name, clients in CLIENTS.items():
        for arguments in clients:
            assert subject(stunnel, *arguments) == name, arguments
    assert not re.search(r" LOG[0-4]\[", stunnel.log_text())


def test_keys_inside_the_certificates_files(start, tmp_path):
    lines = []
    for name, pair in (("ecdsa", ECDSA), ("rsa", RSA)):
        (tmp_path / name).write_text(pair.cert.read_text() + pair.key.read_text())
        lines.append(f"cert = {tmp_path / name}")
    stunnel = start_without_preset(start, *lines)
    for name, clients in CLIENTS.items():
        assert subject(stunnel, *clients[0]) == name


def test_one_key_in_a_line_and_one_beside_its_certificate(start, tmp_path):
    (tmp_path / "both").write_text(RSA.cert.read_text() + RSA.key.read_text())
    lines = [f"cert = {ECDSA.cert}", f"key = {ECDSA.key}", f"cert = {tmp_path / 'both'}"]
    stunnel = start_without_preset(start, *lines)
    for name, clients in CLIENTS.items():
        assert subject(stunnel, *clients[0]) == name


def test_a_section_has_its_own_instead_of_the_defaults(start, both):
    """As in stock, where the last line counts."""
    for daemon in both(free_port(), f"cert = {RSA.cert}", f"key = {RSA.key}"):
        assert subject(daemon, *CLIENTS["rsa"][0]) == "rsa"
        assert subject(daemon, *CLIENTS["server"][0]) is None


def test_of_two_with_keys_of_one_type_the_last(both):
    """As in stock."""
    other = [f"cert = {ECDSA.cert}", f"key = {ECDSA.key}"]
    other += [f"cert = {ECDSA.other_cert}", f"key = {ECDSA.other_key}"]
    for daemon in both(free_port(), *other):
        assert subject(daemon) == "other"


@pytest.mark.parametrize("fault", ["missing file", "wrong key"])
def test_a_fault_of_an_earlier_one_is_a_warning(both, tmp_path, fault):
    """Stock takes the last pair, and never sees it."""
    cert = tmp_path / "missing" if fault == "missing file" else ECDSA.cert
    lines = [f"cert = {cert}", f"key = {ECDSA.other_key}", f"cert = {RSA.cert}", f"key = {RSA.key}"]
    for daemon in both(free_port(), *lines):
        assert subject(daemon, *CLIENTS["rsa"][0]) == "rsa"
    assert re.search(r' LOG4\[main\]: .*"cert|key = ', daemon.log_text())


def test_a_fault_of_the_last_one_is_an_error(tmp_path):
    config = tmp_path / "test.conf"
    lines = [f"cert = {RSA.cert}", f"key = {RSA.key}", f"cert = {ECDSA.cert}", f"key = {ECDSA.other_key}"]
    section = ["[web]", f"accept = 127.0.0.1:{free_port()}", "connect = 1", *lines]
    config.write_text("\n".join(["foreground = yes", "syslog = no", *section]) + "\n")
    done = subprocess.run([BINARY, config], capture_output=True, text=True, timeout=30)
    assert done.returncode == 1
    told = f"Private key does not match the certificate: {ECDSA.other_key}"
    assert told in done.stderr and done.stderr.count("[!]") == 2


# ---- DH parameters --------------------------------------------------------------------------


@functools.cache
def dh_parameters(bits):
    """Of a group that nobody else has: its generator is made with it."""
    command = ["openssl", "dhparam", "-dsaparam", str(bits)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize("bits, used", [(2048, 2048), (3072, 3072), (None, 2048)])
def test_the_group_of_a_dhe_suite(both, tmp_path, bits, used):
    """Without one OpenSSL takes that of an RSA key's strength, and stock its own."""
    file = tmp_path / "pem"
    file.write_text(RSA.cert.read_text() + RSA.key.read_text() + (dh_parameters(bits) if bits else ""))
    for daemon in both(free_port(), f"cert = {file}", f"key = {file}", "ciphers = DHE:ECDHE"):
        told = s_client(daemon, "-tls1_2", "-cipher", "DHE")
        assert f"Server Temp Key: DH, {used} bits" in told
        assert "Cipher is DHE-RSA" in told


def test_parameters_below_the_security_level_are_left_out(front, tmp_path):
    """Stock takes them, and then has no such suite at all."""
    file = tmp_path / "pem"
    file.write_text(RSA.cert.read_text() + RSA.key.read_text() + dh_parameters(1024))
    stunnel = front(free_port(), f"cert = {file}", f"key = {file}", "ciphers = DHE:ECDHE")
    assert "Server Temp Key: DH, 2048 bits" in s_client(stunnel, "-tls1_2", "-cipher", "DHE")
    assert stunnel.log_lines(f"OpenSSL's own DH group is used, and not that of {file}: ")


def test_parameters_that_no_suite_needs_are_not_judged(front, tmp_path):
    file = tmp_path / "pem"
    file.write_text(RSA.cert.read_text() + RSA.key.read_text() + dh_parameters(1024))
    stunnel = front(free_port(), f"cert = {file}", f"key = {file}")
    assert not re.search(r" LOG[0-4]\[", stunnel.log_text())
