# SPDX-License-Identifier: ISC
"""One start, or one reload, shows everything that is wrong with a configuration, in its order."""

import re
import signal
import subprocess

import pytest

from certs import certificates
from peers import BINARY, Stunnel, daemon_only, free_port, listening_ports, service
from recorder import Recorder
from tls_client import TlsClient

pytestmark = daemon_only

ENDPOINTS = "Each service must define two endpoints"
NO_CERT = "TLS server needs a certificate: 'cert' is missing"
UNKNOWN = "Specified option name is not valid here"
UNBUILT = "This option of stock stunnel is not built yet"


@pytest.fixture
def told(tmp_path):
    """What a start with a bad configuration says, line by line, without marks and the folder."""

    def run(config, *, verdict="Configuration failed"):
        path, port = tmp_path / "test.conf", free_port()
        files = {name: str(value) for name, value in vars(certificates()).items()}
        for name, value in {**files, "port": str(port), "dir": str(tmp_path)}.items():
            config = config.replace("{%s}" % name, value)
        path.write_text(config)
        done = subprocess.run([BINARY, str(path)], capture_output=True, text=True, timeout=30)
        assert (done.returncode, done.stdout) == (1, "")
        assert port not in listening_ports()
        lines = done.stderr.splitlines()
        assert all(line.startswith("[!] ") for line in lines)
        assert lines[-1] == f"[!] {verdict}"
        return [line[4:].replace(f"{tmp_path}/", "") for line in lines[:-1]]

    return run


WEB = "[web]\naccept = 127.0.0.1:{port}\nconnect = 1\n"
KEYS = "cert = {cert}\nkey = {key}\n"


def numbers(lines):
    """The lines that are named, by number; 0 where none is."""
    found = [re.match(r'test\.conf:(\d+): "', line) for line in lines]
    return [int(match[1]) if match else 0 for match in found]


def test_every_bad_line_is_told_in_order(told):
    lines = told(
        "foreground = maybe\n"
        "setuid = no-such-user\n"
        "surprise = 1\n"
        "[one]\n"
        "accept = 127.0.0.1:{port}\n"
        "connect = 1\n"
        "TIMEOUTidle = soon\n"
        "options = NONSENSE\n" + KEYS + "verify = 7\n"
        "[two]\n" + KEYS + "verifyChain = perhaps\n"
        "connect\n"
    )
    assert numbers(lines) == [1, 2, 3, 7, 8, 11, 15, 16]
    assert [line.split('": ')[1] for line in lines] == [
        "The argument needs to be either 'yes', 'quiet' or 'no'",
        "Illegal UID",
        UNKNOWN,
        "Illegal idle timeout",
        "Illegal TLS option: one name a line, of those that stunnel -options lists",
        "Bad verify level: 0 to 4",
        "The argument needs to be either 'yes' or 'no'",
        "No '=' found: write connect = VALUE",
    ]


def test_what_whole_sections_lack_stands_among_the_lines(told):
    lines = told(
        "[one]\nconnect = 1\n" + KEYS + "ciphers = NONSENSE\n"  # 1 to 5
        "[two]\naccept = 127.0.0.1:{port}\nconnect = 1\n"  # 6 to 8
        "[three]\nsni = nobody:*\nconnect = 1\ncert = {dir}/missing.pem\n"  # 9 to 12
        "TIMEOUTbusy = x\n"
    )
    assert [re.sub(r': "[^"]*"', "", line) for line in lines] == [
        "test.conf:5: Service [one]: Invalid cipher list in 'ciphers': NONSENSE: no cipher match",
        f"Service [one]: {ENDPOINTS}: 'accept' is missing",
        f"Service [two]: {NO_CERT}",
        "test.conf:10: Service [three]: SNI section name not found: nobody:*",
        "test.conf:12: Service [three]: Failed to load certificate from: missing.pem: "
        "No such file or directory",
        "test.conf:13: Illegal busy timeout",
    ]


