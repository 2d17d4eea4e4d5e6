# SPDX-License-Identifier: ISC
"""certReload: certificates and keys that change are taken without a reload, and without a loss."""

import functools
import os
import re
import shutil
import ssl
import subprocess
import time
import urllib.request
from pathlib import Path
from types import SimpleNamespace

import pytest

from certs import LEAF_NAMES, _issue, certificates, rsa_certificate
from peers import BINARY, Stunnel, as_root, daemon_only, free_port, sanitized, service, wait_for
from recorder import Recorder, answer_each
from test_encrypted_keys import ByHand, encrypt
from test_metrics import built_without
from test_reload import Load
from test_several_certificates import s_client
from tls_client import TlsClient, client_context

pytestmark = daemon_only

CONNECTIONS = 12  # so many meet each of two workers
STAYS = "The certificate stays"
RENEWED = "New certificate"


@functools.cache
def issued(name, *options):
    """Paths of a certificate, as the server's own in certificates(), and its key; its serial."""
    folder = certificates().ca.parent
    names = "subjectAltName=DNS:localhost"
    _issue(folder, name, f"/CN={name}", [*LEAF_NAMES, names], "ca", *options)
    cert = folder / f"{name}.pem"
    said = subprocess.run(["openssl", "x509", "-in", cert, "-noout", "-serial"], check=True,
                          capture_output=True, text=True).stdout  # fmt: skip
    return SimpleNamespace(cert=cert, key=folder / f"{name}.key", serial=said.strip()[7:])


def rename(source, target):
    new = target.with_name(target.name + ".new")
    shutil.copy(source, new)
    os.rename(new, target)


def rewrite(source, target):
    target.write_bytes(source.read_bytes())


class Files:
    """What a section's `cert` and `key` name."""

    def __init__(self, folder, pair):
        self.cert, self.key = folder / "www.pem", folder / "www.key"
        self.renew(pair, rewrite)

    def renew(self, pair, by):
        by(pair.cert, self.cert)
        by(pair.key, self.key)

    def lines(self, seconds=1):
        return [f"cert = {self.cert}", f"key = {self.key}", f"certReload = {seconds}"]


@pytest.fixture
def serve(start):
    """serve(*sections, before=...): without the certificate of all tests."""

    def start_sections(*sections, before="workers = 2\n", kind=Stunnel):
        stunnel = kind(before + "".join(sections))
        text = re.sub(r"^(cert|key) = .*\n", "", stunnel.config.read_text(), count=2, flags=re.M)
        stunnel.config.write_text(text)
        return start(stunnel)

    return start_sections


def serial(port, context=None):
    with TlsClient(port, context=context) as client:
        return client.tls.getpeercert()["serialNumber"]


def wait_served(port, pair):
    """By all workers."""
    wait_for(
        lambda: all(serial(port) == pair.serial for _ in range(CONNECTIONS)),
        f"the certificate {pair.serial}",
    )


@pytest.mark.parametrize("by", [rename, rewrite])
def test_renewed_pair_is_served_by_the_same_workers(start, serve, tmp_path, by):
    one, two = issued("one"), issued("two")
    files = Files(tmp_path, one)
    stunnel = serve(service(start(Recorder(answer_each())).port, *files.lines()))
    workers = stunnel.processes()
    context = client_context()
    with TlsClient(stunnel.port, context=context) as early:
        assert early.get("/").status == 200
        files.renew(two, by)
        wait_served(stunnel.port, two)
        assert early.get("/").status == 200
        session = early.session
    with TlsClient(stunnel.port, context=context, session=session) as client:
        assert client.get("/").status == 200
        assert client.tls.session_reused
    assert stunnel.processes() == workers
    assert len(stunnel.log_lines(RENEWED)) == 1


@as_root
def test_key_that_only_root_may_read(start, serve, tmp_path):
    """The workers are somebody else."""
    one, two = issued("one"), issued("two")
    files = Files(tmp_path, one)
    tmp_path.chmod(0o700)
    before = "workers = 2\nsetuid = nobody\nsetgid = nogroup\n"
    stunnel = serve(service(start(Recorder()).port, *files.lines()), before=before)
    workers = stunnel.processes()
    files.renew(two, rename)
    wait_served(stunnel.port, two)
    assert stunnel.processes() == workers
    for worker in workers[1:]:  # who takes a worker's place has it, too
        os.kill(worker, 9)
    wait_for(lambda: len(set(stunnel.processes()) - set(workers)) == 2, "new workers")
    wait_served(stunnel.port, two)


def test_pair_that_does_not_fit_keeps_the_old_one_and_is_told_once(start, serve, tmp_path):
    one, two, other = issued("one"), issued("two"), issued("three")
    (tmp_path / "other").mkdir()
    files, others = Files(tmp_path, one), Files(tmp_path / "other", one)
    backend = start(Recorder())
    other_port = free_port()
    stunnel = serve(
        service(backend.port, *files.lines()),
        service(backend.port, *others.lines(), name="other", accept=f"127.0.0.1:{other_port}"),
    )

    def told():
        """Each change of a section's files may be told once."""
        return [line for line in stunnel.log_lines(STAYS) if line.startswith("Service [web]: ")]

    files.key.write_bytes(two.key.read_bytes()[:-60])
    stunnel.wait_log(STAYS)
    others.renew(other, rename)  # takes looks at both sections
    wait_served(other_port, other)
    assert len(told()) == 1
    rewrite(other.key, files.key)
    stunnel.wait_log("Private key does not match the certificate")
    others.renew(one, rename)
    wait_served(other_port, one)
    assert len(told()) == 2
    assert {serial(stunnel.port) for _ in range(CONNECTIONS)} == {one.serial}
    os.remove(files.key)
    stunnel.wait_log("No such file or directory")
    files.renew(rsa_certificate(), rename)
    stunnel.wait_log("another type of key takes a reload")
    assert {serial(stunnel.port) for _ in range(CONNECTIONS)} == {one.serial}
    files.renew(two, rewrite)
    wait_served(stunnel.port, two)


