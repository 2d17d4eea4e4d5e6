# SPDX-License-Identifier: ISC
"""Facts: what a tree is like, for what cannot be one code for all releases."""

import re

from .tree import PATCHES

TABLE = PATCHES / "stock.facts"
HEADER = "forward_era.h"


def without_comments(text):
    """C, in which nothing that stands in a comment is found."""
    return re.sub(r"/\*.*?\*/|//[^\n]*", " ", text, flags=re.S)


def facts_of(tree):
    """[(name, whether the tree has it)], as patches/stock.facts says."""
    facts = []
    for line in TABLE.read_text().splitlines():
        if line and not line.startswith("#"):
            name, file, pattern = line.split(None, 2)
            text = without_comments(tree.read(file, f"fact {name}"))
            facts.append((name, re.search(pattern, text) is not None))
    return facts


def has(tree, name):
    return dict(facts_of(tree))[name]


def era_header(facts):
    lines = [
        "/* SPDX-License-Identifier: ISC */",
        "/* What this tree of stunnel is like: found by tools/make-series of stunnel-http. */",
        "#ifndef FORWARD_ERA_H",
        "#define FORWARD_ERA_H",
        "",
        *(f"#define STOCK_HAS_{name} {int(found)}" for name, found in facts),
        "",
        "#endif",
    ]
    return "".join(f"{line}\n" for line in lines)
