"""Run every benchmark in its quick form, one after the other: ``python -m bench``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

for script in sorted(Path(__file__).parent.glob("[!_]*.py")):
    print(f"== {script.stem}", flush=True)
    subprocess.run([sys.executable, str(script), "--quick"], check=True)
