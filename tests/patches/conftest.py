# SPDX-License-Identifier: ISC
"""What tools/make-series is made of can be imported."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))
