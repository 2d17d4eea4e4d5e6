# SPDX-License-Identifier: ISC
"""Makefiles of other systems, which name objects and not sources: what client.o has, ours get."""

import re
from pathlib import Path

from .build import wrapped
from .tree import Refusal

HOOK = "windows"

# The rules that compile a file of src/. nmake's and GNU make's can name another folder.
COMPILES = {
    "src/mingw.mak": r"^(\$\(OBJ\)/%\.o: \$\(SRC\)/)(%\.c)$",
    "src/mingw.mk": r"^(\$\(objdir\)/%\.o: \$\(srcdir\)/)(%\.c(?: \$\(common_headers\))?)$",
    "src/vc.mak": r"^(\{\$\(SRC\)\\)(\}\.c\{\$\(OBJ\)\\\}\.obj:)$",
    "src/evc.mak": r"^(\{\$\(SRC\)\\)(\}\.c\{\$\(OBJ\)\\\}\.obj:)$",
    "src/os2.mak": r"^()(\.c\.o:)$",
    "src/os2.mak.in": r"^()(\.c\.o:)$",
    # Releases to 5.24 build for Windows on Unix here; ours are behind $(srcdir) for VPATH's sake.
    "src/Makefile.am": r"^(%\.obj: )(%\.c \$\(common_headers\))$",
    "src/Makefile.in": r"^(%\.obj: )(%\.c \$\(common_headers\))$",
}
CLIENT = re.compile(r"^(.*[/\\])?client(\.obj|\.o)?$")


def add_to_makefiles(tree, files):
    """Of the makefiles that the tree has; `files` are names below src/."""
    for name, rule in COMPILES.items():
        if tree.path(name).is_file():
            Makefile(tree, name, rule).add(files)


class Makefile:
    """One of them, with the line ends that it has."""

    def __init__(self, tree, name, rule):
        self.tree, self.name = tree, name
        text = tree.read(name, HOOK)
        self.end = "\r\n" if "\r\n" in text else "\n"
        self.lines = text.replace("\r\n", "\n").split("\n")
        self.rule = rule
        self.automake = "Makefile" in name
        self.mingw = self.automake or "mingw" in name
        self.suffixes_only = name.startswith("src/os2.mak")  # no rule for another folder

    def add(self, files):
        sources = [name for name in files if name.endswith(".c")]
        found = self._add_objects(sources)
        if not found and self.automake:
            return
        if not found:
            raise Refusal(f"hook '{HOOK}': a list with client's object was not found in {self.name}")
        self._add_folders(sorted({str(Path(name).parent) for name in files if "/" in name}))
        self._add_language(sources)
        self._add_headers([name for name in files if name.endswith(".h")])
        self.tree.write(self.name, self.end.join(self.lines))

    # ---- lists -------------------------------------------------------------------------------

    def _add_objects(self, sources):
        places = [(n, word) for n, word in self._words_of_lists() if CLIENT.match(word)]
        for n, word in reversed(places):
            objects = [self._object(word, source) for source in sources]
            goes_on = self.lines[n].endswith("\\")
            if not goes_on:
                self.lines[n] += " \\"
            text = wrapped(objects, " \\" if goes_on else "")
            self.lines[n + 1 : n + 1] = text.rstrip("\n").split("\n")
        return len(places)

    def _words_of_lists(self):
        """(line, word) of the values of variables."""
        in_list = False
        for n, line in enumerate(self.lines):
            in_list = in_list or re.match(r"\w+ *\+?= *\S", line) is not None
            if in_list:
                for word in re.sub(r"^\w+ *\+?=", "", line).split():
                    yield n, word
            in_list = in_list and line.endswith("\\")

    def _object(self, word, source):
        folder, end = CLIENT.match(word).groups()
        stem = source.removesuffix(".c") if self.suffixes_only else Path(source).stem
        return f"{folder or ''}{stem}{end or ''}"

    # ---- rules -------------------------------------------------------------------------------

    def _add_folders(self, folders):
        """Ours are compiled, and found by those that include them."""
        heads = [n for n, line in enumerate(self.lines) if re.match(self.rule, line)]
        if len(heads) != 1:
            raise Refusal(
                f"hook '{HOOK}': the rule for C was found {len(heads)} times in {self.name}"
            )
        first = last = heads[0]
        while last + 1 < len(self.lines) and self.lines[last + 1].startswith("\t"):
            last += 1
        before, after = re.match(self.rule, self.lines[first]).groups()
        option = self._include(before)
        commands = [
            re.sub(r"^\t\$\(\w+\)", lambda match: f"{match[0]} {option}", line)
            for line in self.lines[first + 1 : last + 1]
        ]
        rules = [self.lines[first], *commands]
        for folder in [] if self.suffixes_only else folders:
            rules += ["", self._in_folder(before, after, folder), *commands]
        self.lines[first : last + 1] = rules

    def _in_folder(self, before, after, folder):
        if after.startswith("}"):
            return f"{before}{folder}{after}"
        return f"{before}{'$(srcdir)/' if self.automake else ''}{folder}/{after}"

    def _include(self, before):
        """The core's files name one another without their folder, all others with it."""
        place = re.search(r"(\$\(SRC\)|\$\(srcdir\))([/\\])", before)
        root = place[1] if place else "$(srcdir)" if self.automake else "."
        found = f"-I{root}{place[2] if place else '/'}core -I{root}"
        # Without it mingw-w64 has no localtime_r().
        return f"{found} -D_POSIX_THREAD_SAFE_FUNCTIONS" if self.mingw else found

    def _add_language(self, sources):
        """Ours are C11, where the rest is older C."""
        if not any(re.match(r"win32_cflags .* -(ansi|std=)", line) for line in self.lines):
            return
        objects = [f"$(objdir)/{Path(source).stem}.o" for source in sources]
        text = f"{wrapped(objects, ': win32_cflags += -std=c11').lstrip()}\n"
        first = next(n for n, line in enumerate(self.lines) if re.match(self.rule, line))
        self.lines[first:first] = text.split("\n")

    def _add_headers(self, headers):
        """Where objects depend on all headers they depend on ours as well."""
        separator = "\\" if "vc.mak" in self.name else "/"
        for n, line in reversed(list(enumerate(self.lines))):
            if re.match(r"[^#\t].*: \*\.h ", line):
                own = " ".join(sorted({str(Path(name).parent / "*.h") for name in headers if "/" in name}))
                self.lines[n] = line.replace("*.h ", f"*.h {own.replace('/', separator)} ", 1)
            elif re.match(r"client\.o: client\.c ", line):
                text = f"\n$(OBJS): \\\n{wrapped(headers)}"
                self.lines[n:n] = text.strip("\n").split("\n")
