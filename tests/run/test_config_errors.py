# SPDX-License-Identifier: ISC
"""A bad configuration: one line says where and why, the exit code is 1, and nothing listens."""

import re
import socket
import subprocess
from dataclasses import dataclass

import pytest

from certs import certificates
from help_page import defaults
from peers import BINARY, Stunnel, daemon_only, free_port, listening_ports, service
from recorder import Recorder
from tls_client import TlsClient

pytestmark = daemon_only


@dataclass
class Outcome:
    code: int
    stdout: str
    stderr: str
    path: str
    port: int

    def assert_refused(self):
        assert self.code == 1
        assert self.stdout == ""
        assert self.port not in listening_ports()


@pytest.fixture
def load(tmp_path):
    """Runs the daemon with a configuration that makes it end."""

    def run(config):
        """{port}, {cert}, {key}, {other_key} and {dir} are filled in."""
        path, port = tmp_path / "test.conf", free_port()
        files = {name: str(value) for name, value in vars(certificates()).items()}
        files |= {"port": str(port), "dir": str(tmp_path)}
        for name, value in files.items():
            config = config.replace("{%s}" % name, value)
        path.write_bytes(config.encode("latin-1"))
        command = [BINARY, str(path)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30)
        return Outcome(done.returncode, done.stdout, done.stderr, str(path), port)

    return run


GLOBALS = "foreground = yes\nsyslog = no\n"
WEB = "[web]\naccept = 127.0.0.1:{port}\nconnect = 1\ncert = {cert}\nkey = {key}\n"
YES_NO = "The argument needs to be either 'yes' or 'no'"
ENDPOINTS = "Each service must define two endpoints"
UNKNOWN = "Specified option name is not valid here"
NO_ENGINES = f"{UNKNOWN}: engines of OpenSSL are not used"

GLOBAL_LINES = [
    ("surprise = 1", UNKNOWN),
    ("taskbar = no", f"{UNKNOWN}: it is for Windows alone"),
    ("server = yes", f"{UNKNOWN}: write client = no for a server"),
    ("cert: /etc/www.pem", "No '=' found: write cert = VALUE"),
    ("foreground", "No '=' found"),
    ("= 1", UNKNOWN),
    ("foreground = maybe", "The argument needs to be either 'yes', 'quiet' or 'no'"),
    ("syslog = true", YES_NO),
    ("log = rewrite", "The argument needs to be either 'append' or 'overwrite'"),
    ("debug = 8", "Illegal debug level"),
    ("debug = daemon.loud", "Illegal debug level"),
    ("debug = nowhere.5", "Illegal syslog facility: one of auth, authpriv, "),
    ("debug = 7 # all of it", "or 0 to 7: comments stand on lines of their own"),
    ("syslog = no ; nothing", f"{YES_NO}: comments stand on lines of their own"),
    ("setuid = no-such-user", "Illegal UID"),
    ("setgid = no-such-group", "Illegal GID"),
    ("socket = x:TCP_NODELAY=1", "Illegal socket option: a|l|r:OPTION=VALUE, without blanks"),
    ("socket = l:NO_SUCH_OPTION=1", "Illegal socket option"),
    ("workers = many", ""),
    ("workers = -1", ""),
    ("include = {dir}/missing", "Failed to include directory"),
    ("include = {cert}", "Failed to include directory"),
    ("[web", "No '=' found"),
    ("RNDbytes = all", "Illegal number of bytes to read from random seed files"),
    ("RNDoverwrite = 1", YES_NO),
    ("RNDfile =", "The value is empty"),
    ("engine = capi", NO_ENGINES),
    ("engineDefault = ALL", NO_ENGINES),
]

