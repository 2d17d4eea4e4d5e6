# SPDX-License-Identifier: ISC
"""doc/proxy-protocol.md names every TLV as the core does, and what it shows is taken."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from certs import certificates
from help_page import defaults
from peers import BINARY, Apache, daemon_only
from receivers import PAGE as FILE
from receivers import RECEIVERS, NginxStream, measured

pytestmark = daemon_only

TOP = Path(__file__).resolve().parents[2]
PAGE = FILE.read_text("ascii")
HEADER = (TOP / "stunnel/core/proxy.h").read_text()
BLOCKS = re.findall(r"^```\n(.*?)^```\n", PAGE, re.M | re.S)


def section(title):
    return PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]


def tlvs():
    """Of the core's table: identifier, type, option's name, and when it is dropped."""
    rows = re.findall(r'X\((\w+), (0x\w+), "([^"]*)", \w+, (\d+)\)', HEADER)
    assert len(rows) == 16
    return [(name, int(kind, 16), option, int(drop)) for name, kind, option, drop in rows]


def table(title):
    lines = re.findall(r"^\| .*$", section(title), re.M)
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[1:]]


def number(limit):
    """A default that -help tells, or a constant of the core."""
    if limit in defaults():
        return int(defaults()[limit])
    return int(re.search(rf"^#define {limit} (\d+)", HEADER, re.M)[1])


def options(cell):
    """The names of options in a cell, without what follows a colon."""
    return [name.split(":")[0] for name in re.findall(r"`([^`]+)`", cell)]


# ---- the core's table -----------------------------------------------------------------------


def test_every_tlv_has_a_row():
    listed = [int(row[0].split()[0], 16) for row in table("TLVs")]
    assert listed == sorted(kind for _, kind, _, _ in tlvs())


@pytest.mark.parametrize("name, kind, option", [row[:3] for row in tlvs()])
def test_row_has_its_names(name, kind, option):
    [row] = [row for row in table("TLVs") if int(row[0].split()[0], 16) == kind]
    if name == "CUSTOM":
        assert f"{row[0]} {options(row[1])}" == "0xE0 to 0xEF ['0xE0', '0xEF']"
    else:
        assert (row[0].split()[1], options(row[1])) == (name, [option] if option else [])
    assert len(row) == 4 and all(row)


def test_order_of_leaving_out():
    listed = re.findall(r"^\d+\. (.*)$", section("How long"), re.M)
    ordered = sorted((drop, name, option) for name, _, option, drop in tlvs() if drop)
    own = "those of one's own and those that came in"
    assert listed == [own if name == "CUSTOM" else f"`{option}`" for _, name, option in ordered]


@pytest.mark.parametrize(
    "text, limit",
    [
        ("`proxyMaxLength` bounds the header, {} bytes by default", "proxyMaxLength"),
        ("Headers of more than {} bytes, in or out", "PROXY_HEADER_MAX"),
    ],
)
def test_limits_are_those_of_the_core(text, limit):
    assert text.format(number(limit)) in PAGE


# ---- receivers ------------------------------------------------------------------------------


def test_every_receiver_has_a_row():
    """test_proxy_receivers.py sends each a header of that size."""
    assert set(RECEIVERS) <= set(measured())


def test_functions_of_varnish_are_those_that_the_test_asks():
    named = set(re.findall(r"varnish.*?\|", section("TLVs")))
    functions = {name for cell in named for name in re.findall(r"proxy\.\w+\(\)", cell)}
    asked = (TOP / "tests/run/receivers.py").read_text()
    assert functions == set(re.findall(r"proxy\.\w+\(\)", asked))


# ---- what is shown --------------------------------------------------------------------------


def test_every_link_leads_somewhere():
    targets = re.findall(r"\]\(([^)]+)\)", PAGE)
    local = [target for target in targets if not target.startswith("https://")]
    assert local
    assert [target for target in local if not (TOP / "doc" / target).exists()] == []


def blocks(kind):
    """What is shown for a program, by the first words of the comment that it begins with."""
    found = [block for block in BLOCKS if block.split("\n")[0].lstrip("#; ").startswith(kind)]
    assert found
    return found


def check(command, config, text):
    config.write_text(text)
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=config.parent)
    return done.returncode, done.stdout + done.stderr


def test_every_block_is_checked():
    kinds = ("stunnel.conf", "haproxy.cfg", "nginx.conf", "apache2.conf", "VCL")
    assert sorted(sum((blocks(kind) for kind in kinds), [])) == sorted(BLOCKS)


@pytest.mark.parametrize("block", blocks("stunnel.conf"))
def test_stunnel_takes_it(tmp_path, block):
    """The only complaint is of the last line, which is ours."""
    block = block.replace("/etc/stunnel/www.pem", str(certificates().cert))
    block = block.replace("/etc/stunnel/www.key", str(certificates().key))
    config = tmp_path / "stunnel.conf"
    code, said = check([BINARY, config], config, block + "no-such-option = 1\n")
    assert code == 1
    assert re.findall(r"stunnel\.conf:(\d+): ", said)[0] == str(block.count("\n") + 1)


@pytest.mark.parametrize("block", blocks("haproxy.cfg"))
def test_haproxy_takes_it(tmp_path, block):
    defaults = "defaults\n    timeout connect 1s\n    timeout client 1s\n    timeout server 1s\n"
    config = tmp_path / "haproxy.cfg"
    command = ["haproxy", "-c", "-f", config]
    code, said = check(command, config, f"{defaults}    mode http\n{block}")
    assert (code, "WARNING" in said) == (0, False), said


@pytest.mark.parametrize("block", blocks("nginx.conf"))
def test_nginx_takes_it(tmp_path, block):
    block = block.replace("modules/ngx_stream_module.so", NginxStream.MODULE)
    block = block.replace("/var/log/nginx/", f"{tmp_path}/")
    config = tmp_path / "nginx.conf"
    logs = "".join(
        f"{kind}_temp_path {tmp_path}/{kind};\n"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    block = block.replace("http {", f"http {{\naccess_log off;\n{logs}")
    command = ["nginx", "-t", "-e", "stderr", "-c", config]
    code, said = check(command, config, f"{block}\nevents {{}}\npid {tmp_path}/pid;\n")
    assert code == 0, said


@pytest.mark.parametrize("block", blocks("apache2.conf"))
def test_apache_takes_it(tmp_path, block):
    modules = ("mpm_event", "authz_core", "remoteip")
    load = "".join(f"LoadModule {m}_module {Apache.MODULES}/mod_{m}.so\n" for m in modules)
    config = tmp_path / "apache2.conf"
    folders = f"ServerRoot {tmp_path}\nDefaultRuntimeDir {tmp_path}\nServerName localhost\n"
    command = ["apache2", "-t", "-f", config]
    code, said = check(command, config, f"{load}{folders}ErrorLog {tmp_path}/log\n{block}")
    assert code == 0, said


@pytest.mark.parametrize("block", blocks("VCL"))
def test_varnish_takes_it(tmp_path, block):
    config = tmp_path / "shown.vcl"
    jail = ["-j", "none"] if os.getuid() == 0 else []
    command = ["varnishd", *jail, "-C", "-n", tmp_path / "work", "-f", config]
    code, said = check(command, config, block)
    assert code == 0, said[-2000:]
