# SPDX-License-Identifier: ISC
"""stunnel -test: says everything that is wrong, with exit code 1, or that nothing is; starts nothing."""

import os
import re
import shutil
import socket
import subprocess

import pytest

from certs import certificates, client_certificates
from peers import BINARY, daemon_only, free_port, listening_ports

pytestmark = daemon_only

SUCCESS = "[.] Configuration successful"
FAILED = "[!] Configuration failed"


class Case:
    """A folder with a configuration. {dir}, {port} and {cert} are filled in."""

    def __init__(self, folder):
        self.folder, self.port = folder, free_port()
        self.file = folder / "test.conf"

    def write(self, config):
        names = {"dir": self.folder, "port": self.port, **vars(certificates())}
        for name, value in names.items():
            config = config.replace("{%s}" % name, str(value))
        self.file.write_text(config)
        return config

    def run(self, *arguments, **options):
        command = [BINARY, *(arguments or ("-test", str(self.file)))]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, **options)
        assert done.stdout == ""
        assert self.port not in listening_ports()
        return done.returncode, done.stderr.splitlines()


    def starts(self):
        """Whether it does, beyond the addresses. It is ended again."""
        config = "foreground = yes\nsyslog = no\ndebug = info\n" + self.file.read_text()
        self.file.write_text(config)
        with subprocess.Popen([BINARY, self.file], stderr=subprocess.PIPE, text=True) as process:
            for line in process.stderr:
                if "Accepting new connections" in line:
                    break
            else:
                line = ""
            process.terminate()
            process.stderr.read()
        return bool(line)


@pytest.fixture
def case(tmp_path):
    return Case(tmp_path)


WEB = "[web]\naccept = 127.0.0.1:{port}\nconnect = 127.0.0.1:1\ncert = {cert}\nkey = {key}\n"


def test_a_good_file_is_called_good_and_nothing_is_touched(case):
    """Of what it names for writing nothing is there after, and what was there is as before."""
    old = case.folder / "old.log"
    old.write_text("kept\n")
    files = "output = {dir}/new.log\npid = {dir}/pid\nlog = overwrite\n"
    case.write(files + WEB + "accessLog = {dir}/old.log\n")
    before = sorted(os.listdir(case.folder))
    assert case.run() == (0, [SUCCESS])
    assert sorted(os.listdir(case.folder)) == before
    assert old.read_text() == "kept\n"


