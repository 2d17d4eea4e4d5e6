# SPDX-License-Identifier: ISC
"""Certificates of clients: who is let in, and what backends are told of them."""

import base64
import re
import shutil
import ssl
import subprocess
from functools import partial

import pytest

from certs import client_certificates
from peers import (
    PATCHED,
    Stunnel,
    daemon_only,
    service,
    stock_before,
    stock_since,
    takes_any_name,
    takes_sessions,
    wait_for,
)
from recorder import Recorder
from tls_client import TlsClient, client_context

TLS12, TLS13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
VERSIONS = pytest.mark.parametrize("version", [TLS12, TLS13])
CLIENTS = (None, "signed", "listed", "guest", "stranger")
IN = "let in"
NONE = "HANDSHAKE_FAILURE"  # TLS 1.2; certificate_required in TLS 1.3
CA, BAD, INTERNAL = "UNKNOWN_CA", "BAD_CERTIFICATE", "INTERNAL_ERROR"


def path(name):
    return client_certificates() / f"{name}.pem"


def trusting(name, *options):
    return [f"CAfile = {path(name)}", *options]


has_verify_chain = stock_since(5, 34, "knows verify only")


def comparable(result):
    """An outcome; stocks before 5.34 have alerts of their own, so that of them only IN counts."""
    return result == IN if stock_before(5, 34) else result


def outcome(to, cert, version=TLS12, **client):
    """Whether a request is answered, else the name of the alert, or "cut" where it was lost."""
    context = client_context(version=version, cert=cert, verify=False)
    try:
        with TlsClient(to, context=context, **client) as connection:
            connection.get("/")
            return IN
    except ssl.SSLError as error:
        return re.sub("^.*ALERT_", "", error.reason)
    except (ConnectionError, EOFError):
        return "cut"


def front(start, *options):
    backend = start(Recorder())
    return start(Stunnel(service(backend.port, *options))), backend


def values(request, name):
    lines = [line.split(": ", 1) for line in request[1:]]
    return [line[1] for line in lines if line[0].lower() == name.lower()]


def x509(name, *options):
    """What `openssl x509` says of the certificate."""
    command = ["openssl", "x509", "-in", path(name), "-noout", *options]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return said.strip().split("=", 1)[1]


def told_by(command):
    return subprocess.run(command, input="", capture_output=True, text=True, timeout=30).stdout


def der(name):
    """Of all certificates in the file."""
    return [ssl.PEM_cert_to_DER_cert(f"{part}-----END CERTIFICATE-----\n") for part in parts(name)]


def parts(name):
    text = path(name).read_text()
    return [part.strip() for part in text.split("-----END CERTIFICATE-----\n")[:-1]]


# ---- who is let in --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options, expected",
    [
        ([], [IN, IN, IN, IN, IN]),
        (["verify = 0"], [IN, IN, IN, IN, IN]),
        (["verify = 1"], [IN, IN, IN, CA, CA]),
        (["verify = 2"], [NONE, IN, IN, CA, CA]),
        (["verifyChain = yes"], [NONE, IN, IN, CA, CA]),
        (["verify = 3"], [NONE, BAD, IN, CA, CA]),
        (["verifyChain = yes", "verifyPeer = yes"], [NONE, BAD, IN, CA, CA]),
        pytest.param(
            ["verify = 4"],
            [NONE, BAD, IN, IN, BAD],
            marks=stock_since(5, 34, "wants the issuer of a pinned certificate, too"),
        ),
        (["verifyPeer = yes"], [NONE, BAD, IN, IN, BAD]),
        (["requireCert = yes"], [NONE, IN, IN, IN, IN]),
        # the last one wins, bit by bit
        (["verifyChain = yes", "requireCert = no"], [IN, IN, IN, CA, CA]),
        (["verifyChain = yes", "verifyChain = no"], [NONE, IN, IN, IN, IN]),
        (["verifyPeer = yes", "verify = 1"], [IN, IN, IN, CA, CA]),
        (["verify = 1", "requireCert = yes"], [NONE, IN, IN, CA, CA]),
    ],
    ids=lambda value: ", ".join(value) if value and "=" in value[0] else "",
)
def test_levels(start, options, expected):
    """Clients are: none, signed, listed, guest (trusted itself, its issuer is not), stranger."""
    stunnel, backend = front(start, *trusting("trusted", *options))
    found = [comparable(outcome(stunnel.port, client)) for client in CLIENTS]
    assert found == [comparable(result) for result in expected]
    assert len(backend.requests) == expected.count(IN)
    let_in = [outcome(stunnel.port, client, TLS13) == IN for client in CLIENTS]
    assert let_in == [alert == IN for alert in expected]


