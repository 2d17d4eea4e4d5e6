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


def spatch(tree, name, rules):
    """Applies rules to a file in one run; how often each of them found its place."""
    before = tree.read(name, rules[0].name)
    with tempfile.NamedTemporaryFile("w", suffix=".cocci") as file:
        file.write("".join(rule.text for rule in rules))
        file.flush()
        run(
            *("spatch", "--very-quiet", *rules[0].options),
            *("--sp-file", file.name, "--in-place", tree.path(name)),
        )
    after = tree.read(name, rules[0].name)
    return [after.count(rule.token) - before.count(rule.token) for rule in rules]


class Rule:
    """One rule of a .cocci file, with what it must find."""

    def __init__(self, file, text):
        field = dict(re.findall(r"^// (\w+): (.*)$", text, re.M))
        self.text = text
        self.origin = file.name
        self.name, self.file, self.wants = field["hook"], field["file"], field["wants"]
        self.releases = field.get("releases", "all releases")
        self.since = self.releases.split()[0]
        self.unless = field.get("unless", "").split()
        self.options = ["--macro-file", PATCHES / "stock.macros", *field.get("spatch", "").split()]
        self.options = [re.sub(r"^@", f"{PATCHES}/", str(word)) for word in self.options]
        self.names = set(re.findall(r"^@(\w+)[^@\n]*@$", text, re.M))  # that others could have, too
        count, self.token = field["makes"].split(" ", 1)
        self.gone, self.stale = field.get("gone"), field.get("stale")
        self.replaces = bool(self.gone or self.stale)  # in any file, what OpenSSL has no more
        self.least = int(count.rstrip("+"))
        self.most = None if count.endswith("+") else self.least

    def is_for(self, version):
        """Whether it says so. What a tree has decides all the same: this is only what is tried first."""
        ends = [number(end) for end in re.findall(r"\d+\.\d+", self.releases)]
        if not ends or not number(version):
            return False
        return ends[0] <= number(version) and (len(ends) == 1 or number(version) <= ends[1])

    def goes_with(self, rules):
        """Whether one run of spatch can apply it with these."""
        same = all((rule.file, rule.options) == (self.file, self.options) for rule in rules)
        return same and not self.replaces and not any(rule.names & self.names for rule in rules)

    def fits(self, found):
        return self.least <= found and (self.most is None or found <= self.most)

    def apply(self, tree):
        """How often it found its place; the tree is as before where that is not what it must be."""
        if not self.replaces:
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

    def _apply_to(self, tree, name):
        before = tree.read(name, self.name)
        (found,) = spatch(tree, name, [self])
        if self.fits(found):
            return found
        tree.write(name, before)
        times = {0: "was not found", 1: "was found once"}.get(found, f"was found {found} times")
        expected = f"{self.least}" + (" or more" if self.most is None else "")
        raise Refusal(
            f"hook '{self.name}' ({self.origin}): {self.wants} in {name} {times} "
            f"(expected: {expected}){unparsed(tree, name, self.options)}"
        )


def number(version):
    match = re.match(r"(\d+)\.(\d+)", version)
    return match and (int(match[1]), int(match[2]))


class Hook:
    """A place, and the rules that look for it: one for each shape that it has had."""

    def __init__(self, rules):
        self.rules = rules
        self.name = rules[0].name

    def needed(self, tree):
        """Not in a tree with a fact that stands behind `unless:`, for which another hook does it."""
        return not any(facts.has(tree, name) for rule in self.rules for name in rule.unless)

    def likely(self, version):
        return next((rule for rule in self.rules if rule.is_for(version)), self.rules[0])

    def apply(self, tree):
        """The outcome, with the first rule that finds its place."""
        missed = []
        for rule in self.rules:
            try:
                return Outcome(self, rule, rule.apply(tree))
            except Refusal as refusal:
                missed.append(str(refusal))
        return Outcome(self, refusal="; nor, ".join(missed))


class Outcome:
    """Of looking for a hook: the rule that found its place and how often, or why there is none."""

    def __init__(self, hook, rule=None, found=0, refusal=None):
        self.hook, self.rule, self.found, self.refusal = hook, rule, found, refusal


def hooks_of(path):
    parts = re.split(r"^(?=// hook: )", path.read_text(), flags=re.M)[1:]
    rules = [Rule(path, text) for text in parts]
    return [Hook(list(group)) for _, group in itertools.groupby(rules, lambda rule: rule.name)]


def apply_hooks(hooks, tree):
    """An outcome for each, in their order.

    A run of spatch takes longer to read a file than to change it: the likely rules of a file are
    applied in one. Where one does not fit, its hook is looked for on its own, in all its shapes.
    """
    batches = []
    for hook in hooks:
        rule = hook.likely(tree.version)
        batch = next((one for one in batches if rule.goes_with(one.values())), None)
        if batch is None:
            batches.append(batch := {})
        batch[hook] = rule
    outcomes = {}
    for batch in batches:
        outcomes |= apply_batch(batch, tree)
    return [outcomes[hook] for hook in hooks]


def apply_batch(batch, tree):
    """{hook: outcome} of {hook: rule}"""
    rule = next(iter(batch.values()))
    name = rule.file
    if rule.replaces or not tree.path(name).is_file():
        return {hook: hook.apply(tree) for hook in batch}
    before = tree.read(name)
    found = dict(zip(batch, spatch(tree, name, list(batch.values()))))
    right = {hook: rule for hook, rule in batch.items() if rule.fits(found[hook])}
    if len(right) == len(batch):
        return {hook: Outcome(hook, rule, found[hook]) for hook, rule in batch.items()}
    tree.write(name, before)
    outcomes = apply_batch(right, tree) if right else {}
    return outcomes | {hook: hook.apply(tree) for hook in batch if hook not in right}
