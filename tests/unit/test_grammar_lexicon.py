"""The lexicon of a small log: what its names and their words can stand for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from workbench.engine import Engine
from workbench.plans.grammar.language import load_language
from workbench.plans.grammar.lexicon import Lexicon
from workbench.plans.grammar.senses import EventRef, FieldRef, KindRef, RoleRef
from workbench.plans.grammar.tokens import tokenize

if TYPE_CHECKING:
    from pathlib import Path

ENGLISH = load_language("english")
SCHEMA = """
apiVersion: workbench/v1
kind: EntitySchema
metadata: {id: parcels}
spec:
  timestamp: {fields: [at]}
  entities:
    parcel: {who: true}
    depot: {label: town}
  edges:
    SentFrom: {from: parcel, to: depot}
  events:
    ParcelSent:
      entities:
        parcel: parcelNum
        fromDepot: {type: depot, fields: src}
        toDepot: {type: depot, fields: dst}
      edges:
        - {type: SentFrom, from: parcel, to: fromDepot}
  references:
    depots: {entities: {depot: {fields: code, properties: [town]}}}
  about:
    wt: {synonyms: [weight], unit: gram}
"""
LOG = """at,parcelNum,src,dst,wt,delivery_attempts,mode
2024-05-01T10:00:00Z,X1,D1,D2,100,1,road
2024-05-02T10:00:00Z,X2,D2,D3,200,2,rail
2024-05-03T10:00:00Z,X3,D1,D3,300,1,road
"""


@pytest.fixture(scope="module")
def lexicon(tmp_path_factory: pytest.TempPathFactory) -> Lexicon:
    root: Path = tmp_path_factory.mktemp("parcels")
    (root / "schema.yaml").write_text(SCHEMA)
    (root / "in" / "reference").mkdir(parents=True)
    (root / "in" / "ParcelSent.csv").write_text(LOG)
    (root / "in" / "reference" / "depots.csv").write_text("code,town\nD1,New Ulm\nD2,Ulm\nD3,Bonn\n")
    engine = Engine.create(root / "w", schema=root / "schema.yaml")
    engine.ingest(root / "in")
    return Lexicon(engine, ENGLISH)


def senses(lexicon: Lexicon, text: str) -> set[tuple[str, object]]:
    """Return what the whole of a text can be."""
    tokens = tokenize(text, ENGLISH)
    return {(it.category, it.value) for it in lexicon.senses(tokens) if (it.i, it.j) == (0, len(tokens))}


@pytest.mark.parametrize(
    ("text", "sense"),
    [
        ("sent parcels", ("EVENT", EventRef(("ParcelSent",)))),
        ("parcels", ("KIND", KindRef("parcel"))),
        ("parcel number", ("KIND", KindRef("parcel"))),
        ("from depot", ("ROLE", RoleRef("fromDepot", "depot"))),
        ("weight", ("FIELD", FieldRef(("wt",)))),
        ("delivery attempts", ("FIELD", FieldRef(("delivery_attempts",)))),
        ("attempts", ("FIELD", FieldRef(("delivery_attempts",)))),
    ],
)
def test_a_name_is_known_by_its_words(text: str, sense: tuple[str, object], lexicon: Lexicon) -> None:
    assert sense in senses(lexicon, text)


def test_an_entity_is_known_by_key_and_by_label(lexicon: Lexicon) -> None:
    assert ("KEY", ("depot:D3", "d3")) in senses(lexicon, "d3")
    assert ("LABEL", (("depot:D3",), "Bonn")) in senses(lexicon, "Bonn")


def test_the_whole_label_stands_before_a_part_of_another(lexicon: Lexicon) -> None:
    assert ("LABEL", (("depot:D2",), "Ulm")) in senses(lexicon, "Ulm")
    assert ("LABEL", (("depot:D1",), "New Ulm")) in senses(lexicon, "New Ulm")


def test_a_word_of_nothing_has_no_sense(lexicon: Lexicon) -> None:
    assert senses(lexicon, "pilot") == set()


def test_only_a_clear_typing_error_is_undone(lexicon: Lexicon) -> None:
    (wrong,) = tokenize("weigth", ENGLISH)
    (other,) = tokenize("pilot", ENGLISH)
    better = lexicon.corrected(wrong)
    assert better is not None
    assert better.word == "weight"
    assert lexicon.corrected(other) is None
