"""A small made-up web shop: orders, refunds and support tickets of half a year, written from a seed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["SCHEMA", "write_shop"]

SCHEMA = """
apiVersion: workbench/v1
kind: EntitySchema
metadata: {id: shop}
spec:
  timezone: Europe/Berlin
  timestamp: {fields: [at]}
  entities:
    customer: {who: true, label: fullName, synonyms: [buyer, client]}
    product: {label: title, synonyms: [article, item]}
    store: {attribute: true, label: town, synonyms: [shop, branch]}
    agent: {synonyms: [clerk]}
    topic: {attribute: true}
  edges:
    Bought: {from: customer, to: product, synonyms: [ordered, purchased]}
    BoughtAt: {from: customer, to: store, synonyms: [shopped at, shops at]}
    Returned: {from: customer, to: product, synonyms: [sent back]}
    HelpedBy: {from: customer, to: agent, synonyms: [served by, talked to]}
  events:
    OrderPlaced:
      synonyms: [order, purchase]
      entities: {customer: customerId, product: sku, store: storeCode}
      edges:
        - {type: Bought, from: customer, to: product}
        - {type: BoughtAt, from: customer, to: store}
    Refund:
      synonyms: [return]
      entities: {customer: customerId, product: sku, store: storeCode}
      edges:
        - {type: Returned, from: customer, to: product}
    SupportTicket:
      synonyms: [ticket, complaint]
      entities: {customer: customerId, agent: agentName, topic: topic}
      edges:
        - {type: HelpedBy, from: customer, to: agent}
  references:
    people: {entities: {customer: {fields: id, properties: [fullName, country]}}}
    goods: {entities: {product: {fields: sku, properties: [title, category, weight]}}}
    places: {entities: {store: {fields: code, properties: [town]}}}
"""
_TERMS = """
  terms:
    transaction: {events: [OrderPlaced, Refund], outcomes: [Refund]}
  about:
    amount: {synonyms: [revenue, order value], unit: euro}
    minutesToClose: {synonyms: [handling time], unit: minute, worse: higher}
    qty: {synonyms: [quantity]}
"""
_START = datetime(2024, 1, 1, tzinfo=UTC)
_DAYS = 182
_TOWNS = {"S01": "Hamburg", "S02": "Munich", "S03": "Cologne", "S04": "Leipzig"}
_TITLES = [
    "Desk Lamp",
    "Garden Chair",
    "Tea Kettle",
    "Wool Blanket",
    "Bread Knife",
    "Wall Clock",
    "Coffee Grinder",
    "Book Shelf",
]
_AGENTS = ["Mara", "Jonas", "Edith"]
_TOPICS = ["delivery", "payment", "warranty"]


def write_shop(directory: Path, *, described: bool = True) -> Path:
    """Write sources and schema and return the sources; without ``described`` no terms and no notes."""
    rng = np.random.default_rng(20240101)
    sources = directory / "sources"
    sources.mkdir(parents=True)
    (directory / "schema.yaml").write_text(SCHEMA + (_TERMS if described else ""))
    people = [f"C{n:04d}" for n in range(300)]
    names = [
        f"{a} {b}"
        for a in ("Anna", "Bela", "Carla", "Dario", "Erik", "Fatma")
        for b in ("Lind", "Moreau", "Novak", "Ortiz", "Petrov")
    ]
    skus = [f"P{n:03d}" for n in range(len(_TITLES))]

    def when(count: int) -> list[datetime]:
        seconds = np.sort(rng.integers(0, _DAYS * 86_400, count))
        return [_START + timedelta(seconds=int(s)) for s in seconds]

    def pick(values: list[str], count: int, alpha: float) -> list[str]:
        weights = 1.0 / np.arange(1, len(values) + 1) ** alpha
        return [str(v) for v in rng.choice(values, count, p=weights / weights.sum())]

    def sales(count: int) -> pl.DataFrame:
        return pl.DataFrame(
            {
                "at": when(count),
                "customerId": pick(people, count, 0.4),
                "sku": pick(skus, count, 0.5),
                "storeCode": pick(list(_TOWNS), count, 0.3),
                "amount": np.round(rng.gamma(2.0, 30.0, count), 2),
                "qty": rng.integers(1, 6, count),
                "channel": pick(["web", "phone", "counter"], count, 1.0),
            }
        )

    tickets = pl.DataFrame(
        {
            "at": when(900),
            "customerId": pick(people, 900, 0.4),
            "agentName": pick(_AGENTS, 900, 0.5),
            "topic": pick(_TOPICS, 900, 0.5),
            "priority": pick(["low", "medium", "urgent"], 900, 0.6),
            "minutesToClose": rng.integers(1, 400, 900),
        }
    )
    for name, frame in (("OrderPlaced", sales(6000)), ("Refund", sales(700)), ("SupportTicket", tickets)):
        frame.write_parquet(sources / f"{name}.parquet")
    reference = sources / "reference"
    reference.mkdir()
    pl.DataFrame(
        {
            "id": people,
            "fullName": [f"{names[n % len(names)]} {n // len(names) + 1}" for n in range(len(people))],
            "country": pick(["Germany", "Austria", "Poland"], len(people), 1.0),
        }
    ).write_parquet(reference / "people.parquet")
    pl.DataFrame(
        {
            "sku": skus,
            "title": _TITLES,
            "category": ["home", "garden", "kitchen", "home", "kitchen", "home", "kitchen", "home"],
            "weight": [1.2, 6.5, 0.9, 1.8, 0.2, 0.7, 1.1, 14.0],
        }
    ).write_parquet(reference / "goods.parquet")
    pl.DataFrame({"code": list(_TOWNS), "town": list(_TOWNS.values())}).write_parquet(
        reference / "places.parquet"
    )
    return sources