def count_sent(stunnel):
    return s_client(stunnel, "-showcerts", "-sigalgs", "ECDSA+SHA256").count("BEGIN CERTIFICATE")


def test_each_of_several_pairs(start, serve, tmp_path):
    one, two = issued("one"), issued("two")
    files, rsa = Files(tmp_path, one), rsa_certificate()
    lines = [*files.lines(), f"cert = {rsa.cert}", f"key = {rsa.key}"]
    stunnel = serve(service(start(Recorder()).port, *lines))
    ecdsa_only, rsa_only = (client_context(version=ssl.TLSVersion.TLSv1_2) for _ in range(2))
    ecdsa_only.set_ciphers("ECDHE+aECDSA")
    rsa_only.set_ciphers("ECDHE+aRSA")
    before = serial(stunnel.port, rsa_only)
    assert serial(stunnel.port, ecdsa_only) == one.serial != before
    files.renew(two, rename)
    wait_for(
        lambda: all(serial(stunnel.port, ecdsa_only) == two.serial for _ in range(CONNECTIONS)),
        "the new one",
    )
    assert serial(stunnel.port, rsa_only) == before
    assert count_sent(stunnel) == 1
    new = tmp_path / "chain"
    new.write_bytes(two.cert.read_bytes() + certificates().ca.read_bytes())
    rename(new, files.cert)
    wait_for(lambda: all(count_sent(stunnel) == 2 for _ in range(CONNECTIONS)), "the chain")


def memory(pid):
    """KiB that are the process's own."""
    return int(re.search(r"RssAnon:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1])


def test_renewals_under_load_lose_no_handshake(start, serve, tmp_path):
    pairs = issued("one"), issued("two")
    files = Files(tmp_path, pairs[0])
    stunnel = serve(service(start(Recorder(answer_each())).port, *files.lines()))
    workers = stunnel.processes()
    with Load(stunnel.port, keep_alive=2, new_connections=3) as load:
        for n in range(1, 21):
            files.renew(pairs[n % 2], rename if n % 3 else rewrite)
            stunnel.wait_log(RENEWED, n)
            if n == 5:
                early = [memory(pid) for pid in workers]
        wait_served(stunnel.port, pairs[n % 2])
        load.wait_progress()
        late = [memory(pid) for pid in workers]
    assert load.errors == []
    assert stunnel.processes() == workers
    assert len(stunnel.log_lines(RENEWED)) == 20
    if not sanitized():  # which keeps what was freed, and finds leaks by itself
        assert all(b - a < 1024 for a, b in zip(early, late)), (early, late)


def test_end_that_is_near_is_told_once_and_not_by_each_worker(start, serve, tmp_path):
    soon, two = issued("soon", "-days", "3"), issued("two")
    files = Files(tmp_path, soon)
    port = free_port()
    before = "workers = 2\n" + ("" if built_without() else f"metrics = 127.0.0.1:{port}\n")
    stunnel = serve(service(start(Recorder()).port, *files.lines()), before=before)
    near = "Its certificate expires in "
    assert re.fullmatch(r"Service \[web\]: .* [23] days", stunnel.wait_log(near)[0])
    files.renew(two, rename)
    wait_served(stunnel.port, two)
    assert len(stunnel.log_lines(near)) == 1
    if not built_without():
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
            end = re.search(rb'^stunnel_certificate_expiry\S+\{service="web"\} (\d+)', answer.read(), re.M)
        assert int(end[1]) > time.time() + 20 * 24 * 3600
    renewed = stunnel.log_lines(RENEWED)[0]
    assert re.fullmatch(r"Service \[web\]: .*, which expires in (29|30) days", renewed)


def test_key_that_a_pass_phrase_opens(start, serve, tmp_path):
    """As it was entered at the start: nobody is asked again."""
    one, two = issued("one"), issued("two")
    files = Files(tmp_path, one)
    encrypt(one.key, files.key)
    section = service(start(Recorder()).port, *files.lines())
    stunnel = serve(section, kind=lambda config: ByHand(config, "opensesame"))
    rename(encrypt(two.key, tmp_path / "new.key"), files.key)
    rename(two.cert, files.cert)
    wait_served(stunnel.port, two)
    assert stunnel.terminal.prompts() == 1


REFUSED = {
    "no file": (["key = /dev/null"], "it is no file"),
    "number": (["certReload = 0"], "needs to be either 'yes', 'no' or a number of seconds"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_followed_is_refused(case):
    lines, why = REFUSED[case]
    files = certificates()
    text = service(80, f"cert = {files.cert}", f"key = {files.key}", "certReload = yes", *lines)
    done = subprocess.run([BINARY, "-test", "-fd", "0"], input=text, capture_output=True, text=True)
    assert done.returncode == 1
    assert why in done.stderr
