# SPDX-License-Identifier: ISC
"""A daemon with faults that cannot be brought about from outside."""

import subprocess
from pathlib import Path

from peers import Stunnel


class Faulty(Stunnel):
    """With the faults of preload.c: `fault("hang")` brings one about, `mend("hang")` ends it."""

    def __init__(self, config):
        super().__init__(config)
        library = self.folder / "preload.so"
        source = Path(__file__).with_name("preload.c")
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library, source], check=True)
        files = [f"{fault.upper()}_WHEN={self.folder}/{fault}" for fault in ("step", "hang", "fail", "unlink")]
        self.wrapper = ["env", f"LD_PRELOAD={library}", *files]

    def fault(self, name):
        (self.folder / name).touch()

    def mend(self, name):
        (self.folder / name).unlink()
