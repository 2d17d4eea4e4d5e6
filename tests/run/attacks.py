# SPDX-License-Identifier: ISC
"""What the differential run sends: the wire corpus, content that is a request, and mutations."""

import itertools
import random
import re
from dataclasses import dataclass

from wire_case import CORPUS, read_corpus, unescape

FORGED = "203.0.113."
REPLACE = ("xForwardedFor = replace",)
APPEND = ("xForwardedFor = append",)

LINES = [b"Host: www.example.test", b"X-Forwarded-For: 203.0.113.66"]
LINES += [b"X-Stunnel-Probe: 203.0.113.66", b"", b""]


def smuggled(target):
    """A forged request, with a target that tells whose content it is."""
    return b"\r\n".join([b"GET /smuggled/%s HTTP/1.1" % target, *LINES])


SMUGGLED = smuggled(b"inserted")
METHODS = "GET HEAD OPTIONS DELETE TRACE POST PUT PATCH PROPFIND".split()
EXTRAS = [
    "",
    "Expect: 100-continue\r\n",
    "Expect: other\r\n",
    "Connection: close\r\n",
    "Connection: Upgrade\r\nUpgrade: websocket\r\n",
    "Content-Type: application/x-www-form-urlencoded\r\n",
    "Content-Type: multipart/form-data; boundary=x\r\n",
    "Content-Encoding: gzip\r\n",
    "Range: bytes=0-1\r\nIf-None-Match: *\r\n",
    "X-Forwarded-For: 203.0.113.66\r\nX-Bytes: \xff\r\n",
    "X-Forwarded-For: 203.0.113.66\r\n" + "".join(f"X-{n}: {n}\r\n" for n in range(70)),
]


@dataclass(frozen=True)
class Attack:
    """What one connection sends, and after how many bytes it makes a new record."""

    name: str
    settings: tuple
    data: bytes
    cuts: tuple = ()
    address: str = ""

    def pieces(self):
        places = [0, *self.cuts, len(self.data)]
        return [self.data[a:b] for a, b in itertools.pairwise(places)]


def get(target):
    return b"GET /%s HTTP/1.1\r\nHost: www.example.test\r\n\r\n" % target


def renamed(data):
    """The same attack on the other field; the names are of one length, so lengths still hold."""
    pattern = rb"(?i)x([^a-z0-9]?)forwarded([^a-z0-9]?)for"
    return re.sub(pattern, rb"X\1Stunnel\2Probe", data)


def corpus():
    """All cases, and those that forge X-Forwarded-For once more with X-Stunnel-Probe."""
    cases = read_corpus()
    sent = [Attack(case.name, case.settings, case.all("client")) for case in cases]
    others = [Attack(f"{a.name} (probe)", a.settings, renamed(a.data)) for a in sent]
    return sent + [other for other, one in zip(others, sent) if other.data != one.data]


def framed(content):
    """Ways to frame the forged request as content: name, fields, content, cuts in the content."""
    size, length = f"{len(content):x}\r\n".encode(), f"Content-Length: {len(content)}\r\n"
    chunked, last = "Transfer-Encoding: chunked\r\n", b"\r\n0\r\n\r\n"
    yield "length", length, content, []
    yield "length, cut", length, content, [0]
    yield "chunked", chunked, size + content + last, []
    yield "chunked, cut", chunked, size + content + last, [0, len(size)]
    yield "chunked, size with the head", chunked, size + content + last, [len(size)]
    before = b"1\r\nx\r\n" + size
    yield "chunked, second", chunked, before + content + last, [0, len(before)]


def smuggling():
    """Requests whose content is a forged one: whoever does not read it as content reads that."""
    for method, (number, extra) in itertools.product(METHODS, enumerate(EXTRAS)):
        content = smuggled(f"{method}/{number}".encode())
        for way, frame, body, cuts in framed(content):
            head = f"{method} /carrier HTTP/1.1\r\nHost: www.example.test\r\n{extra}{frame}\r\n"
            head = head.encode("latin-1")
            settings = APPEND if FORGED in extra else REPLACE
            at = tuple(len(head) + cut for cut in cuts)
            yield Attack(f"{method}/{number}, {way}", settings, head + body + get(b"next"), at)


def words():
    """The fuzzers' dictionary of HTTP/1."""
    lines = re.findall(r'^"(.*)"$', (CORPUS.parent / "fuzz/http.dict").read_text(), re.M)
    return [unescape(re.sub(r"\\(?=\")", "", line)) for line in lines]


WORDS = words()


def place(rng, data):
    """Where something is changed: at the beginning of a line, or anywhere."""
    lines = [0, *(m.end() for m in re.finditer(rb"\r\n", data))]
    return rng.choice(lines) if rng.random() < 0.6 else rng.randint(0, len(data))


def part(rng, data):
    return sorted((place(rng, data), place(rng, data)))


def splice(rng, data, other):
    return data[: place(rng, data)] + other[place(rng, other) :]


def duplicate(rng, data, other):
    begin, end = part(rng, data)
    return data[:end] + data[begin:]


def flip(rng, data, other):
    at = rng.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]


def cut(rng, data, other):
    begin, end = part(rng, data)
    return data[:begin] + data[end:]


def case(rng, data, other):
    begin, end = part(rng, data)
    return data[:begin] + data[begin:end].swapcase() + data[end:]


def insert(rng, data, what):
    at = place(rng, data)
    return data[:at] + what + data[at:]


def space(rng, data, other):
    return insert(rng, data, rng.choice([b" ", b"\t", b"\r", b"\n", b"\r\n", b"\x0b", b"\xa0"]))


def word(rng, data, other):
    return insert(rng, data, rng.choice(WORDS))


def line(rng, data, other):
    """A line of another case."""
    return insert(rng, data, rng.choice(other.split(b"\r\n")) + b"\r\n")


def join(rng, data, other):
    return data + other


def smuggle(rng, data, other):
    return insert(rng, data, SMUGGLED)


MUTATORS = [splice, duplicate, flip, cut, case, space, word, line, join, join, smuggle]


def mutations(seed, count):
    """Changed once to three times, and sent in up to three records."""
    rng = random.Random(seed)
    pool = [attack.data for attack in [*corpus(), *smuggling()]]
    pool = [data for data in pool if 0 < len(data) < 4096]
    for number in range(count):
        data = rng.choice(pool)
        for _ in range(rng.choice((1, 1, 2, 3))):
            data = rng.choice(MUTATORS)(rng, data, rng.choice(pool)) or data
        data = data.replace(b"|", b"!")  # it separates what the servers report
        cuts = sorted(place(rng, data) for _ in range(rng.randrange(3)))
        settings = REPLACE if rng.random() < 0.7 else APPEND
        yield Attack(f"mutation {number} of seed {seed}", settings, data, tuple(cuts))
