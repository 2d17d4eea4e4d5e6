# SPDX-License-Identifier: ISC
"""Workers that die are replaced, and what clients notice of it."""

import os
import signal
import subprocess
from pathlib import Path

from peers import Stunnel, daemon_only, service, wait_for
from recorder import Recorder
from tls_client import TlsClient

pytestmark = daemon_only


def workers(stunnel):
    """By process id; those that have not been waited for yet are dead."""
    return [pid for pid in stunnel.processes()[1:] if state(pid) not in (None, "Z")]


def state(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return None


def kill_one(stunnel, count):
    """Returns when there are `count` workers again, none of them the one that was killed."""
    victim = workers(stunnel)[0]
    os.kill(victim, signal.SIGKILL)
    wait_for(
        lambda: victim not in workers(stunnel) and len(workers(stunnel)) == count,
        "a worker in its place",
    )


def test_worker_is_replaced_after_the_clock_stepped_back(start, tmp_path):
    library = tmp_path / "stepped_clock.so"
    source = Path(__file__).with_name("stepped_clock.c")
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library, source], check=True)
    backend = start(Recorder())
    stunnel = Stunnel("workers = 2\n" + service(backend.port))
    step = tmp_path / "step"
    stunnel.wrapper = ["env", f"LD_PRELOAD={library}", f"STEP_WHEN={step}"]
    start(stunnel)
    before = stunnel.log_text().split()[0]
    kill_one(stunnel, 2)
    step.write_text("")
    kill_one(stunnel, 2)
    kill_one(stunnel, 2)
    assert stunnel.log_text().splitlines()[-1].split()[0] < before  # it does see the other clock
    with TlsClient(stunnel.port) as client:
        assert client.get("/").status == 200