@stock_since(5, 48, "says less")
def test_log_of_a_chain(start):
    stunnel, _ = front(start, *trusting("root", "verifyChain = yes"))
    outcome(stunnel.port, "listed")
    outcome(stunnel.port, "stranger")
    outcome(stunnel.port, None)
    stunnel.wait_ended(3)
    lines = stunnel.log_lines("CERT:") + stunnel.log_lines(" at depth=")
    assert lines == [
        "CERT: No subject checks configured",
        "CERT: Pre-verification error: unable to get local issuer certificate",
        "Certificate accepted at depth=1: O=Clients, CN=root",
        'Certificate accepted at depth=0: C=PL, O="Example, Inc.", CN=listed',
        "Rejected by CERT at depth=0: CN=stranger",
    ]
    assert re.search(r"LOG5\[\d+\]: Certificate accepted at depth=0", stunnel.log_text())
    assert re.search(r"LOG6\[\d+\]: Certificate accepted at depth=1", stunnel.log_text())
    assert re.search(r"LOG4\[\d+\]: Rejected by CERT at depth=0", stunnel.log_text())
    assert re.search(r"LOG4\[\d+\]: CERT: Pre-verification error", stunnel.log_text())
    stunnel.wait_log("peer did not return a certificate")


def test_log_of_a_pin(start):
    stunnel, _ = front(start, *trusting("trusted", "verifyPeer = yes"))
    outcome(stunnel.port, "guest")
    outcome(stunnel.port, "signed")
    stunnel.wait_log("CERT: Locally installed certificate matched")
    stunnel.wait_log("CERT: Certificate not found in local repository")
    assert stunnel.wait_log("Rejected by CERT") == ["Rejected by CERT at depth=0: CN=signed"]


@daemon_only
def test_log_without_certificate(start):
    stunnel, _ = front(start, "verify = 0")
    assert outcome(stunnel.port, None) == IN
    stunnel.wait_log("No peer certificate received")


def test_pin_is_name_and_key(start):
    """A renewed certificate is the same peer, the same name with another key is not."""
    stunnel, _ = front(start, *trusting("trusted", "verify = 3"))
    assert outcome(stunnel.port, "again") == IN
    assert comparable(outcome(stunnel.port, "twin")) == comparable(BAD)


def test_pin_does_not_make_up_for_the_rest(start):
    """The leaf's own faults count, whoever listed it."""
    stunnel, _ = front(start, *trusting("expired", "verifyPeer = yes"))
    assert outcome(stunnel.port, "expired") == "CERTIFICATE_EXPIRED"
    assert outcome(stunnel.port, "selfmade") == CA


def test_pinned_self_signed_certificate(start):
    stunnel, _ = front(start, *trusting("selfmade", "verifyPeer = yes"))
    assert outcome(stunnel.port, "selfmade") == IN
    assert outcome(stunnel.port, "below") == BAD


def test_chain_over_an_intermediate(start):
    stunnel, _ = front(start, *trusting("root", "verifyChain = yes"))
    assert outcome(stunnel.port, "below") == IN
    stunnel.wait_log("Certificate accepted at depth=2: O=Clients, CN=root")


def test_expired(start):
    stunnel, _ = front(start, *trusting("root", "verifyChain = yes"))
    assert outcome(stunnel.port, "expired") == "CERTIFICATE_EXPIRED"
    stunnel.wait_log("CERT: Pre-verification error: certificate has expired")


@daemon_only
def test_directory(start, tmp_path):
    """Read when a client comes, so also what was not there at the start."""
    stunnel, _ = front(start, f"CApath = {tmp_path}", "verifyChain = yes")
    assert outcome(stunnel.port, "signed") == CA
    stunnel.wait_log(": no client gets in: Failed to use directory: ")
    hash_ = x509("root", "-subject", "-subject_hash").split("\n")[1]
    shutil.copy(path("root"), tmp_path / f"{hash_}.0")
    assert outcome(stunnel.port, "signed") == IN


def test_pin_in_a_directory(start, tmp_path):
    for name in ("listed", "guest"):
        hash_ = x509(name, "-subject", "-subject_hash").split("\n")[1]
        shutil.copy(path(name), tmp_path / f"{hash_}.0")
    stunnel, _ = front(start, f"CApath = {tmp_path}", "verifyPeer = yes")
    found = [outcome(stunnel.port, client) for client in ("listed", "guest", "twin", "signed")]
    assert found == [IN, IN, BAD, BAD]


def test_client_is_told_whom_we_trust(start):
    stunnel, _ = front(start, *trusting("trusted", "requireCert = yes"))
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{stunnel.port}", "-tls1_2"]
    names = told_by(command).split("Acceptable client certificate CA names\n")[1]
    assert names.split("Client Cert")[0].splitlines() == [
        "O = Clients, CN = root",
        'C = PL, O = "Example, Inc.", CN = listed',
        "CN = guest",
    ]


