# SPDX-License-Identifier: ISC
"""What the program says without starting: on standard error, with exit code 0."""

import re
import subprocess
from pathlib import Path

import pytest

import help_page
from peers import (
    BINARY,
    Stock,
    as_root,
    can_mount,
    beside_stock,
    daemon_only,
    free_port,
    stock_before,
    stock_since,
)


def run(*arguments):
    done = subprocess.run([BINARY, *arguments], capture_output=True, text=True, timeout=30)
    assert done.stdout == ""
    return done


@pytest.mark.parametrize("option", ["-version", "-VERSION"])
def test_version(option):
    done = run(option)
    assert done.returncode == (1 if stock_before(5, 28) else 0)
    assert re.search(r"stunnel [0-9.]+ on \S+ platform", done.stderr)
    assert re.search(r"Compiled(/running)? +with OpenSSL", done.stderr)


@daemon_only
@as_root
def test_without_an_argument_the_default_file_is_read(tmp_path):
    """It lies where the package put it: in a file system of this test's own."""
    missing = re.search(r'configuration file name "(.*)"', run("-test").stderr)
    if not missing:
        pytest.skip("there is one on this machine")
    if not can_mount():
        pytest.skip("cannot mount")
    path = Path(missing[1])
    (tmp_path / "own").write_text("surprise = 1\n")
    there = next(folder for folder in path.parents if folder.exists())
    place = f"mount -t tmpfs none {there} && mkdir -p {path.parent} && cp {tmp_path}/own {path}"
    command = ["unshare", "-m", "sh", "-c", f'{place} && exec "$@"', "sh", BINARY]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert done.returncode == 1
    assert re.search(r'1: "surprise = 1": Specified option name is not valid', done.stderr)


@daemon_only
def test_the_first_line_is_what_tools_compare_with_a_release():
    """curl's test suite and stock's own ask for `stunnel N.N on`; others for a least number."""
    first, second = run("-version").stderr.splitlines()[:2]
    assert re.fullmatch(r"stunnel 5\.75 on [\w.]+-[\w.-]+ platform", first)
    assert re.match(r"stunnel-http \d+\.\d+\.\d+\b", second)


@daemon_only
def test_version_tells_defaults():
    """As many as `-help` tells of, in stock's form."""
    told = dict(re.findall(r"^(\w+) +=(?: (.*))?$", run("-version").stderr, re.M))
    assert told == {name: value for name, value in help_page.defaults().items() if value}
    assert (told["TIMEOUTidle"], told["failover"]) == ("43200", "prio")


@beside_stock
def test_sockets_are_told_as_stock_tells_them():
    """Also to the system's own defaults."""

    def table(binary):
        done = subprocess.run([binary, "-sockets"], capture_output=True, text=True, timeout=30)
        assert (done.returncode, done.stdout) == (0, "")
        return done.stderr[done.stderr.index("Socket option defaults:") :]

    assert table(BINARY) == table(Stock.BINARY)


@daemon_only
def test_sockets_are_what_socket_takes():
    """Each in all three classes, and all of them in one service; nothing else."""
    values = {"SO_BINDTODEVICE": "lo", "SO_LINGER": "1:2", "SO_RCVTIMEO": "1:2", "SO_SNDTIMEO": "1:2"}
    names = re.findall(r"^    ([A-Z]\w+) *\|", run("-sockets").stderr, re.M)
    assert {"SO_KEEPALIVE", "TCP_NODELAY", "IP_TOS", *values} <= {*names}
    lines = [f"socket = {c}:{name}={values.get(name, 1)}" for name in names for c in "alr"]

    def load(*more):
        text = "\n".join(["[a]", "client = yes", "accept = 1", "connect = 1", *lines, *more])
        command = [BINARY, "-test", "-fd", "0"]
        return subprocess.run(command, input=text, capture_output=True, text=True, timeout=30)

    assert load().returncode == 0, load().stderr
    for wrong in "x:SO_KEEPALIVE=1", "a:SO_KEEPALIV=1", "a:so_keepalive=1":
        assert load(f"socket = {wrong}").returncode == 1


@beside_stock
def test_options_are_those_of_stock():
    """Whatever stock takes in `options` with this OpenSSL."""

    def names(binary):
        done = subprocess.run([binary, "-options"], capture_output=True, text=True, timeout=30)
        assert (done.returncode, done.stdout) == (0, "")
        return set(re.findall(r"^options = (\w+)$", done.stderr, re.M))

    assert names(Stock.BINARY) <= names(BINARY)


@beside_stock
def test_help_names_all_that_stock_helps_with():
    told = subprocess.run([Stock.BINARY, "-help"], capture_output=True, text=True, timeout=30)
    assert told.stdout == ""
    names = {name.lower() for name in re.findall(r"^(\w+) += ", told.stderr, re.M)}
    assert len(names) > 80
    assert names <= {name.lower() for name in re.findall(r"\w+", run("-help").stderr)}


@daemon_only
def test_the_start_log_begins_with_the_same_lines(front):
    """At level 5, once, and not again at a reload."""
    lines = run("-version").stderr.split("\n\n")[0].splitlines()
    words = [line.split()[0] for line in lines[:3]]
    assert words == ["stunnel", "stunnel-http", "Compiled/running"]
    assert lines[-1].startswith("Threading:")
    stunnel = front(free_port(), settings="debug = notice\nworkers = 2\n")
    stunnel.reload()
    logged = [line.split(" ", 2)[2] for line in stunnel.log_text().splitlines()]
    assert logged[: len(lines)] == [f"LOG5[main]: {line}" for line in lines]
    assert all(len(stunnel.log_lines(line)) == 1 for line in lines)


@daemon_only
def test_help_lists_the_options():
    done = run("-help")
    assert done.returncode == 0
    for name in ("accept", "connect", "cert", "xForwardedFor", "httpSetHeader", "workers"):
        assert re.search(rf"^\s*{name}\b", done.stderr, re.M), name


@stock_since(5, 6, "lists none")
def test_options_lists_the_tls_options():
    done = run("-options")
    assert done.returncode == (1 if stock_before(5, 28) else 0)
    newest = [] if stock_before(5, 39) else ["NO_TLSv1_3"]
    for name in ("NO_TLSv1", "CIPHER_SERVER_PREFERENCE", "NO_TICKET", *newest):
        assert re.search(rf"\b{name}\b", done.stderr), name


def test_unknown_option_is_a_file_name():
    done = run("-nonsense")
    assert done.returncode == 1
    assert "-nonsense" in done.stderr
    assert "Did you mean" not in done.stderr


HINTS = {"-h": "help", "--help": "help", "-t": "test", "-V": "version", "-v": "version"}


@daemon_only
@pytest.mark.parametrize("written", [*HINTS, "--version", "--sockets", "--options", "--fd"])
def test_what_was_meant_for_an_option_is_told(written):
    done = run(written)
    meant = HINTS.get(written, written.strip("-"))
    assert done.returncode == 1
    assert f'Invalid configuration file name "{written}"' in done.stderr
    assert f"Did you mean the option -{meant}?" in done.stderr


@daemon_only
@pytest.mark.parametrize("written, number", [("-", 0), ("/dev/stdin", 0), ("/dev/fd/63", 63)])
def test_how_a_pipe_is_read_is_told(written, number):
    """Which has no name that a reload could find."""
    command = [BINARY, written]
    done = subprocess.run(command, input="[web]\n", capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1
    assert done.stderr.endswith(f"[!] A pipe is read with -fd {number}\n")
