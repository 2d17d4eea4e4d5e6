# SPDX-License-Identifier: ISC
"""What a service asks of OpenSSL: its security level, groups, and commands of its own."""

import re
import ssl
import subprocess

import pytest

from certs import certificates
from peers import BINARY, Stock, Stunnel, daemon_only, free_port, service
from recorder import Recorder
from test_key_files import weak
from tls_client import TlsClient, client_context

pytestmark = daemon_only

WARNING = "weak keys, signatures and versions of TLS are taken"


def s_client(daemon, *arguments):
    """What openssl's client says of its connection."""
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{daemon.port}", *arguments]
    done = subprocess.run(command, input="", capture_output=True, text=True, timeout=30)
    return done.stdout + done.stderr


def version_and_group(daemon, *arguments):
    told = s_client(daemon, *arguments)
    version = re.search(r"^(?:New|Reused), (\S+), Cipher is", told, re.M)
    group = re.search(r"^Server Temp Key: (?:ECDH, )?(\w+)", told, re.M)
    return version and version[1], group and group[1]


def refusal(tmp_path, *lines, binary=BINARY):
    config = tmp_path / "test.conf"
    port = free_port()
    preset = ["pid =", "foreground = yes", "syslog = no"]
    preset += [f"cert = {certificates().cert}", f"key = {certificates().key}"]
    section = ["[web]", f"accept = 127.0.0.1:{port}", f"connect = 127.0.0.1:{port}", *lines]
    config.write_text("\n".join(preset + section) + "\n")
    done = subprocess.run([binary, config], capture_output=True, text=True, timeout=30)
    assert done.returncode == 1
    return done.stderr


# ---- securityLevel --------------------------------------------------------------------------

OLD = ["-tls1", "-cipher", "ALL:@SECLEVEL=0"]


@pytest.mark.parametrize("level, version", [(0, "TLSv1.0"), (1, "(NONE)"), (2, "(NONE)")])
def test_level_0_speaks_old_versions(both, level, version):
    for daemon in both(free_port(), f"securityLevel = {level}", "sslVersionMin = TLSv1"):
        assert version_and_group(daemon, *OLD)[0] == version
    warnings = [line for line in daemon.log_text().splitlines() if WARNING in line]
    assert len(warnings) == (1 if level < 2 else 0)


@pytest.mark.parametrize("level, taken", [(1, True), (2, False), (None, False)])
def test_a_short_key(start, tmp_path, level, taken):
    key = tmp_path / "weak.pem"
    weak(key)
    lines = [f"cert = {key}", f"key = {key.with_suffix('.made')}", *([f"securityLevel = {level}"] if level else [])]
    if taken:
        stunnel = start(Stunnel(service(free_port(), *lines)))
        assert version_and_group(stunnel, "-cipher", "ALL:@SECLEVEL=0")[0] == "TLSv1.3"
    else:
        assert "security level 2 asks for RSA of 2048 bits" in refusal(tmp_path, *lines)


def test_a_level_above_the_certificate(both, tmp_path):
    """As stock: P-256 is not enough for level 4."""
    for binary in filter(None, (Stock.BINARY, BINARY)):
        assert "ee key too small" in refusal(tmp_path, "securityLevel = 4", binary=binary)
    for daemon in both(free_port(), "securityLevel = 3"):
        assert version_and_group(daemon)[0] == "TLSv1.3"


@pytest.mark.parametrize("level", ["-1", "6", "high", ""])
def test_no_level(tmp_path, level):
    for binary in filter(None, (Stock.BINARY, BINARY)):
        told = refusal(tmp_path, f"securityLevel = {level}", binary=binary)
        assert "Illegal security level" in told


def test_a_server_name_leads_to_another_level(start):
    backend = start(Recorder())
    low = service(backend.port, "securityLevel = 0", "sslVersionMin = TLSv1", name="low")
    text = f"[high]\nsni = low:high.test\nconnect = 127.0.0.1:{backend.port}\n"
    stunnel = start(Stunnel(low + text))
    assert version_and_group(stunnel, *OLD)[0] == "TLSv1.0"
    assert version_and_group(stunnel, *OLD, "-servername", "high.test")[0] == "(NONE)"
    assert version_and_group(stunnel, "-servername", "high.test")[0] == "TLSv1.3"


# ---- groups ---------------------------------------------------------------------------------


def test_the_default_groups_are_stocks(both):
    """Where OpenSSL has X25519MLKEM768 it comes before them, and a client that offers both gets it."""
    for daemon in both(free_port()):
        for group, name in (("X25519", "X25519"), ("P-256", "prime256v1"), ("X448", "X448")):
            assert version_and_group(daemon, "-groups", group)[1] == name
    known = subprocess.run(
        ["openssl", "list", "-kem-algorithms"], capture_output=True, text=True, check=False
    )
    if "X25519MLKEM768" in known.stdout:
        assert "X25519MLKEM768" in s_client(daemon, "-groups", "X25519:X25519MLKEM768")


@pytest.mark.parametrize("option", ["curves", "curve"])
@pytest.mark.parametrize(
    "groups, unknown",
    [
        ("X25519MLKEM1e9:P-256", ["X25519MLKEM1e9"]),
        ("P-256:brainpoolXIII:nonsense", ["brainpoolXIII", "nonsense"]),
        (":P-256", [""]),
    ],
)
def test_an_unknown_group_is_left_out(front, option, groups, unknown):
    stunnel = front(free_port(), f"{option} = {groups}")
    assert version_and_group(stunnel, "-groups", "P-256:X25519")[1] == "prime256v1"
    assert version_and_group(stunnel, "-groups", "X25519")[0] == "(NONE)"
    for name in unknown:
        stunnel.wait_log(f"OpenSSL knows no such group: {name} is left out")


