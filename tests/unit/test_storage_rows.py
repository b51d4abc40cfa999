"""Rows by their identifier: none is missed, few are named that have another one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from workbench.storage.rows import RowFinder

if TYPE_CHECKING:
    from pathlib import Path

STEP = 1 << 40


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Identifiers far apart and, the last two, near each other; three row groups."""
    ids = [1 * STEP, 2 * STEP, 3 * STEP, 4 * STEP, 6 * STEP, 6 * STEP + 1]
    pq.write_table(pa.table({"_id": ids}), tmp_path / "f.parquet", row_group_size=2)
    return tmp_path / "f.parquet"


def found(finder: RowFinder, path: Path, *ids: int) -> list[int]:
    return [
        rows.start + row for rows in finder.find(path, np.array(ids, np.int64)) for row in rows.rows.tolist()
    ]


def test_each_row_is_found_alone_and_with_others(path: Path) -> None:
    finder = RowFinder(pq.read_metadata)
    assert [found(finder, path, n * STEP) for n in (1, 2, 3, 4)] == [[0], [1], [2], [3]]
    assert found(finder, path, 4 * STEP, 1 * STEP, 2 * STEP) == [0, 1, 3]
    assert [rows.group for rows in finder.find(path, np.array([1 * STEP, 6 * STEP]))] == [0, 2]


def test_what_is_not_there_names_no_row_or_one_that_is_near(path: Path) -> None:
    finder = RowFinder(pq.read_metadata)
    assert found(finder, path, 0, 7 * STEP, 5 * STEP, -1, 2**63 - 1) == []
    assert found(finder, path, 3 * STEP + STEP // 2) == []
    assert found(finder, path, 6 * STEP) == [4, 5]


def test_what_was_read_is_remembered(path: Path) -> None:
    finder = RowFinder(pq.read_metadata)
    assert found(finder, path, 1 * STEP) == [0]
    path.unlink()
    assert found(finder, path, 2 * STEP) == [1]
    with pytest.raises(FileNotFoundError):
        found(finder, path, 3 * STEP)
