# SPDX-License-Identifier: ISC
"""Facts: what a tree is like, for what cannot be one code for all releases."""

import re

from .openssl import code_of
from .tree import PATCHES, Refusal

TABLE = PATCHES / "stock.facts"
REFUSED = PATCHES / "stock.refused"
HEADER = "forward_era.h"


def rows(table):
    """The three columns of each line; the last one may hold blanks."""
    lines = [line for line in table.read_text().splitlines() if line and line[0] != "#"]
    return [line.split(None, 2) for line in lines]


def shows(tree, file, pattern):
    text = code_of(tree.read(file, f"what {file} shows"))
    return re.search(pattern, text) is not None


def facts_of(tree):
    """[(name, whether the tree has it)], as patches/stock.facts says."""
    return [(name, shows(tree, file, pattern)) for name, file, pattern in rows(TABLE)]


def refuse(tree):
    """Says why not, of a tree that patches/stock.refused is about."""
    for file, pattern, why in rows(REFUSED):
        if shows(tree, file, pattern):
            raise Refusal(f"{tree.source}: stunnel {tree.version} is refused: {why}")


def has(tree, name):
    return dict(facts_of(tree))[name]


def era_header(facts):
    lines = [
        "/* SPDX-License-" + "Identifier: ISC */",
        "/* What this tree of stunnel is like: found by tools/make-series of stunnel-http. */",
        "#ifndef FORWARD_ERA_H",
        "#define FORWARD_ERA_H",
        "",
        *(f"#define STOCK_HAS_{name} {int(found)}" for name, found in facts),
        "",
        "#endif",
    ]
    return "".join(f"{line}\n" for line in lines)
