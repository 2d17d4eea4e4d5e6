# SPDX-License-Identifier: ISC
"""Hooks: semantic patches, which spatch applies."""

import itertools
import re
import tempfile

from . import facts
from .openssl import places
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
        self.options = [re.sub(r"^@", f"{PATCHES}/", str(word)) for word in self.options]
        count, self.token = field["makes"].split(" ", 1)
        self.gone, self.stale = field.get("gone"), field.get("stale")
        self.least = int(count.rstrip("+"))
        self.most = None if count.endswith("+") else self.least

    def apply(self, tree):
        """How often it found its place; the tree is as before where that is not what it must be."""
        if not self.gone and not self.stale:
            return self._apply_to(tree, self.file)
        return sum(self._replace_in(tree, name) for name in tree.names(self.file))

    def _replace_in(self, tree, name):
        """What a release does not have need not be replaced there; what it has must not be left."""
        if not self.places(tree, [name]):
            return 0
        found = self._apply_to(tree, name)
        self.refuse_what_is_left(tree, [name])
        return found

    def places(self, tree, names=None, patterns=None):
        """[(file, line, text)] of what OpenSSL has no more, or has with another meaning."""
        return [
            (name, line, text)
            for name in names or tree.names("src/*.[ch]")
            for pattern in patterns or (self.gone, self.stale)
            for line, text in (places(tree.read(name, self.name), pattern) if pattern else [])
        ]

    def is_needed(self, tree):
        return bool(self.gone and self.places(tree, patterns=[self.gone]))

    def refuse_what_is_left(self, tree, names=None):
        for name, line, text in self.places(tree, names):
            raise Refusal(
                f"hook '{self.name}' ({self.origin}): {name}:{line}: `{text}` is not OpenSSL's any "
                f"more, and the rule does not find it{unparsed(tree, name, self.options)}"
            )

    def _apply_to(self, tree, file):
        before = tree.read(file, self.name)
        with tempfile.NamedTemporaryFile("w", suffix=".cocci") as rule:
            rule.write(self.text)
            rule.flush()
            run(
                *("spatch", "--very-quiet", *self.options),
                *("--sp-file", rule.name, "--in-place", tree.path(file)),
            )
        found = tree.read(file, self.name).count(self.token) - before.count(self.token)
        if self.least <= found and (self.most is None or found <= self.most):
            return found
        tree.write(file, before)
        times = {0: "was not found", 1: "was found once"}.get(found, f"was found {found} times")
        expected = f"{self.least}" + (" or more" if self.most is None else "")
        raise Refusal(
            f"hook '{self.name}' ({self.origin}): {self.wants} in {file} {times} "
            f"(expected: {expected}){unparsed(tree, file, self.options)}"
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
