"""A picture of some nodes and edges: places, sizes, colours, legend; for the widget and as static SVG."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import numpy as np

from workbench.tabular import cell_text
from workbench.views.charts.palette import DARK, LIGHT

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import polars as pl
    from numpy.typing import NDArray

__all__ = ["Edge", "Node", "Picture", "drawn_edges", "legend", "sizes"]

_SVG_NODES = 150
_SVG_LABELS = 40
_SVG_WIDTH, _SVG_HEIGHT, _SVG_EDGE = 760, 430, 34
_LETTER, _LINE, _LONGEST = 6.3, 12, 60  # of a label: width of a letter, height, most letters
_CURVE = 0.22
_SMALLEST, _LARGEST = 4.0, 15.0
_NO_TIMES = ZoneInfo("UTC")  # texts are shown, no times

# Light and dark by place in the legend, the last for all places beyond.
_GREY = (LIGHT.soft, DARK.soft)
_SERIES = list(zip(LIGHT.series, DARK.series, strict=True))
_KINDS = [*_SERIES, _GREY]
_LINKS = [_SERIES[6], *reversed(_SERIES[:6] + _SERIES[7:]), _GREY]  # grey first: edges are many
_STYLE = (
    "".join(
        f".wb-picture .{name}{place}{{{paint}:{light};{paint}:light-dark({light},{dark})}}"
        for name, paint, colours in (("k", "fill", _KINDS), ("l", "stroke", _LINKS))
        for place, (light, dark) in enumerate(colours)
    )
    + ".wb-picture line{opacity:.45}.wb-picture text{font:11px system-ui,sans-serif;fill:currentColor}"
    ".wb-picture .start{stroke:currentColor;stroke-width:2}"
)


@dataclass(frozen=True)
class Node:
    """A node of a picture.

    Attributes:
        id: What a click selects.
        label: Its name for people.
        kind: What it is coloured by, by name.
        x: Where it is drawn, upwards and to the right.
        y: The same.
        size: Radius in pixels.
        start: Whether it is one that was asked for.
        facts: Names and values for the card beside it.
    """

    id: str
    label: str
    kind: str
    x: float = 0.0
    y: float = 0.0
    size: float = 5.0
    start: bool = False
    facts: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Edge:
    """An edge of a picture, between ids of nodes; ``size`` is its width in pixels."""

    source: str
    target: str
    kind: str
    size: float = 1.0


@dataclass(frozen=True)
class Picture:
    """Nodes and edges with places, and what to say about them.

    Attributes:
        nodes: Each id once.
        edges: Between these nodes.
        summary: The picture in one sentence.
        note: What is left out of it.
        directed: Whether edges point.
        before: The names of both legends of the picture that this one grew from, which keep their colours.
    """

    nodes: tuple[Node, ...] = ()
    edges: tuple[Edge, ...] = ()
    summary: str = ""
    note: str = ""
    directed: bool = True
    before: tuple[Sequence[str], Sequence[str]] = ((), ())
    kinds: list[dict[str, Any]] = field(init=False)
    links: list[dict[str, Any]] = field(init=False)

    def __post_init__(self) -> None:
        """Colour the legend."""
        kinds, links = self.before
        object.__setattr__(self, "kinds", legend((n.kind for n in self.nodes), first=kinds))
        object.__setattr__(self, "links", legend((e.kind for e in self.edges), start=-1, first=links))

    @property
    def names(self) -> tuple[list[str], list[str]]:
        """Return the names of both legends."""
        return [entry["name"] for entry in self.kinds], [entry["name"] for entry in self.links]

    def to_json(self) -> dict[str, Any]:
        """Return the picture as the widget takes it."""
        kinds = {entry["name"]: place for place, entry in enumerate(self.kinds)}
        links = {entry["name"]: place for place, entry in enumerate(self.links)}
        return {
            "nodes": [
                {
                    "id": n.id,
                    "label": n.label,
                    "kind": kinds[n.kind],
                    "x": n.x,
                    "y": n.y,
                    "size": n.size,
                    "start": n.start,
                    "facts": [list(fact) for fact in n.facts],
                }
                for n in self.nodes
            ],
            "edges": [
                {
                    "id": f"{e.source}\n{e.target}\n{e.kind}",
                    "source": e.source,
                    "target": e.target,
                    "kind": links[e.kind],
                    "size": e.size,
                    "curve": curve,
                }
                for e, curve in zip(self.edges, _curves(self.edges), strict=True)
            ],
            "kinds": self.kinds,
            "links": self.links,
            "directed": self.directed,
            "note": self.note,
            "summary": self.summary,
        }

    def to_svg(self) -> str:
        """Return the picture as an SVG file that follows light and dark; at most 150 nodes, the largest."""
        shown = self._shown()
        spots = _fit(shown)
        kinds, links = _places(self.kinds), _places(self.links)
        drawn = [
            f'<line class="l{links[e.kind]}" {_line(spots[e.source], spots[e.target])} '
            f'stroke-width="{e.size:.1f}"/>'
            for e in self.edges
            if e.source in spots and e.target in spots
        ]
        for n in reversed(shown):
            x, y = spots[n.id]
            told = "; ".join(f"{name} {value}".strip() for name, value in n.facts)
            style = f"k{kinds[n.kind]} start" if n.start else f"k{kinds[n.kind]}"
            drawn.append(
                f'<circle class="{style}" cx="{x:.0f}" cy="{y:.0f}" r="{n.size:.1f}">'
                f"<title>{_plain(n.label)} ({_plain(n.kind)}): {escape(told)}</title></circle>"
            )
        drawn += _labels(shown, spots)
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" class="wb-picture" role="img" '
            f'aria-label="{escape(self.summary)}" viewBox="0 0 {_SVG_WIDTH} {_SVG_HEIGHT}" '
            f'width="{_SVG_WIDTH}" height="{_SVG_HEIGHT}"><style>{_STYLE}</style>{"".join(drawn)}</svg>'
        )

    def to_html(self) -> str:
        """Return the picture with its legend and what is left out, as a static fragment."""
        left_out = len(self.nodes) - len(self._shown())
        more = f"{left_out:,} smaller nodes are not drawn here." if left_out else ""
        said = " ".join(filter(None, [self.summary, self.note, more]))
        parts = [f"{_mark('k', place)}{_plain(name)}" for name, place in _places(self.kinds).items()]
        parts += [f"{_mark('l', place)}{_plain(name)}" for name, place in _places(self.links).items()]
        return (
            f"<figure style='margin: 0'>{self.to_svg()}<div class='soft wb-picture'>{' '.join(parts)}</div>"
            f"<figcaption class='soft'>{escape(said)}</figcaption></figure>"
        )

    def _shown(self) -> list[Node]:
        return sorted(self.nodes, key=lambda n: (not n.start, -n.size))[:_SVG_NODES]


def legend(names: Iterable[str], *, start: int = 0, first: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Return each name with its count and its colours on light and on dark, the most frequent first.

    Beyond the last colour names share a grey. A negative ``start`` takes the colours from the end, so that
    two legends beside each other begin differently. Names in ``first`` keep their places.
    """
    counts = Counter(names)
    fresh = sorted(counts.keys() - {*first}, key=lambda name: (-counts[name], name))
    counted = [(name, counts[name]) for name in (*first, *fresh)]
    colours = _LINKS if start < 0 else _KINDS
    return [
        {"name": name, "count": count, "light": light, "dark": dark}
        for place, (name, count) in enumerate(counted)
        for light, dark in [colours[min(place, len(colours) - 1)]]
    ]