SERVICE_LINES = [
    ("surprise = 1", UNKNOWN),
    ("pid = {dir}/pid", UNKNOWN),
    # of the whole program, although they set nothing
    ("fips = no", UNKNOWN),
    ("RNDfile = /dev/urandom", UNKNOWN),
    ("engine = auto", UNKNOWN),
    ("provider = default", UNKNOWN),
    ("connect", "No '=' found"),
    ("; connect = 1 ; is a comment\nconnect 1", "No '=' found"),
    ("TIMEOUTidle = soon", "Illegal idle timeout"),
    ("TIMEOUTbusy = 10s", "Illegal busy timeout"),
    ("TIMEOUTresolve = soon", "Illegal resolve timeout"),
    ("TIMEOUTclose =", "Illegal close timeout"),
    ("TIMEOUTconnect = 1h", "Illegal connect timeout"),
    ("TIMEOUTrequest = 1.5", "Illegal"),
    ("TIMEOUTresponse = 1.5", "Illegal response timeout"),
    ("options = NO_SUCH_OPTION", "Illegal TLS option"),
    ("options = NO_SSLv2,NO_SSLv3", "Illegal TLS option: one name a line"),
    ("verify = 2 ; strictly", "0 to 4: comments stand on lines of their own"),
    ("options = NO_TLSv1-2", "Illegal TLS option"),
    ("options = NO_TLSv1.", "Illegal TLS option"),
    ("sslVersion = TLSv9", "Invalid protocol version"),
    ("xForwardedFor = maybe", "The argument needs to be"),
    ("httpSetHeader = X-No-Colon", "NAME: TEMPLATE"),
    ("httpSetHeader = X: %{client_name}", "Unknown template variable"),
    ("httpSetHeader = X: 100%", "Unknown template variable"),
    ("httpSetHeader = X Y: 1", "not a token"),
    ("httpAddHeader = Content-Length: 1", "frames"),
    ("httpDelHeader = Transfer-Encoding", "frames"),
    ("verify = 5", "Bad verify level"),
    ("verify = -1", "Bad verify level"),
    ("verify = chain", "Bad verify level"),
    ("verify =", "Bad verify level"),
    ("verifyChain = 2", YES_NO),
    ("verifyPeer = maybe", YES_NO),
    ("requireCert =", YES_NO),
    ("checkHost =", "The value is empty"),
    # of stock stunnel: taken without effect, but not with any value
    ("sessionCacheSize = many", "Illegal session cache size"),
    ("sessionCacheTimeout = 5m", "Illegal session cache timeout"),
    ("session = 5m", "Illegal session cache timeout"),
    ("stack = 64k", "Illegal thread stack size"),
    ("renegotiation = maybe", YES_NO),
    ("retry = soon", "Illegal retry delay"),
    ("pty = 1", YES_NO),
    ("OCSPflag = NOTHING", "Illegal OCSP flag"),
    ("setuid = no-such-user", "Illegal UID"),
    ("sessionResume = 1", YES_NO),
    ("delay = 1", YES_NO),
    ("engineId = capi", NO_ENGINES),
    ("engineNum = 1", NO_ENGINES),
    ("CAengine = ca", NO_ENGINES),
    ("transparent = maybe", "Selected transparent proxy mode is not available"),
    ("local = no.such.host.invalid", "Failed to resolve local address"),
    ("local = /run/socket", "Failed to resolve local address"),
    ("reset = 1", YES_NO),
    ("libwrap = maybe", YES_NO),
    ("logId = serial", "Invalid connection identifier type"),
]


# What is asked of clients' certificates: the last line is at fault.
VERIFICATION = [
    ("verifyChain = yes\nCAfile = {dir}/missing.pem", "{dir}/missing.pem: No such file or directory"),
    ("verifyPeer = yes\nCAfile = {key}", "{key}: "),
    ("verify = 1\nCAfile = {dir}", "{dir}: "),
    ("CRLfile = {dir}/missing.pem", "Failed to load revocation lookup file: {dir}/missing.pem: No"),
    ("CRLfile = {cert}", "{cert}: "),
    ("checkHost = a.test", 'Either "verifyChain" or "verifyPeer" has to be enabled'),
    ("requireCert = yes\ncheckEmail = a@b.test", 'Either "verifyChain" or "verifyPeer" has to be'),
    ("CAfile = {cert}\nverify = 0\ncheckIP = ::1", "has to be enabled"),
    (
        "verifyChain = yes\nCApath = {dir}/missing",
        "Failed to use directory: {dir}/missing: No such file or directory",
    ),
    ("verify = 4\nCApath = {dir}/test.conf", "{dir}/test.conf: Not a directory"),
    ("CAfile = {cert}\nverifyChain = yes\ncheckIP = 192.0.2", "Not an IP address: 192.0.2"),
]

