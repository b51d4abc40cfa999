"""Entity schemas: what the shipped ones say, and what is found wrong with others, where and how said."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated

import pytest
from pydantic import Field, ValidationError

from workbench.config import EntitySchema, load_schema, shipped_schemas
from workbench.config.documents import Metadata, Strict, load_document
from workbench.errors import ConfigError, UnknownNameError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Write = Callable[[str], Path]

HEAD = """\
apiVersion: workbench/v1
kind: EntitySchema
metadata: {id: shop}
spec:
"""
VALID = (
    HEAD
    + """\
  timezone: Europe/Berlin
  fields:
    aliases: {amount: [Amount, amt]}
  entities:
    buyer: {who: true, label: name}
    shop: {attribute: true}
  edges:
    BoughtAt: {from: buyer, to: shop}
  events:
    Sale:
      aliases: [Purchase]
      entities:
        buyer: [account, mail]
        seller: {type: shop, fields: store}
      edges:
        - {type: BoughtAt, from: buyer, to: seller}
      text: "sale of {item|truncate:40} for {amount}"
  references:
    accounts:
      entities:
        buyer: {fields: account, properties: [name, {}]}
"""
).replace(", {}", "")


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write_text(text: str) -> Path:
        path = tmp_path / "schema.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write_text


def _findings(path: Path) -> list[str]:
    """Load what cannot be loaded and return the findings, one a line, without the file's folder."""
    with pytest.raises(ConfigError) as caught:
        load_schema(path)
    return str(caught.value).replace(f"{path.parent}/", "").split("\n")


def _changed(old: str, new: str) -> str:
    assert VALID.count(old) == 1, old
    return VALID.replace(old, new)


def test_a_valid_schema_gives_what_it_says(write: Write) -> None:
    schema = load_schema(write(VALID))

    assert schema.metadata == Metadata(id="shop")
    assert schema.timezone == "Europe/Berlin"
    assert schema.who == ("buyer",)
    assert schema.attributes == {"shop"}
    assert schema.event_names == {"Sale": "Sale", "Purchase": "Sale", "accounts": "accounts"}
    sale = schema.events["Sale"]
    assert sale.entities["buyer"].fields == ("account", "mail")
    assert (sale.entities["seller"].type, sale.entities["seller"].fields) == ("shop", ("store",))
    assert [(e.type, e.source, e.target) for e in sale.edges] == [("BoughtAt", "buyer", "seller")]
    assert schema.references["accounts"].entities["buyer"].properties == {"name": "name"}
    assert schema.fields.aliases == {"amount": ("Amount", "amt")}


def test_an_empty_schema_has_the_defaults() -> None:
    schema = EntitySchema()

    assert schema.timezone == "UTC"
    assert schema.nulls == ("", "None", "null", "undefined", "NaN")
    assert "@timestamp" in schema.timestamp.fields
    assert (schema.who, schema.attributes, schema.event_names) == ((), frozenset(), {})