@daemon_only
@pytest.mark.parametrize("also", [False, True], ids=["alone", "beside CAfile"])
def test_client_is_told_whom_we_trust_by_a_directory(start, tmp_path, also):
    for name in ("root", "guest"):
        hash_ = x509(name, "-subject", "-subject_hash").split("\n")[1]
        shutil.copy(path(name), tmp_path / f"{hash_}.0")
    (tmp_path / "README").write_text(path("stranger").read_text())
    (tmp_path / "01234567.0").symlink_to("nowhere")
    options = trusting("trusted") if also else []
    stunnel, _ = front(start, f"CApath = {tmp_path}", "verifyChain = yes", *options)
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{stunnel.port}", "-tls1_2"]
    names = told_by(command).split("Acceptable client certificate CA names\n")[1]
    names = sorted(names.split("Client Cert")[0].splitlines())
    listed = ['C = PL, O = "Example, Inc.", CN = listed'] if also else []
    assert names == [*listed, "CN = guest", "O = Clients, CN = root"]
    assert outcome(stunnel.port, "signed") == IN


def test_options_before_the_sections_are_defaults(start):
    backend = start(Recorder())
    config = f"CAfile = {path('root')}\nverifyChain = yes\n" + service(backend.port)
    config += service(backend.port, "verifyChain = no", "requireCert = no", "CAfile =", name="open")
    stunnel = start(Stunnel(config))
    one, two = (int(endpoint.rsplit(":")[-1]) for endpoint in stunnel.endpoints())
    assert [outcome(one, None), outcome(two, None)] == [NONE, IN]


# ---- revocation -----------------------------------------------------------------------------


def test_revocation_list(start):
    stunnel, _ = front(start, *trusting("root", "verifyChain = yes", f"CRLfile = {path('crl')}"))
    assert outcome(stunnel.port, "signed") == IN
    assert outcome(stunnel.port, "revoked") == "CERTIFICATE_REVOKED"
    stunnel.wait_log("CERT: Pre-verification error: certificate revoked")


def test_missing_list_refuses(start):
    """Only of the leaf's issuer a list is asked for, and there is none of middle."""
    stunnel, _ = front(start, *trusting("root", "verifyChain = yes", f"CRLfile = {path('crl')}"))
    assert outcome(stunnel.port, "below") == CA
    stunnel.wait_log("CERT: Pre-verification error: unable to get certificate CRL")


def test_revocation_directory(start, tmp_path):
    options = trusting("root", "verifyChain = yes", f"CRLpath = {tmp_path}")
    stunnel, _ = front(start, *options)
    assert outcome(stunnel.port, "signed") == CA
    hash_ = x509("root", "-subject", "-subject_hash").split("\n")[1]
    shutil.copy(path("crl"), tmp_path / f"{hash_}.r0")
    assert outcome(stunnel.port, "signed") == IN
    assert outcome(stunnel.port, "revoked") == "CERTIFICATE_REVOKED"


def test_revoked_after_a_reload(start, tmp_path):
    """Neither is a session from before resumed."""
    crl = tmp_path / "crl.pem"
    config = service(start(Recorder()).port, *trusting("root", "verifyChain = yes"))
    stunnel = start(Stunnel(config))
    context = client_context(version=TLS12, cert="revoked")
    with TlsClient(stunnel.port, context=context) as client:
        client.get("/")
        session = client.session
    shutil.copy(path("crl"), crl)
    stunnel.write(config + f"CRLfile = {crl}\n")
    stunnel.replace_workers()
    with pytest.raises(ssl.SSLError, match="REVOKED"):
        TlsClient(stunnel.port, context=context, session=session)


def into_folder(folder, name, suffix):
    """As `openssl rehash` names it: it is of root, or root itself."""
    hash_ = x509("root", "-subject", "-subject_hash").split("\n")[1]
    return shutil.copy(path(name), folder / f"{hash_}.{suffix}")


def assert_kept_out(start, config, version, change):
    """By this change and a reload: a client that was in, and has a session."""
    stunnel = start(Stunnel(config))
    context = client_context(version=version, cert="revoked")
    session, _ = visit(stunnel.port, context)
    assert visit(stunnel.port, context, session)[1]
    change()
    stunnel.replace_workers()
    with pytest.raises((ssl.SSLError, ConnectionError, EOFError)):
        visit(stunnel.port, context, session)


@daemon_only
@VERSIONS
def test_revoked_in_a_directory_after_a_reload(start, tmp_path, version):
    """The directory has the same name, and nothing in it was read at the load."""
    into_folder(tmp_path, "nobody", "r0")
    options = trusting("root", "verifyChain = yes", f"CRLpath = {tmp_path}")
    config = service(start(Recorder()).port, *options)
    assert_kept_out(start, config, version, partial(into_folder, tmp_path, "crl", "r0"))


