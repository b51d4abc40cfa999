"""Edges that were computed, laid over the counted ones where a walk asks for them by their type."""

from __future__ import annotations

from dataclasses import replace
from functools import wraps
from typing import TYPE_CHECKING, Concatenate, NoReturn, ParamSpec, TypeVar, cast

import numpy as np
import polars as pl
import pyarrow as pa

from workbench.errors import UsageError
from workbench.graph.names import EntityIndex
from workbench.graph.window import WINDOW_EDGES, WINDOW_ENTITIES, single

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from workbench.graph.graph import Graph
    from workbench.graph.window import Window
    from workbench.knowledge.edges import Computed

__all__ = ["of_edge_types", "of_the_whole", "over"]

P = ParamSpec("P")
R = TypeVar("R")


def of_edge_types(walk: Callable[Concatenate[Graph, P], R]) -> Callable[Concatenate[Graph, P], R]:
    """Have a walk go through the graph that also has the edges it asks for that are computed."""

    @wraps(walk)
    def asked(graph: Graph, /, *args: P.args, **kwargs: P.kwargs) -> R:
        for name in ("edge_types", "through"):  # a single name, not its letters
            if isinstance(kwargs.get(name), str):
                kwargs[name] = [kwargs[name]]
        types = cast("Sequence[str] | None", kwargs.get("edge_types"))
        return walk(graph.with_edges(types), *args, **kwargs)

    return asked


def of_the_whole(type_: str) -> NoReturn:
    """Refuse the computed edges of a part of the window's time.

    Raises:
        UsageError: Always.
    """
    raise UsageError(
        f"{type_} edges are of the whole window, not of a part of its time.", fix="Ask db.graph for them."
    )


def over(
    window: Window, index: EntityIndex, counted: NDArray[np.bool_], computed: Mapping[str, Computed]
) -> Window:
    """Return a window with the counted edges of some types and with computed ones, each with its run.

    Groups that were computed are entities of it. What leads to other entities that the window does not hold
    is left out. Computed edges have no times: they were not seen.

    Args:
        window: The window graph.
        index: The names of its entities.
        counted: For each type code whether its edges stay.
        computed: By type.
    """
    known = single(window.edges["type"]).dictionary.to_pylist()
    window = replace(window, edges=window.edges.filter(pa.array(counted[window.edge_codes])), adjacency=None)
    groups = _groups(index, computed.values())
    if groups:
        window = _among(window, index, groups)
        index = EntityIndex(window.entities)
    types = sorted({*(name for name, stays in zip(known, counted, strict=True) if stays), *computed})
    runs = [run for found in computed.values() for run in found.runs]
    codes = np.array([types.index(name) if name in types else -1 for name in known], np.int32)
    frames = [
        pl.DataFrame(window.edges.drop_columns(["type"])).with_columns(
            pl.col("weight").cast(pl.Float64),
            pl.Series("type", codes[window.edge_codes], pl.Int32),
            pl.lit(None, pl.Int32).alias("computed"),
        )
    ]
    for found in computed.values():
        edges = pl.DataFrame(found.edges)
        source, target = (index.find(edges[end]) for end in ("source", "target"))
        frames.append(
            pl.DataFrame(
                {
                    "source": source,
                    "target": target,
                    "weight": edges["weight"].cast(pl.Float64),
                    "computed": edges["run"].cast(pl.Enum(runs)).to_physical().cast(pl.Int32),
                }
            )
            .filter((pl.col("source") >= 0) & (pl.col("target") >= 0))
            .with_columns(pl.lit(types.index(found.type), pl.Int32).alias("type"))
        )
    edges = pl.concat(frames, how="diagonal").sort("source", "target", "type")
    return replace(window, edges=_table(edges, types, runs))


def _groups(index: EntityIndex, computed: Iterable[Computed]) -> dict[str, pl.Series]:
    """Return by type the keys, sorted, of the groups that the window's entities are in."""
    found = {}
    for one in computed:
        if one.groups:
            edges = pl.DataFrame(one.edges)
            here = edges["target"].filter(pl.Series(index.find(edges["source"]) >= 0))
            found[one.groups] = here.unique().str.strip_prefix(f"{one.groups}:").sort()
    return found


def _among(window: Window, index: EntityIndex, groups: Mapping[str, pl.Series]) -> Window:
    """Return the window with groups among its entities, of types that it has none of."""
    types = sorted({*index.types, *groups})
    before = np.array([index.rows_of(name)[0] for name in index.types] + [len(index.type_codes)])
    numbers = np.arange(len(index.type_codes) + 1, dtype=np.int32)
    parts: list[pa.Table] = []
    place = 0
    for name, keys in sorted(groups.items()):
        here = int(before[sum(known < name for known in index.types)])
        numbers[here:-1] += len(keys)
        parts += [window.entities.slice(place, here - place), _entities(name, keys)]
        place = here
    numbers[-1] = -1  # test accounts stay what they are: nodes of none
    parts.append(window.entities.slice(place))
    entities = pa.concat_tables(
        [part.set_column(0, "type", part["type"].cast(pa.string())) for part in parts]
    )
    codes = pl.Series(entities["type"]).cast(pl.Enum(types)).to_physical().cast(pl.Int32).to_arrow()
    named = pa.DictionaryArray.from_arrays(codes, pa.array(types, pa.string()))
    return replace(
        window,
        entities=entities.set_column(0, "type", named).cast(WINDOW_ENTITIES),
        edges=_renumbered(window.edges, numbers, "source", "target"),
        properties=_renumbered(window.properties, numbers, "node"),
        places={segment: numbers[nodes] for segment, nodes in window.places.items()},
    )


def _entities(type_: str, keys: pl.Series) -> pa.Table:
    """Return groups as entities: nothing ever named them."""
    height = len(keys)
    columns: dict[str, pa.Array] = {
        "type": pa.array([type_] * height, pa.string()),
        "key": keys.to_arrow(compat_level=pl.CompatLevel.oldest()),
        "sightings": pa.array(np.zeros(height, np.int64)),
        "segments": pa.array(np.zeros(height, np.int32)),
    }
    for field in WINDOW_ENTITIES:
        columns.setdefault(field.name, pa.nulls(height, field.type))
    return pa.table({name: columns[name] for name in WINDOW_ENTITIES.names}).cast(WINDOW_ENTITIES)


def _renumbered(table: pa.Table, numbers: NDArray[np.int32], *names: str) -> pa.Table:
    for name in names:
        place = table.schema.get_field_index(name)
        table = table.set_column(place, name, pa.array(numbers[table[name].to_numpy()]))
    return table


def _table(edges: pl.DataFrame, types: Sequence[str], runs: Sequence[str]) -> pa.Table:
    """Return edges with the columns of a window's, and of the computed ones the run."""
    columns: dict[str, pa.Array] = {name: edges[name].to_arrow() for name in WINDOW_EDGES.names}
    for name, names in (("type", types), ("computed", runs)):
        columns[name] = pa.DictionaryArray.from_arrays(edges[name].to_arrow(), pa.array(names, pa.string()))
    shape = WINDOW_EDGES.set(WINDOW_EDGES.get_field_index("weight"), pa.field("weight", pa.float64()))
    return pa.table(columns).cast(shape.append(pa.field("computed", columns["computed"].type)))
