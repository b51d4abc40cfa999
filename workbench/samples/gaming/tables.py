"""The log's files as Arrow tables: which directories there are, and the columns of each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa

from workbench.samples.gaming.dirt import CLEAN, find_dirt, misnamed
from workbench.samples.gaming.encode import Encoder
from workbench.samples.gaming.fields.api_error import api_error_columns
from workbench.samples.gaming.fields.context import context_columns
from workbench.samples.gaming.fields.game_opened import game_opened_columns, grid_click_columns
from workbench.samples.gaming.fields.login import login_columns
from workbench.samples.gaming.fields.popup_module import popup_columns, popup_columns_v2
from workbench.samples.gaming.rows import Context
from workbench.samples.gaming.text import hexadecimal, iso_times, mixed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from workbench.samples.gaming.batch import Batch
    from workbench.samples.gaming.columns import Column
    from workbench.samples.gaming.names import Names
    from workbench.samples.gaming.world import World

__all__ = ["FOLDERS", "ROWS_AT_A_TIME", "Folder", "Tables"]

ROWS_AT_A_TIME = 1 << 17

_MOVED = np.uint64(6)  # of ten devices have a client of the second generation


class Folder(NamedTuple):
    """A directory of the log.

    Attributes:
        path: As in ``v2/GridClick``.
        type: The event type of what is in it.
        columns: What its files hold beside the context.
        moved: Whether it is of clients of the second generation, which the last days have.
    """

    path: str
    type: str
    columns: Callable[[Names], tuple[Column, ...]]
    moved: bool = False


FOLDERS = (
    Folder("Login", "Login", login_columns),
    Folder("GameOpened", "GameOpened", game_opened_columns),
    Folder("API Error", "API Error", api_error_columns),
    Folder("PopupModule", "PopupModule", popup_columns),
    Folder("v2/GridClick", "GameOpened", grid_click_columns, moved=True),
    Folder("v2/PopUpModule", "PopupModule", popup_columns_v2, moved=True),
)


class Tables:
    """Makes the tables of a world's log.

    Args:
        world: Who and what there is.
        names: Its names.
        clean: Whether to leave out what real writers get wrong.
    """

    def __init__(self, world: World, names: Names, *, clean: bool) -> None:
        self._clean = clean
        self._context = Context(world, names, dirty=not clean)
        # two generations write the last fifth of the days, but never all of a log of several
        self._late = world.days - max(1, world.days // 5)
        shared = context_columns(names)
        encoders = {id(column): Encoder(column, dirty=not clean) for column in shared}
        self._encoders: dict[str, list[Encoder]] = {}
        for folder in FOLDERS:
            columns = (*shared, *folder.columns(names))
            self._encoders[folder.path] = [
                encoders.get(id(column)) or Encoder(column, dirty=not clean)
                for column in (columns if clean else misnamed(folder.path, columns))
            ]

    def folders(self, day: int) -> list[Folder]:
        """Return the directories that get a file on a day."""
        return [folder for folder in FOLDERS if day >= self._late or not folder.moved]

    def tables(self, folder: Folder, batch: Batch) -> Iterator[pa.Table]:
        """Yield the rows of a batch that belong into a folder, some at a time and at least one table."""
        places = self._places(folder, batch)
        for first in range(0, max(len(places), 1), ROWS_AT_A_TIME):
            yield self._table(folder, batch, places[first : first + ROWS_AT_A_TIME])

    def _places(self, folder: Folder, batch: Batch) -> NDArray[np.int64]:
        if batch.day < self._late or not any(f.moved and f.type == folder.type for f in FOLDERS):
            return np.arange(len(batch))
        moved = mixed(batch.device, 31) % np.uint64(10) < _MOVED
        return np.flatnonzero(moved == folder.moved)

    def _table(self, folder: Folder, batch: Batch, at: NDArray[np.int64]) -> pa.Table:
        rows = self._context.rows(batch, at)
        dirt = CLEAN if self._clean else find_dirt(rows.numbers["device"], rows.numbers["row"])
        columns: dict[str, Any] = {
            "@timestamp": iso_times(batch.ts[at]),
            "eventId": hexadecimal(rows.numbers["row"]),
            "sessionId": _sessions(batch.visit[at]),
        }
        for encoder in self._encoders[folder.path]:
            columns[encoder.name] = encoder.encode(rows, dirt)
        return pa.table(columns)


def _sessions(visits: NDArray[np.int64]) -> pa.DictionaryArray:
    """Return an identifier for each visit, as the client's cookie has it."""
    found = pa.array(visits, mask=visits < 0).dictionary_encode()
    numbers = mixed(found.dictionary.to_numpy(), 41)
    return pa.DictionaryArray.from_arrays(found.indices, hexadecimal(numbers), safe=False)
