# SPDX-License-Identifier: ISC
"""What -help prints, taken apart: the options, and the variables of templates."""

import functools
import re
import subprocess

from peers import BINARY


@functools.lru_cache(maxsize=None)
def _parts():
    """The lists of options that are built, of those without effect, of those not built, and of
    variables."""
    done = subprocess.run([BINARY, "-help"], capture_output=True, text=True, timeout=30)
    text = done.stderr.split("\nOptions of the configuration: ")[-1]  # all, of a patched stock
    heading = r"^(?:(?:Taken|Known) from stock stunnel|Template variables)\b.*:.*\n"
    return re.split(heading, text, flags=re.M)


def defaults():
    """Defaults, or None, by name of the options that are built."""
    rows = re.findall(r"^(\w+) += (.*)$", _parts()[0], re.M)
    found = {name: re.search(r" \(([^()]*)\)$", text) for name, text in rows}
    return {name: match and match[1] for name, match in found.items()}


def without_effect():
    return _parts()[1].split()


def not_built():
    return _parts()[2].split()


def variables():
    """Where a variable of templates may stand, by its name."""
    rows = re.findall(r"^%\{(\w+)\} +(\w+) +\S.*$", _parts()[3], re.M)
    assert len(rows) == len(_parts()[3].splitlines())
    return dict(rows)
