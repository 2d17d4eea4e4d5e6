# SPDX-License-Identifier: ISC
"""Hooks: semantic patches, which spatch applies."""

import itertools
import re
import tempfile

from . import facts
from .tree import PATCHES, Refusal, run


def unparsed(tree, name, options):
    """What spatch cannot make sense of in a file, for a message; "" if it reads all of it."""
    said = run("spatch", *options, "--parse-c", tree.path(name), status=(0, 1))
    bad = re.search(r"nb good = \d+,  nb bad = (\d+)", said)
    if not bad or bad[1] == "0":
        return ""
    word = re.search(r"10 most problematic tokens\n-+\n(\w+):", said)
    near = f", near the word {word[1]}" if word else ""
    return f"; spatch cannot parse {bad[1]} lines of it{near}"


class Rule:
    """One rule of a .cocci file, with what it must find."""

    def __init__(self, file, text):
        field = dict(re.findall(r"^// (\w+): (.*)$", text, re.M))
        self.text = text
        self.origin = file.name
        self.name, self.file, self.wants = field["hook"], field["file"], field["wants"]
        self.releases = field.get("releases", "all releases")
        self.unless = field.get("unless", "").split()
        self.options = ["--macro-file", PATCHES / "stock.macros", *field.get("spatch", "").split()]
        count, self.token = field["makes"].split(" ", 1)
        self.least = int(count.rstrip("+"))
        self.most = None if count.endswith("+") else self.least

    def apply(self, tree):
        """How often it found its place; the tree is as before where that is not what it must be."""
        before = tree.read(self.file, self.name)
        with tempfile.NamedTemporaryFile("w", suffix=".cocci") as rule:
            rule.write(self.text)
            rule.flush()
            run(
                *("spatch", "--very-quiet", *self.options),
                *("--sp-file", rule.name, "--in-place", tree.path(self.file)),
            )
        found = tree.read(self.file, self.name).count(self.token) - before.count(self.token)
        if self.least <= found and (self.most is None or found <= self.most):
            return found
        tree.write(self.file, before)
        times = {0: "was not found", 1: "was found once"}.get(found, f"was found {found} times")
        expected = f"{self.least}" + (" or more" if self.most is None else "")
        raise Refusal(
            f"hook '{self.name}' ({self.origin}): {self.wants} in {self.file} {times} "
            f"(expected: {expected}){unparsed(tree, self.file, self.options)}"
        )


class Hook:
    """A place, and the rules that look for it: one for each shape that it has had."""

    def __init__(self, rules):
        self.rules = rules
        self.name = rules[0].name

    def needed(self, tree):
        """Not in a tree with a fact that stands behind `unless:`, for which another hook does it."""
        return not any(facts.has(tree, name) for rule in self.rules for name in rule.unless)

    def apply(self, tree):
        """The rule that found its place, and how often."""
        missed = []
        for rule in self.rules:
            try:
                return rule, rule.apply(tree)
            except Refusal as refusal:
                missed.append(str(refusal))
        raise Refusal("; nor, ".join(missed))


def hooks_of(path):
    parts = re.split(r"^(?=// hook: )", path.read_text(), flags=re.M)[1:]
    rules = [Rule(path, text) for text in parts]
    return [Hook(list(group)) for _, group in itertools.groupby(rules, lambda rule: rule.name)]