@pytest.mark.parametrize(
    ("old", "new", "finding"),
    [
        pytest.param(
            "workbench/v1", "workbench/v2",
            "schema.yaml:1: apiVersion: 'workbench/v2' is not a possible value. Did you mean 'workbench/v1'?",
            id="version",
        ),
        pytest.param(
            "kind: EntitySchema", "kind: Features",
            "schema.yaml:2: kind is 'Features', expected 'EntitySchema'.",
            id="kind",
        ),
        pytest.param(
            "metadata: {id: shop}", "metadata: {idd: shop}",
            "schema.yaml:3: metadata.id: missing key 'id'.\n"
            "schema.yaml:3: metadata.idd: unknown key 'idd'. Did you mean 'id'?",
            id="missing key",
        ),
        pytest.param(
            "timezone: Europe/Berlin", "timezone: Europe/Berlyn",
            "schema.yaml:5: spec.timezone: there is no time zone 'Europe/Berlyn'; "
            "use an IANA name such as Europe/Berlin",
            id="time zone",
        ),
        pytest.param(
            "  timezone: Europe/Berlin", "  timezne: Europe/Berlin",
            "schema.yaml:5: spec.timezne: unknown key 'timezne'. Did you mean 'timezone'?",
            id="unknown key at the top",
        ),
        pytest.param(
            "shop: {attribute: true}", "shop: {atribute: true}",
            "schema.yaml:10: spec.entities.shop.atribute: unknown key 'atribute'. Did you mean 'attribute'?",
            id="unknown key below a name",
        ),
        pytest.param(
            "BoughtAt: {from: buyer, to: shop}", "BoughtAt: {form: buyer, to: shop}",
            "schema.yaml:12: spec.edges.BoughtAt.form: unknown key 'form'. Did you mean 'from'?\n"
            "schema.yaml:12: spec.edges.BoughtAt.from: missing key 'from'.",
            id="unknown key where the document has a name of its own",
        ),
        pytest.param(
            "{type: BoughtAt, from: buyer", "{tpye: BoughtAt, from: buyer",
            "schema.yaml:20: spec.events.Sale.edges.0.tpye: unknown key 'tpye'. Did you mean 'type'?\n"
            "schema.yaml:20: spec.events.Sale.edges.0.type: missing key 'type'.",
            id="unknown key in a list",
        ),
        pytest.param(
            "{who: true,", "{who: maybe,",
            "schema.yaml:9: spec.entities.buyer.who: "
            "Input should be a valid boolean, unable to interpret input, not 'maybe'.",
            id="wrong type",
        ),
        pytest.param(
            "shop: {attribute: true}", "shop:",
            "schema.yaml:10: spec.entities.shop: expected a mapping, not None.",
            id="nothing where a mapping should be",
        ),
        pytest.param(
            "seller: {type: shop, fields: store}", "seller: {type: shop}",
            "schema.yaml:18: spec.events.Sale.entities.seller: "
            "give the key's 'fields' (with fallbacks in order), or 'join', or both",
            id="no key",
        ),
        pytest.param(
            "fields: store}", "fields: store, separator: '-'}",
            "schema.yaml:18: spec.events.Sale.entities.seller: "
            "'separator' stands between the values of 'join', and there is no 'join'",
            id="separator of nothing",
        ),
        pytest.param(
            "{item|truncate:40}", "{item|trunc:40}",
            "schema.yaml:21: spec.events.Sale.text: 'sale of {item|trunc:40} for {amount}' is not a "
            "template; a placeholder is {field} or {field|truncate:100}",
            id="template",
        ),
        pytest.param(
            "{from: buyer, to: shop}", "{from: buyr, to: shop}",
            "schema.yaml:12: spec.edges.BoughtAt.from: there is no entity type 'buyr'. "
            "Did you mean 'buyer'?\n"
            "schema.yaml:20: spec.events.Sale.edges.0.from: role 'buyer' is of type 'buyer', "
            "BoughtAt joins 'buyr' there.",
            id="entity type of an edge type",
        ),
        pytest.param(
            "seller: {type: shop,", "seller: {type: shopp,",
            "schema.yaml:18: spec.events.Sale.entities.seller: there is no entity type 'shopp'. "
            "Did you mean 'shop'?\n"
            "schema.yaml:20: spec.events.Sale.edges.0.to: role 'seller' is of type 'shopp', "
            "BoughtAt joins 'shop' there.",
            id="entity type of a role",
        ),
        pytest.param(
            "{type: BoughtAt,", "{type: BougthAt,",
            "schema.yaml:20: spec.events.Sale.edges.0.type: there is no edge type 'BougthAt'. "
            "Did you mean 'BoughtAt'?",
            id="edge type",
        ),
        pytest.param(
            "to: seller}", "to: sellr}",
            "schema.yaml:20: spec.events.Sale.edges.0.to: there is no role 'sellr'. Did you mean 'seller'?",
            id="role",
        ),
        pytest.param(
            "from: buyer, to: seller}", "from: seller, to: seller}",
            "schema.yaml:20: spec.events.Sale.edges.0.from: role 'seller' is of type 'shop', "
            "BoughtAt joins 'buyer' there.",
            id="role of another type",
        ),
        pytest.param(
            "label: name", "label: nmae",
            "schema.yaml:9: spec.entities.buyer.label: there is no property 'nmae'. Did you mean 'name'?",
            id="label that no rule gives",
        ),
        pytest.param(
            "aliases: [Purchase]", "aliases: [Purchase, accounts]",
            "schema.yaml:15: spec.events.Sale.aliases.1: 'accounts' means 'accounts' already.",
            id="alias of something else",
        ),
        pytest.param(
            "    accounts:\n", "    Sale:\n",
            "schema.yaml:23: spec.references.Sale: 'Sale' is an event type already.",
            id="reference with an event type's name",
        ),
        pytest.param(
            "{amount: [Amount, amt]}", "{amount: [Amount, amt], total: amt}",
            "schema.yaml:7: spec.fields.aliases.total.0: 'amt' is a spelling of 'amount' already.",
            id="spelling of two fields",
        ),
        pytest.param(
            "  fields:\n    aliases", "  entities: {}\n  fields:\n    aliases",
            'schema.yaml:9: not valid YAML: found duplicate key "entities".',
            id="duplicate key",
        ),
        pytest.param(
            "[Purchase]", "[Purchase",
            "schema.yaml:16: not valid YAML: expected ',' or ']', but got ':'.",
            id="YAML",
        ),
    ],
)  # fmt: skip
def test_a_finding_names_file_line_path_and_what_may_be_meant(
    write: Write, old: str, new: str, finding: str
) -> None:
    assert _findings(write(_changed(old, new))) == finding.split("\n")


