# SPDX-License-Identifier: ISC
"""The series: steps, each of which becomes a patch."""

import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from . import facts
from .build import Build
from .hooks import apply_hooks, hooks_of
from .manual import Manual
from .tree import CORE, DAEMON, GLUE, PATCHES, PORT, SHARED, Refusal, Tree, project_version, run
from .windows import add_to_makefiles


def add_files(tree, files):
    """Each gets the path below src/ that it has in its folder of ours; their names there."""
    names = []
    for path in files:
        names.append(str(path.relative_to(DAEMON if DAEMON in path.parents else PATCHES)))
        tree.write(f"src/{names[-1]}", path.read_text().replace("@VERSION@", project_version()))
    return names


def core_files():
    return sorted(path for path in CORE.iterdir() if path.suffix in (".c", ".h"))


def step_core(tree):
    files = add_files(tree, core_files() + SHARED)
    Build(tree).add(
        "HTTP and the PROXY protocol, and what TLS knows", files, "-I$(srcdir)/core -I$(srcdir)"
    )


def step_port(tree):
    files = add_files(tree, PORT)
    Build(tree).add("What OpenSSL 1.1.1 and later have in other places", files)


def step_options(tree):
    files = add_files(tree, GLUE)
    tree.write(f"src/{facts.HEADER}", facts.era_header(facts.facts_of(tree)))
    Build(tree).add("What calls them from stunnel", sorted([facts.HEADER, *files]))


def step_manual(tree):
    Manual(tree).add(PATCHES / "06-manual.pod")


def step_windows(tree):
    ours = [path.relative_to(DAEMON) for path in core_files() + SHARED]
    ours += sorted([*(path.name for path in GLUE + PORT), facts.HEADER])
    add_to_makefiles(tree, [str(name) for name in ours if tree.path(f"src/{name}").is_file()])


class Step:
    """A patch: its hooks are those of the .cocci file of its number."""

    def __init__(self, name, title=None, act=None, optional=False):
        self.name, self.title, self.act = name, title, act
        self.optional = optional  # nobody needs it: left out where its place is missing
        path = cocci_of(name)
        self.hooks = hooks_of(path) if path else []

    def is_for(self, tree):
        return True

    def needed_hooks(self, tree):
        return [hook for hook in self.hooks if hook.needed(tree)]


class Port(Step):
    """Made for a tree that has something which OpenSSL has no more; nothing of it may be left."""

    def is_for(self, tree):
        return any(rule.is_needed(tree) for hook in self.hooks for rule in hook.rules)

    def apply(self, tree):
        """(outcomes, {file: text}), in the tree itself: its hooks are in any file."""
        outcomes = [hook.apply(tree) for hook in self.needed_hooks(tree)]
        for outcome in outcomes:
            for rule in outcome.hook.rules:
                try:
                    rule.refuse_what_is_left(tree)
                except Refusal as refusal:
                    outcome.refusal = outcome.refusal or str(refusal)
        return outcomes, {name: tree.read(name) for name in tree.names("src/*.[ch]")}


def cocci_of(name):
    found = list(PATCHES.glob(f"{name[:2]}-*.cocci"))
    return found[0] if found else None


STEPS = [
    Port("00-openssl-port", act=step_port),
    Step("01-forward-core", "HTTP/1 and PROXY protocol machines", step_core),
    Step("02-forward-options", act=step_options),
    Step("03-forward-http"),
    Step("04-forward-proxy"),
    Step("05-forward-version", optional=True),
    Step(
        "06-forward-manual", "Manual of the header and PROXY options", step_manual, optional=True
    ),
    Step("07-forward-windows", "Makefiles for Windows and OS/2", step_windows, optional=True),
]


def description(name, title):
    """Title and further lines, from the .cocci file's head."""
    path = cocci_of(name)
    if not path:
        return title, []
    head = path.read_text().split("// hook:")[0].splitlines()
    lines = [line.removeprefix("//").strip() for line in head]
    title = next(line.removeprefix("title: ") for line in lines if line.startswith("title: "))
    rest = lines[lines.index(f"title: {title}") + 1 :]
    return title, [line for line in rest if line]


def dep3(name, title, tree):
    title, lines = description(name, title)
    lines = lines + [
        f"Made for stunnel {tree.version} by tools/make-series of stunnel-http {project_version()}."
    ]
    return (
        f"Description: {title}\n"
        + "".join(f" {line}\n" for line in lines)
        + "Author: the authors of stunnel-http\n"
        + f"Origin: other, stunnel-http {project_version()}\n"
        + "Forwarded: not-needed\n"
        + "License: ISC\n\n"
    )


def files_below(root):
    return {
        str(path.relative_to(root)) for path in root.rglob("*") if path.is_file() and not path.is_symlink()
    }


