"""The partial of texts: what templates say, each text once, with the events that say it."""

from __future__ import annotations

from datetime import UTC, datetime

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from workbench.config.entity_schema import EntitySchema
from workbench.ingest.derive import shaped
from workbench.partials.shapes import TEXTS
from workbench.partials.texts import texts

SCHEMA = EntitySchema.model_validate(
    {
        "fields": {"test_account": "isTest"},
        "events": {
            "Visit": {"text": "{page} on {device}"},
            "Error": {"text": "error: {message|truncate:5}"},
            "Beat": {"text": "a beat"},
            "Quiet": {},
        },
    }
)


def documents(rows: list[dict[str, object]]) -> pl.DataFrame:
    base = {"_segment": "2025-01-01", "_ts": datetime(2025, 1, 1, tzinfo=UTC)}
    return pl.DataFrame([{**base, "_id": i, **row} for i, row in enumerate(rows)], infer_schema_length=None)


def said(frame: pl.DataFrame) -> list[tuple[str, str, bool, list[int]]]:
    return frame.select("event_type", "text", "is_test", "ids").rows()


def test_a_text_stands_once_with_its_events_in_order() -> None:
    frame = documents([{"page": "home", "device": "web"}, {"page": "cart", "device": "web"}] * 2)
    found = texts({"Visit": frame.reverse(), "Quiet": frame}, SCHEMA)
    assert said(found) == [("Visit", "cart on web", False, [1, 3]), ("Visit", "home on web", False, [0, 2])]
    assert shaped(found, "texts").schema == TEXTS


def test_truncated_texts_that_become_equal_are_one() -> None:
    frame = documents([{"message": "refused by a"}, {"message": "refused by b"}, {"message": "réf"}])
    assert said(texts({"Error": frame}, SCHEMA)) == [
        ("Error", "error: refus", False, [0, 1]),
        ("Error", "error: réf", False, [2]),
    ]


def test_a_field_without_a_value_reads_unknown_and_no_value_at_all_gives_no_text() -> None:
    frame = documents([{"page": "home", "device": None}, {"page": None, "device": None}])
    assert said(texts({"Visit": frame}, SCHEMA)) == [("Visit", "home on unknown", False, [0])]
    assert texts({"Visit": frame.drop("page", "device")}, SCHEMA).is_empty()
    # a template without fields says the same of every event
    assert said(texts({"Beat": frame}, SCHEMA)) == [("Beat", "a beat", False, [0, 1])]


def test_test_accounts_and_segments_are_kept_apart() -> None:
    frame = documents([{"page": "a", "device": "b", "isTest": t} for t in ("true", "false", None)])
    both = pl.concat([frame, frame.with_columns(_segment=pl.lit("2025-01-02"))])
    found = texts({"Visit": both}, SCHEMA)
    assert found.select("segment", "is_test", "ids").rows() == [
        ("2025-01-01", False, [1, 2]),
        ("2025-01-01", True, [0]),
        ("2025-01-02", False, [1, 2]),
        ("2025-01-02", True, [0]),
    ]


def test_numbers_are_written_as_the_source_wrote_them() -> None:
    frame = documents([{"page": 1.0, "device": 2.5}]).with_columns(
        pl.struct(pl.lit("2.50").alias("device")).alias("_original")
    )
    assert texts({"Visit": frame}, SCHEMA)["text"].to_list() == ["1 on 2.50"]


WORD = st.sampled_from(["a", "b", "", "naïve 東京", "{page}", 'say "so"'])


@given(st.lists(st.tuples(WORD, WORD, st.booleans()), max_size=30), st.randoms())
def test_every_event_is_said_once_by_the_text_that_python_would_make(
    rows: list[tuple[str, str, bool]], order: object
) -> None:
    frame = documents([{"page": p, "device": d, "isTest": str(t).lower()} for p, d, t in rows])
    if not rows:
        return
    shuffled = list(range(len(rows)))
    order.shuffle(shuffled)  # type: ignore[attr-defined]
    found = texts({"Visit": frame[shuffled]}, SCHEMA)
    assert found.equals(texts({"Visit": frame}, SCHEMA))
    assert found.select("text", "is_test").is_unique().all()
    exploded = {i: (text, test) for _, text, test, ids in said(found) for i in ids}
    assert exploded == {i: (f"{p} on {d}", t) for i, (p, d, t) in enumerate(rows)}