@pytest.mark.parametrize("name", ["Shop", "shop:x", "corner shop"])
def test_an_entity_type_is_lower_case_and_fit_for_an_identity(write: Write, name: str) -> None:
    text = VALID.replace("shop: {attribute", f'"{name}": {{attribute').replace("to: shop", f'to: "{name}"')
    text = text.replace("type: shop", f'type: "{name}"')

    (finding,) = _findings(write(text))
    assert finding.startswith(
        f"schema.yaml:10: spec.entities.{name}: entity type {name!r} must be lower case"
    )


def test_several_findings_come_at_once_in_the_order_of_the_lines(write: Write) -> None:
    text = VALID.replace("to: seller}", "to: sellr}").replace("label: name", "label: nmae")
    assert [f.split(": ")[0] for f in _findings(write(text))] == ["schema.yaml:9", "schema.yaml:20"]

    text = (
        VALID.replace("workbench/v1", "v1")
        .replace("who: true", "who: maybe")
        .replace("aliases: [P", "alias: [P")
    )
    assert [f.split(": ")[0] for f in _findings(write(text))] == [
        "schema.yaml:1",
        "schema.yaml:9",
        "schema.yaml:15",
    ]


def test_a_name_that_is_also_a_key_does_not_lead_astray(write: Write) -> None:
    """An entity type may be called like a part of the schema: what is known under it stays the same."""
    text = HEAD + "  entities:\n    events: {whoo: true}\n    text: {labl: x}\n"

    assert _findings(write(text)) == [
        "schema.yaml:6: spec.entities.events.whoo: unknown key 'whoo'. Did you mean 'who'?",
        "schema.yaml:7: spec.entities.text.labl: unknown key 'labl'. Did you mean 'label'?",
    ]


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        ("", "schema.yaml:1: expected a mapping with apiVersion, kind, metadata and spec."),
        ("- a\n", "schema.yaml:1: expected a mapping with apiVersion, kind, metadata and spec."),
        (HEAD, "schema.yaml:4: spec: expected a mapping, not None."),
        (
            "a: \x07\n",
            "schema.yaml: not valid YAML: unacceptable character #x0007: special characters are not allowed",
        ),
    ],
    ids=["empty", "list", "no spec", "control character"],
)
def test_what_is_no_document_at_all_is_said_so(write: Write, text: str, finding: str) -> None:
    assert _findings(write(text))[0].startswith(finding)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    latin = tmp_path / "latin.yaml"
    latin.write_bytes("metadata: {name: Z\xfcrich}".encode("latin-1"))
    folder = tmp_path / "folder.yaml"
    folder.mkdir()

    with pytest.raises(ConfigError, match=r"latin\.yaml: not UTF-8 text"):
        load_schema(latin)
    with pytest.raises(ConfigError, match=r"folder\.yaml: cannot be read: Is a directory"):
        load_schema(folder)
    with pytest.raises(ConfigError, match=r"none\.yaml: no such file"):
        load_document(tmp_path / "none.yaml", "EntitySchema", EntitySchema)


def test_keys_below_containers_and_unions_are_known_too(write: Write) -> None:
    class Spike(Strict):
        multiplier: float = 3

    class Rule(Strict):
        check: Spike | None = None
        checks: dict[str, Annotated[list[Spike], Field(min_length=1)]] | None = None

    head = HEAD.replace("EntitySchema", "Rule")
    for spec in ("check: {multiplyer: 2}", "checks: {night: [{multiplier: 2}, {multiplyer: 2}]}"):
        with pytest.raises(
            ConfigError, match=r"yaml:5: spec\.check.*multiplyer: .* Did you mean 'multiplier'"
        ):
            load_document(write(f"{head}  {spec}\n"), "Rule", Rule)