@daemon_only
@VERSIONS
def test_authority_taken_from_a_directory_before_a_reload(start, tmp_path, version):
    trusted = into_folder(tmp_path, "root", "0")
    options = [f"CApath = {tmp_path}", "verifyChain = yes"]
    config = service(start(Recorder()).port, *options)
    assert_kept_out(start, config, version, trusted.unlink)


@daemon_only
def test_workers_share_sessions_where_directories_are_used(start, tmp_path):
    into_folder(tmp_path, "root", "0")
    options = [f"CApath = {tmp_path}", "verifyChain = yes"]
    stunnel = start(Stunnel("workers = 4\n" + service(start(Recorder()).port, *options)))
    context = client_context(version=TLS13, cert="signed")
    session, _ = visit(stunnel.port, context)
    for _ in range(20):
        session, resumed = visit(stunnel.port, context, session)
        assert resumed


# ---- names of the subject -------------------------------------------------------------------


@pytest.mark.parametrize(
    "checks, expected",
    [
        (["checkHost = listed.example.test"], IN),
        (["checkHost = LISTED.Example.test"], IN),
        (["checkHost = .example.test"], IN),
        (["checkHost = example.test"], INTERNAL),
        (["checkEmail = listed@example.test"], IN),
        (["checkEmail = other@example.test"], INTERNAL),
        (["checkIP = 192.0.2.1"], IN),
        (["checkIP = 192.0.2.2"], INTERNAL),
        (["checkHost = a.test", "checkHost = b.test", "checkIP = 192.0.2.1"], IN),
        (["checkHost = a.test", "checkEmail = b@c.test", "checkIP = 192.0.2.3"], INTERNAL),
    ],
    ids=lambda value: ", ".join(value) if isinstance(value, list) else "",
)
@pytest.mark.parametrize("verify", ["verifyChain", "verifyPeer"])
@stock_since(5, 48, "wants a match of each kind")
def test_subject_checks(start, verify, checks, expected):
    """One of them all is enough."""
    stunnel, _ = front(start, *trusting("trusted", f"{verify} = yes", *checks))
    assert outcome(stunnel.port, "listed") == expected
    if expected != IN:
        stunnel.wait_log("CERT: Subject checks failed")
        stunnel.wait_log("Rejected by CERT at depth=0: C=PL")


def test_log_of_a_subject_check(start):
    checks = ["checkHost = .example.test", "checkHost = x.test"]
    stunnel, _ = front(start, *trusting("root", "verifyChain = yes", *checks))
    outcome(stunnel.port, "listed")
    stunnel.wait_log('CERT: Host name ".example.test" matched with "listed.example.test"')


# ---- server names ---------------------------------------------------------------------------


def by_name(start, primary, secondary):
    """The port of a primary and a secondary with these options; second.test is the latter."""
    backend = start(Recorder())
    config = service(backend.port, *primary, name="first")
    lines = ["[second]", "sni = first:second.test", f"connect = 127.0.0.1:{backend.port}"]
    config += "\n".join([*lines, *secondary]) + "\n"
    return start(Stunnel(config)), backend


@VERSIONS
def test_name_leads_to_verification(start, version):
    stunnel, backend = by_name(start, [], trusting("root", "verifyChain = yes"))
    for client, first, second in ((None, True, False), ("signed", True, True)):
        assert (outcome(stunnel.port, client, version) == IN) == first
        assert (outcome(stunnel.port, client, version, sni="second.test") == IN) == second
    assert outcome(stunnel.port, "stranger", version) == IN
    assert outcome(stunnel.port, "stranger", version, sni="second.test") != IN
    assert len(backend.requests) == 4


@VERSIONS
def test_name_leads_away_from_verification(start, version):
    stunnel, backend = by_name(start, trusting("root", "verifyChain = yes"), [])
    for client in (None, "stranger"):
        assert outcome(stunnel.port, client, version) != IN
        assert outcome(stunnel.port, client, version, sni="second.test") == IN
    assert len(backend.requests) == 2


def test_names_with_trust_of_their_own(start):
    primary = trusting("root", "verifyChain = yes", f"CRLfile = {path('crl')}")
    secondary = trusting("elsewhere", "verifyChain = yes", "checkHost = guest")
    stunnel, _ = by_name(start, primary, secondary)
    clients = ("signed", "revoked", "guest", "stranger")
    found = [outcome(stunnel.port, client) for client in clients]
    assert found == [IN, "CERTIFICATE_REVOKED", CA, CA]
    found = [outcome(stunnel.port, client, sni="second.test") for client in clients]
    assert found == [CA, CA, IN, INTERNAL]


