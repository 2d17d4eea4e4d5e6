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
    """README's table: what each row says, by how the row begins."""
    table = README.split("### Compatibility\n\n")[1].split("\n\n")[0]
    rows = [line.strip("| ").split(" | ") for line in table.splitlines()[2:]]
    return {head.split()[0] + head.split()[-1]: cell for head, cell in rows}


def names(cell):
    """The options in a row; in parentheses stand values."""
    return re.findall(r"`(\w+)(?: = \w+)?`", re.sub(r"\(.*?\)", "", cell))


def run_section(line):
    """What -test says of a section with a line."""
    command = [BINARY, "-test", "-fd", "0"]
    text = f"[web]\n{line}\n"
    return subprocess.run(command, input=text, capture_output=True, text=True, timeout=30)


def complaint(tmp_path, line):
    """What the program says of a line that it refuses, or "" if it takes the line."""
    file = tmp_path / "test.conf"
    file.write_text(f"[web]\n{line}\nno-such-option = 1\n")
    done = subprocess.run([BINARY, file], capture_output=True, text=True, timeout=30)
    assert done.returncode == 1
    secret = f"{line.split()[0]} = ..."
    found = re.search(rf':2: "(?:{re.escape(line)}|{re.escape(secret)})": (.*)', done.stderr)
    assert found or ":3: " in done.stderr, done.stderr
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


def test_manual_is_well_formed():
    if not shutil.which("mandoc"):
        pytest.skip("mandoc is not installed")
    command = ["mandoc", "-Tlint", "-Wwarning", TOP / "doc/stunnel.8"]
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


# ---- README's compatibility table -----------------------------------------------------------


def test_readme_places_every_option_once():
    listed = [name for cell in compatibility().values() for name in names(cell)]
    assert sorted(listed) == sorted([*BUILT, *IDLE, *UNBUILT])


def test_readme_lists_as_taken_what_is_built():
    rows = compatibility()
    assert sorted(names(rows["takentaken"]) + names(rows["oursours"])) == sorted(BUILT)


def test_readme_lists_what_has_no_effect(tmp_path):
    """It is taken with a value that it can have, and refused with another."""
    listed = names(compatibility()["takenhere"])
    assert sorted(listed) == sorted(IDLE)
    for name in listed:
        values = ("yes", "0", "NOCHAIN")
        assert "" in [complaint(tmp_path, f"{name} = {value}") for value in values], name
        assert complaint(tmp_path, f"{name} ="), name


def test_readme_shows_the_values_that_are_taken(tmp_path):
    shown = re.findall(r"`(\w+ = \w+)`", compatibility()["takenanyway"])
    assert shown
    assert [line for line in shown if complaint(tmp_path, line)] == []


def test_readme_and_manual_show_the_same_values():
    listed = re.findall(
        r"^\.It\n\.Ic (\w+) No = Cm (\w+)(?: \| no)?$", section("COMPATIBILITY"), re.M
    )
    shown = re.findall(r"`(\w+) = (\w+)`", compatibility()["takenanyway"])
    assert sorted(listed) == sorted(shown)


def test_readme_lists_as_refused_what_is_refused(tmp_path):
    refused = names(compatibility()["refused:yet"])
    assert refused
    for name in refused:
        for value in ("yes", "no", "1"):
            assert "not built yet" in complaint(tmp_path, f"{name} = {value}"), name