NO_TRUST = 'Either "CAengine", "CAfile", "CApath" or "CAstore" has to be configured'


def assert_line(outcome, config, line, reason):
    """FILE:LINE: "LINE": REASON, once."""
    outcome.assert_refused()
    number = config.splitlines().index(line) + 1
    said = [text for text in outcome.stderr.splitlines() if f"{outcome.path}:" in text]
    said = [text for text in said if "Reading configuration" not in text]
    assert len(said) == 1, outcome.stderr
    assert f'{outcome.path}:{number}: "{line}": ' in said[0]
    assert reason in said[0].split(f'"{line}": ')[1]


def filled_in(config, outcome):
    config = config.replace("{dir}", outcome.path.rsplit("/", 1)[0])
    for name in ("cert", "key"):
        config = config.replace("{%s}" % name, str(getattr(certificates(), name)))
    return config


@pytest.mark.parametrize("line, reason", GLOBAL_LINES, ids=[line for line, _ in GLOBAL_LINES])
def test_global_line(load, line, reason):
    config = GLOBALS + line + "\n" + WEB
    outcome = load(config)
    line = line.splitlines()[-1]
    assert_line(outcome, filled_in(config, outcome), filled_in(line, outcome), reason)


@pytest.mark.parametrize("line, reason", SERVICE_LINES, ids=[line for line, _ in SERVICE_LINES])
def test_service_line(load, line, reason):
    config = GLOBALS + WEB + line + "\n"
    outcome = load(config)
    line = line.splitlines()[-1]
    assert_line(outcome, filled_in(config, outcome), filled_in(line, outcome), reason)


MAY_BE_EMPTY = ("pid", "CAfile", "CApath", "CAstore")


@pytest.mark.parametrize("name", defaults())
def test_empty_value(load, name):
    """As of an unset variable in a template: it must not undo a chroot or a PROXY header."""
    config = GLOBALS + f"{name} =\n" + WEB
    outcome = load(config + "surprise = 1\n")
    outcome.assert_refused()
    refused = [f'{outcome.path}:3: "{name} ={value}": ' for value in ("", " ...")]  # of secrets
    taken = not any(text in outcome.stderr for text in refused)
    assert taken == (name in MAY_BE_EMPTY)


@pytest.mark.parametrize("name", ["CRLfile", "CRLpath"])
def test_empty_value_that_undoes_a_default(load, name):
    """Only there it can be meant."""
    outcome = load(f"foreground = yes\n{name} = {{dir}}/missing.pem\n" + WEB + f"{name} =\nx = 1\n")
    outcome.assert_refused()
    assert f'"{name} =' not in outcome.stderr


@pytest.mark.parametrize(
    "line, reason",
    [
        ("alpn = ,", "'alpn' names no protocol"),
        ("trustedProxy = ,", "No address in the list"),
        ("acceptProxyFrom = , ,", "No address in the list"),
    ],
)
def test_list_of_nothing(load, line, reason):
    config = GLOBALS + WEB + line + "\n"
    assert_line(load(config), config, line, reason)


def test_error_in_an_included_file(load, tmp_path):
    folder = tmp_path / "conf.d"
    folder.mkdir()
    (folder / "10-good").write_text("debug = 5\n")
    (folder / "20-bad").write_text("\nsurprise = 1\n")
    outcome = load(GLOBALS + "include = {dir}/conf.d\n" + WEB)
    outcome.assert_refused()
    assert f'{folder}/20-bad:2: "surprise = 1": {UNKNOWN}' in outcome.stderr