def test_name_leads_to_another_list_of_authorities(start):
    options = (trusting(name, "requireCert = yes") for name in ("root", "elsewhere"))
    stunnel, _ = by_name(start, *options)
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{stunnel.port}", "-servername"]
    for name, authority in (("localhost", "root"), ("second.test", "elsewhere")):
        said = told_by([*command, name])
        names = said.split("Acceptable client certificate CA names\n")[1]
        assert names.startswith(f"O = Clients, CN = {authority}\n")


# ---- resumption -----------------------------------------------------------------------------

SEEN = "httpSetHeader = X-Seen: %{session_reused} %{client_cert_verify} %{client_cert_subject}"


def visit(port, context, session=None, **client):
    """The session, and whether it was resumed."""
    with TlsClient(port, context=context, session=session, **client) as connection:
        connection.get("/")
        return connection.session, connection.tls.session_reused


@takes_sessions
@VERSIONS
@pytest.mark.parametrize(
    "options, verify",
    [
        (["verifyChain = yes"], "SUCCESS"),
        (["verifyPeer = yes"], "SUCCESS"),
        (["requireCert = yes", "CAfile ="], "FAILED:unable to verify the first certificate"),
        (["requireCert = yes"], "FAILED:not verified"),
    ],
)
def test_facts_outlive_the_handshake(start, version, options, verify):
    stunnel, backend = front(start, *trusting("trusted"), *options, SEEN)
    context = client_context(version=version, cert="listed")
    session, _ = visit(stunnel.port, context)
    assert visit(stunnel.port, context, session)[1]
    seen = [values(request, "X-Seen")[0] for request in backend.requests]
    assert seen == [f"{n} {verify} CN=listed,O=Example\\, Inc.,C=PL" for n in (0, 1)]


@VERSIONS
@pytest.mark.parametrize(
    "second",
    [
        pytest.param(["verifyChain = yes"], marks=has_verify_chain),
        ["verify = 1"],
        pytest.param(["verifyPeer = yes"], marks=has_verify_chain),
    ],
)
def test_session_does_not_carry_past_verification(start, version, second):
    """A ticket from where no certificate was asked for; only the settings tell the services."""
    backend = start(Recorder())
    config = service(backend.port, *trusting("trusted", SEEN))
    stunnel = start(Stunnel(config))
    context = client_context(version=version)
    session, _ = visit(stunnel.port, context)
    stunnel.write(config + second[0] + "\n")
    stunnel.replace_workers()
    if second == ["verify = 1"]:
        assert not visit(stunnel.port, context, session)[1]
    else:
        with pytest.raises((ssl.SSLError, ConnectionError, EOFError)):
            visit(stunnel.port, context, session)
        assert len(backend.requests) == 1


@daemon_only
@VERSIONS
def test_session_does_not_carry_to_another_name(start, version):
    stunnel, backend = by_name(start, [], trusting("root", "verifyChain = yes"))
    context = client_context(version=version, verify=False)
    session, _ = visit(stunnel.port, context)
    with pytest.raises((ssl.SSLError, ConnectionError, EOFError)):
        visit(stunnel.port, context, session, sni="second.test")
    assert len(backend.requests) == 1


def test_session_does_not_carry_past_other_authorities(start, tmp_path):
    """The file's name is the same, what it holds is not."""
    trusted = tmp_path / "ca.pem"
    shutil.copy(path("root"), trusted)
    backend = start(Recorder())
    stunnel = start(Stunnel(service(backend.port, f"CAfile = {trusted}", "verifyChain = yes")))
    context = client_context(version=TLS12, cert="signed")
    session, _ = visit(stunnel.port, context)
    shutil.copy(path("elsewhere"), trusted)
    stunnel.replace_workers()
    with pytest.raises(ssl.SSLError, match=CA):
        visit(stunnel.port, context, session)


class WithClock(Stunnel):
    """Its clock of seconds since boot is `ahead` of ours."""

    SOURCE = """
        #include <stdio.h>
        #include <stdlib.h>
        #include <sys/syscall.h>
        #include <time.h>
        #include <unistd.h>

        int clock_gettime(clockid_t clock, struct timespec *now)
        {
            int rc = syscall(SYS_clock_gettime, clock, now);
            FILE *file = clock == CLOCK_BOOTTIME ? fopen(getenv("CLOCK"), "r") : NULL;
            long ahead;

            if (file && fscanf(file, "%ld", &ahead) == 1)
                now->tv_sec += ahead;
            if (file)
                fclose(file);
            return rc;
        }
    """

    def __init__(self, config):
        super().__init__(config)
        self.clock, self.library = self.folder / "clock", self.folder / "clock.so"
        command = ["cc", "-shared", "-fPIC", "-xc", "-", "-o", self.library]
        subprocess.run(command, input=self.SOURCE, text=True, check=True)
        self.ahead(0)

    def ahead(self, seconds):
        self.clock.write_text(str(seconds))

    def environment(self):
        preload = {"LD_PRELOAD": str(self.library), "CLOCK": str(self.clock)}
        return {**super().environment(), **preload}


