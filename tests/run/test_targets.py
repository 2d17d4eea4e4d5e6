# SPDX-License-Identifier: ISC
"""What never can be an address in connect or accept is told at the load, with what was meant."""

import re
import subprocess

import pytest

from certs import certificates
from peers import BINARY, Stunnel, daemon_only, free_port, service
from recorder import Recorder
from tls_client import TlsClient

pytestmark = daemon_only

MISTAKES = [
    ("http://127.0.0.1:80", "an URL: write HOST:PORT"),
    ("127.0.0.1:80,127.0.0.1:81", "one address a line"),
    ("127.0.0.1:80 127.0.0.1:81", "one address a line"),
    ("443 ; web", "comments stand on lines of their own"),
    ("127.0.0.1:80 # web", "comments stand on lines of their own"),
    ("127.0.0.1:808o", 'Unknown TCP service "808o"'),
    ("backend.example", "no port: write HOST:PORT"),
    ("localhost", 'Unknown TCP service "localhost" (a host needs a port: HOST:PORT)'),
    ("127.0.0.1:", "no port: write HOST:PORT"),
    (":443", "no host before the colon"),
    ("127.0.0.1:0", "nothing can be connected at port 0"),
    ("127.0.0.1:70000", "a port is 65535 at most"),
    ("2001:db8::7", "no port: write ADDRESS:PORT"),
    ("unix:/run/app.sock", "a path stands alone"),
    ("run/app.sock", "neither a path"),
    ("/" + "p" * 110, "Unix socket path is too long"),
    ("${BACKEND}:80", "a variable that nothing was put in for"),
    ('"127.0.0.1:80"', "values stand without quotes"),
]


def test_file(folder, config):
    """What stunnel -test says: the exit code and lines."""
    file = folder / "test.conf"
    keys = f"cert = {certificates().cert}\nkey = {certificates().key}\n"
    file.write_text(keys + config)
    done = subprocess.run([BINARY, "-test", file], capture_output=True, text=True, timeout=60)
    return done.returncode, done.stderr.splitlines()


test_file.__test__ = False


@pytest.mark.parametrize("target, hint", MISTAKES, ids=[target for target, _ in MISTAKES])
def test_a_test_fails_with_a_target_that_cannot_be(tmp_path, target, hint):
    code, lines = test_file(tmp_path, service(target))
    assert code == 1
    where = f'[!] {tmp_path}/test.conf:5: "connect = {target}": Service [web]: '
    assert lines[0].startswith(f"{where}Cannot resolve connect target: ")
    assert hint in lines[0]
    assert lines[1:] == ["[!] Configuration failed"]


@pytest.mark.parametrize("target, hint", MISTAKES, ids=[target for target, _ in MISTAKES])
def test_accept_is_refused_with_the_same_hint(tmp_path, target, hint):
    if "port 0" in hint:
        pytest.skip("there it is for the system to choose")
    config = service("127.0.0.1:1", accept=target)
    file = tmp_path / "test.conf"
    file.write_text(config)
    done = subprocess.run([BINARY, file], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    where = f'[!] {file}:2: "accept = {target}": Service [web]: '
    assert f"{where}Cannot resolve accept target: " in done.stderr
    assert hint in done.stderr


def test_one_bad_service_does_not_keep_the_others_from_serving(start):
    """Its own clients are told; the log says why where nobody asked for more than warnings."""
    backend = start(Recorder())
    stunnel = Stunnel("")
    bad = service("http://127.0.0.1:80", "xForwardedFor = yes", name="bad")
    stunnel.write("debug = warning\n" + service(backend.port, name="good") + bad)
    start(stunnel)
    good, bad = [int(endpoint.rsplit(":")[-1]) for endpoint in stunnel.endpoints()]
    with TlsClient(good) as client:
        assert client.get("/").status == 200
    with TlsClient(bad) as client:
        assert client.get("/").status == 503
    line = r" LOG4\[\w+\]: \S*:\d+: \"connect = http://127.0.0.1:80\": Service \[bad\]: Cannot resol"
    assert re.search(line, stunnel.log_text())


def test_a_bad_target_among_good_ones_is_left_out(start):
    backend = start(Recorder())
    config = service("127.0.0.1:808o", f"connect = 127.0.0.1:{backend.port}", "connect = x,y")
    stunnel = start(Stunnel(config))
    with TlsClient(stunnel.port) as client:
        assert client.get("/").status == 200
    assert len(stunnel.log_lines("Cannot resolve connect target: ")) == 2


def test_an_ipv6_address_may_stand_in_brackets(start):
    backend = start(Recorder())
    port = free_port()
    config = service(f"[::ffff:127.0.0.1]:{backend.port}", accept=f"[::1]:{port}")
    start(Stunnel(config))
    with TlsClient(("::1", port)) as client:
        assert client.get("/").status == 200


def test_a_name_that_is_not_known_now_is_a_warning(start, tmp_path):
    config = service("no.such.host.invalid:80")
    code, lines = test_file(tmp_path, config)
    assert code == 0
    assert lines[0].startswith(f'[:] {tmp_path}/test.conf:5: "connect = no.such.host.invalid:80": ')
    assert "delaying DNS lookup" in lines[0]
    stunnel = start(Stunnel("debug = warning\n" + config))
    stunnel.wait_log("delaying DNS lookup")
    assert re.search(r" LOG4\[.*delaying DNS lookup", stunnel.log_text())
