# SPDX-License-Identifier: ISC
"""exec: a program for each connection, with Debian's stunnel beside the daemon."""

import os
import re
import signal
from pathlib import Path

import pytest

from certs import client_certificates
from peers import BINARY, PATCHED, Stock, Stunnel, can_mount, free_port, wait_for
from tls_client import TlsClient, client_context

pytestmark = pytest.mark.skipif(PATCHED, reason="a patched stock runs programs by its own code")
root_only = pytest.mark.skipif(os.getuid() != 0, reason="this needs root")


def section(path, *options):
    lines = ["[web]", f"accept = 127.0.0.1:{free_port()}", f"exec = {path}", *options]
    return "\n".join(lines) + "\n"


@pytest.fixture
def ours(start):
    return lambda path, *options, settings="": start(Stunnel(settings + section(path, *options)))


@pytest.fixture
def each(start):
    """The daemon and stock, each with the same program."""

    def start_each(path, *options):
        stock = start(Stock(section(path, *options)))
        return stock, start(Stunnel(section(path, *options)))

    return start_each


def said(stunnel, cert=None):
    """All that the program says, and whom it said that to."""
    with TlsClient(stunnel.port, context=client_context(cert=cert)) as client:
        return client.recv_all().decode(), client.sock.getsockname()


def test_a_program_answers_until_its_client_ends(each):
    for stunnel in each("/bin/cat"):
        with TlsClient(stunnel.port) as client:
            client.send(b"hello")
            assert client.recv() == b"hello"
            client.send(1000 * b"a long line ")
            client.end()
            assert client.recv_all() == 1000 * b"a long line "


def test_each_client_has_a_program_of_its_own(ours):
    stunnel = ours("/bin/cat")
    with TlsClient(stunnel.port) as one, TlsClient(stunnel.port) as two:
        one.send(b"one")
        two.send(b"two")
        assert (one.recv(), two.recv()) == (b"one", b"two")
    stunnel.wait_ended(2)
    stunnel.wait_log("finished with code 0", 2)
    assert len(stunnel.log_lines("Local mode child started (PID=")) == 2


def test_words_are_separated_by_blanks(each):
    for stunnel in each("/bin/echo", 'execArgs = echo  a "b\tc" d'):
        assert said(stunnel)[0] == 'a "b c" d\n'


def test_without_words_the_path_is_its_name(each):
    for stunnel in each("/usr/bin/env", "execArgs = env sh -c true;exit"):
        assert said(stunnel)[0] == ""
    for stunnel in each("/bin/pwd"):
        assert said(stunnel)[0].startswith("/")


def variables(text):
    names = r"^(REMOTE_HOST|REMOTE_PORT|SSL_CLIENT_DN|SSL_CLIENT_I_DN)=(.*)$"
    return dict(re.findall(names, text, re.M))


def test_a_program_is_told_who_its_client_is(each):
    verify = ["verifyChain = yes", f"CAfile = {client_certificates()}/trusted.pem"]
    stock, stunnel = (
        (variables(text), name)
        for text, name in (said(s, "signed") for s in each("/usr/bin/env", *verify))
    )
    for known, name in (stock, stunnel):
        assert known["REMOTE_HOST"] == "127.0.0.1"
        assert known["REMOTE_PORT"] == str(name[1])
    assert {**stock[0], "REMOTE_PORT": ""} == {**stunnel[0], "REMOTE_PORT": ""}
    assert stunnel[0]["SSL_CLIENT_DN"]


def test_variables_of_the_environment(ours, monkeypatch):
    """Of stock since 5.75, which Debian does not have."""
    for name in ("GONE", "EMPTIED", "CHANGED", "KEPT"):
        monkeypatch.setenv(name, "before")
    lines = ["setEnv = GONE", "setEnv = EMPTIED=", "setEnv = CHANGED=a b=c", "SETENV = NEW=1"]
    stunnel = ours("/usr/bin/env", settings="\n".join(lines) + "\n")
    told = dict(re.findall(r"^(GONE|EMPTIED|CHANGED|KEPT|NEW)=(.*)$", said(stunnel)[0], re.M))
    assert told == {"CHANGED": "a b=c", "KEPT": "before", "NEW": "1"}


def test_nothing_is_told_of_a_client_without_certificate(ours, monkeypatch):
    """Not even what the daemon was started with."""
    monkeypatch.setenv("SSL_CLIENT_DN", "CN=root")
    monkeypatch.setenv("REMOTE_HOST", "192.0.2.1")
    known = variables(said(ours("/usr/bin/env"))[0])
    assert known.keys() == {"REMOTE_HOST", "REMOTE_PORT"}
    assert known["REMOTE_HOST"] == "127.0.0.1"


def test_a_program_inherits_no_descriptor(ours):
    stunnel = ours("/bin/ls", "execArgs = ls /proc/self/fd")
    with TlsClient(stunnel.port):
        assert said(stunnel)[0].split() == ["0", "1", "2", "3"]  # 3 is the folder


def test_a_program_gets_every_signal(ours):
    stunnel = ours("/bin/grep", "execArgs = grep ^Sig[BI] /proc/self/status")
    masks = dict(re.findall(r"^(\w+):\s+([0-9a-f]+)$", said(stunnel)[0], re.M))
    assert int(masks["SigBlk"], 16) == 0
    assert int(masks["SigIgn"], 16) == 0