@pytest.mark.parametrize(
    "config, reason",
    [
        (WEB.replace("connect = 1\n", ""), f"Service [web]: {ENDPOINTS}"),
        (WEB.replace("accept = 127.0.0.1:{port}\n", ""), f"Service [web]: {ENDPOINTS}"),
        (WEB.replace("accept = 127.0.0.1:{port}", "sni = web"), "Invalid SNI parameter format"),
        (WEB.replace("accept = 127.0.0.1:{port}", "sni = a:b"), "SNI section name not found"),
        (WEB + "accept = no.such.host.invalid:1\n", "Cannot resolve accept target"),
        (WEB + "protocol = nntp\n", "not supported in the server mode: one of proxy, cifs, "),
        (WEB + "client = yes\nprotocol = ftp\n", "Protocol not supported: ftp: one of proxy, "),
        ("[web]\naccept = 127.0.0.1:{port}\nconnect = 1\n", "TLS server needs a certificate"),
        (
            WEB.replace("{cert}", "{dir}/missing.pem"),
            "{dir}/missing.pem",
        ),
        (WEB.replace("{key}", "{dir}/missing.pem"), "{dir}/missing.pem"),
        (WEB.replace("{cert}", "{key}"), "{key}"),
        (WEB.replace("{key}", "{other_key}"), "{other_key}"),
        (WEB + "ciphers = NONSENSE\n", "no cipher match"),
        (WEB + "curves = NONSENSE\n", "Invalid groups list in 'curves'"),
        (
            WEB + "sslVersionMin = TLSv1.3\nsslVersionMax = TLSv1.2\n",
            "Invalid protocol version range",
        ),
        ("chroot = {dir}/missing\n" + WEB, "No such file or directory (2)"),
        ("output = {dir}/missing/log\n" + WEB, "{dir}/missing/log"),
        ("", ""),
    ],
)
def test_what_is_found_when_a_section_is_complete(load, tmp_path, config, reason):
    outcome = load(GLOBALS + config)
    outcome.assert_refused()
    reason = reason.replace("{dir}", str(tmp_path))
    for name in ("key", "other_key"):
        reason = reason.replace("{%s}" % name, str(getattr(certificates(), name)))
    assert reason in outcome.stderr


@pytest.mark.parametrize("lines, reason", VERIFICATION, ids=[lines for lines, _ in VERIFICATION])
def test_verification(load, lines, reason):
    config = GLOBALS + WEB + lines + "\n"
    outcome = load(config)
    reason, line = filled_in(reason, outcome), filled_in(lines.splitlines()[-1], outcome)
    assert_line(outcome, filled_in(config, outcome), line, "Service [web]: ")
    assert reason in outcome.stderr


@pytest.mark.parametrize(
    "lines",
    ["verify = 1", "verify = 4", "verifyChain = yes", "CAfile = {ca}\nCAfile =\nverify = 2"],
)
def test_nobody_to_trust(load, lines):
    """Only what is built is recommended."""
    config = GLOBALS + WEB + lines + "\n"
    outcome = load(config)
    line = lines.splitlines()[-1]
    assert_line(outcome, config.replace("{ca}", str(certificates().ca)), line, "Service [web]: ")
    assert outcome.stderr.splitlines()[0].endswith(NO_TRUST)


WORDS = [
    ("curve = nonsense", "Invalid groups list in 'curve': nonsense"),
    ("curves = nonsense", "Invalid groups list in 'curves': nonsense"),
    ("sslVersionMin = TLSv1.3\nsslVersionMax = TLSv1.2", "Invalid protocol version range"),
    ("sslVersion = TLSv1 TLSv1.1 TLSv1.2", "sslVersionMin and sslVersionMax give a range"),
    ("sslVersion = SSLv23", "one of all, SSLv3, TLSv1, TLSv1.1, TLSv1.2 and TLSv1.3"),
    ("debug = warn", "Illegal debug level: one of emerg, alert, crit, err, warning, "),
    ("protocol = capwin", "Protocol capwin of stock stunnel is not built"),
    ("protocol = proxy-v2", "write protocol = proxy, and proxyVersion"),
    # of patches for stunnel 4 and of other servers
    ("sendproxy = on", "The argument needs to be"),
    ("send-proxy = yes", f"{UNKNOWN}: write protocol = proxy"),
    ("x-forwarded-for = yes", f"{UNKNOWN}: did you mean xForwardedFor?"),
    ("forwardedfor = yes", f"{UNKNOWN}: write xForwardedFor = yes"),
    ("xforwardedfor = on", "The argument needs to be"),
    ("ssl_certificate = /x", f"{UNKNOWN}: write cert"),
    ("loglevel = 7", f"{UNKNOWN}: write debug"),
    # slips
    ("conect = 1", f"{UNKNOWN}: did you mean connect?"),
    ("acecpt = 1", f"{UNKNOWN}: did you mean accept?"),
    ("cipher = HIGH", f"{UNKNOWN}: did you mean ciphers?"),
    ("CA_file = /x", f"{UNKNOWN}: did you mean CAfile?"),
    ("TIMEOUT_close = 0", f"{UNKNOWN}: did you mean TIMEOUTclose?"),
    ("output = /x", f"{UNKNOWN}: it stands before the first section"),
    ("pid = /x", f"{UNKNOWN}: it stands before the first section"),
]


