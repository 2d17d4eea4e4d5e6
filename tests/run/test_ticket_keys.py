# SPDX-License-Identifier: ISC
"""Keys of session tickets: the master makes them anew in time, or the configuration fixes them."""

import os
import re
import signal
import ssl
import subprocess
from pathlib import Path

import pytest

from certs import certificates, client_certificates
from peers import BINARY, Stunnel, daemon_only, sanitized, service, wait_for
from recorder import Recorder
from tls_client import TlsClient, client_context

pytestmark = daemon_only

VERSIONS = pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
NEW_KEY = "Session tickets have a new key"
SECRETS = ["ticketKeySecret = " + "1f" * 16, "ticketMacSecret = " + ":".join(["0A"] * 32)]


def session_of(port, context):
    with TlsClient(port, context=context) as client:
        client.get("/")
        return client.session


def resumes(port, context, session):
    with TlsClient(port, context=context, session=session) as client:
        assert client.get("/").status == 200
        return client.tls.session_reused


def reload_with(stunnel, config):
    stunnel.write(config)
    stunnel.replace_workers()


def make_keys(stunnel, rest, count):
    """Has the master make `count` new keys or more; returns how many."""
    before = len(stunnel.log_lines(NEW_KEY))
    reload_with(stunnel, "ticketKeyRotation = 1\n" + rest)
    stunnel.wait_log(NEW_KEY, before + count)
    reload_with(stunnel, "ticketKeyRotation = 0\n" + rest)
    return len(stunnel.log_lines(NEW_KEY)) - before


@VERSIONS
@pytest.mark.parametrize("count", [1, 3])
def test_tickets_of_the_last_two_keys_are_taken(start, version, count):
    rest = "workers = 2\n" + service(start(Recorder()).port)
    stunnel = start(Stunnel("ticketKeyRotation = 0\n" + rest))
    context = client_context(version=version)
    session = session_of(stunnel.port, context)
    for _ in range(4):
        assert resumes(stunnel.port, context, session)
    made = make_keys(stunnel, rest, count)
    assert made >= count
    for _ in range(4):
        assert resumes(stunnel.port, context, session) == (made <= 2)


@VERSIONS
def test_ticket_of_an_older_key_is_answered_with_a_new_one(start, version):
    """So a client that comes often enough resumes for ever."""
    rest = "sessionCacheTimeout = 6000\n" + service(start(Recorder()).port)
    stunnel = start(Stunnel("ticketKeyRotation = 0\n" + rest))
    context = client_context(version=version)
    session = session_of(stunnel.port, context)
    old = session
    made = 0
    while made < 3:
        now = make_keys(stunnel, rest, 1)
        if now > 2:
            pytest.skip("the machine is too slow: several keys were made at once")
        made += now
        with TlsClient(stunnel.port, context=context, session=session) as client:
            client.get("/")
            assert client.tls.session_reused
            session = client.session
    assert not resumes(stunnel.port, context, old)


@VERSIONS
def test_key_outlives_a_worker_that_crashes(start, front, version):
    stunnel = front(start(Recorder()), settings="workers = 2\n")
    context = client_context(version=version)
    session = session_of(stunnel.port, context)
    workers = stunnel.processes()[1:]
    for worker in workers:
        os.kill(worker, signal.SIGKILL)
    wait_for(lambda: len(set(stunnel.processes()[1:]) - set(workers)) == 2, "new workers")
    for _ in range(6):
        assert resumes(stunnel.port, context, session)


def shared_pages(pid):
    """The flags of mappings of one page that processes share, by the kernel's two letters."""
    text = Path(f"/proc/{pid}/smaps").read_text()
    maps = re.split(r"^(?=[0-9a-f]+-[0-9a-f]+ )", text, flags=re.M)
    shared = [text for text in maps if re.match(r"\S+ rw-s .*\nSize: +4 kB", text)]
    return [re.search(r"VmFlags: (.*)", text)[1].split() for text in shared]


