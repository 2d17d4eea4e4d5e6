# SPDX-License-Identifier: ISC
"""What of a source file is compiled with an OpenSSL of today."""

import functools
import operator
import re

# The oldest and the newest that the port is written for.
VERSIONS = (0x1010100F, 0x30500000)

TOKEN = re.compile(
    r"/\*.*?\*/|//[^\n]*|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'", re.S
)


def code_of(text):
    """Without comments, and with empty strings; lines stay where they are."""

    def blank(match):
        lines = "\n" * match[0].count("\n")
        return lines if match[0][0] == "/" else '""' + lines

    return TOKEN.sub(blank, text)


COMPARED = {
    "<": operator.lt,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    ">=": operator.ge,
    ">": operator.gt,
}
COMPARISON = re.compile(r"\s*OPENSSL_VERSION_NUMBER\s*([<=>!]=|[<>])\s*(0x[0-9a-fA-F]+)[uUlL]*\s*")


def truth_of(condition, version):
    """Of one that does nothing but compare OpenSSL's version; None of any other."""
    for alternative in condition.split("||"):
        terms = [COMPARISON.fullmatch(term) for term in alternative.split("&&")]
        if None in terms:
            return None
        if all(COMPARED[term[1]](version, int(term[2], 16)) for term in terms):
            return True
    return False


class Conditions:
    """The conditionals around a line."""

    def __init__(self, version):
        self.version = version
        self.open = []  # of each: [is this branch compiled, was one before it sure to be]

    def compiled(self):
        return all(branch for branch, _ in self.open)

    def directive(self, word, condition):
        if word in ("if", "ifdef", "ifndef"):
            truth = truth_of(condition, self.version) if word == "if" else None
            self.open.append([truth is not False, truth is True])
        elif word == "elif" and self.open:
            truth = truth_of(condition, self.version)
            done = self.open[-1][1]
            self.open[-1] = [not done and truth is not False, done or truth is True]
        elif word == "else" and self.open:
            self.open[-1][0] = not self.open[-1][1]
        elif word == "endif" and self.open:
            self.open.pop()


def compiled_with(text, version):
    conditions = Conditions(version)
    lines = []
    continued = ""
    for line in text.split("\n"):
        whole = continued + line
        continued = whole[:-1] + " " if whole.endswith("\\") and whole.lstrip().startswith("#") else ""
        match = re.match(r"\s*#\s*(\w+)(.*)", whole) if not continued else None
        if match:
            conditions.directive(match[1], match[2])
        lines.append(line if conditions.compiled() else "")
    return "\n".join(lines)


@functools.lru_cache(maxsize=512)
def live_code(text, version):
    return compiled_with(code_of(text), version)


def places(text, pattern):
    """[(line, what matched)] in code that is compiled with any of the versions."""
    found = {}
    for version in VERSIONS:
        live = live_code(text, version)
        for match in re.finditer(pattern, live):
            found[live.count("\n", 0, match.start()) + 1] = " ".join(match[0].split())
    return sorted(found.items())
