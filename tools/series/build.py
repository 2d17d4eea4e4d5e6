# SPDX-License-Identifier: ISC
"""The build: what is said of client.c is said of our files."""

import re
from pathlib import Path

from .tree import Refusal

WIDTH = 78  # of the lists that are added to Makefiles


def wrapped(words, end=""):
    """Lines of a list that goes on, each indented by a tab; the last one ends in `end`."""
    lines = [""]
    for word in words:
        if lines[-1] and 8 + len(lines[-1]) + len(word) + 3 > WIDTH:
            lines.append("")
        lines[-1] += f" {word}" if lines[-1] else word
    return "".join(f"\t{line} \\\n" for line in lines[:-1]) + f"\t{lines[-1]}{end}\n"


class Build:
    """src/Makefile.am, and src/Makefile.in as automake would have made of it."""

    HOOK = "build"

    def __init__(self, tree):
        self.tree = tree
        self.automake = tree.read("src/Makefile.am", self.HOOK)
        match = re.search(r"^bin_PROGRAMS *= *(\w+)", self.automake, re.M)
        if not match:
            raise Refusal(f"hook '{self.HOOK}': no bin_PROGRAMS in src/Makefile.am")
        self.program = match[1]
        own_flags = re.search(rf"^{self.program}_CPPFLAGS *=", self.automake, re.M)
        self.flags_of = self.program if own_flags else "AM"
        # automake names objects after their program where it has flags of its own.
        self.prefix = f"{self.program}-" if own_flags else ""

    def add(self, title, files, flags=""):
        self._add_to_automake(title, files, flags)
        if self.tree.path("src/Makefile.in").is_file():
            self._add_to_makefile(files, flags)

    def _add_to_automake(self, title, files, flags):
        text = self.tree.read("src/Makefile.am", self.HOOK)
        text += f"\n# {title}\n{self.program}_SOURCES += \\\n{wrapped(files)}"
        if flags:
            text += f"{self.flags_of}_CPPFLAGS += {flags}\n"
        self.tree.write("src/Makefile.am", text)

    def _add_to_makefile(self, files, flags):
        sources = [name for name in files if name.endswith(".c")]
        objects = [f"{self.prefix}{Path(name).stem}" for name in sources]
        self.lines = self.tree.read("src/Makefile.in", self.HOOK).splitlines(keepends=True)
        model = f"{self.prefix}client"
        self._extend_lists(f"{model}.$(OBJEXT)", [f"{name}.$(OBJEXT)" for name in objects])
        self._extend_lists("client.c", files)
        depfile = "./$(DEPDIR)/%s.Po"
        self._extend_lists(depfile % model, [depfile % name for name in objects], least=0)
        self._clone_lines(depfile % model, [depfile % name for name in objects])
        self._clone_rules(model, list(zip(objects, sources)))
        if flags:
            self._add_flags(flags)
        self.tree.write("src/Makefile.in", "".join(self.lines))

    def _missing(self, what):
        raise Refusal(f"hook '{self.HOOK}': {what} was not found in src/Makefile.in")

    def _list_lines(self, word):
        """Of a variable's value, or of its continuation: which holds the word."""
        in_list = False
        for n, line in enumerate(self.lines):
            in_list = in_list or re.match(r"[\w.]+ *\+?= ", line) is not None
            if in_list and word in line.split():
                yield n
            in_list = in_list and line.endswith("\\\n")

    def _extend_lists(self, word, words, least=1):
        found = list(self._list_lines(word))
        if len(found) < least:
            self._missing(f"a list with {word}")
        for n in reversed(found):
            more = self.lines[n].endswith("\\\n")
            if not more:
                self.lines[n] = self.lines[n].rstrip("\n") + " \\\n"
            self.lines.insert(n + 1, wrapped(words, " \\" if more else ""))

    def _clone_lines(self, word, words):
        """Includes and removals of files of dependencies: lines of their own."""
        for n in reversed(range(len(self.lines))):
            line = self.lines[n]
            if word in line and not line.endswith("\\\n") and re.match(r"@AMDEP|\t-rm -f |include", line):
                self.lines[n + 1 : n + 1] = [line.replace(word, new) for new in words]

    def _clone_rules(self, model, targets):
        for suffix in ("obj", "o"):
            head = f"{model}.{suffix}: client.c\n" if self.prefix else f".c.{suffix}:\n"
            if head not in self.lines:
                self._missing(f"the rule of {model}.{suffix}")
            first = self.lines.index(head)
            last = self.lines.index("\n", first) + 1
            rule = "".join(self.lines[first:last])
            clone = self._clone_of_client if self.prefix else self._clone_of_suffix
            self.lines[last:last] = [
                text for target, source in targets if (text := clone(rule, model, target, source, suffix))
            ]

    def _clone_of_client(self, rule, model, target, source, _suffix):
        return re.sub(r"\bclient\.c\b", source, rule.replace(model, target))

    def _clone_of_suffix(self, rule, _model, target, source, suffix):
        """A file of the folder itself needs no rule; VPATH's `$<` is that of a suffix rule only."""
        if "/" not in source:
            return ""
        rule = rule.replace(f".c.{suffix}:", f"{target}.{suffix}: {source}", 1)
        rule = rule.replace("source='$<'", f"source='{source}'").replace("$*", target)
        return rule.replace("$<", f"$(srcdir)/{source}").replace(" -c $(srcdir)", " -c -o $@ $(srcdir)")

    def _add_flags(self, flags):
        for n, line in enumerate(self.lines):
            if re.match(rf"{self.flags_of}_CPPFLAGS *= ", line):
                self.lines[n] = line.replace("= ", f"= {flags} ", 1)
                return
        self._missing(f"{self.flags_of}_CPPFLAGS")
