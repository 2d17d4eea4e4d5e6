# SPDX-License-Identifier: ISC
"""Encrypted keys: the pass phrase is asked for when the daemon starts, and never again."""

import fcntl
import os
import pty
import re
import shutil
import signal
import subprocess
import termios
import threading
from pathlib import Path

import pytest

from certs import certificates
from peers import BINARY, DEADLINE, Stunnel, daemon_only, free_port, service, wait_for
from recorder import Recorder
from test_daemon_mode import Daemon
from tls_client import TlsClient, client_context

pytestmark = daemon_only

PROMPT = "Enter pass phrase for "
as_root = pytest.mark.skipif(os.getuid() != 0, reason="only root may read another's memory")


def encrypt(key, to, phrase="opensesame", *options):
    """A copy of the key that a phrase opens."""
    command = ["openssl", "pkey", "-in", key, "-out", to, "-aes256", "-passout", f"pass:{phrase}"]
    subprocess.run([*command, *options], check=True, capture_output=True)
    return to


@pytest.fixture
def key(tmp_path):
    return encrypt(certificates().key, tmp_path / "www.key")


class Terminal:
    """Of somebody who starts a program, and types a line of `entered` at each prompt."""

    def __init__(self, *entered):
        self.entered = entered
        self.master, self.slave = pty.openpty()
        self.shown = ""

    def spawn(self, popen):
        process = popen(
            stdin=self.slave,
            stdout=self.slave,
            stderr=self.slave,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(self.slave)
        threading.Thread(target=self._watch, daemon=True).start()
        for number, line in enumerate(self.entered):
            wait_for(lambda: self.prompts() > number, f"a prompt; shown: {self.shown}")
            self.type(line + "\n")
        return process

    def _watch(self):
        """Until the last program lets go of it."""
        try:
            while True:
                self.shown += os.read(self.master, 4096).decode("latin-1")
        except OSError:
            pass

    def prompts(self):
        return self.shown.count(PROMPT)

    def type(self, text):
        os.write(self.master, text.encode())

    def echoes(self):
        return bool(termios.tcgetattr(self.master)[3] & termios.ECHO)


class ByHand(Stunnel):
    """In the foreground of a terminal."""

    def __init__(self, config, *entered):
        super().__init__(config)
        self.terminal = Terminal(*entered)

    def spawn(self, **_):
        return self.terminal.spawn(super().spawn)

    def report(self):
        return f"{super().report()}\n--- terminal:\n{self.terminal.shown}"


class DaemonByHand(Daemon):
    """Started from a terminal, and in the background behind that."""

    def __init__(self, config, *entered):
        super().__init__(config)
        self.terminal = Terminal(*entered)

    def spawn(self, **_):
        return self.terminal.spawn(super().spawn)


def served_name(stunnel):
    """The common name in the certificate that it shows."""
    with TlsClient(stunnel.port, sni=None, context=client_context(verify=False)) as client:
        assert client.get("/").status == 200
        certificate = client.tls.getpeercert(binary_form=True)
    said = subprocess.run(
        ["openssl", "x509", "-inform", "der", "-noout", "-subject"],
        input=certificate,
        check=True,
        capture_output=True,
    )
    return re.search(r"CN ?= ?(\w+)", said.stdout.decode())[1]


# ---- who asks, and how often ----------------------------------------------------------------


@pytest.mark.parametrize("kind", [ByHand, DaemonByHand], ids=["foreground", "background"])
def test_reloads_need_nobody_at_the_terminal(start, tmp_path, key, kind):
    backend = start(Recorder())
    cert = shutil.copy(certificates().cert, tmp_path / "www.pem")
    config = service(backend.port, f"cert = {cert}", f"key = {key}")
    stunnel = start(kind(config, "opensesame"))
    assert served_name(stunnel) == "server"
    stunnel.reload()
    shutil.copy(certificates().other_cert, cert)
    encrypt(certificates().other_key, key)
    stunnel.replace_workers()
    assert served_name(stunnel) == "other"
    assert stunnel.terminal.prompts() == 1


def test_prompt_names_the_file_and_hides_what_is_typed(start, key):
    stunnel = start(ByHand(service(free_port(), f"key = {key}"), "opensesame"))
    assert f"{PROMPT}{key}:" in stunnel.terminal.shown
    assert "opensesame" not in stunnel.terminal.shown
    assert stunnel.terminal.echoes()


def test_wrong_pass_phrases_can_be_mended(start, key):
    backend = start(Recorder())
    entered = ["closesame", "", "opensesame"]
    stunnel = start(ByHand(service(backend.port, f"key = {key}"), *entered))
    assert served_name(stunnel) == "server"
    assert len(stunnel.log_lines("Wrong password or PIN: retrying")) == 2


def test_one_pass_phrase_of_several_keys_is_asked_for_once(start, tmp_path, key):
    backend = start(Recorder())
    other = encrypt(certificates().other_key, tmp_path / "other.key", "opensesame", "-traditional")
    own = [f"cert = {certificates().other_cert}", f"key = {other}"]
    config = service(backend.port, f"key = {key}") + service(backend.port, *own, name="other")
    stunnel = start(ByHand(config, "opensesame"))
    assert stunnel.terminal.prompts() == 1


def test_keys_with_pass_phrases_of_their_own(start, tmp_path, key):
    backend = start(Recorder())
    other = encrypt(certificates().other_key, tmp_path / "other.key", "swordfish")
    own = [f"cert = {certificates().other_cert}", f"key = {other}"]
    config = service(backend.port, f"key = {key}") + service(backend.port, *own, name="other")
    stunnel = start(ByHand(config, "opensesame", "swordfish"))
    stunnel.reload()
    assert served_name(stunnel) == "server"
    assert stunnel.terminal.prompts() == 2


def test_key_that_no_kept_phrase_opens_fails_the_reload(start, key):
    backend = start(Recorder())
    stunnel = start(ByHand(service(backend.port, f"key = {key}"), "opensesame"))
    encrypt(certificates().key, key, "swordfish")
    stunnel.signal(signal.SIGHUP)
    stunnel.wait_log("Failed to reload the configuration file")
    assert re.search(
        rf'"key = {key}": .*Failed to load private key from: {key}: it is encrypted, and not with '
        "a pass phrase that was entered at the start",
        "\n".join(stunnel.log_lines("Failed to load")),
    )
    assert served_name(stunnel) == "server"
    encrypt(certificates().key, key)
    stunnel.reload()
    assert stunnel.terminal.prompts() == 1


# ---- nobody there, or nobody who knows ------------------------------------------------------


def run(tmp_path, key, **streams):
    """Without a terminal, until it ends by itself."""
    config = tmp_path / "test.conf"
    config.write_text(
        f"foreground = quiet\nsyslog = no\n[web]\naccept = 127.0.0.1:{free_port()}\n"
        f"connect = 1\ncert = {certificates().cert}\nkey = {key}\n"
    )
    command = [BINARY, config]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=DEADLINE, start_new_session=True, **streams
    )


