# SPDX-License-Identifier: ISC
"""doc/http.md names every folder of wire cases, and shows each class of attack by what exists."""

import re
from pathlib import Path

import pytest

from help_page import defaults
from peers import daemon_only
from wire_case import CORPUS, paths_of_cases

pytestmark = daemon_only

TOP = Path(__file__).resolve().parents[2]
PAGE = (TOP / "doc/http.md").read_text("ascii")
HEADERS = "".join(path.read_text() for path in sorted((TOP / "stunnel/core").glob("h1*.h")))
CLASSES = 42


def section(title):
    return PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]


def links(text):
    """What is linked, by the text of the link."""
    return re.findall(r"\[([^\]]+)\]\(([^)]+)\)", text)


def rows():
    """The cells of the table of classes."""
    lines = re.findall(r"^\| \d+ \|.*$", section("Classes of attack"), re.M)
    return [line.strip("| ").split(" | ") for line in lines]


def folders(text):
    """The folders of cases that are linked."""
    return [name for name, target in links(text) if re.search(r"/wire/[^.]*$", target)]


def number(limit):
    """A default that -help tells, or a constant of the core's headers."""
    if limit in defaults():
        return int(defaults()[limit])
    return int(re.search(rf"^#define {limit} (\d+)", HEADERS, re.M)[1])


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


def test_links_of_folders_say_their_names():
    linked = [(name, target) for name, target in links(PAGE) if name in folders(PAGE)]
    assert linked
    for name, target in linked:
        assert target == f"../tests/wire/{name}"


def test_every_case_is_in_a_folder_that_is_listed():
    listed = folders(section("Classes of attack")) + folders(section("Ordinary traffic"))
    assert sorted(set(listed)) == sorted(path.name for path in CORPUS.iterdir() if path.is_dir())
    assert {path.parent.name for path in paths_of_cases()} == set(listed)
    assert sorted(CORPUS.rglob("*.wire")) == sorted(paths_of_cases())


def test_ordinary_traffic_has_folders_of_its_own():
    ordinary = folders(section("Ordinary traffic"))
    assert len(ordinary) == len(set(ordinary))
    classes = [folders(row[3])[:1] for row in rows()]
    first = [name for names in classes for name in names]
    assert len(first) == len(set(first)) and not set(ordinary) & set(first)
    assert set(ordinary) | set(first) == set(folders(PAGE))


def test_first_line_of_a_case_says_what_goes_wrong():
    """A reader who knows no RFC by its number is told; the number stands behind."""
    for path in paths_of_cases():
        first = path.read_text("ascii").splitlines()[0]
        assert re.match(r"# (?!RFC|CVE|CWE)\S+ \S+ \S+ \S+", first), path


@pytest.mark.parametrize(
    "what, limit",
    [
        ("bytes of a request head", "httpMaxHead"),
        ("fields of a head", "httpMaxFields"),
        ("requests in flight", "H1_PIPELINE_MAX"),
        ("empty lines", "H1_EMPTY_LINES_MAX"),
        ("bytes of extensions", "H1_CHUNK_EXTENSION_MAX"),
        ("the same in a body", "H1_EXTENSIONS_MAX"),
        ("bytes of a response head", "httpMaxAnswerHead"),
        ("fields of a response head", "H1_ANSWER_FIELDS_MAX"),
        ("transfer codings", "H1_ANSWER_CODINGS_MAX"),
    ],
)
def test_limits_are_those_of_the_program(what, limit):
    row = re.search(rf"^\| {what}.*$", section("Limits"), re.M)[0]
    told = row.split(" | ")[1]
    assert int(re.findall(r"\b\d+\b", told)[-1]) == number(limit)
