# SPDX-License-Identifier: ISC
"""The manual and README name what the program knows, and nothing else."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from help_page import defaults, not_built, variables, without_effect
from peers import BINARY, PATCHED

if PATCHED:
    pytest.skip("the manual is the daemon's", allow_module_level=True)

TOP = Path(__file__).resolve().parents[2]
MANUAL = (TOP / "doc/stunnel.8").read_text()
README = (TOP / "README.md").read_text()
ERRORS = (TOP / "stunnel/core/errors.h").read_text()


BUILT, IDLE, UNBUILT = defaults(), without_effect(), not_built()


def section(title):
    """A section of the manual."""
    return MANUAL.split(f"\n.Sh {title}\n")[1].split("\n.Sh ")[0]


def entries():
    """The manual's text on each option that is built, by name."""
    text = section("GLOBAL OPTIONS") + section("SERVICE OPTIONS")
    return {part.split()[0]: part for part in text.split("\n.It Ic ")[1:]}


def compatibility():
    """What doc/compatibility.md says becomes of each option."""
    page = (TOP / "doc/compatibility.md").read_text()
    return dict(re.findall(r"^\| `(\w+)` \|.*?\|.*?\| (.*?) \|.*\|$", page, re.M))


def that(begins):
    """The options of which the page says something that begins so."""
    return [name for name, here in compatibility().items() if here.startswith(begins)]


def lines_taken():
    """As `NAME = VALUE`: those that ask for what happens anyway."""
    found = {name: re.findall(r"`(.*?)`", compatibility()[name]) for name in that("only ")}
    return [f"{name} = {value}" for name, values in found.items() for value in values]


def run_section(line):
    """What -test says of a section with a line."""
    command = [BINARY, "-test", "-fd", "0"]
    text = f"[web]\n{line}\n"
    return subprocess.run(command, input=text, capture_output=True, text=True, timeout=30)


def complaint(tmp_path, line):
    """What the program says of a line that it refuses, or "" if it takes the line."""
    file = tmp_path / "test.conf"
    file.write_text(f"{line}\nno-such-option = 1\n")
    done = subprocess.run([BINARY, file], capture_output=True, text=True, timeout=30)
    assert done.returncode == 1
    secret = f"{line.split()[0]} = ..."
    found = re.search(rf':1: "(?:{re.escape(line)}|{re.escape(secret)})": (.*)', done.stderr)
    assert found or ":2: " in done.stderr, done.stderr
    return found[1] if found else ""


# ---- the manual -----------------------------------------------------------------------------


def test_manual_explains_every_option_that_is_built():
    assert sorted(entries()) == sorted(BUILT)


def test_manual_explains_options_where_they_may_stand():
    """Global ones are those that a section does not take."""
    listed = re.findall(r"^\.It Ic (\w+)", section("GLOBAL OPTIONS"), re.M)
    assert listed == sorted(listed, key=str.lower)
    for name in entries():
        done = run_section(f"{name} = ")
        warned = "It has no effect here" in run_section(f"{name} = root").stderr
        assert ("name is not valid here" in done.stderr or warned) == (name in listed), name


@pytest.mark.parametrize("name", [name for name in BUILT if BUILT[name] is not None])
def test_manual_tells_the_default(name):
    entry = " ".join(entries()[name].split())
    assert f"default is .Cm {BUILT[name]} ." in entry


def test_manual_names_what_is_not_built():
    listed = re.findall(r"^\.It\n\.Ic (\w+)(?: No = .*)?$", section("COMPATIBILITY"), re.M)
    assert sorted(listed) == sorted(UNBUILT)


def test_manual_names_what_has_no_effect():
    listed = re.findall(r"^\.It\n\.Ic (\w+) :$", section("COMPATIBILITY"), re.M)
    assert sorted(listed) == sorted(IDLE)


def test_manual_names_no_other_option():
    lines = re.findall(r"^\.(?:It )?Ic (.*)$", MANUAL, re.M)
    named = {word for line in lines for word in re.split(r" No ", line)[0].split(" ")}
    assert {word for word in named if word.isalnum()} <= {*BUILT, *IDLE, *UNBUILT}


def test_manual_lists_every_error():
    rows = re.findall(r'X\(\w+, "([^"]+)", (\d+), "([^"]+)"', ERRORS)
    assert rows
    listed = re.findall(r"^\.It (\S+) Ta (\d+) Ta (.*)$", MANUAL, re.M)
    assert listed == [row for row in rows if row[1] != "0"]
    mended = re.findall(r"^\.It (answer-\S+) Ta (RFC.*)$", MANUAL, re.M)
    assert mended == [(name, source) for name, status, source in rows if status == "0"]


@pytest.mark.parametrize("name", ["stunnel.8", "stunnel3.8"])
def test_manual_is_well_formed(name):
    if not shutil.which("mandoc"):
        pytest.skip("mandoc is not installed")
    command = ["mandoc", "-Tlint", "-Wwarning", TOP / "doc" / name]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stdout) == (0, "")


# ---- templates ------------------------------------------------------------------------------


def named(text):
    return set(re.findall(r"%\{(\w+)\}", text))


@pytest.mark.parametrize("text", [MANUAL, README], ids=["manual", "README"])
def test_templates(text):
    assert variables()
    assert named(text) == set(variables())


def test_manual_tells_which_templates_are_for_logs_alone():
    everywhere, logs = section("HEADERS AND TEMPLATES").split("\n.Ic accessLogFormat\nalone:\n")
    listed = named("".join(re.findall(r"^\.It Ql .*$", logs, re.M)))
    assert listed == {name for name, place in variables().items() if place == "accessLogFormat"}
    assert named(everywhere) == {*variables()} - listed


def test_a_template_is_taken_where_help_says(tmp_path):
    for name, place in variables().items():
        places = {"headers": "httpSetHeader = X-A: ", "accessLogFormat": "accessLogFormat = "}
        taken = [said for said in places if not complaint(tmp_path, f"{places[said]}%{{{name}}}")]
        assert taken == (list(places) if place == "anywhere" else [place]), name


# ---- doc/compatibility.md -------------------------------------------------------------------


def test_the_page_has_every_option_once():
    assert sorted(compatibility()) == sorted([*BUILT, *IDLE, *UNBUILT])


def test_the_page_says_yes_of_what_is_built():
    assert sorted(that("yes")) == sorted(BUILT)


def test_the_page_tells_what_has_no_effect(tmp_path):
    """It is taken with a value that it can have, and refused with another."""
    assert sorted(that("no effect: ")) == sorted(IDLE)
    for name in IDLE:
        values = ("yes", "0", "NOCHAIN", "zlib")
        assert "" in [complaint(tmp_path, f"{name} = {value}") for value in values], name
        assert complaint(tmp_path, f"{name} ="), name


def test_the_page_shows_the_values_that_are_taken(tmp_path):
    assert [line for line in lines_taken() if complaint(tmp_path, line)] == []


def test_the_page_and_the_manual_show_the_same_values():
    listed = re.findall(r"^\.It\n\.Ic (\w+) No = Cm (\w+)", section("COMPATIBILITY"), re.M)
    assert {f"{name} = {value}" for name, value in listed} <= {*lines_taken()}
    assert {name for name, _ in listed} == {*that("only ")}


def test_what_is_not_yet_there_is_refused(tmp_path):
    for name in that("not yet"):
        for value in ("yes", "no", "1"):
            assert "not built yet" in complaint(tmp_path, f"{name} = {value}"), name