def test_keys_stay_out_of_core_dumps_and_swap(start, front):
    stunnel = front(start(Recorder()), settings="workers = 1\n")
    master, worker = stunnel.processes()[:2]
    # The master's lock holds the page for all; a lock is not inherited, what is dumped is.
    locked = set() if sanitized() else {"lo"}  # a sanitizer ignores mlock()
    assert any({"dd"} | locked <= set(flags) for flags in shared_pages(master))
    assert any("dd" in flags for flags in shared_pages(worker))
    assert not stunnel.log_lines("Ticket keys may")


@VERSIONS
@pytest.mark.parametrize("cert", [None, "signed"])
def test_hosts_with_the_same_secrets_take_each_others_tickets(start, version, cert):
    """Also of a client that has shown a certificate: how long ago is told by the time of day."""
    backend = start(Recorder())
    verify = ["verifyChain = yes", f"CAfile = {client_certificates()}/trusted.pem"] if cert else []
    one, two = (start(Stunnel(service(backend.port, *SECRETS, *verify))) for _ in range(2))
    other = start(Stunnel(service(backend.port, SECRETS[0], SECRETS[1][:-1] + "b", *verify)))
    context = client_context(version=version, cert=cert)
    session = session_of(one.port, context)
    assert resumes(one.port, context, session)
    assert resumes(two.port, context, session)
    assert not resumes(other.port, context, session)


def test_fixed_keys_are_of_their_service_also_behind_a_server_name(start):
    backend = start(Recorder())
    secondary = f"[name]\nsni = web:name.example.test\nconnect = 127.0.0.1:{backend.port}\n"
    secondary += "\n".join(SECRETS) + "\n"
    one, two = (start(Stunnel(service(backend.port) + secondary)) for _ in range(2))
    context = client_context()

    def session_by(name, port, session=None):
        with TlsClient(port, sni=name, context=context, session=session) as client:
            client.get("/")
            return client.session, client.tls.session_reused

    for name, shared in (("name.example.test", True), ("localhost", False)):
        session, _ = session_by(name, one.port)
        assert session_by(name, one.port, session)[1]
        assert session_by(name, two.port, session)[1] == shared


def test_fixed_keys_outlive_a_restart(start):
    config = service(start(Recorder()).port, *SECRETS)
    context = client_context()
    with Stunnel(config) as stunnel:
        session = session_of(stunnel.port, context)
    assert resumes(start(Stunnel(config)).port, context, session)


@pytest.mark.parametrize("size", [16, 32])
def test_secrets_of_both_sizes(start, front, size):
    secrets = [f"{name} = {'c3' * size}" for name in ("ticketKeySecret", "ticketMacSecret")]
    stunnel = front(start(Recorder()), *secrets, "sslVersion = TLSv1.2")
    context = client_context()
    assert resumes(stunnel.port, context, session_of(stunnel.port, context))


BAD_SECRETS = ["", "1f", "1f" * 15, "1f" * 17, "1f" * 33, "1f" * 15 + "1", "1f" * 15 + "1g", "1f" * 16 + ":"]


@pytest.mark.parametrize("value", BAD_SECRETS)
@pytest.mark.parametrize("name", ["ticketKeySecret", "ticketMacSecret"])
def test_bad_secret_is_refused_and_not_told(name, value):
    said = complaints(f"{name} = {value}")
    assert f"Failed to read {name}" in said
    assert "must be set together" not in said
    assert not value or f"= {value}" not in said


@pytest.mark.parametrize("line", SECRETS)
def test_one_secret_without_the_other_is_refused(line):
    said = complaints(line)
    assert '"ticketKeySecret" and "ticketMacSecret" must be set together' in said
    assert line.split(" = ")[1] not in said


def complaints(line):
    """What -test says of a section with a line."""
    files = certificates()
    text = service(80, line, f"cert = {files.cert}", f"key = {files.key}")
    done = subprocess.run([BINARY, "-test", "-fd", "0"], input=text, capture_output=True, text=True)
    assert done.returncode == 1
    return done.stderr
