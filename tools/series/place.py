# SPDX-License-Identifier: ISC
"""Where a series goes: a folder, or debian/patches with an entry of the changelog."""

import os
import re
import tempfile
from pathlib import Path

from .tree import Refusal, project_version, run


def write_all(folder, files):
    """All of the files or none: each beside its place first."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".series-") as waiting:
        for name, text in files:
            (Path(waiting) / name).write_bytes(text.encode("latin-1"))
        for name, _ in files:
            os.replace(Path(waiting) / name, folder / name)


def series_text(names, old=""):
    if old and not old.endswith("\n"):
        old += "\n"
    return old + "".join(f"{name}\n" for name in names)


def write_series(folder, files):
    """Patches and the file that names them; the folder."""
    write_all(folder, files + [("series", series_text([name for name, _ in files]))])
    return folder


# The first line of a changelog; its version may have an epoch.
HEAD = re.compile(r"(\S+) \(([^)]+)\) [^\n]*\n")


def package_of(source):
    """(package, version without epoch) of a packager's tree; None of upstream's."""
    path = source / "debian" / "changelog"
    if not path.is_file():
        return None
    package, version = first_line(path.read_text(errors="replace"))
    return package, version.split(":", 1)[-1]


def first_line(changelog):
    match = HEAD.match(changelog)
    if not match:
        raise Refusal("debian/changelog: the first entry is not understood")
    return match.groups()


def changelog_entry(old):
    package, version = first_line(old)
    match = re.search(r"^ -- [^\n]*?>  ([^\n]+)$", old, re.M)
    if not match:
        raise Refusal("debian/changelog: the first entry has no date")
    date = match[1]
    if "SOURCE_DATE_EPOCH" in os.environ:
        date = run("date", "-uR", "-d", f"@{os.environ['SOURCE_DATE_EPOCH']}", env={"LC_ALL": "C"}).strip()
    version = os.environ.get("DEBVERSION", f"{version}+http1")
    name = os.environ.get("DEBFULLNAME", "stunnel-http")
    mail = os.environ.get("DEBEMAIL", "root@localhost")
    return (
        f"{package} ({version}) UNRELEASED; urgency=medium\n\n"
        f"  * Put the client's address into every HTTP request and into PROXY headers\n"
        f"    of version 2: patches of stunnel-http {project_version()}.\n\n"
        f" -- {name} <{mail}>  {date}\n\n"
    )


def write_debian(source, files):
    folder = source / "debian" / "patches"
    if not (source / "debian" / "changelog").is_file():
        raise Refusal(f"{source}: there is no debian/changelog")
    path = folder / "series"
    old = path.read_bytes().decode("latin-1") if path.is_file() else ""
    there = {name for name, _ in files} & set(old.split())
    if there:
        raise Refusal(f"{path}: {min(there)} is there already")
    changelog = (source / "debian" / "changelog").read_text()
    entry = changelog_entry(changelog)
    names = [name for name, _ in files]
    write_all(folder, files + [("series", series_text(names, old))])
    write_all(source / "debian", [("changelog", (entry + changelog).encode().decode("latin-1"))])
    return folder
