"""Where a workspace is made and opened; mirrors are opened in tests/faults/test_mirror_s3.py."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from workbench.errors import UsageError, WorkspaceError
from workbench.storage import SegmentStore
from workbench.storage.opening import new_root, open_store

if TYPE_CHECKING:
    from pathlib import Path


def test_no_workspace_is_made_at_an_address() -> None:
    with pytest.raises(UsageError, match=r"in a local directory(.|\n)*workbench mirror s3://bucket/new"):
        new_root("s3://bucket/new")


def test_a_path_is_whole_and_of_the_home_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert new_root("~/w") == tmp_path / "w"
    monkeypatch.chdir(tmp_path)
    assert new_root("w") == tmp_path / "w"


def test_a_workspace_is_opened_with_its_settings_and_those_that_are_given(tmp_path: Path) -> None:
    SegmentStore.create(tmp_path / "w")
    (tmp_path / "w" / "workbench.toml").write_text("disk_reserve_mb = 3\nthreads = 1\n")
    store, settings = open_store(tmp_path / "w", threads=2)
    assert (store.root, settings.threads, store.reserve) == (tmp_path / "w", 2, settings.reserve_bytes)
    with pytest.raises(WorkspaceError):
        open_store(tmp_path / "other")
