"""Room on the disk: where its reserve is touched, the oldest days of a rolling workspace make place."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from workbench.errors import DiskFullError
from workbench.logs import get_logger
from workbench.storage.rotation import DAYS_A_PASS, oldest

if TYPE_CHECKING:
    from collections.abc import Callable

    from workbench.settings import Settings
    from workbench.storage import Writer

__all__ = ["Room"]

T = TypeVar("T")


class Room:
    """Makes place on a full disk, where ``window`` and ``evict_when_full`` permit it.

    Args:
        settings: The workspace's.
        let_go: Called before files are deleted, so that the caller's own reading holds none of them.

    Attributes:
        evicted: Days that had to go, in order.
    """

    def __init__(self, settings: Settings, let_go: Callable[[], object] = lambda: None) -> None:
        self._permitted = settings.window != "all" and settings.evict_when_full
        self._let_go = let_go
        self.evicted: list[str] = []

    def within(self, writer: Writer, work: Callable[[], T]) -> T:
        """Do something that publishes; where the reserve refuses it, make place and do it again.

        Args:
            writer: The workspace's writer.
            work: Begins a transaction and commits it.

        Raises:
            DiskFullError: If there is no place to be made, or two days have gone already.
        """
        most = len(self.evicted) + DAYS_A_PASS
        while True:
            try:
                return work()
            except DiskFullError:
                if len(self.evicted) >= most or not self.make(writer):
                    raise

    def make(self, writer: Writer) -> bool:
        """Delete what no newest generation needs, else evict the oldest day; return whether it gave place.

        The newest day never goes. What readers hold by a lease gives none until they are done, and while they
        hold anything no further day is evicted for it.
        """
        if not self._permitted or writer.broken:
            return False
        if self._freed(writer):
            return True
        day = oldest(writer.snapshot().segments)
        if day is None or writer.has_leftovers():
            return False
        transaction = writer.begin()
        transaction.remove(f for f in transaction.base.manifest.files if f.segment == day)
        transaction.commit()
        self.evicted.append(day)
        get_logger("ingest").warning("evicted, for the disk's reserve is touched", segment=day)
        return self._freed(writer)

    def _freed(self, writer: Writer) -> bool:
        writer.collect()  # what the refused step had written aside is no gain
        before = writer.disk.space(writer.root).free
        self._let_go()
        writer.collect(grace=-1, manifests=1)
        return writer.disk.space(writer.root).free > before
