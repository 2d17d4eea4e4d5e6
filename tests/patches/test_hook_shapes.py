# SPDX-License-Identifier: ISC
"""Rules for releases that CI has no tree of, on skeletons of our own that have their shapes.

shapes/HOOK/RELEASE.* has the shape that the rule of HOOK looks for from RELEASE on. Each rule of a
hook finds its own skeleton, and leaves those of the others as they are. none.* has a shape that no
rule may take for its own. shapes/transfer/ has whole files, on which all rules for it are tried.
"""

import itertools
import re
import shutil
from pathlib import Path

import pytest
from series.hooks import Hook, hooks_of
from series.tree import Refusal

TOP = Path(__file__).resolve().parents[2]
SHAPES = Path(__file__).parent / "shapes"

pytestmark = pytest.mark.skipif(shutil.which("spatch") is None, reason="there is no spatch here")


def hooks_of_some_releases():
    hooks = [hook for path in TOP.glob("patches/*.cocci") for hook in hooks_of(path)]
    return {hook.name: hook for hook in hooks if len(hook.rules) > 1 or hook.rules[0].unless}


HOOKS = hooks_of_some_releases()


def since(rule):
    return re.match(r"(\d+\.\d+)", rule.releases)[1]


def skeleton(hook, rule):
    (found,) = (SHAPES / hook.replace(" ", "-")).glob(f"{since(rule)}.*")
    return found


class Tree:
    """A skeleton where the rule looks for its file."""

    def __init__(self, folder, rule, text):
        self.folder = folder
        self.path(rule.file).parent.mkdir(parents=True)
        self.write(rule.file, text)

    def path(self, name):
        return self.folder / name

    def read(self, name, _hook=None):
        return self.path(name).read_text()

    def write(self, name, text):
        self.path(name).write_text(text)


PAIRS = [
    (name, n, m)
    for name, hook in HOOKS.items()
    for n, m in itertools.product(range(len(hook.rules)), repeat=2)
]


@pytest.mark.parametrize("name,n,m", PAIRS)
def test_a_rule_finds_the_shape_of_its_releases_alone(tmp_path, name, n, m):
    rules = HOOKS[name].rules
    text = skeleton(name, rules[m]).read_text()
    tree = Tree(tmp_path, rules[n], text)
    if n == m:
        assert rules[n].apply(tree) == rules[n].least
        assert rules[n].token in tree.read(rules[n].file)
    elif is_last_resort(rules[n]):
        pytest.skip("the rules before it come first")
    else:
        with pytest.raises(Refusal, match=f"hook '{name}'"):
            rules[n].apply(tree)
        assert tree.read(rules[n].file) == text


def nothings():
    return [
        (name, n, path)
        for name, hook in HOOKS.items()
        for n in range(len(hook.rules))
        for path in (SHAPES / name.replace(" ", "-")).glob("none.*")
    ]


@pytest.mark.parametrize("name,n,path", nothings())
def test_a_shape_that_is_none(tmp_path, name, n, path):
    rule = HOOKS[name].rules[n]
    tree = Tree(tmp_path, rule, path.read_text())
    with pytest.raises(Refusal, match=f"hook '{name}'"):
        rule.apply(tree)
    assert tree.read(rule.file) == path.read_text()


def is_last_resort(rule):
    """Matches what the rules before it match, too."""
    return rule.name == "version" and rule is HOOKS["version"].rules[-1]


WHOLE = SHAPES / "transfer"
RULES_OF_CLIENT = [
    hook
    for path in sorted(TOP.glob("patches/0[234]-*.cocci"))
    for hook in hooks_of(path)
    if any(rule.file == "src/client.c" for rule in hook.rules)
]


def functions(text):
    """{name: text} of the functions of a skeleton."""
    found = re.finditer(r"^static void (\w+)\([^;]*?\)\n\{\n.*?^\}$", text, re.M | re.S)
    return {match[1]: match[0] for match in found}


def test_tcp_has_all_hooks_and_udp_has_none(tmp_path):
    rule = RULES_OF_CLIENT[0].rules[-1]
    text = (WHOLE / "5.76.c").read_text()
    tree = Tree(tmp_path, rule, text)
    tree.write(rule.file, text)
    for hook in RULES_OF_CLIENT:
        rules = [rule for rule in hook.rules if rule.file == "src/client.c"]
        Hook(rules).apply(tree)
    before, after = functions(text), functions(tree.read(rule.file))
    assert after["transfer_udp"] == before["transfer_udp"]
    changed = {name for name in before if after[name] != before[name]}
    assert changed == {"shake_hands", "serve", "transfer_tcp", "say_goodbye"}


def test_every_skeleton_belongs_to_a_rule():
    known = {skeleton(name, rule) for name, hook in HOOKS.items() for rule in hook.rules}
    there = {path for path in SHAPES.rglob("*") if path.is_file() and path.stem != "none"}
    assert known == there - set(WHOLE.iterdir())
