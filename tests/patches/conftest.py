# SPDX-License-Identifier: ISC
"""What tools/make-series is made of can be imported, and the peers of tests/run."""

import sys
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TOP / "tools"), str(TOP / "tests" / "run")]
