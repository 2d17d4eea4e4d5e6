# SPDX-License-Identifier: ISC
"""protocolAuthentication = ntlm: a proxy that computes the response for itself, also beside stock."""

import base64
import struct
from contextlib import closing

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from peers import PATCHED, Stunnel, service
from test_negotiators import Plain, Speaker, ask, connect, tell

pytestmark = pytest.mark.skipif(PATCHED, reason="a patched stock negotiates by its own code")

HOST = "protocolHost = www.example.test:443"
CHALLENGE = bytes.fromhex("0123456789abcdef")
HELLO = b"NTLMSSP\0" + struct.pack("<IIQQ", 1, 0x202, 0, 0)
BODY = b"<p>Who are you?</p>\r\n\r\nHTTP/1.1 200 OK\r\n\r\n" * 900  # longer than a line may be


def rolled(value, bits):
    return ((value << bits) | (value >> (32 - bits))) & 0xFFFFFFFF


def md4(message):
    """RFC 1320."""
    state = [0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476]
    message += b"\x80" + bytes(-(len(message) + 9) % 64) + struct.pack("<Q", 8 * len(message))
    rounds = [
        (lambda x, y, z: x & y | ~x & z, 0, range(16), (3, 7, 11, 19)),
        (
            lambda x, y, z: x & y | x & z | y & z,
            0x5A827999,
            [4 * (i % 4) + i // 4 for i in range(16)],
            (3, 5, 9, 13),
        ),
        (
            lambda x, y, z: x ^ y ^ z,
            0x6ED9EBA1,
            [0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15],
            (3, 9, 11, 15),
        ),
    ]
    for at in range(0, len(message), 64):
        words = struct.unpack("<16I", message[at : at + 64])
        a, b, c, d = state
        for mix, added, order, shifts in rounds:
            for step, word in enumerate(order):
                mixed = a + (mix(b, c, d) & 0xFFFFFFFF) + words[word] + added
                a, b, c, d = d, rolled(mixed & 0xFFFFFFFF, shifts[step % 4]), b, c
        state = [(old + new) & 0xFFFFFFFF for old, new in zip(state, (a, b, c, d))]
    return struct.pack("<4I", *state)


def des(bits, block):
    """With three equal keys TripleDES is DES; bits: the 56 that count."""
    spread = int.from_bytes(bits, "big")
    key = bytes((spread >> (49 - 7 * i) & 0x7F) << 1 for i in range(8))
    encryptor = Cipher(algorithms.TripleDES(key * 3), modes.ECB()).encryptor()
    return encryptor.update(block) + encryptor.finalize()


def response(password, challenge):
    """MS-NLMP 3.3.1, NTLMv1."""
    key = md4(b"".join(bytes([byte, 0]) for byte in password.encode())) + bytes(5)
    return b"".join(des(key[at : at + 7], challenge) for at in (0, 7, 14))


def challenge_message():
    name = "DOMAIN".encode("utf-16-le")
    fields = struct.pack("<HHII", len(name), len(name), 56, 0x10201) + CHALLENGE + bytes(16)
    return b"NTLMSSP\0" + struct.pack("<I", 2) + fields + bytes(8) + name


def refusal(fields=None, body=BODY, status="407 Proxy Authentication Required"):
    challenge = f"proxy-authenticate: ntlm {base64.b64encode(challenge_message()).decode()}"
    if fields is None:
        fields = ["Proxy-Authenticate: Basic realm=a", challenge, f"Content-Length: {len(body)}"]
    return tell(f"HTTP/1.1 {status}", *fields, "") + body


def take_head(client):
    while client.hear() != b"\r\n":
        pass


def proxy(first=None, last=tell("HTTP/1.1 200 OK", "Via: me", "")):
    def serve(client):
        take_head(client)
        client.sock.sendall(first or refusal())
        take_head(client)
        client.sock.sendall(last)

    return serve


def messages(heard):
    """What stood behind `Proxy-Authorization: NTLM`."""
    scheme = b"Proxy-Authorization: NTLM "
    return [base64.b64decode(line[len(scheme) :]) for line in heard if line.startswith(scheme)]


def text_at(message, place):
    size, _, at = struct.unpack_from("<HHI", message, place)
    return message[at : at + size]


def options(user="me", password="SecREt01", domain="HERE"):
    login = [f"protocolUsername = {user}", f"protocolPassword = {password}"]
    login += [f"protocolDomain = {domain}"] if domain else []
    fields = ["protocolHeader = X-A: b"]
    return ["client = yes", "protocol = connect", "protocolAuthentication = NTLM", HOST, *login, *fields]


LOGINS = [
    ("me", "SecREt01", "HERE"),
    ("a user", "of fourteen and more characters", "here.example.test"),
    ("m\u00e9", "p\u00e4ss w\u00f6rd", "D\u00d6MAIN"),
]


@pytest.mark.parametrize("login", LOGINS)
def test_the_same_bytes_as_stock_and_the_right_response(start, both, login):
    speaker = start(Speaker(proxy()))
    stock, ours = both(speaker, *options(*login))
    assert ask(stock, 0) == ask(ours, 0) == [b"echo inside\r\n"]
    assert speaker.heard[1] == speaker.heard[0]
    hello, answer = messages(speaker.heard[1])
    assert hello == HELLO
    assert text_at(answer, 20) == response(login[1], CHALLENGE)
    assert text_at(answer, 28) == login[2].encode()
    assert text_at(answer, 36) == login[0].encode()


@pytest.mark.parametrize("user, password, domain", [("me", "x", ""), ("u" * 256, "p" * 999, "d" * 256)])
def test_a_login_for_which_stock_has_no_answer(start, user, password, domain):
    speaker = start(Speaker(proxy()))
    lines = [*options(user, password, domain), "debug = debug"]
    stunnel = start(Stunnel(service(speaker.port, *lines)))
    assert ask(stunnel, 0) == [b"echo inside\r\n"]
    answer = messages(speaker.heard[0])[1]
    assert text_at(answer, 20) == response(password, CHALLENGE)
    assert text_at(answer, 28) == domain.encode()
    assert text_at(answer, 36) == user.encode()
    stunnel.wait_log("CONNECT request accepted")
    assert base64.b64encode(answer).decode() not in stunnel.log_text()


CUT = base64.b64encode(challenge_message()[:30]).decode()
OTHER = base64.b64encode(HELLO + bytes(20)).decode()
FAULTS = {
    "no challenge": (["Proxy-Authenticate: NTLM", "Content-Length: 0"], b"", "header not found"),
    "basic only": (["Proxy-Authenticate: Basic realm=a"], b"", "header not found"),
    "cut": ([f"Proxy-Authenticate: NTLM {CUT}"], b"", "header not found"),
    "another message": ([f"Proxy-Authenticate: NTLM {OTHER}"], b"", "header not found"),
    "no base64": (["Proxy-Authenticate: NTLM " + "?" * 60], b"", "header not found"),
    "endless": (["Content-Length: 99999999999"], b"", "too long"),
    "negative": (["Content-Length: -1"], b"", "too long"),
    "chunks": (["Transfer-Encoding: chunked"], b"0\r\n\r\n", "not told ahead"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_an_answer_without_a_challenge_ends_it(start, name):
    fields, body, why = FAULTS[name]
    speaker = start(Speaker(proxy(refusal(fields, body))))
    stunnel = start(Stunnel(service(speaker.port, *options())))
    with closing(connect(stunnel.port).sock) as sock:
        assert Plain(sock).rest()[0] == b""
    assert stunnel.wait_log(why)
    assert speaker.heard == []


@pytest.mark.parametrize("status", ["200 OK", "403 Forbidden", "40"])
def test_another_status_than_407_is_no_challenge(start, status):
    speaker = start(Speaker(proxy(refusal(status=status))))
    stunnel = start(Stunnel(service(speaker.port, *options())))
    with closing(connect(stunnel.port).sock) as sock:
        assert Plain(sock).rest()[0] == b""
    stunnel.wait_log("Proxy-Authenticate: NTLM authorization request rejected")


def test_a_response_that_the_proxy_refuses_ends_it(start):
    speaker = start(Speaker(proxy(last=refusal())))
    stunnel = start(Stunnel(service(speaker.port, *options())))
    with closing(connect(stunnel.port).sock) as sock:
        assert Plain(sock).rest()[0] == b""
    stunnel.wait_log("CONNECT request rejected: HTTP/1.1 407")


def test_what_a_proxy_sends_ahead_of_tls_never_arrives(start):
    speaker = start(Speaker(proxy(last=tell("HTTP/1.1 200 OK", "") + b"injected")))
    stunnel = start(Stunnel(service(speaker.port, *options())))
    with closing(connect(stunnel.port).sock) as sock:
        assert Plain(sock).rest()[0] == b""
    stunnel.wait_log("Plain text was sent ahead of TLS")


@pytest.mark.parametrize(
    "lines, modules, why",
    [
        (options(), "/nonexistent", "OpenSSL's legacy provider, which cannot be loaded"),
        (options("u" * 300, "p", "d" * 300), "", "protocolDomain and protocolUsername are too long"),
        ([*options(), "protocolAuthentication = digest"], "", "is neither basic nor ntlm"),
    ],
)
def test_what_could_never_log_in_is_refused_at_the_load(monkeypatch, lines, modules, why):
    if modules:
        monkeypatch.setenv("OPENSSL_MODULES", modules)
    with pytest.raises(AssertionError, match=why):
        Stunnel(service(1, *lines)).__enter__()
