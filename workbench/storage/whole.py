"""Reading something whole, although a writer removes files meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

from workbench.errors import CorruptFileError

if TYPE_CHECKING:
    from collections.abc import Callable

    from workbench.storage.snapshot import Snapshot

__all__ = ["read_whole"]

T = TypeVar("T")


class _World(Protocol):
    @property
    def snapshot(self) -> Snapshot: ...

    def refresh(self) -> object: ...


def read_whole(world: _World, read: Callable[[], T]) -> T:
    """Return what is read; read once more, all of it, where a newer generation has removed files of this one.

    Raises:
        CorruptFileError: If a file is missing or damaged, and there is no newer generation.
    """
    try:
        return read()
    except CorruptFileError:
        generation = world.snapshot.generation
        world.refresh()
        if world.snapshot.generation == generation:
            raise
        return read()
