"""One showing of a view: its panes, and the threads that fill them."""

from __future__ import annotations

import asyncio
import threading
import weakref
from concurrent.futures import CancelledError, Future
from functools import cache, partial
from html import escape
from io import BytesIO
from typing import TYPE_CHECKING, Any

from workbench.errors import WorkbenchError
from workbench.logs import get_logger
from workbench.views._look import alert, fragment, loading, told
from workbench.views.base import Job

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from workbench.progress import Update
    from workbench.views.base import View

__all__ = ["Frame"]

_REFRESH_MS = 5_000
_PATIENCE = 10.0
"""Seconds that a cell waits for its view, so that the saved notebook has it; an interrupt cancels."""
_READING = "Reading the workspace …"
_GAP = (4, 12, 4, 0)
_QUIET: dict[str, Any] = {
    "variant": "outline",
    "stylesheets": [".bk-btn { border: 1px solid color-mix(in srgb, currentColor 25%, transparent) }"],
}
# The design draws it in the ink of light pages alone.
_ARROW = """select.bk-input { --bs-form-select-bg-img: url("data:image/svg+xml,%3csvg \
xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3e%3cpath fill='none' stroke='%238a929b' \
stroke-linecap='round' stroke-linejoin='round' stroke-width='2' d='m2 5 6 6 6-6'/%3e%3c/svg%3e") }"""
_FAILED = "Something went wrong that should not have; the log has the details."


