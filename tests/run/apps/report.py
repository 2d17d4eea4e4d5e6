# SPDX-License-Identifier: ISC
"""What every program here writes to its standard output for each request that it read: a line
SEEN|PEER|STATUS|PROBE|FORWARDED|CONTENT|REQUEST. A field of several lines is joined by commas, what
is not known is a hyphen. Content is read where applications do: not with the methods of UNREAD.
CONNECT is refused: with a 2xx the server would say that the bytes behind it are no requests.
"""

import os
import re

UNREAD = {"GET", "HEAD", "OPTIONS", "DELETE", "TRACE", "CONNECT"}


def status(method):
    return 405 if method == "CONNECT" else 200


def values(fields, alias):
    """Of all fields whose name a careless reader could take for that one."""
    return ", ".join(v for name, v in fields if re.sub("[^a-z0-9]", "", name.lower()) == alias)


def report(fields, request, content="-"):
    told = [values(fields, alias) for alias in ("xstunnelprobe", "xforwardedfor")]
    line = "|".join(["SEEN", "-", "-", *told, str(content), request])
    os.write(1, re.sub("[\r\n]", "?", line).encode("latin-1", "replace") + b"\n")
