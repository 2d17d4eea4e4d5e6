# SPDX-License-Identifier: ISC
"""Load on a front, and the CPU that it took: what the tables of this folder are made of."""

import os
import re
import statistics
import subprocess
from pathlib import Path

TICK = 1e6 / os.sysconf("SC_CLK_TCK")  # microseconds
CONNECTIONS = 64


def cpu(front):
    """Ticks of user and system time of its processes, and of those of them that ended."""
    total = 0
    for pid in front.processes():
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        total += sum(int(field) for field in fields[11:15])
    return total


def load(front, seconds, *options, scheme="https"):
    """Microseconds of CPU a request, and requests a second, of wrk with 64 connections."""
    before = cpu(front)
    port = front.endpoints()[0].rsplit(":", 1)[-1]
    url = f"{scheme}://127.0.0.1:{port}/"
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", *options, url]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    used = (cpu(front) - before) * TICK
    # A server that closes after each answer ends wrk's reading with an error that is none.
    if re.search("Non-2xx", said) or ("Socket errors" in said and not options):
        raise SystemExit(f"{front.name} failed:\n{said}")
    requests = int(re.search(r"(\d+) requests in", said)[1])
    return used / requests, float(re.search(r"Requests/sec: *([\d.]+)", said)[1])


def print_table(title, runs, beside):
    """Of each front (by name: cost and rate of each round) a line, with ratios to one of them."""
    rounds = len(runs[beside])
    columns = "".join(f"{f'round {n + 1}':>10}" for n in range(rounds))
    peer = beside.split(",", maxsplit=1)[0]
    print(f"{title:<28}{columns}{'median':>10}{'/' + peer:>10}{'requests/s':>12}")
    median = {name: statistics.median(cost for cost, _ in runs[name]) for name in runs}
    for name, measured in runs.items():
        costs = "".join(f"{cost:>10.1f}" for cost, _ in measured)
        rate = statistics.median(rate for _, rate in measured)
        print(f"{name:<28}{costs}{median[name]:>10.1f}{median[name] / median[beside]:>10.2f}{rate:>12.0f}")