@takes_sessions
@pytest.mark.parametrize("cert", ["signed", None])
def test_resumption_in_a_row(start, cert):
    """By a client that takes a ticket once (RFC 8446 C.4), also where it has no certificate."""
    stunnel, _ = front(start, *trusting("root", "verify = 1"))
    context = client_context(version=TLS13, cert=cert)
    session, resumed = visit(stunnel.port, context)[0], []
    for _ in range(30):
        newest, again = visit(stunnel.port, context, session)
        resumed.append(again)
        session = newest if not session or newest.id != session.id else None
    assert resumed == 30 * [True]


@daemon_only
@VERSIONS
def test_certificate_counts_for_300_seconds(start, version):
    """Of the handshake that showed it, however young the ticket is."""
    backend = start(Recorder())
    config = service(backend.port, *trusting("root", "verify = 1"))
    stunnel = start(WithClock(config))
    context = client_context(version=version, cert="signed")
    session, _ = visit(stunnel.port, context)
    for ahead in (150, 290):
        stunnel.ahead(ahead)
        session, resumed = visit(stunnel.port, context, session)
        assert resumed
    stunnel.ahead(301)
    session, resumed = visit(stunnel.port, context, session)
    assert not resumed
    stunnel.ahead(590)
    assert visit(stunnel.port, context, session)[1]
    stunnel.ahead(0)  # a clock that goes back proves nothing
    assert not visit(stunnel.port, context, session)[1]


@daemon_only
@VERSIONS
def test_session_without_certificate_has_no_such_bound(start, version):
    backend = start(Recorder())
    stunnel = start(WithClock(service(backend.port, *trusting("root", "verify = 1"))))
    context = client_context(version=version)
    session, _ = visit(stunnel.port, context)
    stunnel.ahead(301)
    assert visit(stunnel.port, context, session)[1]


@daemon_only
@VERSIONS
def test_new_ticket_for_one_that_is_not_taken(start, version):
    """It is from before a reload that changed the verification: the client is not lost for good."""
    backend = start(Recorder())
    config = service(backend.port, *trusting("root", "verify = 1"))
    stunnel = start(Stunnel(config))
    context = client_context(version=version)
    session, _ = visit(stunnel.port, context)
    stunnel.write(config + f"CRLfile = {path('crl')}\n")
    stunnel.replace_workers()
    session, resumed = visit(stunnel.port, context, session)
    assert not resumed
    assert visit(stunnel.port, context, session)[1]


@VERSIONS
def test_no_tickets_where_the_chain_is_told(start, version):
    """They do not hold it."""
    rule = "httpSetHeader = Client-Cert-Chain: %{client_cert_chain}"
    stunnel, backend = front(start, *trusting("root", "verifyChain = yes", rule))
    context = client_context(version=version, cert="below")
    session, _ = visit(stunnel.port, context)
    if session and PATCHED:  # the chain is kept by its server, if it keeps the session
        visit(stunnel.port, context, session)
    elif session:  # one without a ticket
        assert not session.has_ticket
        assert not visit(stunnel.port, context, session)[1]
    chains = [values(request, "Client-Cert-Chain") for request in backend.requests]
    assert all(byte_sequences(chain[0]) == der("middle") for chain in chains)


def test_no_tickets_of_the_name_where_the_chain_is_told(start):
    rule = "httpSetHeader = Client-Cert-Chain: %{client_cert_chain}"
    stunnel, backend = by_name(start, [], trusting("root", "verifyChain = yes", rule))
    context = client_context(version=TLS13, cert="below", verify=False)
    assert visit(stunnel.port, context, sni="localhost")[0].has_ticket
    session, _ = visit(stunnel.port, context, sni="second.test")
    if PATCHED:
        visit(stunnel.port, context, session, sni="second.test")
        chains = [values(request, "Client-Cert-Chain") for request in backend.requests[1:]]
        assert [byte_sequences(chain[0]) for chain in chains] == 2 * [der("middle")]
    else:
        assert not session or not session.has_ticket


# ---- what backends are told -----------------------------------------------------------------


def byte_sequences(value):
    """RFC 8941 3.3.5, one or a list of them."""
    items = value.split(", ") if value else []
    assert all(re.fullmatch(r":[A-Za-z0-9+/]+=*:", item) for item in items)
    return [base64.b64decode(item[1:-1], validate=True) for item in items]