@pytest.mark.parametrize("lines, reason", WORDS, ids=[lines for lines, _ in WORDS])
def test_words_that_help(load, lines, reason):
    config = GLOBALS + WEB + lines + "\n"
    outcome = load(config)
    line = lines.splitlines()[-1]
    assert_line(outcome, filled_in(config, outcome), line, reason)
    said = outcome.stderr.splitlines()[0]
    assert ": s" not in said.split(f'"{line}"')[1].replace(": sslV", "")


@pytest.mark.parametrize("log", ["accessLog = {dir}/log\n", ""], ids=["written", "not yet"])
@pytest.mark.parametrize("format", ["jsn", "common", "100%%", "$remote_addr", "%h"])
def test_access_log_format_without_a_variable(load, log, format):
    """Each request would write the same line."""
    config = GLOBALS + WEB + log + f"accessLogFormat = {format}\n"
    outcome = load(config)
    line = f"accessLogFormat = {format}"
    reason = "Unknown template variable" if format == "%h" else "Neither 'combined' nor 'json'"
    assert_line(outcome, filled_in(config, outcome), line, reason)


def test_name_that_is_near_nothing_is_not_guessed(load):
    outcome = load(GLOBALS + WEB + "ssl = no\n")
    assert outcome.stderr.splitlines()[0].endswith(f': "ssl = no": {UNKNOWN}')


def test_a_key_in_the_file_is_told_of_and_not_shown(load):
    """Nor its certificate; what stands behind them is looked at."""
    made = certificates()
    outcome = load(GLOBALS + made.key.read_text() + made.cert.read_text() + WEB + "surprise = 1\n")
    outcome.assert_refused()
    told = re.findall(r':\d+: "(.*)": (.*)', outcome.stderr)
    assert [line for line, _ in told] == [
        "-----BEGIN PRIVATE KEY-----",
        "-----BEGIN CERTIFICATE-----",
        "surprise = 1",
    ]
    assert told[0][1].startswith("Certificates and keys stand in files of their own")
    assert made.key.read_text().splitlines()[1] not in outcome.stderr


@pytest.mark.parametrize("code", ["utf-16-le", "utf-16-be"])
def test_a_file_in_another_encoding_is_told_of_once(load, code):
    outcome = load(("\ufeff" + WEB).encode(code).decode("latin-1"))
    outcome.assert_refused()
    assert "test.conf: The file is written in UTF-16: save it as UTF-8\n" in outcome.stderr
    assert outcome.stderr.count("[!]") == 2  # and "Configuration failed"


def test_misspelled_option_is_not_missed_as_well(load):
    outcome = load(GLOBALS + WEB.replace("connect", "conect"))
    assert len(outcome.stderr.splitlines()) == 2  # the verdict


