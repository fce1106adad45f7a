# SPDX-License-Identifier: BSD-2-Clause
"""Makes the lab's modules importable; leaves no files in the source tree."""
import sys
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "lab"))
