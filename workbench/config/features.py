"""The feature configuration: what is measured of an actor beyond what the entity schema alone gives."""

from __future__ import annotations

import hashlib
import json
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from workbench.config.documents import Metadata, Strict, load_document
from workbench.config.entity_schema import Names  # noqa: TC001  (pydantic reads the annotations)

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Encoding", "FeatureConfig", "load_features"]


class Encoding(Strict):
    """How one property, or the neighbour along one edge type, becomes numbers.

    Attributes:
        property_: The property whose latest value counts.
        edge: Instead of a property: the edge type whose most seen neighbour's key counts.
        encoding: ``one-hot`` gives a column of 0 and 1 for each of ``values``; ``ordinal`` gives one
            column with the number that ``order`` has for the value.
        values: The values that get a column.
        order: Value to number.
        fallback: The number of every value that ``order`` does not have, and of no value.
    """

    property_: str = Field("", alias="property")
    edge: str = ""
    encoding: Literal["one-hot", "ordinal"]
    values: Names = ()
    order: dict[str, float] = Field(default_factory=dict)
    fallback: float = 0.0

    @model_validator(mode="after")
    def _fits(self) -> Encoding:
        if bool(self.property_) == bool(self.edge):
            raise ValueError("give either 'property' or 'edge'")
        if self.encoding == "one-hot" and not self.values:
            raise ValueError("'one-hot' needs 'values': which values get a column")
        if self.encoding == "ordinal" and not self.order:
            raise ValueError("'ordinal' needs 'order': the number of each value")
        return self

    @property
    def source(self) -> str:
        """Return the name of the property or edge type."""
        return self.property_ or self.edge


class _Spec(Strict):
    visit_minutes: float = Field(30.0, gt=0)
    encodings: dict[str, tuple[Encoding, ...]] = Field(default_factory=dict)
    without: Names = ()
    new_neighbours: Names = ()
    pairs: tuple[tuple[str, str], ...] = ()


class FeatureConfig(_Spec):
    """A validated feature configuration; an empty one gives the default features of every schema.

    Attributes:
        visit_minutes: A visit ends when this long nothing happens.
        encodings: Entity type to the properties of it that become features.
        without: Names of default features that are left out.
        new_neighbours: Edge types in which a neighbour that was not there before counts as new; by
            default all that events give and that do not lead to an attribute type.
        pairs: Pairs of entity types whose co-occurrence among actors is looked at; by default all.

    >>> FeatureConfig().visit_minutes
    30.0
    """

    metadata: Metadata = Metadata(id="default")

    @cached_property
    def fingerprint(self) -> str:
        """Return a hash of everything that features depend on."""
        content = self.model_dump(mode="json", exclude={"metadata"})
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]


def load_features(path: Path) -> FeatureConfig:
    """Read a feature configuration from a YAML file.

    Raises:
        ConfigError: If the file is not a valid one; says file, line, reason and suggestion.
    """
    metadata, spec = load_document(path, "FeatureConfig", _Spec)
    return FeatureConfig(metadata=metadata, **dict(spec))