# pod2man must not find its target older than its source: sources come first.
def order(name):
    return (name.endswith(".in") and not name.endswith(".pod.in"), name)


def difference(old, new):
    text = ""
    for name in sorted(files_below(old) | files_below(new), key=order):
        before, after = old / name, new / name
        if before.is_file() and before.read_bytes() == after.read_bytes():
            continue
        label = f"a/{name}" if before.is_file() else "/dev/null"
        source = before if before.is_file() else Path("/dev/null")
        text += run(
            *("diff", "-a", "-p", "-U3", "--label", label, "--label", f"b/{name}", source, after),
            status=(1,),
            env=dict(os.environ, LC_ALL="C"),
            encoding="latin-1",
        )
    return text


# ---- hooks first, side by side: spatch takes nearly all of the time --------------------------


class Chain:
    """Hooks, by step, that have no file in common with those of other chains."""

    def __init__(self, step, hooks):
        self.files = {rule.file for hook in hooks for rule in hook.rules}
        self.hooks = {step: hooks}

    def join(self, other):
        self.files |= other.files
        for step, hooks in other.hooks.items():
            self.hooks[step] = self.hooks.get(step, []) + hooks

    def apply(self, tree):
        """{step: (outcomes, {file: text})}"""
        result = {}
        for step, hooks in self.hooks.items():
            before = self._texts(tree)
            outcomes = apply_hooks(hooks, tree)
            if step.optional and any(outcome.refusal for outcome in outcomes):
                for name, text in before.items():
                    tree.write(name, text)
            result[step] = outcomes, self._texts(tree)
        return result

    def _texts(self, tree):
        return {name: tree.read(name) for name in self.files if tree.path(name).is_file()}


def chains(steps, tree):
    """As many as there can be. A step that may be left out is in one, to be left out as a whole."""
    found = []
    for step in steps:
        hooks = step.needed_hooks(tree)
        for part in [hooks] if step.optional else [[hook] for hook in hooks]:
            chain = Chain(step, part)
            for other in [one for one in found if one.files & chain.files]:
                found.remove(other)
                other.join(chain)
                chain = other
            found.append(chain)
    return found


def apply_all_hooks(steps, tree):
    """{step: (outcomes, {file: text})}; the tree itself stays as it is."""
    result = {step: ([], {}) for step in steps}
    with tempfile.TemporaryDirectory() as folder:
        scratch = tree.copy(Path(folder))
        ports = [step for step in steps if isinstance(step, Port)]
        for step in ports:
            result[step] = step.apply(scratch)
        side_by_side = chains([step for step in steps if step not in ports], scratch)
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for part in pool.map(lambda chain: chain.apply(scratch), side_by_side):
                for step, (outcomes, texts) in part.items():
                    result[step][0].extend(outcomes)
                    result[step][1].update(texts)
    for step, (outcomes, _) in result.items():
        outcomes.sort(key=lambda outcome: step.hooks.index(outcome.hook))
    return result


# ---- the series ------------------------------------------------------------------------------


class Series:
    """What was found out of a tree, and the patches if it can have them."""

    def __init__(self, tree):
        self.version = tree.version
        self.patches = []  # (file name, text) in order
        self.outcomes = []  # of all hooks
        self.refusals = []
        self.warnings = []  # what is left out, and why
        try:
            facts.refuse(tree)
        except Refusal as refusal:
            self.refusals.append(str(refusal))
            return
        steps = [step for step in STEPS if step.is_for(tree)]
        found = apply_all_hooks(steps, tree)
        for step in steps:
            self._add(tree, step, *found[step])

    def _add(self, tree, step, outcomes, texts):
        self.outcomes += outcomes
        refusals = [outcome.refusal for outcome in outcomes if outcome.refusal]
        with tempfile.TemporaryDirectory() as folder:
            before = tree.copy(Path(folder))
            try:
                if step.act:
                    step.act(tree)
            except Refusal as refusal:
                refusals.append(str(refusal))
            if not refusals:
                for name, text in texts.items():
                    tree.write(name, text)
                text = dep3(step.name, step.title, tree) + difference(before.work, tree.work)
                self.patches.append((f"{step.name}.patch", text))
            elif step.optional:
                tree.restore(before)
                self.warnings += [f"{step.name} is left out: {refusal}" for refusal in refusals]
            else:
                self.refusals += [refusal for refusal in refusals if refusal not in self.refusals]


def series_of(path):
    with tempfile.TemporaryDirectory() as folder:
        return Series(Tree(path, Path(folder)))


def series_or_refusal(path):
    """For those who go on with other trees."""
    try:
        return series_of(path)
    except Refusal as refusal:
        return refusal
