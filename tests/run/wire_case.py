# SPDX-License-Identifier: ISC
"""Reads the cases of the wire corpus; tests/wire/README.md describes the format."""

import re
from dataclasses import dataclass, field
from pathlib import Path

CORPUS = Path(__file__).resolve().parents[1] / "wire"

ESCAPES = {"r": "\r", "n": "\n", "t": "\t", "0": "\0", "\\": "\\"}


@dataclass(eq=False)
class Section:
    kind: str  # client, backend, response, reply, reconnect, close, error
    bytes: bytes = b""
    name: str = ""  # of an error
    unanswered: bool = False


@dataclass
class Case:
    name: str
    settings: tuple = ()
    sections: list = field(default_factory=list)

    def all(self, kind):
        """The bytes of all sections of a kind."""
        return b"".join(section.bytes for section in self.sections if section.kind == kind)

    def has(self, kind):
        return any(section.kind == kind for section in self.sections)


def _unescape(match):
    code = match[1]
    return chr(int(code[1:], 16)) if code[0] == "x" else ESCAPES[code]


def unescape(text):
    """The bytes that a text with escapes stands for."""
    return re.sub(r"\\(x[0-9a-f]{2}|.)", _unescape, text).encode("latin-1")


def _line(text):
    """The bytes that a line of a section stands for."""
    backslashes = len(text) - len(text.rstrip("\\"))
    end = "\r\n"
    if backslashes % 2:
        text, end = text[:-1], ""
    text = re.sub(r"\\(x[0-9a-f]{2}|.)", _unescape, text)
    return (text + end).encode("latin-1")


def _lines(text):
    if not text.startswith("@"):
        return _line(text)
    count, line = re.fullmatch(r"@repeat (\d+) (.*)", text).groups()
    return int(count) * _line(line)


def _section(heading):
    kind, *words = heading.split()
    if kind != "error":
        return Section(kind)
    return Section(kind, name=words[0], unanswered=words[1:] == ["unanswered"])


def read_case(path):
    head, *parts = re.split(r"^== ", path.read_text("ascii"), flags=re.M)
    assert all(line.startswith("#") for line in head.splitlines()), path
    case = Case(path.stem)
    for part in parts:
        heading, _, text = part.partition("\n")
        lines = text.split("\n")[:-1]
        if heading == "settings":
            case.settings = tuple(lines)
            continue
        case.sections.append(_section(heading))
        case.sections[-1].bytes = b"".join(map(_lines, lines))
    assert case.settings and case.sections, path
    return case


def paths_of_cases():
    """A folder a class; a case's name alone is the id of its tests, and the name of a seed."""
    paths = sorted(CORPUS.glob("*/*.wire"), key=lambda path: path.stem)
    assert len({path.stem for path in paths}) == len(paths) > 0
    return paths


def read_corpus():
    return [read_case(path) for path in paths_of_cases()]