def told(start, template, cert, *options, headers=(), name="X-Seen"):
    stunnel, backend = front(start, *options, f"httpSetHeader = {name}: {template}")
    context = client_context(cert=cert)
    with TlsClient(stunnel.port, context=context) as client:
        assert client.get("/", headers).status == 200
    return backend.requests[0]


@pytest.mark.parametrize("cert", ["listed", "signed", "odd", "below", "selfmade"])
@pytest.mark.parametrize(
    "variable, options, change",
    [
        ("subject", ["-subject", "-nameopt", "RFC2253"], str),
        ("issuer", ["-issuer", "-nameopt", "RFC2253"], str),
        ("serial", ["-serial"], str.upper),
        ("sha256", ["-fingerprint", "-sha256"], lambda text: text.replace(":", "").lower()),
    ],
)
def test_names(start, cert, variable, options, change):
    request = told(start, f"%{{client_cert_{variable}}}", cert, "requireCert = yes")
    value = values(request, "X-Seen")[0]
    assert value == change(x509(cert, *options))
    assert value.isascii() and value.isprintable()
    assert len(request) == 3


def test_odd_subject(start):
    """Whatever an authority signs: no line ends early, no byte is above ASCII."""
    request = told(start, "%{client_cert_subject}", "odd", "requireCert = yes")
    assert request == [
        "GET / HTTP/1.1",
        "Host: localhost",
        r"X-Seen: CN=odd\0D\0AX-Forged: 1,"
        r"O=Za\C5\BC\C3\B3\C5\82\C4\87 \"g\C4\99\C5\9Bl\C4\85\"\; a",
    ]


def test_odd_subject_ends_no_quotes(start):
    request = told(start, '"%{client_cert_subject}"; role=user', "odd", "requireCert = yes")
    [seen] = values(request, "X-Seen")
    assert re.fullmatch(r'"([^"\\]|\\.)*"; role=user', seen)
    assert seen.count('"') == 4  # two of them are the subject's


@daemon_only
def test_odd_subject_in_the_log(start):
    stunnel, _ = front(start, *trusting("root", "verifyChain = yes"))
    assert outcome(stunnel.port, "odd") == IN
    line = stunnel.wait_log("Certificate accepted at depth=0")[0]
    assert line.startswith("Certificate accepted at depth=0: O=")
    assert line.endswith(r"CN=odd\0D\0AX-Forged: 1")


@pytest.mark.parametrize(
    "options, cert, expected",
    [
        (["verifyChain = yes"], "listed", "SUCCESS"),
        (["verifyPeer = yes"], "guest", "SUCCESS"),
        (["verify = 1"], None, "NONE"),
        (["verify = 1"], "listed", "SUCCESS"),
        (["verify = 0"], None, "NONE"),
        (["verify = 0"], "stranger", "FAILED:unable to verify the first certificate"),
        (["verify = 0"], "expired", "FAILED:certificate has expired"),
        (["verify = 0"], "selfmade", "FAILED:self-signed certificate"),
        (["requireCert = yes"], "listed", "FAILED:not verified"),
        ([], "listed", "NONE"),
    ],
)
def test_verification_result(start, options, cert, expected):
    request = told(start, "%{client_cert_verify}", cert, *trusting("trusted"), *options)
    assert values(request, "X-Seen") == [expected]


def test_pem(start):
    """As nginx's $ssl_client_escaped_cert."""
    request = told(start, "%{client_cert_pem}", "listed", "requireCert = yes")
    value = values(request, "X-Seen")[0]
    assert re.fullmatch(r"([A-Za-z0-9._~-]|%[0-9A-F]{2})+", value)
    text = re.sub("%(..)", lambda code: chr(int(code[1], 16)), value)
    assert text == path("listed").read_text()


def test_client_cert(start):
    rule = "%{client_cert_rfc9440}"
    request = told(start, rule, "below", *trusting("root", "verifyChain = yes"), name="Client-Cert")
    assert byte_sequences(values(request, "Client-Cert")[0]) == der("below")[:1]


@pytest.mark.parametrize(
    "options, cert, chain",
    [
        (["verifyChain = yes"], "below", ["middle"]),  # without root, whom the client sent
        (["verifyChain = yes"], "signed", []),
        (["verifyPeer = yes"], "guest", []),
        (["requireCert = yes"], "below", ["middle"]),
    ],
)
def test_client_cert_chain(start, options, cert, chain):
    rule = "%{client_cert_chain}"
    options = [*trusting("trusted"), *options]
    request = told(start, rule, cert, *options, name="Client-Cert-Chain")
    lines = values(request, "Client-Cert-Chain")
    assert len(lines) == bool(chain)  # an empty list has no line, RFC 8941 3.1
    found = [certificate for line in lines for certificate in byte_sequences(line)]
    assert found == [certificate for name in chain for certificate in der(name)]