@pytest.mark.parametrize(
    "lines, missing",
    [
        ("accept = 1", "'connect' is missing"),
        ("connect = 1", "'accept' is missing"),
        ("", "'accept' and 'connect' are missing"),
        ("sni = web:*", "'connect' is missing"),
        ("connect = 1\naccept = 1\nsni = web:*", "'accept' and 'sni' are two for one"),
    ],
)
def test_endpoint_that_is_missing_is_named(load, lines, missing):
    outcome = load(GLOBALS + WEB + "[two]\ncert = {cert}\nkey = {key}\n" + lines + "\n")
    outcome.assert_refused()
    assert f"Service [two]: {ENDPOINTS}: {missing}" in outcome.stderr


def test_empty_include_is_no_inetd_mode(load, tmp_path):
    (tmp_path / "conf.d").mkdir()
    config = "foreground = yes\ninclude = {dir}/conf.d\n"
    outcome = load(config)
    line = filled_in("include = {dir}/conf.d", outcome)
    assert_line(outcome, filled_in(config, outcome), line, "No section: there is none in this")
    assert "inetd mode" not in outcome.stderr


def test_key_that_does_not_match_is_called_that(load):
    outcome = load(GLOBALS + WEB.replace("{key}", "{other_key}"))
    outcome.assert_refused()
    assert re.search(r"key.*(not match|mismatch)", outcome.stderr, re.I)


def test_port_in_use(load):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        outcome = load(GLOBALS + WEB.replace("{port}", str(port)))
    assert outcome.code == 1
    line = f"Binding service [web] to 127.0.0.1:{port}: Address already in use (98)"
    assert line in outcome.stderr


def test_port_in_use_of_the_second_service(load):
    """The first does not stay behind."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        second = WEB.replace("{port}", str(port)).replace("web", "second")
        outcome = load(GLOBALS + WEB + second)
    outcome.assert_refused()
    assert "Binding service [second] to" in outcome.stderr


def test_two_services_on_one_port(load):
    """SO_REUSEPORT must not hide it."""
    outcome = load(GLOBALS + WEB + WEB.replace("web", "second"))
    outcome.assert_refused()
    assert "Address already in use (98)" in outcome.stderr


def test_missing_file():
    command = [BINARY, "/nowhere/stunnel.conf"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stdout) == (1, "")
    assert 'Invalid configuration file name "/nowhere/stunnel.conf"' in done.stderr
    assert "No such file or directory (2)" in done.stderr


def test_relative_paths_in_daemon_mode(load):
    for name, what in (("pid", "Pid"), ("output", "Log")):
        outcome = load(f"syslog = no\n{name} = file\n" + WEB)
        outcome.assert_refused()
        assert f"{what} file must include full path name" in outcome.stderr


# ---- odd, and right ----------------------------------------------------------------------------


def test_odd_but_good_file(start, tmp_path):
    """BOM, CRs, comments, case, blanks, values with = and #, an included section."""
    backend = start(Recorder())
    folder = tmp_path / "conf.d"
    folder.mkdir()
    (folder / "web").write_text(
        service(backend.port, "httpSetHeader = X-Seen: a=b # ; c", "HTTPADDHEADER=X-Seen: d")
    )
    (folder / "sub-directory").mkdir()
    stunnel = Stunnel("")
    stunnel.write(f"# comment\n ; comment = 1\n\n   SYSLOG   =   NO   \ninclude = {folder}")
    text = stunnel.config.read_text().replace("\n", "\r\n").rstrip()
    stunnel.config.write_bytes(b"\xef\xbb\xbf" + text.encode())
    stunnel.endpoints = lambda: re.findall(r"accept = (.*)", (folder / "web").read_text())
    start(stunnel)
    with TlsClient(stunnel.port) as client:
        client.get("/")
    assert backend.requests[0][2:] == ["X-Seen: a=b # ; c", "X-Seen: d"]


def test_included_files_are_read_in_order_of_their_names(start, front, tmp_path):
    backend = start(Recorder())
    for name, value in (("b", "2"), ("a", "1"), ("c", "3")):
        (tmp_path / name).write_text(f"httpAddHeader = X-Order: {value}\n")
    stunnel = front(backend, settings=f"include = {tmp_path}\n")
    with TlsClient(stunnel.port) as client:
        client.get("/")
    assert backend.requests[0][2:] == ["X-Order: 1", "X-Order: 2", "X-Order: 3"]