class Frame:
    """The panes of one view in one place.

    Where an event loop runs (a kernel, a server) the layout is there at once and a thread reads; without
    one, in a script, it is filled when this returns.

    Args:
        view: What is shown; its state and selection are followed as long as the layout is in use.

    Attributes:
        layout: The Panel viewable.
        settled: Set while nothing is being read.
        when_settled: Called once, the next time that something has been read.
    """

    def __init__(self, view: View) -> None:
        import panel as pn  # noqa: PLC0415  (heavy)

        self._view = view
        self._job: Job | None = None
        self._shown: Any = None
        self._in_page = _document() is not None
        self._schedule = _scheduler()
        self.settled = threading.Event()
        self.when_settled: Callable[[], None] | None = None
        html = _html_pane()
        wide = {"sizing_mode": "stretch_width"}
        self._status = html("", **wide)
        self._cancel = pn.widgets.Button(label="Cancel", width=80, visible=False)
        self._cancel.on_click(lambda _: self._stop())
        self._code = html("", margin=(0, 0, 5, 0), **wide)
        self._actions = pn.Row(visible=False, **wide)
        self._body = pn.Column(**wide)
        self._widgets = dict(view.controls())
        for widget in self._widgets.values():
            widget.margin = _GAP
            widget.stylesheets = [*widget.stylesheets, _ARROW]
        self._source = pn.widgets.TextAreaInput(visible=False)
        self._footer = pn.FlexBox(*self._downloads(), self._copy(), self._source, visible=False)
        self.layout = pn.Column(
            html(fragment(f"<h2>{escape(view.title)}</h2>"), margin=(0, 0, 4, 0), **wide),
            pn.FlexBox(*self._widgets.values(), visible=bool(self._widgets)),
            pn.Row(self._status, self._cancel, **wide),
            self._actions,
            self._body,
            self._footer,
            self._code,
            css_classes=["wb-frame", f"wb-{view.name}"],
            **wide,
        )
        self._bind()
        if self._in_page:
            # what changes before the page is loaded may never reach it
            self._status.object = fragment(loading(_READING))
            pn.state.onload(self.reload)
        else:
            self.reload(_PATIENCE)

    def reload(self, patience: float = 0.0) -> None:
        """Show what the view says now, read in a thread unless it is at hand; an older reading is given up.

        Args:
            patience: Seconds to wait for it.
        """
        if self._view.is_read:
            self._stop()
            self._settle("")
            self._draw(self._read(Job()))
            return
        self.run(self._read, _READING, self._draw, patience)

    def _read(self, job: Job) -> tuple[Any, str]:
        """Return the view's data and the Python that gives it."""
        data = self._view.data(job)
        return data, "" if self._view.empty(data) else self._view.to_python()

    def run(
        self,
        work: Callable[[Job], Any],
        message: str,
        then: Callable[[Any], None] | None = None,
        patience: float = 0.0,
    ) -> None:
        """Do work in a thread, with its progress on the screen, and then something with its result.

        Args:
            work: Called in the thread.
            message: What is being done.
            then: Called with the result where widgets may be touched; by default the view is read again.
            patience: Seconds to wait for it; what takes longer goes on by itself.
        """
        self._stop()
        self.settled.clear()
        job: Job = Job(lambda update: self._on_screen(partial(self._tell, job, update)))
        self._job = job
        self._status.object = fragment(loading(message))
        self._cancel.visible = self._schedule is not None
        finish = then or (lambda _: self.reload())
        if self._schedule is None:
            self._outcome(job, work, finish)()
            return
        outcome: Future[Callable[[], None]] = Future()
        threading.Thread(
            target=lambda: outcome.set_result(self._outcome(job, work, finish)), daemon=True
        ).start()
        try:
            outcome.result(patience)()
        except TimeoutError:
            outcome.add_done_callback(lambda done: self._on_screen(done.result()))
        except KeyboardInterrupt:
            self._stop()
            raise

    def _outcome(
        self, job: Job, work: Callable[[Job], Any], then: Callable[[Any], None]
    ) -> Callable[[], None]:
        """Do the work and return the step that shows what became of it."""
        try:
            result = work(job)
        except CancelledError:
            return lambda: None
        except WorkbenchError as error:
            return partial(self._fail, job, str(error))
        except Exception:  # noqa: BLE001  (a boundary: a thread that died would leave "Reading …" for ever)
            get_logger("views").exception("view failed", view=self._view.name)
            return partial(self._fail, job, _FAILED)
        return partial(self._finish, job, then, result)

    def _on_screen(self, step: Callable[[], None]) -> None:
        """Take a step where widgets may be touched: on the page's event loop, the document locked."""
        if self._schedule is None:
            step()
        else:
            self._schedule(step)

    def _finish(self, job: Job, then: Callable[[Any], None], result: Any) -> None:
        if job is not self._job:
            return
        self._settle("")
        try:
            then(result)
        except WorkbenchError as error:
            self._settle(fragment(alert(str(error))))
        self._announce()

    def _fail(self, job: Job, message: str) -> None:
        if job is self._job:
            self._actions.visible = bool(self._actions.objects)
            self._settle(fragment(alert(message)))
            self._announce()

    def _announce(self) -> None:
        if self.when_settled is not None:
            settled, self.when_settled = self.when_settled, None
            settled()

    def _tell(self, job: Job, update: Update) -> None:
        if job is self._job and not job.cancelled and not self.settled.is_set():
            self._status.object = fragment(loading(told(update)))

    def _stop(self) -> None:
        if self._job is not None and not self.settled.is_set():
            self._job.cancel()
            self._actions.visible = bool(self._actions.objects)
            self._settle(fragment("<p class='soft' role='status'>Cancelled.</p>"))

    def _settle(self, status: str) -> None:
        self._status.object = status
        self._cancel.visible = False
        self.settled.set()

    def _draw(self, read: tuple[Any, str]) -> None:
        view = self._view
        data, python = read
        self._rebind()  # reading may have followed a selection that was made elsewhere
        reason = view.empty(data)
        self._offer(view.actions(data) if view.acts else {})
        self._footer.visible = self._code.visible = not reason
        if reason:
            self._shown = None
            self._body.clear()
            self._status.object = fragment(f"<p class='soft' role='status'>{escape(reason)}</p>")
            return
        drawn = view.draw(data, self._shown)
        if drawn is not self._shown:
            self._shown = drawn
            self._body[:] = [drawn]
        self._source.value = python
        self._code.object = fragment(
            f"<details><summary>Python</summary><pre>{escape(python)}</pre></details>"
        )

    def _offer(self, actions: Mapping[str, Callable[[Job], Any]]) -> None:
        """Show a button for each action; it is gone while the action runs."""
        import panel as pn  # noqa: PLC0415  (heavy)

        buttons = []
        for label, work in actions.items():
            button = pn.widgets.Button(label=label, color="primary", margin=_GAP)
            button.on_click(partial(self._act, label, work))
            buttons.append(button)
        self._actions[:] = buttons
        self._actions.visible = bool(actions)

    def _act(self, label: str, work: Callable[[Job], Any], _: Any) -> None:
        self._actions.visible = False
        self.run(work, f"{label} …")

    def _copy(self) -> Any:
        """Return the button that puts the view's Python on the clipboard, in the browser alone."""
        import panel as pn  # noqa: PLC0415  (heavy)

        button = pn.widgets.Button(label="Copy as Python", margin=_GAP, **_QUIET)
        code = "navigator.clipboard.writeText(source.value).then(() => { button.label = 'Copied' })"
        button.js_on_click(args={"source": self._source, "button": button}, code=code)
        return button

    def _downloads(self) -> list[Any]:
        import panel as pn  # noqa: PLC0415  (heavy)

        return [
            pn.widgets.FileDownload(
                callback=partial(self._file, make),
                filename=filename,
                label=filename.removeprefix(f"{self._view.name}.").upper(),
                description=f"Save {filename}",
                **_QUIET,
                width=100,
                margin=_GAP,
            )
            for filename, make in self._view.downloads().items()
        ]

    def _file(self, make: Callable[[], bytes]) -> BytesIO:
        return BytesIO(make())

    def _bind(self) -> None:
        """Let widgets set the state, and the state and the selection set the widgets and read again."""
        view = self._view
        for name, widget in self._widgets.items():
            widget.value = view.to_widget(name, view[name])
            widget.param.watch(partial(self._set, name), "value")
        # The view and the selection outlive a page: they must not hold on to it.
        here = weakref.WeakMethod(self._changed)
        view.listen(here)
        if view.follows:
            selection = view.selection.param
            watcher = selection.watch(partial(_call, here), ["entities", "since", "until"])
            weakref.finalize(self, selection.unwatch, watcher)
        document = _document()
        if document is not None:
            document.add_periodic_callback(self._follow, _REFRESH_MS)

    def _set(self, name: str, event: Any) -> None:
        try:
            self._view.update(**{name: self._view.from_widget(name, event.new)})
        except WorkbenchError as error:
            self._settle(fragment(alert(str(error))))

    def _changed(self) -> None:
        self._on_screen(self._follow_state)

    def _follow_state(self) -> None:
        self._rebind()
        self.reload()

    def _rebind(self) -> None:
        """Let the widgets show the state."""
        for name, widget in self._widgets.items():
            value = self._view.to_widget(name, self._view[name])
            if widget.value != value:
                widget.value = value

    async def _follow(self) -> None:
        """Read again where the workspace has a newer generation."""
        if self.settled.is_set() and await asyncio.to_thread(self._newest) != self._view.generation:
            self.reload()

    def _newest(self) -> int:
        """Return the newest generation, or where the workspace is being read the one that is read."""
        world = self._view.world
        if world.lock.acquire(blocking=False):  # no thread of the server's few waits for it
            try:
                world.refresh()
            finally:
                world.lock.release()
        generation: int = world.snapshot.generation
        return generation


