"""A snapshot that is sent to another process is the same generation there, read from the same directory."""

from __future__ import annotations

import pickle
import subprocess
import sys
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from workbench.errors import (
    BackPressureError,
    CorruptFileError,
    UnknownNameError,
    UsageError,
    WorkbenchError,
    WorkspaceError,
)
from workbench.storage import Segment, SegmentStore

if TYPE_CHECKING:
    from pathlib import Path

DAY = "2025-06-12"


@pytest.fixture
def store(tmp_path: Path) -> SegmentStore:
    store = SegmentStore.create(tmp_path / "w")
    publish(store, 1, 2)
    return store


def publish(store: SegmentStore, *values: int) -> None:
    with store.writer() as writer:
        transaction = writer.begin()
        table = pa.table({"x": pa.array(values, pa.int64())})
        transaction.add("events", table, segment=DAY, name="Login", times=(1, 2))
        transaction.commit()


def test_it_is_small_and_stays_the_generation_that_it_was(store: SegmentStore) -> None:
    snapshot = store.snapshot()
    sent = pickle.dumps(Segment(snapshot, DAY))
    assert len(sent) < 1_000
    publish(store, 3)
    found: Segment = pickle.loads(sent)  # noqa: S301  (its own)
    assert str(found) == f"segment {DAY} of {store.root}, generation 1"
    assert [table["x"].to_pylist() for table in found.read("events", columns=["x"])] == [[1, 2]]
    assert found.files("events") == snapshot.files("events")
    assert found.read("entities") == []


def test_items_of_one_generation_share_what_is_known_of_it(store: SegmentStore) -> None:
    sent = [pickle.dumps(Segment(store.snapshot(), DAY)) for _ in range(2)]
    one, other = (pickle.loads(data) for data in sent)  # noqa: S301
    assert one.snapshot is other.snapshot
    publish(store, 3)
    newer = pickle.loads(pickle.dumps(store.snapshot()))  # noqa: S301
    assert newer is not one.snapshot
    assert newer.generation == 2
    assert newer._verifier is one.snapshot._verifier


def test_another_process_reads_it(store: SegmentStore) -> None:
    program = "import pickle, sys; print(pickle.load(sys.stdin.buffer).read('events')[0]['x'].to_pylist())"
    sent = pickle.dumps(Segment(store.snapshot(), DAY))
    done = subprocess.run([sys.executable, "-c", program], input=sent, capture_output=True, check=True)
    assert done.stdout == b"[1, 2]\n"


def test_what_cannot_be_sent_or_is_not_there_is_said(store: SegmentStore) -> None:
    with store.writer() as writer:
        transaction = writer.begin()
        transaction.add("events", pa.table({"x": [1]}), segment=DAY, name="Login", times=(1, 2))
        with pytest.raises(UsageError, match="only a generation of a workspace in a directory"):
            pickle.dumps(transaction.preview())
    sent = pickle.dumps(store.snapshot())
    (store.root / "manifests" / "0000000001.json").unlink()
    with pytest.raises(CorruptFileError, match="the manifest is missing"):
        pickle.loads(sent)  # noqa: S301
    store.root.rename(store.root.with_name("moved"))
    with pytest.raises(WorkspaceError, match="not seen from here"):
        pickle.loads(sent)  # noqa: S301


@pytest.mark.parametrize(
    "error",
    [
        UnknownNameError("fruit", "paer", ["pear"], where="basket"),
        BackPressureError("full", where="w", fix="Wait.", retry_after=3.0),
        CorruptFileError("damaged.", where="file"),
    ],
)
def test_errors_arrive_with_all_that_they_say(error: WorkbenchError) -> None:
    error.add_note("in a segment")
    found = pickle.loads(pickle.dumps(error))  # noqa: S301
    assert type(found) is type(error)
    assert (str(found), vars(found), found.args) == (str(error), vars(error), error.args)
