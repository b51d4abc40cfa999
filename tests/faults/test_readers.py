"""Readers in many processes beside one writer that seals and evicts: whole generations and no lost file.

Each reader opens the newest generation and reads every file of it, slowly. A writer publishes a day and
drops the oldest one, again and again, and deletes at once what nobody needs. Of every reading it is
asserted that no file was missing and that the rows are those of one generation: all files of each of its
days, each day's rows from the commit that made it. At the end no lease is left.
"""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import date, timedelta
from typing import TYPE_CHECKING

import pyarrow as pa
from faulty_disk import FULL, LazyDisk

from workbench.storage import SegmentStore

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Count

READERS, CYCLES = (8, 500) if FULL else (3, 25)
WINDOW = 5
FILES = 3
FIRST = date(2025, 1, 1)

READ = """
import json, random, sys, time
from pathlib import Path
from workbench.storage import SegmentStore

print("ready", flush=True)
root, seed = Path(sys.argv[1]), int(sys.argv[2])
draw, store, reads, generations = random.Random(seed), SegmentStore(root), 0, set()
while not (root.parent / "stop").exists():
    snapshot = store.snapshot()
    files = snapshot.files("events")
    seen = {}
    for entry in files:
        time.sleep(draw.random() * 0.004)
        seen.setdefault(entry.segment, set()).update(snapshot.read(entry)["x"].to_pylist())
    assert all(len(values) == 1 for values in seen.values()), seen
    assert len(files) == 3 * len(seen), files
    assert len(seen) <= 5
    reads += 1
    generations.add(snapshot.generation)
print(json.dumps([reads, len(generations)]), flush=True)
"""


def test_processes_read_whole_generations_while_days_come_and_go(tmp_path: Path, count: Count) -> None:
    root = tmp_path / "w"
    store = SegmentStore(SegmentStore.create(root).root, disk=LazyDisk())
    command = [sys.executable, "-c", READ, str(root)]
    readers = [
        subprocess.Popen([*command, str(seed)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for seed in range(READERS)
    ]
    assert all(reader.stdout and reader.stdout.readline() == "ready\n" for reader in readers)
    for cycle in range(CYCLES):
        with store.writer() as writer:
            transaction = writer.begin()
            day = (FIRST + timedelta(days=cycle)).isoformat()
            for _ in range(FILES):
                transaction.add("events", pa.table({"x": [cycle] * 100}), segment=day)
            gone = (FIRST + timedelta(days=cycle - WINDOW)).isoformat()
            transaction.remove(transaction.base.files("events", segments=[gone]))
            transaction.commit()
            writer.collect(grace=-1, manifests=1)
    (tmp_path / "stop").touch()
    found = [reader.communicate(timeout=120) for reader in readers]
    assert [(reader.returncode, error) for reader, (_, error) in zip(readers, found, strict=True)] == [
        (0, "")
    ] * READERS
    reads = [json.loads(out) for out, _ in found]
    assert min(number for number, _ in reads) > 0
    with store.writer() as writer:
        writer.collect(grace=-1, manifests=1)
    assert list((root / "readers").iterdir()) == []
    assert len(list(root.rglob("*.parquet"))) == WINDOW * FILES
    count(
        f"readings by {READERS} processes over {CYCLES} cycles of sealing and evicting",
        sum(number for number, _ in reads),
    )
