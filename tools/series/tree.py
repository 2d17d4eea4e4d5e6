# SPDX-License-Identifier: ISC
"""The files of this project, and a tree that is being patched."""

import copy
import re
import shutil
import subprocess
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
PATCHES = PROJECT / "patches"
DAEMON = PROJECT / "stunnel"
CORE = DAEMON / "core"
# Of the daemon's other folders: files that a tree gets at the same path.
SHARED = [DAEMON / f"{stem}{end}" for stem in ("conn/exchange", "tls/facts") for end in (".c", ".h")]
GLUE = sorted(PATCHES.glob("forward*.[ch]"))
PORT = [PATCHES / name for name in ("openssl_port.c", "openssl_port.h")]


class Refusal(Exception):
    """What is wrong with the tree or the machine, a line each; nothing was written."""


def project_version():
    match = re.search(r"^AC_INIT\(\[[^]]*\], *\[([^]]+)\]", (PROJECT / "configure.ac").read_text(), re.M)
    return match[1]


def run(*command, status=(0,), encoding="utf-8", **options):
    """What it says, with the line ends that it has."""
    try:
        result = subprocess.run(command, capture_output=True, **options)
    except FileNotFoundError:
        raise Refusal(f"{command[0]} is not installed") from None
    if result.returncode not in status:
        said = result.stderr.decode(encoding, "replace").strip()
        raise Refusal(f"{' '.join(map(str, command))}: {said}")
    return result.stdout.decode(encoding)


class Tree:
    """A working copy of what the patches touch."""

    FOLDERS = ("src", "doc")

    def __init__(self, source, work):
        self.source = source
        self.work = work
        if not (source / "src" / "client.c").is_file():
            raise Refusal(f"{source}: there is no src/client.c: not a tree of stunnel")
        if (source / "src" / "forward.c").exists():
            raise Refusal(f"{source}: there is a src/forward.c: it was patched already")
        for folder in self.FOLDERS:
            if (source / folder).is_dir():
                shutil.copytree(source / folder, work / folder, symlinks=True)
        match = re.search(r"AC_INIT\(\[?stunnel\]?, *\[?([\w.]+)", self._configure())
        self.version = match[1] if match else "unknown"

    def _configure(self):
        path = self.source / "configure.ac"
        return path.read_text(errors="replace") if path.is_file() else ""

    def copy(self, work):
        """In a folder that is empty."""
        other = copy.copy(self)
        other.work = work
        shutil.copytree(self.work, work, symlinks=True, dirs_exist_ok=True)
        return other

    def restore(self, other):
        """Its files are those of a copy again."""
        shutil.rmtree(self.work)
        shutil.copytree(other.work, self.work, symlinks=True)

    def path(self, name):
        return self.work / name

    def names(self, pattern):
        """Of the files that a pattern stands for, which may be one file's name."""
        return sorted(str(path.relative_to(self.work)) for path in self.work.glob(pattern))

    def read(self, name, hook=None):
        path = self.path(name)
        if not path.is_file():
            raise Refusal(f"hook '{hook}': there is no {name}")
        return path.read_bytes().decode("latin-1")

    def write(self, name, text):
        self.path(name).parent.mkdir(parents=True, exist_ok=True)
        self.path(name).write_bytes(text.encode("latin-1"))
