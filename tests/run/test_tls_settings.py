# SPDX-License-Identifier: ISC
"""Protocol versions, ciphers, groups and certificates, as a client sees them."""

import contextlib
import re
import shutil
import ssl
import subprocess

import pytest

from certs import certificates, curve_certificate, rsa_certificate
from peers import BINARY, PATCHED, Stunnel, daemon_only, free_port, service, stock_since, wait_for
from recorder import Recorder, read_only
from tls_client import TlsClient, client_context

TLS12, TLS13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3


@pytest.fixture
def front(start):
    def start_front(*options):
        backend = start(Recorder())
        return start(Stunnel(service(backend.port, *options)))

    return start_front


def negotiated(stunnel, *arguments):
    """What `openssl s_client` says of its connection, or None if there is none."""
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{stunnel.port}", *arguments]
    done = subprocess.run(command, input="", capture_output=True, text=True, timeout=30)
    return done.stdout if "Cipher is (NONE)" not in done.stdout else None


@pytest.mark.parametrize(
    "options, versions",
    [
        ([], {TLS12, TLS13}),
        (["sslVersion = all"], {TLS12, TLS13}),
        (["sslVersion = TLSv1.2"], {TLS12}),
        (["sslVersion = tlsv1.3"], {TLS13}),
        (["sslVersionMin = TLSv1.3"], {TLS13}),
        (["sslVersionMax = TLSv1.2"], {TLS12}),
        (["sslVersionMin = TLSv1.2", "sslVersionMax = TLSv1.3"], {TLS12, TLS13}),
        (["options = NO_TLSv1_3"], {TLS12}),
        (["options = NO_TLSv1_2"], {TLS13}),
        (["options = NO_TLSv1_3", "options = -NO_TLSv1_3"], {TLS12, TLS13}),
    ],
)
def test_versions(front, options, versions):
    stunnel = front(*options)
    for version in (TLS12, TLS13):
        context = client_context(version=version)
        if version in versions:
            with TlsClient(stunnel.port, context=context) as client:
                assert client.get("/").status == 200
        else:
            with pytest.raises((ssl.SSLError, ConnectionError)):
                TlsClient(stunnel.port, context=context)


def test_refused_version_is_logged(front):
    stunnel = front("sslVersion = TLSv1.3")
    assert negotiated(stunnel, "-tls1_2") is None
    assert "unsupported protocol" in stunnel.wait_log("SSL_accept: ")[0]


def test_ciphers(front):
    stunnel = front("ciphers = ECDHE-ECDSA-AES128-GCM-SHA256", "sslVersion = TLSv1.2")
    assert "Cipher is ECDHE-ECDSA-AES128-GCM-SHA256" in negotiated(stunnel)
    assert negotiated(stunnel, "-cipher", "ECDHE-ECDSA-AES256-GCM-SHA384") is None


DHE = "DHE-RSA-AES128-GCM-SHA256"


@pytest.mark.parametrize(
    "ciphers, used",
    [
        pytest.param([], False, marks=stock_since(5, 40, "offers it in any case")),
        ([f"ciphers = {DHE}"], True),
    ],
)
def test_finite_field_dh_only_where_it_is_named(front, ciphers, used):
    rsa = rsa_certificate()
    stunnel = front(f"cert = {rsa.cert}", f"key = {rsa.key}", *ciphers)
    text = negotiated(stunnel, "-tls1_2", "-cipher", f"{DHE}:DHE-RSA-AES256-GCM-SHA384")
    assert (text is not None) == used
    assert not used or f"Cipher is {DHE}" in text
    assert not used or "Server Temp Key: DH, 2048 bits" in text


def test_ciphersuites(front):
    stunnel = front("ciphersuites = TLS_CHACHA20_POLY1305_SHA256")
    assert "Cipher is TLS_CHACHA20_POLY1305_SHA256" in negotiated(stunnel, "-tls1_3")
    suite = ["-ciphersuites", "TLS_AES_128_GCM_SHA256"]
    assert negotiated(stunnel, "-tls1_3", *suite) is None


def test_server_preference(front):
    """options = CIPHER_SERVER_PREFERENCE: the order of ciphers is ours."""
    ours = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384"
    theirs = ["-tls1_2", "-cipher", ":".join(reversed(ours.split(":")))]
    assert "Cipher is ECDHE-ECDSA-AES256" in negotiated(front(f"ciphers = {ours}"), *theirs)
    stunnel = front(f"ciphers = {ours}", "options = CIPHER_SERVER_PREFERENCE")
    assert "Cipher is ECDHE-ECDSA-AES128" in negotiated(stunnel, *theirs)


@pytest.mark.parametrize(
    "option, group, offered",
    [
        ("curves = P-384", "secp384r1", []),
        ("curve = secp521r1", "secp521r1", []),
        ("curves = P-384:X25519", "X25519", ["-groups", "P-521:X25519"]),
    ],
)
def test_curves(front, option, group, offered):
    text = negotiated(front(option), *offered)
    assert f"Server Temp Key: ECDH, {group}" in text or f"Server Temp Key: {group}" in text


