# SPDX-License-Identifier: ISC
"""PROXY headers by haproxy's proxy-protocol.txt; nothing of the daemon's own reader is in here."""

import ipaddress
import struct
from dataclasses import dataclass, field

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
ALPN, AUTHORITY, CRC32C, NOOP, UNIQUE_ID, SSL, NETNS = 0x01, 0x02, 0x03, 0x04, 0x05, 0x20, 0x30
VERSION, CN, CIPHER, SIG_ALG, KEY_ALG, GROUP, SIG_SCHEME, CLIENT_CERT = range(0x21, 0x29)
TLS, CERT_CONN, CERT_SESS = 0x01, 0x02, 0x04  # bits of `client`


@dataclass
class Header:
    version: int
    size: int  # in bytes
    source: str = ""  # "ADDRESS PORT"
    target: str = ""
    local: bool = False
    tlvs: list = field(default_factory=list)  # of (type, value), as they came

    def value(self, kind):
        """Of the only TLV of that type; None without one."""
        values = [value for found, value in self.tlvs if found == kind]
        assert len(values) <= 1
        return values[0] if values else None

    @property
    def ssl(self):
        """`client`, `verify`, and the TLVs in the SSL TLV by type."""
        value = self.value(SSL)
        client, verify = struct.unpack("!BI", value[:5])
        inner = list(tlvs_of(value[5:]))
        assert len(dict(inner)) == len(inner)
        return client, verify, dict(inner)


def tlvs_of(data):
    while data:
        kind, size = struct.unpack("!BH", data[:3])
        assert len(data) >= 3 + size, "a TLV goes beyond its end"
        yield kind, data[3 : 3 + size]
        data = data[3 + size :]


def crc32c(data):
    """RFC 3720 12.1, bit by bit."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def parse(data):
    """The header at the front of `data`; None while it is not complete."""
    if data.startswith(SIGNATURE):
        return _parse_v2(data)
    if b"\r\n" not in data[:107]:
        assert len(data) < 107 and b"PROXY ".startswith(data[:6]), data
        return None
    line = data.split(b"\r\n")[0].decode("ascii")
    word, family, source, target, source_port, target_port = line.split(" ")
    assert word == "PROXY"
    assert {ipaddress.ip_address(ip).version for ip in (source, target)} == {int(family[-1])}
    addresses = f"{source} {int(source_port)}", f"{target} {int(target_port)}"
    return Header(1, len(line) + 2, *addresses)


def _parse_v2(data):
    if len(data) < 16 or len(data) < 16 + struct.unpack("!H", data[14:16])[0]:
        return None
    command, family, length = struct.unpack("!BBH", data[12:16])
    header = Header(2, 16 + length, local=command == 0x20)
    assert (command, family) in ((0x20, 0), (0x21, 0x11), (0x21, 0x21))
    if header.local:
        return header
    size = {0x11: 4, 0x21: 16}[family]
    source, target, source_port, target_port = struct.unpack(
        f"!{size}s{size}sHH", data[16 : 20 + 2 * size]
    )
    header.source = f"{_text(source)} {source_port}"
    header.target = f"{_text(target)} {target_port}"
    header.tlvs = list(tlvs_of(data[20 + 2 * size : header.size]))
    _check_crc(header, data[: header.size])
    return header


def _text(address):
    """Mapped ones with the IPv4 address in its usual form."""
    ip = ipaddress.ip_address(address)
    mapped = getattr(ip, "ipv4_mapped", None)
    return f"::ffff:{mapped}" if mapped else str(ip)


def _check_crc(header, data):
    value = header.value(CRC32C)
    if value is not None:
        said = struct.pack("!BH", CRC32C, 4) + value
        assert data.count(said) == 1
        zeroed = data.replace(said, said[:3] + bytes(4))
        assert int.from_bytes(value, "big") == crc32c(zeroed)


def behind_header(serve):
    """For a Recorder: takes the header, keeps it as the connection's `header`, goes on."""

    def begin(connection):
        while (header := parse(connection.data)) is None:
            if not connection.receive():
                return
        connection.take(header.size)
        connection.header = header
        serve(connection)

    return begin


def build(source, target, tlvs):
    """Version 2; `source` and `target` are "ADDRESS PORT", of one family."""
    ends = [end.split(" ") for end in (source, target)]
    family = 0x11 if ipaddress.ip_address(ends[0][0]).version == 4 else 0x21
    body = b"".join(ipaddress.ip_address(ip).packed for ip, _ in ends)
    body += b"".join(struct.pack("!H", int(port)) for _, port in ends)
    body += b"".join(struct.pack("!BH", kind, len(value)) + value for kind, value in tlvs)
    return SIGNATURE + struct.pack("!BBH", 0x21, family, len(body)) + body