@cache
def _html_pane() -> type[Any]:
    """Return Panel's HTML pane, which with every change sends a CDN's style sheets again, without them."""
    import panel as pn  # noqa: PLC0415  (heavy)

    html: Any = pn.pane.HTML

    class Html(html):  # type: ignore[misc]
        """A fragment of HTML."""

        priority = 0  # asked for by name only

        def _update(self, _: str, model: Any) -> None:
            changed = self._get_properties(model.document)
            model.update(**{name: value for name, value in changed.items() if name != "stylesheets"})

    return Html


def _call(here: weakref.WeakMethod[Callable[[], None]], *_: Any) -> None:
    method = here()
    if method is not None:
        method()


def _document() -> Any:
    """Return the document of the server session that this runs in, or None."""
    import panel as pn  # noqa: PLC0415  (heavy)

    document: Any = pn.state.curdoc
    return document if document is not None and document.session_context is not None else None


def _scheduler() -> Callable[[Callable[[], None]], Any] | None:
    """Return what takes a step on the event loop of this page or kernel; None without one."""
    document = _document()
    if document is not None:
        step: Callable[[Callable[[], None]], Any] = document.add_next_tick_callback
        return step
    try:
        return asyncio.get_running_loop().call_soon_threadsafe
    except RuntimeError:
        return None