def refused(done, key, why):
    assert done.returncode == 1
    where = re.search(rf':7: "key = {key}": (.*)', done.stderr)
    assert where, done.stderr
    return f"Failed to load private key from: {key}: it is encrypted, and {why}" in where[1]


def test_nobody_to_ask_is_an_error_at_once(tmp_path, key):
    done = run(tmp_path, key, stdin=subprocess.DEVNULL)
    assert refused(done, key, "no pass phrase was entered")


def test_nobody_knows_the_pass_phrase(tmp_path, key):
    done = run(tmp_path, key, input="a\nb\nc\nopensesame\n")
    assert refused(done, key, "not with what was entered")
    assert done.stderr.count(PROMPT) == 3
    assert "Wrong password or PIN: giving up" in done.stderr


@pytest.mark.parametrize("end", ["\n", "\r\n", ""])
def test_standard_input_where_there_is_no_terminal(start, key, end):
    backend = start(Recorder())
    stunnel = Stunnel(service(backend.port, f"key = {key}"))
    source, sink = os.pipe()
    os.write(sink, f"closesame\nopensesame{end}".encode())
    os.close(sink)
    stunnel.spawn = lambda **streams: Stunnel.spawn(stunnel, **{**streams, "stdin": source})
    start(stunnel)
    os.close(source)
    assert served_name(stunnel) == "server"


def test_interrupt_at_the_prompt_ends_the_start(key):
    stunnel = ByHand(service(free_port(), f"key = {key}"))
    process = stunnel.spawn()
    wait_for(stunnel.terminal.prompts, "the prompt")
    assert not stunnel.terminal.echoes()
    stunnel.terminal.type("\x03")
    assert process.wait(DEADLINE) == 1
    assert stunnel.terminal.echoes()
    shutil.rmtree(stunnel.folder)


# ---- where it is kept -----------------------------------------------------------------------


def holding(pid, secret):
    """The flags of each writable mapping of the process that has the secret in it."""
    found = []
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        mappings = Path(f"/proc/{pid}/smaps").read_text()
        for entry in re.split(r"\n(?=[0-9a-f]+-[0-9a-f]+ )", mappings):
            start, end, mode = re.match("([0-9a-f]+)-([0-9a-f]+) (....)", entry).groups()
            if not mode.startswith("rw"):
                continue
            if int(end, 16) - int(start, 16) > 1 << 30:
                pytest.skip("a sanitizer's memory is endless, and it ignores mlock()")
            memory.seek(int(start, 16))
            if secret in memory.read(int(end, 16) - int(start, 16)):
                found.append(set(re.search("VmFlags: (.*)", entry)[1].split()))
    return found


@as_root
@pytest.mark.parametrize("kind", [ByHand, DaemonByHand], ids=["foreground", "background"])
def test_pass_phrase_lies_in_locked_memory_of_the_master_alone(start, key, kind):
    phrase = "a phrase that stands nowhere else"
    encrypt(certificates().key, key, phrase)
    stunnel = start(kind(service(free_port(), f"key = {key}"), phrase))
    master, *workers = stunnel.processes()
    for flags in holding(master, phrase.encode()):
        assert {"lo", "dd", "dc"} <= flags  # locked, not dumped, not copied by fork
    assert len(holding(master, phrase.encode())) == 1
    assert workers
    assert [worker for worker in workers if holding(worker, phrase.encode())] == []
