# SPDX-License-Identifier: ISC
"""A TLS 1.3 client that writes its records itself, so that it can send what no library would."""

import hmac
import re
import ssl
import tempfile

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tls_client import TlsClient, client_context

HANDSHAKE, APPLICATION = 22, 23
KEY_UPDATE = b"\x18\x00\x00\x01"  # RFC 8446 4.6.3; behind it one of:
NOT_REQUESTED, REQUESTED = b"\x00", b"\x01"


class RecordClient(TlsClient):
    """Reads as a TlsClient does."""

    def __init__(self, to, **client):
        context = client_context(version=ssl.TLSVersion.TLSv1_3)
        with tempfile.NamedTemporaryFile() as log:
            context.keylog_filename = log.name
            super().__init__(to, context=context, **client)
            secret = re.search(r"^CLIENT_TRAFFIC_SECRET_0 \w+ (\w+)$", log.read().decode(), re.M)
        self._suite = self.tls.cipher()[0]
        self._new_keys(bytes.fromhex(secret[1]))

    def _new_keys(self, secret):
        self._secret, self._sequence = secret, 0
        self._cipher = AESGCM(self._expand(b"key", 32 if "AES_256" in self._suite else 16))
        self._iv = int.from_bytes(self._expand(b"iv", 12), "big")

    def _expand(self, label, size):
        """HKDF-Expand-Label without context, RFC 8446 7.1; one round is enough."""
        label = b"tls13 " + label
        info = size.to_bytes(2, "big") + bytes([len(label)]) + label + b"\x00\x01"
        hash_ = "sha384" if "SHA384" in self._suite else "sha256"
        return hmac.digest(self._secret, info, hash_)[:size]

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
        self._new_keys(self._expand(b"traffic upd", len(self._secret)))
        return record

    def send(self, data):
        for at in range(0, len(data), 16384):
            self.sock.sendall(self.record(APPLICATION, data[at : at + 16384]))
