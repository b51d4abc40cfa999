"""What all views have in common: state, data read aside from the kernel, a table twin, a static form."""

from __future__ import annotations

import io
import json
import threading
from abc import abstractmethod
from concurrent.futures import CancelledError
from html import escape
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from workbench.errors import UnknownNameError
from workbench.registry import Driver
from workbench.tabular import Tabular, html_table
from workbench.views._state import checked
from workbench.views.selection import Selection

if TYPE_CHECKING:
    import weakref
    from collections.abc import Callable, Mapping, Sequence

    import pyarrow as pa

    from workbench.locks import LendableLock
    from workbench.progress import Progress, Update
    from workbench.storage import Snapshot

__all__ = ["Job", "View", "World"]

_SELECTED = ("entities", "since", "until")


class World(Protocol):
    """An open workspace, as far as every view needs it; a view adds what it reads itself."""

    timezone: str
    lock: LendableLock
    """Held while the workspace is read, not while a language model is waited for."""

    @property
    def snapshot(self) -> Snapshot:
        """Return the generation that is being read."""

    def refresh(self) -> object:
        """Read the newest generation from now on."""


class Job:
    """One piece of work in a thread. It is a :class:`~workbench.progress.Progress`, to be handed down.

    Args:
        watch: Told of each update.
    """

    def __init__(self, watch: Progress | None = None) -> None:
        self._watch = watch
        self._cancelled = threading.Event()

    def __call__(self, update: Update, /) -> None:
        """Pass on how far the work is; raises CancelledError where nobody waits for it any more."""
        self.check()
        if self._watch is not None:
            self._watch(update)

    def check(self) -> None:
        """Raise CancelledError where nobody waits for the work any more."""
        if self._cancelled.is_set():
            raise CancelledError

    def cancel(self) -> None:
        """Ask the work to stop at its next update or check."""
        self._cancelled.set()

    @property
    def stop(self) -> threading.Event:
        """Return the event that is set once it was asked to stop."""
        return self._cancelled

    @property
    def cancelled(self) -> bool:
        """Return whether it was asked to stop."""
        return self._cancelled.is_set()


