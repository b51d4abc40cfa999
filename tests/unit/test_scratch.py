"""The directory of a process: gone with it, or with the next one."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.scratch import Scratch

if TYPE_CHECKING:
    import pytest

HOLDS = """
import sys
from workbench.scratch import Scratch
kept = Scratch()
print(kept.path, flush=True)
sys.stdin.read()
kept.remove()
"""


def holder(folder: Path) -> tuple[subprocess.Popen[str], Path]:
    """Start a process that holds one, and return both."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDS],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={"TMPDIR": str(folder), "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert process.stdout
    return process, Path(process.stdout.readline().strip())


def test_what_a_killed_process_left_is_removed_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / "workbench-of-something-else").mkdir()
    killed, left = holder(tmp_path)
    alive, held = holder(tmp_path)
    (left / "much.parquet").write_bytes(b"much")
    mine = Scratch()
    assert left.exists()
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    other = Scratch()
    assert not left.exists()
    assert held.exists()
    assert mine.path.exists()
    for scratch in (mine, other):
        scratch.remove()
        scratch.remove()
    alive.communicate("")
    Scratch().remove()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["workbench-of-something-else"]