def drawn_edges(edges: pl.DataFrame) -> tuple[Edge, ...]:
    """Return edges (``source``, ``target``, ``type``, ``weight``), as wide as the log of their weight."""
    widths = sizes(np.log1p(edges["weight"].to_numpy().astype(float)), 3.2, 0.7)
    return tuple(
        Edge(row["source"], row["target"], row["type"], width)
        for row, width in zip(edges.to_dicts(), widths, strict=True)
    )


def sizes(values: NDArray[np.float64], largest: float = _LARGEST, smallest: float = _SMALLEST) -> list[float]:
    """Return sizes in pixels whose area grows with the value, the greatest of ``largest``."""
    greatest = values.max(initial=0.0)
    if greatest <= 0:
        return [smallest] * len(values)
    scaled: list[float] = np.round(smallest + (largest - smallest) * np.sqrt(values / greatest), 2).tolist()
    return scaled


def _curves(edges: Sequence[Edge]) -> list[float]:
    """Return how much each edge is bent, so that edges of one pair lie beside each other."""
    pairs = Counter(frozenset((e.source, e.target)) for e in edges)
    seen: Counter[frozenset[str]] = Counter()
    bent = []
    for e in edges:
        pair = frozenset((e.source, e.target))
        offset = seen[pair] - (pairs[pair] - 1) / 2
        seen[pair] += 1
        # bent to the left of its own direction: seen from one end, opposite edges bend opposite ways
        bent.append(_CURVE * offset * (1 if e.source <= e.target else -1))
    return bent


