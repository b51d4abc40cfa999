"""The kernels on rows, as far as they are the same on every device."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import pyarrow as pa

from workbench.compute._options import lacks, require
from workbench.compute._rows import Coder, Measure, Rows, batches, canonical
from workbench.errors import UsageError
from workbench.registry import Driver

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Folded", "RowKernels"]

Folded = Literal["rows", "sum", "min", "max"]

# How the results of two batches become one.
_MERGED: dict[Folded, Folded] = {"rows": "sum", "sum": "sum", "min": "min", "max": "max"}


class RowKernels(Driver):
    """What a backend computes of :class:`Rows`; see :class:`workbench.compute.Backend`."""

    def solve_aggregate(
        self, table: pa.Table, keys: Sequence[str], measures: Mapping[str, Folded]
    ) -> pa.Table:
        """Return a row for each combination of the keys, with the measures; in any order.

        Args:
            table: Keys are whole numbers, measured columns numbers; any may have nulls, none has NaN.
            keys: By which columns; null is a value of its own.
            measures: What is done with a column; ``rows`` counts rows, and ``table`` has no such column.
                Nulls are left out. The sum of no value is 0 or null.
        """
        raise lacks(self, "aggregate", table, keys, measures)

    def rows_at_once(self, width: int) -> int:
        """Return how many rows of so many bytes the device should be given in one piece."""
        raise lacks(self, "aggregate", width)

    def aggregate(
        self,
        rows: Rows,
        *,
        by: Sequence[str],
        measures: Mapping[str, Measure],
        batch: int = 0,
    ) -> tuple[pa.Table, dict[str, float]]:
        """Return a row for each combination of the keys, sorted by them, nulls last.

        Where the rows are more than the device takes at once, the parts are grouped batch by batch and
        the results merged.

        Args:
            rows: What is grouped.
            by: The key columns: whole numbers, times, booleans or texts. Null is a key of its own.
            measures: What is told of a group: ``("rows", "")`` how many rows; of a column ``count``
                (values), ``distinct`` (different values), ``sum``, ``min`` and ``max``. Null and NaN are
                no values: a sum without any is 0, a smallest or largest is null.
            batch: Most rows at once; 0 lets the device say.

        Columns: the keys in their types (of a dictionary, its values'), then the measures: counts int64,
        sums int64 or float64, ``min`` and ``max`` as the column is.
        Metrics: ``groups``, ``rows``, ``batches``.

        Raises:
            UsageError: If there is no key, no part, or a column's type does not do.
            UnknownNameError: If there is no such column or function; near misses are suggested.
            KernelFailedError: If the device could not finish.

        >>> from workbench.compute import Rows, backends
        >>> seen = pa.table({"hour": [1, 1, None], "size": [2, 3, 4]})
        >>> asked = {"n": ("rows", ""), "all": ("sum", "size")}
        >>> backends.create("cpu").aggregate(Rows([seen]), by=["hour"], measures=asked)[0].to_pylist()
        [{'hour': 1, 'n': 2, 'all': 5}, {'hour': None, 'n': 1, 'all': 4}]
        """
        require(batch >= 0, "batch", batch, "at least 0")
        schema = next((part.schema for part in rows.parts), None)
        if schema is None:
            raise UsageError(
                "there are no rows to group.", fix="Give at least one table, which may be empty."
            )
        coder = Coder.of(schema, by, measures)
        sums: dict[str, Folded] = {f"m:{name}": "rows" for name in coder.rows}
        sums |= {f"m:{name}": _folded(function) for name, (_, function) in coder.numbers.items()}
        sums |= {f"m:{name}": "sum" for name in coder.counted}
        groups = _Groups(self, coder.places, sums)
        apart = {name: _Groups(self, [*coder.places, f"d:{name}"], {}) for name in coder.distinct}
        empty = coder.encode(schema.empty_table())
        most = batch or self.rows_at_once(sum(field.type.bit_width // 8 + 1 for field in empty.schema))
        seen = count = 0
        for table in batches(rows.parts, most):
            encoded = coder.encode(table)
            for part in (groups, *apart.values()):
                part.add(encoded)
            seen, count = seen + table.num_rows, count + 1
        different = {name: self._numbers(part.result(empty), coder, name) for name, part in apart.items()}
        result = canonical(coder, groups.result(empty), different)
        return result, {"groups": float(result.num_rows), "rows": float(seen), "batches": float(count)}

    def _numbers(self, pairs: pa.Table, coder: Coder, name: str) -> pa.Table:
        """Return the keys with ``m``, the number of values other than null that stand beside each."""
        told = pairs[f"d:{name}"].is_valid().cast(pa.int64())
        table = pairs.select(coder.places).append_column("m", told)
        return self.solve_aggregate(table, coder.places, {"m": "sum"}) if table.num_rows else table


class _Groups:
    """The groups of the batches so far.

    Args:
        backend: What groups.
        keys: By which columns.
        measures: What is done with the others.
    """

    def __init__(self, backend: RowKernels, keys: list[str], measures: dict[str, Folded]) -> None:
        self._backend = backend
        self._keys = keys
        self._measures = measures
        self._found: list[pa.Table] = []
        self._settled = 0

    def add(self, batch: pa.Table) -> None:
        """Group one more batch; what has been found is merged when it has doubled."""
        columns = [*self._keys, *(name for name, function in self._measures.items() if function != "rows")]
        found = self._backend.solve_aggregate(batch.select(columns), self._keys, self._measures)
        self._found.append(found)
        if sum(table.num_rows for table in self._found) > 2 * max(self._settled, batch.num_rows):
            self._merge()

    def result(self, empty: pa.Table) -> pa.Table:
        """Return the groups; of no batch, none."""
        if not self._found:
            counts = {n: pa.array([], pa.int64()) for n, f in self._measures.items() if f == "rows"}
            for name, column in counts.items():
                empty = empty.append_column(name, column)
            return empty.select([*self._keys, *self._measures])
        if len(self._found) > 1:
            self._merge()
        return self._found[0]

    def _merge(self) -> None:
        merged = {name: _MERGED[function] for name, function in self._measures.items()}
        table = pa.concat_tables(self._found)
        self._found = [self._backend.solve_aggregate(table, self._keys, merged)]
        self._settled = self._found[0].num_rows


def _folded(function: str) -> Folded:
    return "min" if function == "min" else "max" if function == "max" else "sum"