def test_an_unknown_name_suggests_a_shipped_schema(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match=r"no entity schema 'flihgts'\. Did you mean 'flights'"):
        load_schema("flihgts")
    with pytest.raises(UnknownNameError, match=r"No such file"):
        load_schema(tmp_path / "flights.yaml")


def test_a_schema_built_in_code_is_checked_alike() -> None:
    with pytest.raises(ValidationError, match="there is no entity type 'a'"):
        EntitySchema.model_validate({"edges": {"Knows": {"from": "a", "to": "a"}}})


def test_the_fingerprint_is_of_what_extraction_depends_on(write: Write) -> None:
    original = load_schema(write(VALID)).fingerprint

    for old, new in (
        ("metadata: {id: shop}", "metadata: {id: store, version: 7}"),
        ("label: name}", "label: name, synonyms: [customer], description: Who buys.}"),
        ("{from: buyer, to: shop}", "{to: shop, from: buyer, description: A sale.}"),
        ("aliases: [Purchase]", "aliases: [Purchase]\n      synonyms: deal"),
    ):
        assert load_schema(write(_changed(old, new))).fingerprint == original, new
    for old, new in (
        ("[account, mail]", "[mail, account]"),
        ("{item|truncate:40}", "{item}"),
        ("aliases: [Purchase]", "aliases: [Purchases]"),
        ("properties: [name]", "properties: {name: full_name}"),
    ):
        assert load_schema(write(_changed(old, new))).fingerprint != original, new


def test_schemas_with_named_parts_may_repeat_them_by_anchor(write: Write) -> None:
    text = HEAD + "  entities: {a: {}, b: {}}\n  events:\n    X:\n      entities: &e {a: p, b: q}\n"
    schema = load_schema(write(text + "    Y:\n      entities:\n        <<: *e\n        b: r\n"))

    assert {role: rule.fields for role, rule in schema.events["Y"].entities.items()} == {
        "a": ("p",),
        "b": ("r",),
    }


@pytest.mark.parametrize("name", sorted(shipped_schemas()))
def test_shipped_schemas_describe_everything(name: str) -> None:
    schema = load_schema(name)

    assert schema.metadata.id == name
    assert schema.metadata.description
    for kind in (schema.entities, schema.edges, schema.events):
        assert all(part.description.endswith(".") and part.synonyms for part in kind.values())
    assert all(rule.text for rule in schema.events.values())
    given = {e.type for rule in (*schema.events.values(), *schema.references.values()) for e in rule.edges}
    assert given == set(schema.edges)


@pytest.mark.parametrize("name", sorted(shipped_schemas()))
def test_shipped_texts_say_what_happened_not_to_whom(name: str) -> None:
    identifiers = {"tailnum", "flight", "memberCode", "fingerprint", "deviceId", "affiliateId", "componentId"}

    for rule in load_schema(name).events.values():
        placeholders = set(re.findall(r"\{([^|}]+)", rule.text))
        assert placeholders, rule.text
        assert not placeholders & identifiers, rule.text


def _edges(schema: EntitySchema, rule_of: str) -> set[tuple[str, str, str]]:
    return {(e.type, e.source, e.target) for e in schema.events[rule_of].edges}


