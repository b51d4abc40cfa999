"""The SQL of an open workspace: a worker, started when it is first asked, over what is read just now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import threading
    from collections.abc import Mapping
    from pathlib import Path

    import pyarrow as pa

    from workbench.graph import Graph
    from workbench.partials.types import FieldType
    from workbench.settings import Settings
    from workbench.sql.result import Result
    from workbench.sql.session import SqlSession
    from workbench.sql.views import Views
    from workbench.storage import Snapshot

__all__ = ["WorkspaceSql"]


class _World(Protocol):
    settings: Settings
    timezone: str

    @property
    def snapshot(self) -> Snapshot: ...

    @property
    def fields(self) -> Mapping[str, Mapping[str, FieldType]]: ...

    @property
    def graph(self) -> Graph: ...


class WorkspaceSql:
    """Statements over the tables of a workspace.

    Args:
        world: The workspace; each statement sees the generation that it reads then.
        scratch: A directory for tables that the worker reads as files.
    """

    def __init__(self, world: _World, scratch: Path) -> None:
        self._world = world
        self._scratch = scratch
        self._session: SqlSession | None = None

    def query(
        self,
        statement: str,
        *,
        timeout: float | None = None,
        tables: Mapping[str, pa.Table],
        stop: threading.Event | None = None,
    ) -> Result:
        """Run one SELECT.

        Args:
            statement: The SELECT.
            timeout: Seconds that it may run; by default the setting.
            tables: What it can name too, in schema ``given``.
            stop: Once it is set, in any thread, the statement ends.
        """
        session = self._started()
        given = self._views().given(tables)
        try:
            return session.query(statement, timeout=timeout, views=given, stop=stop)
        finally:
            self._views().forget(given)

    def close(self) -> None:
        """End the worker; the next statement starts another."""
        if self._session is not None:
            self._session.close()
            self._session = None

    def _started(self) -> SqlSession:
        if self._session is None:
            from workbench.sql.session import SqlSession  # noqa: PLC0415  (not at start-up)

            settings = self._world.settings
            self._session = SqlSession(
                lambda schema, name: self._views().resolve(schema, name),
                lambda: self._views().names(),
                timezone=self._world.timezone,
                memory=settings.sql_memory,
                threads=settings.worker_threads,
                timeout=settings.sql_timeout,
            )
            self._session.start()  # while it does, what makes the views is imported
        return self._session

    def _views(self) -> Views:
        from workbench.sql.views import Views  # noqa: PLC0415  (while the worker starts)

        return Views(self._world.snapshot, self._world.fields, lambda: self._world.graph, self._scratch)
