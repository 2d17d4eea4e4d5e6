#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""systemctl for a test without systemd: it does to a Type=notify unit what the unit's own file says.

UNITS names the folder of the files. What is told by sd_notify(3) is kept in /run/UNIT.json.
"""

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

DEADLINE = 30


def lines(unit, option):
    """Commands of the unit's file; %i is its instance."""
    kind, instance = unit.split("@")
    text = Path(os.environ["UNITS"], f"{kind}@.service").read_text()
    return [
        line.replace("%i", instance) for line in re.findall(rf"^{option}=(.*)$", text, re.MULTILINE)
    ]


def state(unit):
    path = Path(f"/run/{unit}.json")
    return json.loads(path.read_text()) if path.exists() else {"ready": 0}


def lives(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def keep(unit, sock, process):
    """Writes down what the unit tells, until its main process ends, which it may name anew."""
    told = {"pid": process.pid, "ready": 0, "STATUS": ""}
    sock.settimeout(0.1)
    while process.poll() is None or lives(told["pid"]):
        try:
            said = dict(line.split("=", 1) for line in sock.recv(4096).decode().splitlines())
        except TimeoutError:
            continue
        told["ready"] += said.get("READY") == "1"
        told["STATUS"] = said.get("STATUS", told["STATUS"])
        told["pid"] = int(said.get("MAINPID", told["pid"]))
        part = Path(f"/run/{unit}.part")
        part.write_text(json.dumps(told))
        part.rename(f"/run/{unit}.json")
    Path(f"/run/{unit}.json").unlink()


def wait(predicate):
    end = time.monotonic() + DEADLINE
    while not predicate():
        if time.monotonic() > end:
            sys.exit("systemctl: it took too long")
        time.sleep(0.02)


def start(unit):
    if os.fork() == 0:
        os.setsid()
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.bind(f"\0{unit}")
            environment = {**os.environ, "NOTIFY_SOCKET": f"@{unit}", "SYSTEMD_EXEC_PID": ""}
            command = "SYSTEMD_EXEC_PID=$$ exec " + lines(unit, "ExecStart")[0]
            keep(unit, sock, subprocess.Popen(["sh", "-c", command], env=environment))
        os._exit(0)
    wait(lambda: state(unit)["ready"])


def stop(unit):
    os.kill(state(unit)["pid"], signal.SIGTERM)
    wait(lambda: not state(unit)["ready"])


def reload(unit):
    """By notify-reload if the file has no command of its own."""
    before = state(unit)
    for command in lines(unit, "ExecReload") or ["kill -HUP $MAINPID"]:
        command = command.replace("$MAINPID", str(before["pid"])).replace("$$", "$")
        words = shlex.split(command)
        subprocess.run(words, check=True)
    wait(lambda: state(unit)["ready"] > before["ready"])


def main():
    verb, unit = sys.argv[1], sys.argv[-1]
    if verb in ("stop", "restart"):
        stop(unit)
    if verb in ("start", "restart", "enable"):
        start(unit)
    if verb == "reload":
        reload(unit)
    if verb == "status":
        print(state(unit)["STATUS"])
    if verb == "show-pid":
        print(state(unit)["pid"])


main()
