# SPDX-License-Identifier: ISC
"""The series: steps, each of which becomes a patch."""

import os
import shutil
import tempfile
from pathlib import Path

from . import facts
from .build import Build
from .hooks import hooks_of
from .manual import Manual
from .tree import CORE, GLUE, PATCHES, PORT, SHARED, Refusal, project_version, run


def add_files(tree, files, folder):
    for path in files:
        text = path.read_text().replace("@VERSION@", project_version())
        tree.write(f"src/{folder}{path.name}", text)


def core_files():
    return sorted(path for path in CORE.iterdir() if path.suffix in (".c", ".h"))


def step_core(tree):
    add_files(tree, core_files(), "core/")
    add_files(tree, SHARED, "")
    files = [f"core/{path.name}" for path in core_files()] + [path.name for path in SHARED]
    Build(tree).add("HTTP and the PROXY protocol, and what TLS knows", files, "-I$(srcdir)/core")


def step_port(tree):
    add_files(tree, PORT, "")
    Build(tree).add("What OpenSSL 1.1.1 and later have in other places", [path.name for path in PORT])


def step_options(tree):
    add_files(tree, GLUE, "")
    tree.write(f"src/{facts.HEADER}", facts.era_header(facts.facts_of(tree)))
    files = sorted([facts.HEADER, *(path.name for path in GLUE)])
    Build(tree).add("What calls them from stunnel", files)


def step_manual(tree):
    Manual(tree).add(PATCHES / "06-manual.pod")


class Step:
    """A patch: its hooks are those of the .cocci file of its number."""

    def __init__(self, name, title=None, act=None, optional=False):
        self.name, self.title, self.act = name, title, act
        self.optional = optional  # nobody needs it: left out where its place is missing

    def hooks(self):
        path = cocci_of(self.name)
        return hooks_of(path) if path else []

    def is_for(self, tree):
        return True

    def apply(self, tree, tell):
        if self.act:
            self.act(tree)
        for hook in self.hooks():
            if hook.needed(tree):
                tell(hook, *hook.apply(tree))


class Port(Step):
    """Made for a tree that has something which OpenSSL has no more; nothing of it may be left."""

    def rules(self):
        return [rule for hook in self.hooks() for rule in hook.rules]

    def is_for(self, tree):
        return any(rule.is_needed(tree) for rule in self.rules())

    def apply(self, tree, tell):
        super().apply(tree, tell)
        for rule in self.rules():
            rule.refuse_what_is_left(tree)


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
]


def cocci_of(name):
    found = list(PATCHES.glob(f"{name[:2]}-*.cocci"))
    return found[0] if found else None


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
        + f"Author: the authors of stunnel-http\n"
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
            *("diff", "-a", "-U3", "--label", label, "--label", f"b/{name}", source, after),
            status=(1,),
            env=dict(os.environ, LC_ALL="C"),
            encoding="latin-1",
        )
    return text


def make_series(tree, tell=lambda hook, rule, found: None):
    """[(file name, text)] in order, and what is to be said of it."""
    series, warnings = [], []
    facts.refuse(tree)
    for step in STEPS:
        if not step.is_for(tree):
            continue
        with tempfile.TemporaryDirectory() as folder:
            before = Path(folder) / "before"
            shutil.copytree(tree.work, before, symlinks=True)
            try:
                step.apply(tree, tell)
            except Refusal as refusal:
                if not step.optional:
                    raise
                warnings.append(f"{step.name} is left out: {refusal}")
                shutil.rmtree(tree.work)
                shutil.copytree(before, tree.work, symlinks=True)
                continue
            head = dep3(step.name, step.title, tree)
            series.append((f"{step.name}.patch", head + difference(before, tree.work)))
    return series, warnings
