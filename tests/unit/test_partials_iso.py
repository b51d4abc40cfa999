"""Times read by their bytes: the same as the usual way reads, and nothing else."""

from __future__ import annotations

from datetime import datetime

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.partials.iso import exact_times
from workbench.partials.types import canonical_text, parse_times

ODD = [
    "2025-06-12T08:30:00.000Z",  # its text would come back without the fraction
    "2025-06-12T08:30:00.12Z",
    "2025-06-12 08:30:00.125Z",
    "2025-06-12T08:30:00.125+",
    "2025-06-12T08:30:60.125Z",
    "2025-06-12T24:30:00.125Z",
    "2025-02-29T08:30:00.125Z",
    "2025-13-12T08:30:00.125Z",
    "2025-06-00T08:30:00.125Z",
    "2025-06-1 T08:30:00.125Z",
    "202é-06-12T08:30:00.12Z",
    "",
]


@pytest.mark.parametrize("text", ODD)
def test_another_spelling_is_left_to_the_usual_way(text: str) -> None:
    assert exact_times(pl.Series([text, None])).to_list() == [None, None]


@given(st.lists(st.none() | st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31)), max_size=20))  # noqa: DTZ001
def test_what_is_read_is_what_the_usual_way_reads_and_gives_its_text_back(
    moments: list[datetime | None],
) -> None:
    texts = [None if m is None else m.isoformat("T", "milliseconds") + "Z" for m in moments]
    frame = pl.DataFrame({"text": pl.Series(texts, dtype=pl.String)}).slice(1)
    found = exact_times(frame["text"])
    usual = frame.select(parse_times(pl.col("text"), "UTC")).to_series()
    written = found.to_frame("v").select(canonical_text(pl.col("v"), found.dtype)).to_series()
    for text, time, slow, back in zip(frame["text"], found, usual, written, strict=True):
        assert (time, back) == ((None, None) if text is None or text.endswith(".000Z") else (slow, text))