class View(Driver, Tabular):
    """Something to look at, in a notebook, in a served page and as static HTML, with its table twin.

    A view is one file of this package with one subclass, named by the file. The subclass says what is read
    (:meth:`read`, in a thread), how that is drawn (:meth:`draw`, Panel objects), what its table is
    (:meth:`table`) and, where it fits, controls, downloads and a static form. Layout, loading, errors,
    export buttons and links are the base's.

    Args:
        world: The open workspace.
        selection: Shared with other views; one of its own if not given.
        state: Values of :attr:`defaults` to start with, and ``entities``, ``since``, ``until`` to select.

    Raises:
        UnknownNameError: If ``state`` has a name that the view does not, or a value that it may not be.
        UsageError: If a value is of another kind than its default, or outside its limits.

    Attributes:
        title: What the view is called on the screen.
        defaults: The view's own state with its defaults, JSON data all of it.
        may: By name what a text may be, or the least and the greatest number; others may be anything.
        follows: Whether what it reads depends on the selection.
        acts: Whether the reader may have done what :meth:`actions` offers; it is no longer offered otherwise.
        reader: Who reads, by the name of the login; empty where there is none.
    """

    title: ClassVar[str] = ""
    defaults: ClassVar[Mapping[str, Any]] = {}
    may: ClassVar[Mapping[str, Sequence[str] | tuple[float, float]]] = {}
    follows: ClassVar[bool] = True
    acts: bool = True
    reader: str = ""

    def __init__(self, world: Any, selection: Selection | None = None, **state: Any) -> None:
        self.world = world
        self.timezone: str = world.timezone
        self.selection = Selection(self.timezone) if selection is None else selection
        self._state = dict(self.defaults)
        self._listeners: list[weakref.WeakMethod[Callable[[], None]]] = []
        self._reading = threading.RLock()
        self._read_as: tuple[Any, ...] | None = None
        self._data: Any = None
        if state:
            self.update(**state)

    # what a subclass says

    @abstractmethod
    def read(self, job: Job) -> Any:
        """Return what the view shows, read from the workspace; called in a thread, the lock held.

        Long work calls ``job.check()`` from time to time or hands ``job`` down as ``progress``.
        """

    @abstractmethod
    def table(self, data: Any) -> pa.Table:
        """Return what :meth:`read` gave as a table: the same facts, for those who do not see the drawing."""

    @abstractmethod
    def draw(self, data: Any, shown: Any) -> Any:
        """Return the Panel object that shows ``data``.

        ``shown`` is what this method returned before in the same place, or None: it may be changed and
        returned, so that what the reader did to it stays. Called where widgets may be touched.
        """

    @abstractmethod
    def to_python(self) -> str:
        """Return Python that gives the data of the view, ``db`` being the engine."""

    def controls(self) -> Mapping[str, Any]:
        """Return new Panel widgets by the name of the state that each one sets; each needs a label."""
        return {}

    def to_widget(self, name: str, value: Any) -> Any:
        """Return a value of the state as its control holds it."""
        del name
        return value

    def from_widget(self, name: str, value: Any) -> Any:
        """Return what a control holds as a value of the state."""
        del name
        return value

    def selected(self) -> dict[str, Any]:
        """Return the part of the selection's state that :meth:`read` depends on; all of it by default."""
        return self.selection.state

    def actions(self, data: Any) -> Mapping[str, Callable[[Job], Any]]:
        """Return what the reader can have done, by the button's label; the view is read again afterwards.

        Each is called in a thread; it takes the lock itself, and hands its job down as ``progress``.
        """
        del data
        return {}

    def empty(self, data: Any) -> str:
        """Return why there is nothing to draw and what to do about it, or an empty text."""
        return "" if self.table(data).num_rows else "There is nothing to show."

    def html(self, data: Any) -> str:
        """Return the static form, a bounded fragment of HTML with every value escaped."""
        return html_table(self.table(data), self.title, self.timezone)

    def downloads(self) -> Mapping[str, Callable[[], bytes]]:
        """Return what can be saved by file name; called back in a thread. CSV and Parquet of the table."""
        return {f"{self.name}.csv": self._csv, f"{self.name}.parquet": self._parquet}

    # what all views do

    @property
    def name(self) -> str:
        """Return the name of the view, the stem of its file."""
        return type(self).__module__.rpartition(".")[2]

    @property
    def state(self) -> dict[str, Any]:
        """Return what re-creates the view, as JSON data: ``View(world, **view.state)``; defaults left out."""
        own = {k: v for k, v in self._state.items() if v != self.defaults[k]}
        return json.loads(json.dumps({**self.selection.state, **own}, default=list))  # type: ignore[no-any-return]

    def __getitem__(self, name: str) -> Any:
        """Return one value of the state, or its default."""
        if name not in self._state:
            raise UnknownNameError("state", name, self._state, where=f"view {self.name}")
        return self._state[name]

    def update(self, **changes: Any) -> None:
        """Change the state, the selection with it; wherever the view is shown it follows.

        Raises:
            UnknownNameError: If there is no such state, or no such choice.
            UsageError: If a value is of the wrong kind, or outside its limits.
        """
        chosen = {k: changes.pop(k) for k in _SELECTED if k in changes}
        for name in changes:
            if name not in self._state:
                raise UnknownNameError("state", name, [*self._state, *_SELECTED], where=f"view {self.name}")
        changes = {
            name: checked(value, self.defaults[name], f"view {self.name}", name, self.may)
            for name, value in changes.items()
        }
        if chosen:
            parts = {**self.selection.state, **chosen}
            self.selection.select(parts.pop("entities", None) or (), **parts)
        if any(self._state[k] != v for k, v in changes.items()):
            self._state.update(changes)
            self._listeners = [listener for listener in self._listeners if listener() is not None]
            for listener in self._listeners:
                if (changed := listener()) is not None:
                    changed()

    def listen(self, changed: weakref.WeakMethod[Callable[[], None]]) -> None:
        """Call ``changed`` after each change of the state, as long as its object lives."""
        self._listeners.append(changed)

    def data(self, job: Job | None = None) -> Any:
        """Return what :meth:`read` gives for the present state, selection and generation; read once.

        Raises:
            WorkbenchError: If it cannot be read.
        """
        if not self.is_read:
            # The view's own lock first: the workspace's may be lent to others in the middle of a reading.
            with self._reading, self.world.lock:
                if not self.is_read:
                    self._data = self.read(job or Job())
                    self._read_as = self._key()
        return self._data

    @property
    def is_read(self) -> bool:
        """Return whether :meth:`data` is at hand, so that it need not be read."""
        return self._key() == self._read_as  # asked for also before the first reading: views follow with it

    @property
    def generation(self) -> int:
        """Return the generation that :meth:`data` was read from last; -1 where it has not been read."""
        return -1 if self._read_as is None else int(self._read_as[0])

    def _key(self) -> tuple[Any, ...]:
        selected = json.dumps(self.selected()) if self.follows else ""
        return self.world.snapshot.generation, json.dumps(self._state, default=list), selected

    def to_arrow(self) -> pa.Table:
        """Return the table twin."""
        return self.table(self.data())

    def __bool__(self) -> bool:
        """Return True: a view is there, whatever it shows."""
        return True

    def _title(self) -> str:
        return self.title

    def __repr__(self) -> str:
        """Return the view with its state; nothing is read."""
        state = "".join(f", {name}={value!r}" for name, value in self.state.items())
        return f"db.view({self.name!r}{state})"

    def __panel__(self) -> Any:
        """Return a new Panel viewable, laid out at once; a thread fills it in."""
        from workbench.views._frame import Frame  # noqa: PLC0415  (panel is heavy)

        return Frame(self).layout

    def _ipython_display_(self) -> None:
        from workbench.views._notebook import show  # noqa: PLC0415  (for notebooks alone)

        show(self)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"text/plain": repr(self), "text/html": self.to_html()}

    def to_html(self) -> str:
        """Return the static form with its style: what a saved notebook or a report shows."""
        from workbench.views._look import fragment  # noqa: PLC0415  (a style sheet is read)

        data = self.data()
        reason = self.empty(data)
        return fragment(f"<p class='soft'>{escape(reason)}</p>" if reason else self.html(data))

    def _csv(self) -> bytes:
        import polars as pl  # noqa: PLC0415  (kept out of start-up)

        table = pl.DataFrame(self.to_arrow())
        nested = [pl.col(c).map_elements(_json, pl.String) for c, t in table.schema.items() if t.is_nested()]
        return table.with_columns(nested).write_csv().encode()

    def _parquet(self) -> bytes:
        import pyarrow.parquet as pq  # noqa: PLC0415  (kept out of start-up)

        out = io.BytesIO()
        pq.write_table(self.to_arrow(), out)
        return out.getvalue()


def _json(value: Any) -> str:
    import polars as pl  # noqa: PLC0415  (kept out of start-up)

    return json.dumps(value.to_list() if isinstance(value, pl.Series) else value, default=str)