def test_a_program_may_have_a_terminal(each):
    for stunnel in each("/usr/bin/tty", "pty = yes"):
        assert said(stunnel)[0].startswith("/dev/pts/")
    for stunnel in each("/usr/bin/tty"):
        assert said(stunnel)[0] == "not a tty\n"


def test_the_end_of_a_program_is_told(ours):
    stunnel = ours("/bin/sh", "execArgs = sh")
    with TlsClient(stunnel.port) as client:
        client.send(b"echo $$; exit 3\n")
        client.recv_all()
    stunnel.wait_log("finished with code 3")
    with TlsClient(stunnel.port) as client:
        client.send(b"kill -TERM $$\n")
        client.recv_all()
    stunnel.wait_log(f"terminated on signal {int(signal.SIGTERM)}")


def test_what_a_program_has_not_read_costs_its_client_nothing(ours):
    stunnel = ours("/usr/bin/head", "execArgs = head -n 1")
    with TlsClient(stunnel.port) as client:
        client.send(b"a line\n" + 100000 * b"another line\n")
        assert client.recv_all() == b"a line\n"
        assert client.ended == "close_notify"


def test_a_program_that_is_not_there_ends_the_connection(ours):
    stunnel = ours("/no/such/program")
    assert said(stunnel)[0] == ""
    assert stunnel.log_lines("/no/such/program: No such file or directory")


@root_only
def test_a_program_has_the_workers_user(ours):
    stunnel = ours("/usr/bin/id", "execArgs = id -un", settings="setuid = nobody\n")
    assert said(stunnel)[0] == "nobody\n"


def test_a_reload_leaves_programs_alone(ours):
    stunnel = ours("/bin/cat")
    with TlsClient(stunnel.port) as client:
        client.send(b"before")
        assert client.recv() == b"before"
        workers = stunnel.processes()[1:]
        stunnel.reload()
        client.send(b"after")
        assert client.recv() == b"after"
    wait_for(lambda: not set(workers) & set(stunnel.processes()), "the old workers to end")


def test_a_programs_output_is_no_answer_of_http(ours):
    """Requests and answers are judged, whoever speaks."""
    stunnel = ours("/bin/cat", "xForwardedFor = yes")
    with TlsClient(stunnel.port) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert client.recv().startswith(b"HTTP/1.1 502 ")


@pytest.mark.parametrize(
    "config, why",
    [
        (section("/bin/cat", "connect = 1"), "'connect' and 'exec' are two for one"),
        ("[web]\nexec = /bin/cat\n", "Each service must define two endpoints"),
    ],
)
def test_what_cannot_be_is_refused_at_the_load(config, why):
    with pytest.raises(AssertionError, match=why):
        Stunnel(config).__enter__()


# ---- transparent: the peer of standard input ------------------------------------------------------

PEERS = """#!/usr/bin/env python3
import os, socket, subprocess, sys
print(socket.socket(fileno=os.dup(0)).getpeername()[:2])
one, two = socket.socketpair()
print(repr(one.getpeername()), flush=True)
if not sys.argv[1:]:
    subprocess.run([sys.argv[0], "again"], stdin=two)
"""


@pytest.fixture
def peers_program(tmp_path):
    program = tmp_path / "peers"
    program.write_text(PEERS)
    program.chmod(0o755)
    return program


class Installed(Stunnel):
    """With the library of its build in the folder that it is made for, seen by this daemon alone."""

    def __init__(self, config, library=True):
        super().__init__(config)
        build = Path(BINARY).resolve().parents[1]
        if not (build / "Makefile").exists():
            pytest.skip(f"{build} is no folder of a build")
        if not can_mount():
            pytest.skip("cannot mount")
        if "\nprefix = /usr/local\n" not in (build / "Makefile").read_text():
            pytest.skip("the folder would hide what others need")
        lib = Path("/usr/local/lib")
        copy = f"cp {build}/tools/libstunnel.so {lib}/stunnel-http" if library else ":"
        hidden = f"mount -t tmpfs none {lib} && mkdir {lib}/stunnel-http && {copy}"
        self.wrapper = ["unshare", "--mount", "sh", "-c", f'{hidden} && exec "$@"', "sh"]


@root_only
def test_getpeername_of_a_program_says_the_client(start, peers_program):
    """As with stock; but of its input alone, where stock's library says so of every socket."""
    stunnel = start(Installed(section(peers_program, "transparent = yes")))
    for _ in range(2):
        text, client = said(stunnel)
        mine, other, *again = text.splitlines()
        assert mine == str(client)
        assert other == again[1] == "''"
    stock = start(Stock(section(peers_program, "transparent = yes")))
    text, client = said(stock)
    assert text.splitlines()[0] == str(client)


@root_only
def test_a_program_that_could_not_learn_its_client_is_refused_at_the_load(peers_program):
    daemon = Installed(section(peers_program, "transparent = yes"), library=False)
    with pytest.raises(AssertionError, match="Programs learn who the client is by a library: /"):
        daemon.__enter__()


def test_other_programs_have_nothing_preloaded(ours):
    assert "LD_PRELOAD" not in said(ours("/usr/bin/env"))[0]