def test_an_address_in_use_is_no_matter(case):
    """The daemon that serves with this file holds it: it is tested before a reload."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        case.write(WEB.replace("{port}", str(taken.getsockname()[1])))
        assert case.run() == (0, [SUCCESS])


def test_all_errors_are_told_with_the_verdict(case):
    case.write("TIMEOUTidle = x\n" + WEB + "surprise = 1\nciphers = NONSENSE\n")
    code, lines = case.run()
    assert code == 1
    assert [re.sub(r'.*:(\d+): "(.*)": .*', r"\1 \2", line) for line in lines] == [
        "1 TIMEOUTidle = x",
        "7 surprise = 1",
        "8 ciphers = NONSENSE",
        FAILED,
    ]


def test_warnings_are_shown_and_do_not_fail(case):
    case.write(WEB + "alpn = h2\nxForwardedFor = yes\n")
    code, lines = case.run()
    assert code == 0
    assert lines[0].startswith(f'[:] {case.file}:6: "alpn = h2": Service [web]: ')
    assert lines[1:] == [SUCCESS]


@pytest.mark.parametrize("option", ["-test", "-TEST"])
def test_from_a_descriptor(case, option):
    config = case.write(WEB)
    assert case.run(option, "-fd", "0", input=config) == (0, [SUCCESS])
    code, lines = case.run(option, "-fd", "0", input=config + "surprise = 1\n")
    assert code == 1
    assert lines[0].startswith('[!] descriptor 0:6: "surprise = 1": ')


def test_keys_are_loaded(case):
    case.write(WEB.replace("{key}", "{other_key}"))
    code, lines = case.run()
    assert code == 1
    assert "Private key does not match the certificate" in lines[0]


def test_a_missing_file(case):
    code, lines = case.run("-test", str(case.file))
    assert code == 1
    assert f'Invalid configuration file name "{case.file}"' in lines[0]


@pytest.mark.parametrize("arguments", [["-test", "-fd"], ["-test", "-fd", "x"]])
def test_no_descriptor(case, arguments):
    code, lines = case.run(*arguments)
    assert code == 1
    assert "descriptor" in lines[0]
    assert any("-test" in line for line in lines)


@pytest.mark.parametrize(
    "line, path, reason",
    [
        ("output = {dir}/none/log", "none/log", "No such file or directory (2)"),
        ("output = {dir}", "", "Is a directory (21)"),
        ("pid = {dir}/none/pid", "none/pid", "No such file or directory (2)"),
        ("chroot = {dir}/none", "none", "No such file or directory (2)"),
        ("chroot = {dir}/test.conf", "test.conf", "Not a directory (20)"),
        ("accessLog = {dir}/test.conf/log", "test.conf/log", "Not a directory (20)"),
    ],
)
def test_folders_that_a_start_would_miss(case, line, path, reason):
    case.write(line + "\n" + WEB)
    code, lines = case.run()
    assert code == 1
    where = "Service [web]" if "accessLog" in line else "Global options"
    line = line.replace("{dir}", str(case.folder))
    path = f"{case.folder}/{path}".rstrip("/")
    assert lines == [f'[!] {case.file}:1: "{line}": {where}: {path}: {reason}', FAILED]


def test_paths_count_from_chroot(case):
    (case.folder / "jail/logs").mkdir(parents=True)
    case.write("chroot = {dir}/jail\noutput = /logs/log\npid = /none/pid\n" + WEB)
    code, lines = case.run()
    assert code == 1
    assert lines == [
        f'[!] {case.file}:3: "pid = /none/pid": Global options: '
        f"{case.folder}/jail/none/pid: No such file or directory (2)",
        FAILED,
    ]


HASHED = "01234567.0"


@pytest.mark.parametrize(
    "files, good",
    [
        ({}, False),
        ({HASHED: "root"}, True),
        ({"root.pem": "root"}, False),
        ({"0123456.0": "root", "01234567.r0": "root"}, False),
        ({HASHED: "root.key"}, False),
    ],
    ids=["empty", "rehashed", "not rehashed", "other names", "no certificate"],
)
def test_a_directory_in_which_no_authority_is_found(case, files, good):
    """Every client would be refused."""
    folder = case.folder / "ca"
    folder.mkdir()
    for name, what in files.items():
        source = client_certificates() / (what if "." in what else f"{what}.pem")
        shutil.copy(source, folder / name)
    case.write(WEB + f"CApath = {folder}\nverifyChain = yes\n")
    code, lines = case.run()
    told = [
        f'[!] {case.file}:6: "CApath = {folder}": Service [web]: no client gets in: Failed to use '
        f"directory: {folder}: it holds no certificate under a name that openssl-rehash makes",
        FAILED,
    ]
    assert (code, lines) == ((0, [SUCCESS]) if good else (1, told))


def test_a_directory_of_authorities_counts_from_chroot(case):
    folder = case.folder / "jail/ca"
    folder.mkdir(parents=True)
    config = "chroot = {dir}/jail\n" + WEB + "CApath = /ca\nverifyPeer = yes\n"
    (folder / HASHED).symlink_to("/certs/root.pem")
    case.write(config)
    assert case.run() == (0, [SUCCESS])
    case.write(config.replace("/ca", str(folder)))
    code, lines = case.run()
    assert code == 1
    assert f"{case.folder}/jail{folder}: No such file or directory" in lines[0]


@pytest.mark.parametrize("file", ["{dir}/none", "{dir}", "{key}", "/dev/null"])
@pytest.mark.parametrize("asks", ["", "verify = 0\n", "requireCert = yes\n"])
def test_a_file_of_authorities_that_is_not_needed(case, file, asks):
    config = case.write(WEB + f"CAfile = {file}\n" + asks)
    code, lines = case.run()
    assert code == 0
    assert lines[0].startswith(f'[:] {case.file}:6: "{config.splitlines()[5]}": Service [web]: ')
    assert lines[1:] == [SUCCESS]
    assert case.starts()


@pytest.mark.parametrize("line", ["CApath = {dir}/none", "CRLpath = {dir}/none"])
def test_a_directory_that_is_not_needed_may_be_missing(case, line):
    case.write(WEB + line + "\nverify = 0\n")
    code, lines = case.run()
    assert code == 0
    line = line.replace("{dir}", str(case.folder))
    assert lines[0].startswith(f'[:] {case.file}:6: "{line}": Service [web]: Failed to use ')
    assert lines[1:] == [SUCCESS]


def test_two_services_on_one_address(case):
    case.write(WEB + WEB.replace("[web]", "[mail]"))
    code, lines = case.run()
    assert code == 1
    assert lines[0].startswith(f'[!] {case.file}:7: "accept = 127.0.0.1:{case.port}": ')
    assert lines[0].endswith("Service [mail]: Service [web] listens on this address")
    assert lines[1:] == [FAILED]


@pytest.mark.parametrize(
    "first, second, free",
    [
        ("127.0.0.1", "127.0.0.2", True),
        ("0.0.0.0", "127.0.0.1", False),
        ("127.0.0.1", "0.0.0.0", False),
        ("::", "127.0.0.1", False),
        ("::", "0.0.0.0", False),
        ("127.0.0.1", "::", False),
        ("::", "::1", False),
        ("::1", "127.0.0.1", True),
        ("::1", "0.0.0.0", True),
        ("::ffff:127.0.0.1", "127.0.0.1", False),
        ("::ffff:127.0.0.1", "0.0.0.0", False),
        ("", "127.0.0.1", False),
        ("", "", False),
    ],
)
@pytest.mark.parametrize("only", [False, True], ids=["", "IPV6_V6ONLY"])
def test_two_services_on_one_port(case, first, second, free, only):
    """Said of the test, and true of the start."""
    free = free or (only and (first == "::") != (second == "::") and "::1" not in (first, second))
    sections = []
    for name, host in (("[web]", first), ("[mail]", second)):
        accept = f"{host}:{{port}}" if host else "{port}"
        section = WEB.replace("[web]", name).replace("127.0.0.1:{port}", accept)
        option = only and host == "::"
        sections.append(section + ("socket = a:IPV6_V6ONLY=yes\n" if option else ""))
    case.write("".join(sections))
    code, lines = case.run()
    assert (code, lines[-1]) == ((0, SUCCESS) if free else (1, FAILED))
    assert ("Service [web] listens on this address" in lines[0]) != free
    assert case.starts() == free


def test_one_address_of_several_is_enough(case):
    case.write(WEB + WEB.replace("[web]", "[mail]") + "accept = 127.0.0.2:{port}\n")
    code, lines = case.run()
    assert code == 0
    assert lines[0].startswith("[:] ")
    assert lines[0].endswith("Service [mail]: Service [web] listens on this address")
    assert lines[1:] == [SUCCESS]
    assert case.starts()


@pytest.mark.parametrize("chroot", ["", "chroot = {dir}\n"])
def test_a_folder_of_a_unix_socket(case, chroot):
    """chroot comes behind it."""
    config = chroot + WEB.replace("127.0.0.1:{port}", "{dir}/none/front")
    case.write(config)
    code, lines = case.run()
    assert code == 1
    path = f"{case.folder}/none/front: No such file or directory (2)"
    assert lines[0].endswith(f'"accept = {case.folder}/none/front": Service [web]: {path}')
    case.write(config.replace("/none", ""))
    assert case.run() == (0, [SUCCESS])


def test_port_0_is_another_one_each_time(case):
    case.write((WEB + WEB.replace("[web]", "[mail]")).replace("{port}", "0"))
    assert case.run() == (0, [SUCCESS])