def test_the_flights_schema() -> None:
    schema = load_schema("flights")

    assert schema.timezone == "America/New_York"
    assert schema.who == ("aircraft",)
    assert set(schema.entities) == {"aircraft", "airport", "carrier", "flight", "manufacturer", "model"}
    assert schema.attributes == {"carrier", "manufacturer", "model"}
    assert {name: (e.source, e.target) for name, e in schema.edges.items()} == {
        "DepartedFrom": ("aircraft", "airport"),
        "ArrivedAt": ("aircraft", "airport"),
        "OperatedBy": ("aircraft", "carrier"),
        "BuiltBy": ("aircraft", "manufacturer"),
        "OfModel": ("aircraft", "model"),
        "Serves": ("carrier", "airport"),
        "FliesFrom": ("flight", "airport"),
        "FliesTo": ("flight", "airport"),
    }
    assert _edges(schema, "Departure") == {
        ("DepartedFrom", "aircraft", "origin"),
        ("OperatedBy", "aircraft", "carrier"),
        ("Serves", "carrier", "origin"),
        ("Serves", "carrier", "dest"),
        ("FliesFrom", "flight", "origin"),
        ("FliesTo", "flight", "dest"),
    }
    assert _edges(schema, "Arrival") == {("ArrivedAt", "aircraft", "dest")}
    assert _edges(schema, "Cancellation") == _edges(schema, "Weather") == set()
    assert set(schema.events["Cancellation"].entities) == {"aircraft", "carrier", "flight", "origin", "dest"}
    flight = schema.events["Departure"].entities["flight"]
    assert (flight.join, flight.separator, flight.fields) == (("carrier", "flight"), "", ())
    assert {e.type for e in schema.references["planes"].edges} == {"BuiltBy", "OfModel"}
    assert {schema.entities[t].label for t in ("airport", "carrier")} == {"name"}


def test_the_gaming_schema() -> None:
    schema = load_schema("gaming")

    assert schema.who == ("member",)
    assert schema.attributes == {"currency", "platform", "vipgroup", "provider"}
    assert schema.nulls == ("", "None", "null", "undefined", "NaN")
    assert schema.fields.aliases == {"affiliateId": ("affiliateid", "affiliateID")}
    assert schema.fields.test_account == "isTestAccount"
    assert schema.event_names["GridClick"] == "GameOpened"
    assert schema.event_names["PopUpModule"] == "PopupModule"
    assert {name: (e.source, e.target) for name, e in schema.edges.items()} == {
        "LoggedInFrom": ("member", "device"),
        "OpenedGame": ("member", "game"),
        "SawPopup": ("member", "popup"),
        "HitError": ("member", "error"),
        "BelongsToGroup": ("member", "vipgroup"),
        "ReferredBy": ("member", "affiliate"),
        "UsesCurrency": ("member", "currency"),
        "PlaysOnPlatform": ("member", "platform"),
        "ProvidedBy": ("game", "provider"),
    }
    keys = {
        role: rule.fields
        for event in ("Login", "GameOpened", "PopupModule")
        for role, rule in schema.events[event].entities.items()
    }
    assert keys == {
        "member": ("memberCode",),
        "device": ("fingerprint", "deviceId"),
        "platform": ("platform",),
        "currency": ("currency",),
        "vipgroup": ("rGroup",),
        "affiliate": ("affiliateId",),
        "game": ("gameUid", "game"),
        "provider": ("gameTrackingProvider",),
        "popup": ("componentId", "trackingId", "popupType"),
    }
    error = schema.events["API Error"].entities["error"]
    assert (error.join, error.fields, error.hash) == (("error", "stage"), ("error",), True)
    assert {event: {e.type for e in rule.edges} for event, rule in schema.events.items()} == {
        "Login": {"LoggedInFrom", "PlaysOnPlatform", "UsesCurrency", "BelongsToGroup", "ReferredBy"},
        "GameOpened": {"OpenedGame", "LoggedInFrom", "PlaysOnPlatform", "ProvidedBy"},
        "API Error": {"HitError", "LoggedInFrom", "PlaysOnPlatform"},
        "PopupModule": {"SawPopup", "LoggedInFrom", "PlaysOnPlatform"},
    }


@pytest.mark.parametrize("name", sorted(shipped_schemas()))
def test_types_can_be_renamed_by_replacing_text(name: str, write: Write) -> None:
    """Whole words replaced everywhere, in field names too where they are the same: still a valid schema."""
    schema, text = load_schema(name), shipped_schemas()[name].read_text(encoding="utf-8")
    renamed = {n: f"x{n}" for n in schema.entities} | {n: f"X{n}" for n in schema.edges}
    pattern = re.compile(rf"\b({'|'.join(renamed)})\b")
    other = load_schema(write(pattern.sub(lambda m: renamed[m[0]], text)))

    assert list(other.entities) == [renamed[n] for n in schema.entities]
    assert other.who == tuple(renamed[n] for n in schema.who)
    assert {(n, e.source, e.target) for n, e in other.edges.items()} == {
        (renamed[n], renamed[e.source], renamed[e.target]) for n, e in schema.edges.items()
    }
    for event, rule in schema.events.items():
        assert [e.type for e in other.events[event].edges] == [renamed[e.type] for e in rule.edges]
