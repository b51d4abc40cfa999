"""The log of what rules have done, as a table."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import polars as pl

from workbench.tabular import TitledTable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from workbench.storage.sealed import Record

__all__ = ["Log", "log_of"]

_COLUMNS = {
    "number": pl.Int64(),
    "at": pl.Datetime("us", "UTC"),
    "rule": pl.String(),
    "event": pl.String(),
    "subject": pl.String(),
    "text": pl.String(),
    "value": pl.Float64(),
    "limit": pl.Float64(),
    "asof": pl.Datetime("us", "UTC"),
    "since": pl.Datetime("us", "UTC"),
    "addresses": pl.List(pl.String()),
    "version": pl.String(),
    "generation": pl.Int64(),
}


class Log(TitledTable):
    """Records of the log as a table, the newest first."""


def log_of(records: Iterable[Record], timezone: str) -> Log:
    """Return records as a table, in their order.

    Args:
        records: Of the log, but for what is only on its way to somebody.
        timezone: Zone in which times are shown.
    """
    frame = pl.DataFrame([_row(record) for record in records], schema=_COLUMNS)
    table = frame.to_arrow(compat_level=pl.CompatLevel.oldest())
    return Log(table, "what rules have done, the newest first", timezone)


def _row(record: Record) -> dict[str, Any]:
    sent = record["kind"] == "outcome"
    return {
        "number": record["n"],
        "at": _moment(record["at"]),
        "rule": record["rule"],
        "event": record["status"] if sent else record["kind"],
        "subject": record["channel"] if sent else record["subject"],
        "text": record["detail"] if sent else record["reason"],
        "value": record.get("value"),
        "limit": record.get("limit"),
        "asof": _moment(record.get("asof")),
        "since": _moment(record.get("since")),
        "addresses": record.get("addresses", []),
        "version": record.get("version", ""),
        "generation": record.get("generation"),
    }


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
