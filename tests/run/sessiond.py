# SPDX-License-Identifier: ISC
"""The daemon of `sessiond`: keeps sessions for several stunnels, and records what it is asked."""

import socket
import threading
from dataclasses import dataclass

DEADLINE = 30
NEW, GET, REMOVE, MISSING, FOUND = 0, 1, 2, 0x80, 0x81


@dataclass
class Packet:
    version: int
    kind: int
    timeout: int
    id: bytes  # padded
    session: bytes

    @classmethod
    def decode(cls, data):
        return cls(data[0], data[1], int.from_bytes(data[2:4], "big"), data[4:36], data[36:])

    def encode(self):
        return bytes([self.version, self.kind]) + self.timeout.to_bytes(2, "big") + self.id + self.session

    def answer(self, session):
        return Packet(self.version, FOUND if session else MISSING, self.timeout, self.id, session or b"")


def honest(packet, kept):
    """The datagrams that answer a packet of kind GET, of the sessions that are kept."""
    return [packet.answer(kept.get(packet.id)).encode()]


class Sessiond:
    """`reply` is as honest(), which a test may set anew at any time."""

    def __init__(self, reply=honest):
        self.reply = reply
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", 0))
        self.port = self.sock.getsockname()[1]
        self.kept = {}
        self.packets = []
        self.thread = threading.Thread(target=self._serve, daemon=True)

    def _serve(self):
        while True:
            data, peer = self.sock.recvfrom(2000)
            if not data:
                return
            packet = Packet.decode(data)
            if packet.kind == NEW:
                self.kept[packet.id] = packet.session
            self.packets.append(packet)
            for answer in self.reply(packet, self.kept) if packet.kind == GET else []:
                self.sock.sendto(answer, peer)

    def asked(self):
        """The ids that were asked for."""
        return [packet.id for packet in self.packets if packet.kind == GET]

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.sock.sendto(b"", ("127.0.0.1", self.port))
        self.thread.join(DEADLINE)
        self.sock.close()