def test_all_of_one_service_is_looked_at(told):
    """Names, protocol, log, TLS and peers: what is wrong with one hides nothing of the others."""
    lines = told(
        "foreground = yes\n" + WEB + "cert = {dir}/none.pem\n"  # 5
        "ciphers = NONSENSE\n"
        "ciphersuites = NONSENSE\n"
        "curves = NONSENSE\n"
        "sslVersionMin = TLSv1.3\n"
        "sslVersionMax = TLSv1.2\n"
        "CAfile = {dir}/none-ca.pem\n"  # 11
        "CRLfile = {dir}/none-crl.pem\n"
        "checkIP = 192.0.2\n"
        "verifyChain = yes\n"
        "protocol = nonsense\n"
        "proxyTLV = alpn\n"
        "trustedProxy = 192.0.2.0/24, here\n"
        "trustedProxy = 192.0.2.0/33\n"
        "acceptProxy = yes\n"
        "accessLog = {dir}/log\n"
        "accessLogFormat = %{nonsense}\n"
        "accept = 127.0.0.1:no-such-port\n"
        "accept = no.such.host.invalid:1\n"
    )
    assert numbers(lines) == [5, 6, 7, 8, 10, 11, 12, 13, 15, 17, 18, 19, 21, 22, 23]


@pytest.mark.parametrize(
    "line",
    [
        "accept = ",
        "connect = ",
        "connect 443",
    ],
)
def test_a_bad_endpoint_is_not_missed_as_well(told, line):
    lines = told("[web]\nTIMEOUTidle = 1\n" + KEYS + line + "\n")
    assert numbers(lines) == [5]


@pytest.mark.parametrize("line", ["PSKsecrets = {dir}/psk", "engine = pkcs11"])
def test_what_stands_for_a_certificate_is_told_alone(told, line):
    lines = told(line + "\n" + WEB)
    assert numbers(lines) == [1]


@pytest.mark.parametrize("line", ["CAstore = file:ca.pem", "CAengine = ca"])
def test_what_stands_for_trust_is_told_alone(told, line):
    assert numbers(told(KEYS + "verifyChain = yes\n" + line + "\n" + WEB)) == [4]


SECRETS = ["ticketKeySecret", "ticketMacSecret", "engineCtrl"]


@pytest.mark.parametrize("name", [*SECRETS, "setEnvv", "protocolPasword", "PROTOCOLUSERNAM"])
@pytest.mark.parametrize("sign", [" = ", "=", "\t", ": "])
def test_secrets_are_not_told(told, name, sign):
    lines = told(f"{name}{sign}s3cret=1\n" + KEYS + WEB)
    assert numbers(lines) == [1]
    assert lines[0].startswith(f'test.conf:1: "{name} = ...": ')
    assert "s3cret" not in "".join(lines)


def test_variable_without_a_name(told):
    [line] = told("setEnv = =s3cret\n" + KEYS + WEB)
    assert line == 'test.conf:1: "setEnv = ...": An environment variable needs a name'


def test_engines_are_not_used(told):
    [line] = told("engineCtrl = PIN:s3cret\n" + KEYS + WEB)
    assert line.endswith(
        '"engineCtrl = ...": Specified option name is not valid here: '
        "engines of OpenSSL are not used, 'provider' loads what took their place"
    )


def test_a_clients_section_is_not_judged_as_a_servers(told):
    """It needs no certificate, and `sni` is no endpoint of it."""
    lines = told("[web]\nclient = yes\naccept = 127.0.0.1:{port}\nsni = www.test\n")
    assert lines == [
        "Service [web]: Each service must define two endpoints: 'connect' is missing"
    ]


def test_a_bad_key_is_not_looked_for_in_the_certificate(told):
    lines = told("foreground = yes\n" + WEB + "cert = {cert}\nkey\n")
    assert numbers(lines) == [6]