def test_chain_of_the_store_where_the_client_sends_none(start, tmp_path):
    """It is what was verified, not what was sent."""
    trusted = tmp_path / "ca.pem"
    trusted.write_text(path("root").read_text() + path("middle").read_text())
    options = [f"CAfile = {trusted}", "verifyChain = yes"]
    options.append("httpSetHeader = Client-Cert-Chain: %{client_cert_chain}")
    stunnel, backend = front(start, *options)
    context = client_context()
    leaf = tmp_path / "leaf.pem"
    leaf.write_text(parts("below")[0] + "\n-----END CERTIFICATE-----\n")
    context.load_cert_chain(leaf, client_certificates() / "below.key")
    with TlsClient(stunnel.port, context=context) as client:
        client.get("/")
    chain = values(backend.requests[0], "Client-Cert-Chain")[0]
    assert byte_sequences(chain) == der("middle")


def test_access_log_alone(start):
    """No rule uses the certificate."""
    line = "accessLogFormat = %{client_cert_verify} %{client_cert_serial} %{client_cert_subject}"
    options = trusting("root", "verify = 1", "accessLog = {folder}/access.log", line)
    stunnel, _ = front(start, *options)
    assert [outcome(stunnel.port, cert) for cert in ("listed", None)] == [IN, IN]
    log = stunnel.folder / "access.log"
    wait_for(lambda: log.exists() and log.read_text().count("\n") == 2, "two lines")
    first = r"SUCCESS ABCDEF01 CN=listed,O=Example\\, Inc.,C=PL"
    assert sorted(log.read_text().splitlines()) == ["NONE - -", first]  # of two workers


FORGED = [
    "Client-Cert: :MIIB:",
    "Client_Cert: :MIIB:",
    "client-cert-chain: :MIIB:",
    "Client_Cert_Chain: :MIIB:",
    "X-SSL-Client-Verify: SUCCESS",
    "X-SSL-Client_Verify: SUCCESS",
    "x_ssl_client_verify: SUCCESS",
    "X-SSL-Client-S-DN: CN=admin",
]


def test_client_without_certificate_cannot_pretend(start):
    rules = [
        "httpSetHeader = Client-Cert: %{client_cert_rfc9440}",
        "httpSetHeader = Client-Cert-Chain: %{client_cert_chain}",
        "httpSetHeader = X-SSL-Client-Verify: %{client_cert_verify}",
        "httpSetHeader = X-SSL-Client-S-DN: %{client_cert_subject}",
    ]
    stunnel, backend = front(start, *trusting("root", "verify = 1"), *rules)
    with TlsClient(stunnel.port) as client:
        for _ in range(2):
            client.get("/", FORGED)
    expected = ["GET / HTTP/1.1", "Host: localhost", "X-SSL-Client-Verify: NONE"]
    assert backend.requests == [expected, expected]


def test_too_long_subject_is_refused(start):
    stunnel, backend = front(start, "requireCert = yes", SEEN)
    assert outcome(stunnel.port, "long") != IN
    lines = stunnel.wait_log("The client certificate's subject has ")
    assert lines == [
        "The client certificate's subject has 2559 bytes: at most 2048 can be passed on"
    ]
    assert "LOG3" in [line for line in stunnel.log_text().splitlines() if lines[0] in line][0]
    assert backend.requests == []


def test_too_long_subject_that_nobody_asks_for(start):
    """A service refuses nothing over a text that its rules do not use."""
    rule = "httpSetHeader = Client-Cert: %{client_cert_rfc9440}"
    stunnel, backend = front(start, "requireCert = yes", rule)
    assert outcome(stunnel.port, "long") == IN
    assert byte_sequences(values(backend.requests[0], "Client-Cert")[0]) == der("long")


@daemon_only
def test_blind_service_verifies_too(start):
    stunnel, backend = front(start, *trusting("root", "verifyChain = yes"), "protocol = proxy")
    assert outcome(stunnel.port, None) == NONE
    with TlsClient(stunnel.port, context=client_context(cert="signed")) as client:
        client.send(b"hello")
        connections = backend.connections
        wait_for(lambda: connections and connections[0].data.endswith(b"\r\nhello"), "hello")


@pytest.mark.parametrize("name", [pytest.param("localhost", marks=takes_any_name), "second.test"])
def test_rules_of_the_name_say_what_is_told(start, name):
    """The first service has no use for a certificate, the second one has."""
    rule = "httpSetHeader = X-Seen: %{client_cert_subject}"
    primary = ["verify = 0", "httpSetHeader = X-Seen: nothing"]
    stunnel, backend = by_name(start, primary, ["verify = 0", rule])
    assert outcome(stunnel.port, "signed", sni=name) == IN
    expected = "CN=signed" if name == "second.test" else "nothing"
    assert values(backend.requests[0], "X-Seen") == [expected]
