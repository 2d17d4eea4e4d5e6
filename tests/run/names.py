# SPDX-License-Identifier: ISC
"""A name server that answers as a test says, or never, and a daemon that asks nobody else."""

import os
import random
import shutil
import socket
import struct
import subprocess
import tempfile
import threading
from pathlib import Path

import pytest

from peers import Stunnel

A = 1
NO_SUCH_NAME = "no such name"
SILENT = "silent"
LATER = "later"

# Runs a command with files of ours over those of the machine, for that command alone.
OVERLAY = """
folder=$1; shift
for file in resolv.conf nsswitch.conf hosts; do
    mount --bind "$folder/$file" "/etc/$file" || exit 1
done
exec "$@"
"""


def unsuited():
    """Why the daemon's resolver cannot be led to a server of ours, or None."""
    if os.getuid() != 0:
        return "only root may listen on port 53 and mount"
    if shutil.which("unshare") is None:
        return "there is no unshare here"
    mount = ["unshare", "-m", "mount", "--bind", "/etc/hosts", "/etc/resolv.conf"]
    done = subprocess.run(mount, check=False, capture_output=True, text=True)
    return done.stderr.strip() if done.returncode != 0 else None


needs_names = pytest.mark.skipif(unsuited() is not None, reason=str(unsuited()))


class NameServer:
    """Answers queries for A; `answers` has an address, NO_SUCH_NAME, SILENT or LATER by name.

    A name that is not in it does not exist; one of LATER is answered by answer_later(). `queries` are the names that were asked for, in order.
    """

    def __init__(self, **answers):
        self.answers = {name.replace("_", "."): answer for name, answer in answers.items()}
        self.queries = []
        self.waiting = []  # queries and who sent them
        self.folder = Path(tempfile.mkdtemp(prefix="stunnel-test-names-"))
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.address = self._bind()
        # A query that nobody answers lasts for as long as any test waits, and longer.
        self.patience(30)
        (self.folder / "nsswitch.conf").write_text("hosts: files dns\nservices: files\n")
        (self.folder / "hosts").write_text("127.0.0.1 localhost\n")

    def _bind(self):
        """A part of the loopback network that no other test has."""
        while True:
            address = f"127.{random.randrange(1, 255)}.{random.randrange(256)}.53"
            try:
                self.socket.bind((address, 53))
                return address
            except OSError:
                continue

    def patience(self, seconds):
        """How long the resolver waits for an answer; it looks at the file again for each name."""
        lines = f"nameserver {self.address}\noptions timeout:{seconds} attempts:1\n"
        (self.folder / "resolv.conf").write_text(lines)

    def __enter__(self):
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.socket.sendto(b"", (self.address, 53))  # wakes the thread
        shutil.rmtree(self.folder, ignore_errors=True)

    def asked(self, name):
        """How many queries there were for the IPv4 addresses of a name."""
        return self.queries.count(name)

    def answer_later(self, name, answer):
        self.answers[name] = answer
        for query, peer in self.waiting:
            self.socket.sendto(self._answer(query), peer)
        self.waiting.clear()

    def report(self):
        return f"{self.answers} {self.queries}"

    def _serve(self):
        while True:
            query, peer = self.socket.recvfrom(4096)
            if not query:
                self.socket.close()
                return
            name, kind, _ = parse(query)
            if kind == A:
                self.queries.append(name)
            answer = self._answer(query)
            if answer == LATER:
                self.waiting.append((query, peer))
            elif answer != SILENT:
                self.socket.sendto(answer, peer)

    def _answer(self, query):
        name, kind, question = parse(query)
        answer = self.answers.get(name, NO_SUCH_NAME)
        if answer in (SILENT, LATER):
            return answer
        status = 3 if answer == NO_SUCH_NAME else 0
        records = 1 if kind == A and status == 0 else 0
        header = query[:2] + struct.pack(">HHHHH", 0x8580 | status, 1, records, 0, 0)
        if not records:
            return header + question
        record = struct.pack(">HHHIH", 0xC00C, A, 1, 5, 4) + socket.inet_aton(answer)
        return header + question + record


def parse(query):
    """The name, the type, and the question's bytes (RFC 1035 4.1.2)."""
    labels, at = [], 12
    while query[at]:
        labels.append(query[at + 1 : at + 1 + query[at]].decode())
        at += query[at] + 1
    return ".".join(labels), struct.unpack(">H", query[at + 1 : at + 3])[0], query[12 : at + 5]


def stunnel_with_names(server, config):
    """A daemon whose names come from `server`."""
    stunnel = Stunnel(config)
    stunnel.wrapper = ["unshare", "-m", "sh", "-c", OVERLAY, "sh", str(server.folder)]
    return stunnel