def test_a_default_that_several_services_share_is_told_once(told):
    sections = "".join(f"[{n}]\naccept = 127.0.0.1:{{port}}\nconnect = 1\n" for n in range(5))
    lines = told("cert = {dir}/missing.pem\ncurves = NONSENSE\n" + sections)
    assert numbers(lines) == [1, 2]


@pytest.mark.parametrize("header", ["[two", "[two] ; the second"])
def test_lines_behind_a_broken_header_are_not_the_section_befores(told, header):
    """Else its endpoints would be a third and a fourth one of the section before."""
    other = f"{header}\naccept = 127.0.0.1:{{port}}\nconnect = 2\nTIMEOUTbusy = x\n"
    lines = told(KEYS + WEB + other + "[three]\nconnect = 3\n")
    assert numbers(lines) == [6, 9, 0]
    assert lines[0].startswith(f'test.conf:6: "{header}": No ')
    assert lines[2] == f"Service [three]: {ENDPOINTS}: 'accept' is missing"


def test_reading_goes_on_behind_an_included_file(told, tmp_path):
    folder = tmp_path / "conf.d"
    folder.mkdir()
    (folder / "a").write_text("TIMEOUTbusy = a\n")
    (folder / "b").write_text("ok\nTIMEOUTidle = b\n")
    lines = told("TIMEOUTclose = x\ninclude = {dir}/conf.d\nsurprise = 1\n" + KEYS + WEB)
    places = [line.split(': "')[0] for line in lines]
    assert places == ["test.conf:1", "conf.d/a:1", "conf.d/b:1", "conf.d/b:2", "test.conf:3"]


def test_what_cannot_be_included_is_not_missed_as_well(told):
    """The sections may all stand there."""
    assert numbers(told("include = {dir}/missing\nTIMEOUTidle = x\n")) == [1, 2]


def test_lines_that_are_no_text(told, tmp_path):
    lines = told("TIMEOUTbusy = " + "1" * 20000 + "\nsurprise\0 = 1\nsurprise = 1\n" + KEYS + WEB)
    assert numbers(lines) == [1, 2, 3]
    reasons = [line.rsplit('": ', 1)[1] for line in lines]
    assert reasons == ["The line is too long", "The line holds a NUL byte", UNKNOWN]


def test_the_reason_of_a_long_line_is_seen(told):
    line = "TIMEOUTidle = " + "1" * 3000 + "h"
    lines = told(line + "\n" + KEYS + WEB)
    assert lines[0].endswith('...": Illegal idle timeout')
    assert lines[0].startswith(f'test.conf:1: "{line[:300]}')


def test_many_errors_are_bounded(told):
    lines = told("surprise = 1\n" * 350 + KEYS + WEB)
    assert numbers(lines[:100]) == list(range(1, 101))
    assert lines[100:] == ["... and 250 more errors"]


def test_global_paths_name_their_lines(told):
    lines = told("pid = a\noutput = b\n" + KEYS + WEB)
    assert numbers(lines) == [1, 2]
    assert [line.split('": ')[1] for line in lines] == [
        "Global options: Pid file must include full path name",
        "Global options: Log file must include full path name",
    ]


def test_a_reload_logs_everything_too(start):
    backend = start(Recorder())
    good = service(backend.port)
    stunnel = start(Stunnel(good))
    stunnel.write(good + "surprise = 1\nTIMEOUTidle = x\nciphers = NONSENSE\n")
    stunnel.signal(signal.SIGHUP)
    stunnel.wait_log("Failed to reload the configuration file")
    text = stunnel.log.read_text()
    told = [line for line in text.splitlines() if " LOG3[" in line]
    assert [re.sub(r'.*?LOG3\[\w+\]: |\S+:\d+: "|": .*', "", line) for line in told] == [
        "surprise = 1",
        "TIMEOUTidle = x",
        "ciphers = NONSENSE",
        "Configuration failed",
        "Failed to reload the configuration file",
    ]
    with TlsClient(stunnel.port) as client:
        assert client.get("/").status == 200