def test_no_common_curve(front):
    assert negotiated(front("curves = P-384"), "-groups", "P-521") is None


def test_certificate_with_its_key_in_one_file(start, tmp_path):
    both = tmp_path / "both.pem"
    both.write_text(certificates().cert.read_text() + certificates().key.read_text())
    backend = start(Recorder())
    stunnel = start(Stunnel(f"cert = {both}\nkey = {both}\n" + service(backend.port)))
    with TlsClient(stunnel.port) as client:
        assert client.get("/").status == 200


def test_certificate_of_a_section(start):
    backend = start(Recorder())
    own = [f"cert = {certificates().other_cert}", f"key = {certificates().other_key}"]
    stunnel = start(Stunnel(service(backend.port, *own)))
    with TlsClient(stunnel.port, sni="other.test") as client:  # verifies the name
        assert client.get("/").status == 200


def test_renegotiation_is_never_taken(start):
    """It could change the name and the certificate that the backend was told of."""
    backend = start(Recorder())
    options = ["options = ALLOW_CLIENT_RENEGOTIATION", "options = -NO_RENEGOTIATION"]
    stunnel = start(Stunnel(service(backend.port, "httpSetHeader = X-Name: %{sni}", *options)))
    command = f"openssl s_client -tls1_2 -servername www.example.test -connect 127.0.0.1:{stunnel.port}"
    with subprocess.Popen(
        command.split(), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as client:
        client.stdin.write(b"GET /1 HTTP/1.1\nHost: a\n\n".replace(b"\n", b"\r\n"))
        client.stdin.flush()
        wait_for(lambda: backend.requests, "the request")
        client.stdin.write(b"R\n")
        client.stdin.flush()
        client.stdin.close()
        said = client.stderr.read()
    assert b"RENEGOTIATING" in said
    assert PATCHED or b"no renegotiation" in said
    assert not PATCHED or stunnel.wait_log("Aborting due to renegotiation request")
    assert b"\r\nX-Name: www.example.test\r\n" in backend.data


def renegotiate(stunnel, backend):
    """What s_client says of it between two lines of an upload."""
    command = f"openssl s_client -tls1_2 -connect 127.0.0.1:{stunnel.port}"
    pipes = {"stdin": subprocess.PIPE, "stderr": subprocess.PIPE, "stdout": subprocess.DEVNULL}
    with subprocess.Popen(command.split(), bufsize=0, **pipes) as client:
        client.stdin.write(b"one\n")
        wait_for(lambda: backend.connections and backend.data.endswith(b"one\n"), "a line")
        client.stdin.write(b"R\n")
        for line in client.stderr:
            if b"RENEGOTIATING" in line:
                break
        with contextlib.suppress(BrokenPipeError):
            client.stdin.write(b"two\n")
            client.stdin.close()
        return client.stderr.read()


ALLOWED = "options = ALLOW_CLIENT_RENEGOTIATION"


@daemon_only
@pytest.mark.parametrize(
    "options, taken",
    [
        ([ALLOWED], True),
        ([ALLOWED, "renegotiation = yes"], True),
        ([ALLOWED, "protocol = proxy"], True),
        ([], False),
        ([ALLOWED, "renegotiation = no"], False),
        ([ALLOWED, "verify = 0"], False),
        ([ALLOWED, "protocol = proxy", "proxyVersion = 2", "proxyTLV = ssl"], False),
    ],
)
def test_renegotiation_where_no_backend_is_told_of_tls(start, options, taken):
    backend = start(Recorder(serve=read_only))
    stunnel = start(Stunnel(service(backend.port, *options)))
    assert (b"no renegotiation" not in renegotiate(stunnel, backend)) == taken
    stunnel.wait_ended(1)
    assert (b"two\n" in backend.data) == taken


# ---- settings that leave nothing ------------------------------------------------------------

NO_VERSION = "above security level 0 OpenSSL speaks TLSv1.2 and TLSv1.3 only, and "
NOT_IN_RANGE = f'{NO_VERSION}neither is in this range: write "sslVersionMin = TLSv1.2" instead'
SWITCHED_OFF = f'{NO_VERSION}both are switched off: write "options = -NO_TLSv1_2" instead'


def warnings(stunnel):
    """What the log warns of at the load: pairs of line and reason."""
    text = re.findall(r' LOG4\[\w+\]: .*?: "(.*?)": Service \[web\]: (.*)', stunnel.log_text())
    return [(line, reason) for line, reason in text if "no client gets in" in reason]


@daemon_only
@pytest.mark.parametrize(
    "options, reason",
    [
        (["sslVersion = SSLv3"], NOT_IN_RANGE),
        (["sslVersion = TLSv1"], NOT_IN_RANGE),
        (["sslVersion = TLSv1.1"], NOT_IN_RANGE),
        (["sslVersionMax = TLSv1.1"], NOT_IN_RANGE),
        (["sslVersionMin = TLSv1", "sslVersionMax = TLSv1.1"], NOT_IN_RANGE),
        (["options = NO_TLSv1_3", "options = NO_TLSv1_2"], SWITCHED_OFF),
        (["sslVersion = TLSv1.2", "options = NO_TLSv1_2"], SWITCHED_OFF),
    ],
    ids=", ".join,
)
def test_warning_where_no_version_is_left(front, options, reason):
    stunnel = front("debug = warning", *options)
    assert negotiated(stunnel, "-cipher", "ALL:@SECLEVEL=0") is None
    assert warnings(stunnel) == [(options[-1], f"no client gets in: {reason}")]


@daemon_only
@pytest.mark.parametrize(
    "options, version, reason",
    [
        # The tests' key is of the EC kind.
        (["ciphers = ECDHE-RSA-AES128-GCM-SHA256"], "TLSv1.2", "no shared cipher"),
        (["ciphers = DHE-RSA-AES128-GCM-SHA256"], "TLSv1.2", "no shared cipher"),
        (["ciphers = AES128-SHA256", "sslVersion = TLSv1.2"], "TLSv1.2", "no shared cipher"),
        (["sslVersion = TLSv1.3", "curves = brainpoolP256r1"], "TLSv1.3", "no suitable key share"),
        (["sslVersion = TLSv1.3", "curve = brainpoolP256r1"], "TLSv1.3", "no suitable key share"),
    ],
    ids=["ECDHE", "DHE", "RSA", "groups", "by the older name"],
)
def test_warning_where_nothing_else_is_left_of_a_version(front, options, version, reason):
    stunnel = front("debug = warning", *options)
    old, new = ("-tls1_2", "-tls1_3") if version == "TLSv1.2" else ("-tls1_3", "-tls1_2")
    assert negotiated(stunnel, old) is None
    assert (negotiated(stunnel, new) is None) == any("sslVersion" in line for line in options)
    line = next(line for line in options if "sslVersion" not in line)
    assert warnings(stunnel) == [(line, f"no client gets in by {version}: {reason}")]


@daemon_only
@pytest.mark.parametrize(
    "options",
    [
        [],
        ["sslVersionMin = TLSv1"],
        ["sslVersion = TLSv1.3"],
        ["sslVersion = TLSv1.2", "ciphers = ECDHE-ECDSA-AES128-GCM-SHA256"],
        ["curves = P-521"],
        [f"CAfile = {certificates().ca}", "verifyChain = yes"],
    ],
    ids=", ".join,
)
def test_no_warning_where_clients_get_in(front, options):
    assert warnings(front(*options)) == []


@daemon_only
@pytest.mark.parametrize(
    "kind, options, offered",
    [
        (
            "RSA",
            ["sslVersion = TLSv1.2", "ciphers = ECDHE+AESGCM", "curve = brainpoolP256r1"],
            "brainpoolP256r1",
        ),
        ("secp256k1", ["sslVersion = TLSv1.2", "curve = secp256k1"], "secp256k1"),
        ("secp256k1", ["sslVersion = TLSv1.2"], "secp256k1:P-256"),
        ("P-384", ["curves = P-256"], "P-256:P-384"),
        ("P-256", ["curves = X25519"], "P-256:X25519"),
        ("P-256", ["curves = X25519", "sslVersion = TLSv1.2"], "P-256:X25519"),
    ],
    ids=lambda value: ", ".join(value) if isinstance(value, list) else value,
)
def test_no_warning_where_a_curve_is_offered_that_few_have(front, kind, options, offered):
    """The certificate's curve need not be in the list, nor what the list has be OpenSSL's default."""
    files = rsa_certificate() if kind == "RSA" else curve_certificate(kind)
    stunnel = front(f"cert = {files.cert}", f"key = {files.key}", *options)
    version = ["-tls1_2"] if "sslVersion = TLSv1.2" in options else []
    assert negotiated(stunnel, *version, "-groups", offered)
    assert "no client gets in" not in stunnel.log_text()


@daemon_only
@pytest.mark.parametrize("option, code", [("sslVersion = TLSv1.1", 1), ("sslVersion = TLSv1.2", 0)])
def test_nobody_gets_in_is_an_error_of_a_test(option, code):
    stunnel = Stunnel(service(free_port(), option))
    command = [BINARY, "-test", stunnel.config]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert done.returncode == code
    assert ("no client gets in" in done.stderr) == bool(code)
    shutil.rmtree(stunnel.folder)


def test_log_tells_what_was_negotiated(front):
    stunnel = front()
    with TlsClient(stunnel.port, context=client_context(version=TLS13)) as client:
        client.get("/")
        cipher = client.tls.cipher()[0]
    stunnel.wait_log(f"TLSv1.3 ciphersuite: {cipher} (")
    stunnel.wait_log("TLS accepted: new session negotiated")
