# SPDX-License-Identifier: ISC
"""What a tree is like: patches/stock.facts, and who may ask for it."""

import re
from pathlib import Path

import pytest
from peers import OURS
from series import facts
from series.tree import Refusal

TOP = Path(__file__).resolve().parents[2]

HEADERS = {
    "src/prototypes.h": "/* char *sni; */\nint\tverify_level;\nint s_poll_hup (void);\n// int protocol;\n",
    "src/common.h": "typedef int SOCKET;\n",
    "src/options.c": "typedef enum { CMD_HELP } CMD;\n",
    "src/ssl.c": "i = SSL_SESSION_get_ex_new_index(0, name, NULL, NULL, free_it);\n",
    "src/client.c": "failed = get_socket_error(fd) || s_poll_hup(fds, fd); // !(a || b || c || d)\n",
}


class Tree:
    source, version = "there", "1.0"

    def __init__(self, headers=None):
        self.headers = headers or HEADERS

    def read(self, name, _hook):
        return self.headers[name]


def known():
    return re.findall(r"^([A-Z]\w+) ", facts.TABLE.read_text(), re.M)


def test_facts_are_found_in_the_code_and_not_in_its_comments():
    found = dict(facts.facts_of(Tree()))
    assert list(found) == known()
    assert {name for name in found if found[name]} == {"VERIFY_LEVEL", "POLL_HUP", "SOCKET", "TRUSTS_POLL"}


def test_tree_that_is_refused_is_told_why():
    facts.refuse(Tree())
    older = {"src/prototypes.h": "typedef struct {\n    s_poll_set fds; /* all */\n} CLI;\n"}
    with pytest.raises(Refusal, match="stunnel 1.0 is refused: before 4.46 a connection"):
        facts.refuse(Tree(older))


def test_header_says_each_as_a_number():
    text = facts.era_header([("ONE", True), ("TWO", False)])
    assert re.findall(r"^#define (STOCK_HAS_\w+) (\d)$", text, re.M) == [
        ("STOCK_HAS_ONE", "1"),
        ("STOCK_HAS_TWO", "0"),
    ]


def test_one_file_and_the_hooks_ask_for_all_facts():
    asked = set()
    for path in (TOP / "patches").glob("forward*.[ch]"):
        names = set(re.findall(r"\bSTOCK_HAS_([A-Z]\w*)", path.read_text()))
        assert not names or path.stem == "forward_stock", path.name
        asked |= names
    for path in (TOP / "patches").glob("*.cocci"):
        for names in re.findall(r"^// unless: (.*)$", path.read_text(), re.M):
            asked |= set(names.split())
    assert asked == set(known())


def test_the_readme_lists_the_options():
    text = (TOP / "patches/README.md").read_text().split("## What it does then\n")[1]
    listed, others = text.split("They mean", 1)[0], text.split("Unlike in the daemon", 1)[0]
    shared = set(OURS) - {"sendproxy", "listenqueue"}  # for files of other patches
    assert set(re.findall(r"`(\w+)`", listed)) == shared
    assert all(f"`{name}`" in others for name in OURS)
