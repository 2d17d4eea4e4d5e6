# SPDX-License-Identifier: ISC
"""TLS clients that write their records themselves, so that they can send what no library would.

They read as a TlsClient does.
"""

import hmac
import re
import ssl
import tempfile

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tls_client import TlsClient, client_context

ALERT, HANDSHAKE, APPLICATION = 21, 22, 23
CLOSE_NOTIFY = b"\x01\x00"
KEY_UPDATE = b"\x18\x00\x00\x01"  # RFC 8446 4.6.3; behind it one of:
NOT_REQUESTED, REQUESTED = b"\x00", b"\x01"
CLIENT_HELLO = b"\x01\x00\x00\x00"  # the head of one; no server reads on that refuses it


class _Client(TlsClient):
    VERSION = SECRET = None

    def __init__(self, to, **client):
        context = client_context(version=self.VERSION)
        with tempfile.NamedTemporaryFile() as log:
            context.keylog_filename = log.name
            super().__init__(to, context=context, **client)
            found = re.search(rf"^{self.SECRET} (\w+) (\w+)$", log.read().decode(), re.M)
        suite = self.tls.cipher()[0]
        self.key_size = 32 if re.search("AES_?256", suite) else 16
        self.hash = "sha384" if "SHA384" in suite else "sha256"
        self.begin(*map(bytes.fromhex, found.groups()))

    def send(self, data):
        for at in range(0, len(data), 16384):
            self.sock.sendall(self.record(APPLICATION, data[at : at + 16384]))


class RecordClient(_Client):
    """TLS 1.3."""

    VERSION, SECRET = ssl.TLSVersion.TLSv1_3, "CLIENT_TRAFFIC_SECRET_0"

    def begin(self, _, secret):
        """With the first keys of a secret."""
        self._secret, self._sequence = secret, 0
        self._cipher = AESGCM(self._expand(b"key", self.key_size))
        self._iv = int.from_bytes(self._expand(b"iv", 12), "big")

    def _expand(self, label, size):
        """HKDF-Expand-Label without context, RFC 8446 7.1; one round is enough."""
        label = b"tls13 " + label
        info = size.to_bytes(2, "big") + bytes([len(label)]) + label + b"\x00\x01"
        return hmac.digest(self._secret, info, self.hash)[:size]

    def record(self, kind, data):
        """The bytes of the next record."""
        inner = data + bytes([kind])
        head = bytes([APPLICATION, 3, 3]) + (len(inner) + 16).to_bytes(2, "big")
        nonce = (self._iv ^ self._sequence).to_bytes(12, "big")
        self._sequence += 1
        return head + self._cipher.encrypt(nonce, inner, head)

    def key_update(self, request=REQUESTED):
        """The bytes of a record that changes our keys."""
        record = self.record(HANDSHAKE, KEY_UPDATE + request)
        self.begin(None, self._expand(b"traffic upd", len(self._secret)))
        return record


class RecordClient12(_Client):
    """TLS 1.2 with AES-GCM (RFC 5288)."""

    VERSION, SECRET = ssl.TLSVersion.TLSv1_2, "CLIENT_RANDOM"

    def __init__(self, to, **client):
        self._received = b""
        super().__init__(to, **client)

    def _took(self, data):
        self._received += data[:64] if len(self._received) < 64 else b""

    def begin(self, client_random, master):
        server_random = self._received[11:43]  # of the ServerHello, which comes first
        seed = b"key expansion" + server_random + client_random
        block, a = b"", seed
        while len(block) < 2 * self.key_size + 8:  # RFC 5246 5
            a = hmac.digest(master, a, self.hash)
            block += hmac.digest(master, a + seed, self.hash)
        self._cipher = AESGCM(block[: self.key_size])
        self._salt = block[2 * self.key_size :][:4]
        self._sequence = 1  # behind Finished

    def record(self, kind, data):
        """The bytes of the next record."""
        number, head = self._sequence.to_bytes(8, "big"), bytes([kind, 3, 3])
        self._sequence += 1
        added = number + head + len(data).to_bytes(2, "big")
        body = number + self._cipher.encrypt(self._salt + number, data, added)
        return head + len(body).to_bytes(2, "big") + body
