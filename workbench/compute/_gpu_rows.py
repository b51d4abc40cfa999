"""Rows on the GPU, by cuDF."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.compute._gpu_device import free_memory, on_device
from workbench.compute._row_kernels import RowKernels

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import cudf
    import pyarrow as pa
    from cudf.core.groupby import DataFrameGroupBy

    from workbench.compute._row_kernels import Folded

__all__ = ["GpuRows"]

# Grouping holds the rows, their hashes and order, and the result.
_COPIES = 4
# An index of libcudf has 31 bits.
_MOST_ROWS = 1_000_000_000


class GpuRows(RowKernels):
    """Groups of cuDF: Arrow to the device, grouped there, groups back as Arrow."""

    def solve_aggregate(
        self, table: pa.Table, keys: Sequence[str], measures: Mapping[str, Folded]
    ) -> pa.Table:
        """Return cuDF's groups, which are in no order; rows are counted as a sum of ones."""
        import cudf

        with on_device():
            frame: cudf.DataFrame = cudf.DataFrame.from_arrow(table)
            found: cudf.DataFrame
            if not measures:
                found = frame.drop_duplicates(subset=list(keys))
                return found.to_arrow(preserve_index=False).select(list(keys))
            for name, function in measures.items():
                if function == "rows":
                    frame[name] = 1
            functions = {
                name: "sum" if function == "rows" else function for name, function in measures.items()
            }
            groups: DataFrameGroupBy = frame.groupby(list(keys), as_index=False, sort=False, dropna=False)
            found = groups.agg(functions)
            return found.to_arrow(preserve_index=False)

    def rows_at_once(self, width: int) -> int:
        """Return what fits beside its copies into the memory that is free now."""
        return max(1, min(free_memory() // (_COPIES * max(width, 1)), _MOST_ROWS))
