# SPDX-License-Identifier: ISC
"""doc/http.md names every wire case, and shows each class of attack by some that exist."""

import re
from pathlib import Path

import pytest

from peers import daemon_only
from wire_case import CORPUS

pytestmark = daemon_only

TOP = Path(__file__).resolve().parents[2]
PAGE = (TOP / "doc/http.md").read_text("ascii")
H1 = "".join((TOP / "stunnel/core" / name).read_text() for name in ("h1.h", "h1_body.h"))
H1_HEAD = (TOP / "stunnel/core/h1_head.h").read_text()
CLASSES = 34


def section(title):
    return PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]


def links(text):
    """What is linked, by the text of the link."""
    return re.findall(r"\[([^\]]+)\]\(([^)]+)\)", text)


def rows():
    """The cells of the table of classes."""
    lines = re.findall(r"^\| \d+ \|.*$", section("Classes of attack"), re.M)
    return [line.strip("| ").split(" | ") for line in lines]


def cases(text):
    return [name for name, target in links(text) if target.endswith(".wire")]


def number(constant):
    """A constant of the core's headers."""
    return int(re.search(rf"^#define {constant} (\d+)", H1 + H1_HEAD, re.M)[1])


def test_every_class_has_a_row():
    assert [int(row[0]) for row in rows()] == list(range(1, CLASSES + 1))


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[0])
def test_row_says_what_is_done_and_what_shows_it(row):
    _, attack, done, shown = row
    assert attack and done.endswith((".", "`"))
    assert links(shown)


def test_every_link_leads_somewhere():
    targets = {target for _, target in links(PAGE)}
    assert [target for target in targets if not (TOP / "doc" / target).exists()] == []


def test_links_of_cases_say_their_names():
    wires = [(name, target) for name, target in links(PAGE) if target.endswith(".wire")]
    assert wires
    for name, target in wires:
        assert target == f"../tests/wire/{name}.wire"


def test_every_case_is_listed():
    listed = cases(section("Classes of attack")) + cases(section("Ordinary traffic"))
    assert sorted(set(listed)) == sorted(path.stem for path in CORPUS.glob("*.wire"))


def test_ordinary_traffic_is_no_attack():
    ordinary = cases(section("Ordinary traffic"))
    assert len(ordinary) == len(set(ordinary))
    assert not set(ordinary) & set(cases(section("Classes of attack")))


@pytest.mark.parametrize(
    "what, constant",
    [
        ("bytes of a request head", "H1_HEAD_LIMIT"),
        ("fields of a head", "H1_FIELDS_MAX"),
        ("requests in flight", "H1_PIPELINE_MAX"),
        ("empty lines", "H1_EMPTY_LINES_MAX"),
        ("bytes of extensions", "H1_CHUNK_EXTENSION_MAX"),
        ("the same in a body", "H1_EXTENSIONS_MAX"),
        ("bytes of a response head", "H1_RESPONSE_HEAD_MAX"),
        ("fields of a response head", "H1_FIELDS_MAX"),
    ],
)
def test_limits_are_those_of_the_core(what, constant):
    row = re.search(rf"^\| {what}.*$", section("Limits"), re.M)[0]
    limit = row.split(" | ")[1]
    assert int(re.findall(r"\b\d+\b", limit)[-1]) == number(constant)
