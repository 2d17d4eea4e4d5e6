# SPDX-License-Identifier: ISC
"""What was tried with which release of stunnel: patches/versions.tsv, and the page made of it.

A row is one tree. An empty field says that nobody tried; none is ever filled in by hand.
"""

import csv
import itertools
import re
from dataclasses import astuple, dataclass, fields
from pathlib import Path

PATCHES = Path(__file__).resolve().parents[2] / "patches"
DATA = PATCHES / "versions.tsv"
PAGE = PATCHES / "VERSIONS.md"
NEWEST_KNOWN = "5.82"  # releases up to here that nobody had a tree of are listed as not tried


@dataclass
class Row:
    release: str  # of stunnel, and whose if it is not upstream's
    project: str = ""  # which stunnel-http it was
    day: str = ""  # when
    openssl: str = ""  # that it was built and ran with
    rules: str = ""  # of hooks that have several: "HOOK=RELEASES; ..."
    left_out: str = ""  # patches that nobody needs: their numbers
    refused: str = ""  # why there is no series
    patches: str = ""  # that fit exactly and built without a warning in our files, one by one
    wire: str = ""  # "PASSED/FAILED" of the wire corpus over TLS
    scenarios: str = ""  # the same of all of tests/run that is for a patched stock
    suite: str = ""  # "PASSED/PASSED" of the release's own tests: unpatched, and patched
    sanitized: str = ""  # "PASSED/FAILED" of the wire corpus with clang's sanitizers

    @property
    def number(self):
        return tuple(int(part) for part in re.findall(r"\d+", self.release.split()[0]))

    @property
    def is_upstreams(self):
        return " " not in self.release


def read(path=DATA):
    if not path.exists():
        return []
    with open(path, newline="", encoding="ascii") as file:
        return [Row(**line) for line in csv.DictReader(file, dialect="excel-tab")]


def write(rows, path=DATA):
    with open(path, "w", newline="", encoding="ascii") as file:
        writer = csv.writer(file, dialect="excel-tab", lineterminator="\n")
        writer.writerow(field.name for field in fields(Row))
        writer.writerows(astuple(row) for row in sorted(rows, key=lambda row: (row.number, row.release)))


def put(row, path=DATA):
    """Stands instead of what was said of this release: also where less was tried now."""
    write([old for old in read(path) if old.release != row.release] + [row], path)


# ---- the page -------------------------------------------------------------------------------


HEAD = """\
# Which releases of stunnel the patches were tried with

<!-- LICENCE -->
<!-- Made from versions.tsv by tests/patches/trial --page: change neither by hand. -->

Each row is what `tests/patches/trial TREE` found on one tree of that release. To *build* is to push
every patch with no fuzz and no offset and to build after each, with no warning in our files; then
`stunnel -version` names them. The *wire corpus* are the cases of `tests/wire` over TLS, each whole and
in pieces; *scenarios* are all of `tests/run` that a patched stunnel has options for, the corpus among
them, with real haproxy, nginx, Apache and browsers. Both count what passed, and what failed if anything
did. The *own tests* are the release's: how many pass unpatched, and patched. *Sanitizers*: the wire
corpus again, built with clang's address and undefined-behaviour sanitizers.

Rows of 1242 wire cases were tried while the patches still passed responses on as they came. Since then the
HTTP machine writes them, for all releases by the same code, and the corpus has grown by the cases of that:
they passed with 4.46, 4.57, 5.00, 5.30, 5.44, 5.74 and 5.75, each case whole and none in pieces.
"""


def verdict(result):
    """Of "PASSED/FAILED"."""
    if not result:
        return "not tried"
    passed, failed = result.split("/")
    return f"{passed} passed" if failed == "0" else f"{passed} passed, **{failed} failed**"


def own_tests(row):
    if not row.suite:
        return "not tried"
    before, after = row.suite.split("/")
    return before if before == "none" else f"{before} unpatched, {after} patched"


def tried_row(row):
    patches = row.patches + (f", without {row.left_out}" if row.left_out else "")
    cells = [row.release, row.openssl, patches, verdict(row.wire), verdict(row.scenarios)]
    return cells + [own_tests(row), verdict(row.sanitized), f"{row.project}, {row.day}"]


def table(titles, rows):
    lines = ["| " + " | ".join(cells) + " |\n" for cells in [titles, *rows]]
    return lines[0] + "|" + "---|" * len(titles) + "\n" + "".join(lines[1:])


def span(rows):
    first, last = rows[0].release, rows[-1].release
    return first if first == last else f"{first} to {last}"


def grouped(rows, said):
    """(releases, what is said of all of them), for neighbours of which the same is said."""
    return [(span(list(group)), text) for text, group in itertools.groupby(rows, said)]


def hooks_of(row):
    if row.refused:
        return f"**refused:** {row.refused}"
    rules = "; ".join(": ".join(rule.split("=")) for rule in row.rules.split("; "))
    return rules + (f"; without {row.left_out}" if row.left_out else "")


def page(rows):
    tried = [row for row in rows if row.patches]
    upstreams = [row for row in rows if row.is_upstreams]
    text = HEAD.replace("LICENCE", "SPDX-License-" + "Identifier: ISC") + "\n"
    text += table(
        ["stunnel", "OpenSSL", "patches built", "wire corpus", "scenarios", "own tests"]
        + ["sanitizers", "stunnel-http"],
        map(tried_row, tried),
    )
    text += "\n## Which rules find their places\n\n"
    text += (
        "Of every release that there was a tree of. A hook with one rule for all releases is not named;\n"
        "the others with the rule that matched, by the releases that it was written for. A release that\n"
        "is here and not above has all its hooks and was **not built**.\n\n"
    )
    text += table(["stunnel", "hooks"], grouped(upstreams, hooks_of))
    text += f"\nNewer ones, to {NEWEST_KNOWN} and on: **not tried**.\n"
    return text


def write_page():
    PAGE.write_text(page(read()), encoding="ascii")
