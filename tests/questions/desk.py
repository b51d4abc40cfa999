"""A made-up help desk: tickets opened and closed, logins, room sensors; written from a seed.

Event types are a noun and a verb, field names are abbreviated and nothing is said about them.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["write_desk"]

_SCHEMA = """
apiVersion: workbench/v1
kind: EntitySchema
metadata: {id: desk}
spec:
  timezone: UTC
  timestamp: {fields: [ts]}
  entities:
    agent: {who: true, label: full_name}
    client: {label: company}
    site: {attribute: true, label: city}
    team: {attribute: true}
  edges:
    Filed: {from: client, to: agent}
    MemberOf: {from: agent, to: team}
    MovedFrom: {from: client, to: site}
    MovedTo: {from: client, to: site}
  events:
    TicketOpened:
      entities: {agent: agent_id, client: cust_id}
      edges: [{type: Filed, from: client, to: agent}]
    TicketClosed: {entities: {agent: agent_id, client: cust_id}}
    userLogin: {entities: {agent: agent_id}}
    Move:
      entities: {client: cust_id, start: {fields: from_site, type: site}, goal: {fields: to_site, type: site}}
      edges: [{type: MovedFrom, from: client, to: start}, {type: MovedTo, from: client, to: goal}]
    Climate: {entities: {site: site_code}}
  references:
    staff:
      entities: {agent: {fields: id, properties: [full_name, grade]}, team: team}
      edges: [{type: MemberOf, from: agent, to: team}]
    clients: {entities: {client: {fields: id, properties: [company, country]}}}
    sites: {entities: {site: {fields: code, properties: [city]}}}
"""
_START = datetime(2024, 1, 1, tzinfo=UTC)
_DAYS = 182
_AGENTS = {f"A{n}": name for n, name in enumerate(
    ("Ada Byron", "Ben Okri", "Cleo Marsh", "Dora Quist", "Emil Sachs", "Fay Wu", "Gil Tran")
)}  # fmt: skip
_SITES = {"X1": "Bremen", "X2": "Turin", "X3": "Ghent"}


def write_desk(directory: Path) -> Path:
    """Write sources and ``schema.yaml`` to a folder and return the sources."""
    rng = np.random.default_rng(20240202)
    sources = directory / "sources"
    (sources / "reference").mkdir(parents=True)
    (directory / "schema.yaml").write_text(_SCHEMA)
    clients = [f"K{n:03d}" for n in range(80)]

    def pick(values: list[str], count: int) -> list[str]:
        weights = 1.0 / np.arange(1, len(values) + 1) ** 0.6
        return [str(v) for v in rng.choice(values, count, p=weights / weights.sum())]

    def base(count: int) -> dict[str, object]:
        seconds = np.sort(rng.integers(0, _DAYS * 86_400, count))
        return {"ts": [_START + timedelta(seconds=int(s)) for s in seconds]}

    def tickets(count: int) -> dict[str, object]:
        return {
            **base(count),
            "agent_id": pick(list(_AGENTS), count),
            "cust_id": pick(clients, count),
            "priority": pick(["normal", "urgent", "low"], count),
            "channel": pick(["mail", "chat", "phone", "portal"], count),
        }

    frames = {
        "TicketOpened": {**tickets(2400), "qty": rng.integers(1, 5, 2400)},
        "TicketClosed": {
            **tickets(2000),
            "res_time_min": np.round(rng.gamma(2.0, 90.0, 2000), 1),
            "satisfaction": rng.integers(1, 6, 2000),
            "amt": np.round(rng.gamma(2.0, 10.0, 2000), 2),
        },
        "userLogin": {**base(1500), "agent_id": pick(list(_AGENTS), 1500)},
        "Move": {
            **base(160),
            "cust_id": pick(clients, 160),
            "from_site": pick(list(_SITES), 160),
            "to_site": pick(list(_SITES)[::-1], 160),
        },
        "Climate": {
            **base(900),
            "site_code": pick(list(_SITES), 900),
            "temp": np.round(rng.normal(21, 2, 900), 1),
            "humid": rng.integers(20, 80, 900),
        },
    }
    for name, columns in frames.items():
        pl.DataFrame(columns).write_parquet(sources / f"{name}.parquet")
    reference = {
        "staff": {
            "id": list(_AGENTS),
            "full_name": list(_AGENTS.values()),
            "grade": ["senior", "junior", "senior", "junior", "junior", "lead", "senior"],
            "team": ["red", "blue", "red", "blue", "green", "green", "red"],
        },
        "clients": {
            "id": clients,
            "company": [f"Firm {n}" for n in range(len(clients))],
            "country": [("Norway", "Chile", "Japan")[n % 3] for n in range(len(clients))],
        },
        "sites": {"code": list(_SITES), "city": list(_SITES.values())},
    }
    for name, columns in reference.items():
        pl.DataFrame(columns).write_parquet(sources / "reference" / f"{name}.parquet")
    return sources