def _fit(nodes: Sequence[Node]) -> dict[str, tuple[float, float]]:
    """Return where each node is in the SVG: one scale both ways, y downwards."""
    if not nodes:
        return {}
    left, right = min(n.x for n in nodes), max(n.x for n in nodes)
    low, high = min(n.y for n in nodes), max(n.y for n in nodes)
    scale = min(
        (_SVG_WIDTH - 4 * _SVG_EDGE) / max(right - left, 1e-9),
        (_SVG_HEIGHT - 2 * _SVG_EDGE) / max(high - low, 1e-9),
    )
    scale = scale if math.isfinite(scale) and scale < 1e8 else 0.0
    middle_x, middle_y = (left + right) / 2, (low + high) / 2
    return {
        n.id: (_SVG_WIDTH / 2 + scale * (n.x - middle_x), _SVG_HEIGHT / 2 - scale * (n.y - middle_y))
        for n in nodes
    }


def _labels(nodes: Sequence[Node], spots: dict[str, tuple[float, float]]) -> list[str]:
    """Return the labels of the first nodes that do not lie over one another."""
    drawn: list[str] = []
    taken: list[tuple[float, float, float]] = []
    for n in nodes:
        x, y = spots[n.id][0] + n.size + 3, spots[n.id][1] + 4
        wide = _LETTER * min(len(n.label), _LONGEST)
        # to the left of a node where the picture ends to its right
        left = x + wide > _SVG_WIDTH and spots[n.id][0] > _SVG_WIDTH / 2
        x = spots[n.id][0] - n.size - 3 if left else x
        begin, end = (x - wide, x) if left else (x, x + wide)
        free = all(abs(y - row) > _LINE or end < first or last < begin for first, last, row in taken)
        if free and len(drawn) < _SVG_LABELS:
            taken.append((begin, end, y))
            anchor = ' text-anchor="end"' if left else ""
            drawn.append(f'<text x="{x:.0f}" y="{y:.0f}"{anchor}>{_plain(n.label)}</text>')
    return drawn


def _line(a: tuple[float, float], b: tuple[float, float]) -> str:
    return f'x1="{a[0]:.0f}" y1="{a[1]:.0f}" x2="{b[0]:.0f}" y2="{b[1]:.0f}"'


def _places(entries: list[dict[str, Any]]) -> dict[str, int]:
    """Return the place of each name in the colours of its legend."""
    return {entry["name"]: min(place, len(_SERIES)) for place, entry in enumerate(entries)}


def _mark(legend: str, place: int) -> str:
    """Return the mark of a legend's entry: a dot of nodes' colour, a dash of edges'."""
    shape = '<circle cx="5" cy="5" r="5"' if legend == "k" else '<line x2="10" y1="5" y2="5" stroke-width="3"'
    return f'<svg width="10" height="10" style="display: inline">{shape} class="{legend}{place}"/></svg> '


def _plain(value: str) -> str:
    return escape(cell_text(value, _NO_TIMES))