def test_no_known_group_is_an_error(tmp_path):
    for binary in filter(None, (Stock.BINARY, BINARY)):
        told = refusal(tmp_path, "curves = nonsense:absurd", binary=binary)
        assert "Invalid groups list in 'curves'" in told


def test_a_template_tells_the_group(start, front):
    backend = start(Recorder())
    stunnel = front(backend, "httpSetHeader = X-Group: %{tls_group}", "curves = P-384")
    with TlsClient(stunnel.port) as client:
        client.get("/")
    assert "X-Group: secp384r1" in backend.requests[0]


# ---- config ---------------------------------------------------------------------------------


def test_commands_of_openssl(both):
    options = ["config = MinProtocol:TLSv1.3", "config = Ciphersuites:TLS_AES_128_GCM_SHA256"]
    for daemon in both(free_port(), *options):
        assert version_and_group(daemon)[0] == "TLSv1.3"
        assert version_and_group(daemon, "-tls1_2")[0] == "(NONE)"
        assert not daemon.log_lines("no client gets in")


def test_commands_follow_a_server_name(start):
    backend = start(Recorder())
    config = service(backend.port, "config = Groups:P-384", name="one")
    config += f"[two]\nsni = one:two.test\nconnect = 127.0.0.1:{backend.port}\n"
    config += f"config = Groups:P-521\nconfig = Certificate:{certificates().other_cert}\n"
    config += f"config = PrivateKey:{certificates().other_key}\n"
    stunnel = start(Stunnel(config))
    assert version_and_group(stunnel, "-servername", "one.test")[1] == "secp384r1"
    assert version_and_group(stunnel, "-servername", "two.test")[1] == "secp521r1"


def test_renegotiation_stays_off(start, front):
    """No command brings it back: the backend was told of one handshake."""
    options = ["config = Options:ClientRenegotiation", "sslVersionMax = TLSv1.2"]
    stunnel = front(start(Recorder()), "xForwardedFor = yes", *options)
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{stunnel.port}"]
    done = subprocess.run(command, input="R\n", capture_output=True, text=True, timeout=30)
    assert "no renegotiation" in done.stdout + done.stderr


@pytest.mark.parametrize(
    "command, why",
    [
        ("Nonsense:1", 'OpenSSL config command "Nonsense" was not recognised'),
        ("Nonsense", 'OpenSSL config command "Nonsense" was not recognised'),
        ("Groups", 'OpenSSL config command "Groups" requires a parameter'),
    ],
)
def test_no_command(tmp_path, command, why):
    for binary in filter(None, (Stock.BINARY, BINARY)):
        assert why in refusal(tmp_path, f"config = {command}", binary=binary)


def test_a_command_that_fails(tmp_path):
    assert "OpenSSL config command failed: Groups:x" in refusal(tmp_path, "config = Groups:x")


@pytest.mark.parametrize("change", ["securityLevel = 3", "config = MaxProtocol:TLSv1.3"])
def test_a_session_ends_with_the_settings_that_it_was_made_under(start, front, change):
    stunnel = front(start(Recorder()))
    context = client_context(version=ssl.TLSVersion.TLSv1_3)
    with TlsClient(stunnel.port, context=context) as client:
        client.get("/")
        session = client.session
    with open(stunnel.config, "a", encoding="ascii") as config:
        config.write(f"{change}\n")
    stunnel.replace_workers()
    with TlsClient(stunnel.port, context=context, session=session) as client:
        client.get("/")
        assert not client.tls.session_reused


# ---- names and values of old files ----------------------------------------------------------


@pytest.mark.parametrize(
    "line, client",
    [
        ("sslVersion = SSLv3", []),
        ("sslVersion = tlsv1", OLD),
        ("sslVersion = TLSv1.1", ["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"]),
    ],
)
def test_an_old_version_is_taken_and_lets_nobody_in(both, line, client):
    """As in stock, with OpenSSL 3: not at the load, but at each handshake."""
    reasons = []
    for daemon in both(free_port(), line):
        assert version_and_group(daemon, *client)[0] == "(NONE)"
        daemon.wait_log("SSL_accept: ")
        reasons += [text.split("::")[-1] for text in daemon.log_lines("SSL_accept: ")]
    assert reasons[0] == reasons[1]
    assert daemon.log_lines("no client gets in")


@pytest.mark.parametrize("version", ["1", "1.1"])
def test_an_old_version_at_level_0(both, version):
    option = f"-tls1{'_1' if version == '1.1' else ''}"
    for daemon in both(free_port(), f"sslVersion = TLSv{version}", "securityLevel = 0"):
        told = version_and_group(daemon, option, "-cipher", "ALL:@SECLEVEL=0")
        assert told[0] in ("TLSv1.0", f"TLSv{version}")
    assert not daemon.log_lines("no client gets in")


@pytest.mark.parametrize("name", ["NO_TLSv1.3", "no_tlsv1_3", "No_TlsV1.3"])
def test_names_of_openssl_options(front, name):
    """Up to stock 5.60 with a dot; 5.61 refuses that."""
    stunnel = front(free_port(), f"OPTIONS = {name}")
    assert version_and_group(stunnel)[0] == "TLSv1.2"


@pytest.mark.parametrize("line", ["XFORWARDEDFOR = yes", "SSLversion = tlsv1.2", "PSKSECRETS = {psk}"])
def test_names_of_options_in_any_case(front, tmp_path, line):
    path = tmp_path / "psk"
    path.write_text("a:00112233445566778899aabbccddeeff\n")
    stunnel = front(free_port(), line.replace("{psk}", str(path)))
    assert version_and_group(stunnel)[0] in ("TLSv1.2", "TLSv1.3")
