"""A view as the output of a cell: live, with its static form for the saved notebook."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from workbench.errors import WorkbenchError
from workbench.views._look import alert, fragment, loading

if TYPE_CHECKING:
    from workbench.views.base import View

__all__ = ["show", "start_panel"]

# The static form is seen until the live one has drawn into its place.
_STATIC = ".wb-out:has([data-root-id] > *) > .wb-static { display: none }"


def start_panel() -> None:
    """Make Panel draw in this notebook from the kernel alone, whatever has been imported before.

    Without a kernel nothing happens. The first call of a kernel publishes Panel's scripts as an output.
    """
    import panel as pn  # noqa: PLC0415  (heavy)

    if not (pn.extension._loaded and pn.config.inline):  # noqa: SLF001  (the one place that tells)
        pn.extension(inline=True)


def show(view: View) -> None:
    """Publish a view as the output of the running cell; one that takes long replaces a line that says so."""
    from IPython import get_ipython  # noqa: PLC0415  (only a notebook has it)
    from IPython.display import display  # noqa: PLC0415  (only a notebook has it)

    if getattr(get_ipython(), "kernel", None) is None:
        display(_static(view), raw=True)
        return
    start_panel()
    from workbench.views._frame import Frame  # noqa: PLC0415  (panel is heavy)

    frame = Frame(view)
    name = uuid.uuid4().hex
    if frame.settled.is_set():
        _publish(view, frame.layout, name)
        return
    waiting = {"text/plain": repr(view), "text/html": fragment(loading("Reading the workspace …"))}
    display(waiting, raw=True, display_id=name)
    frame.when_settled = lambda: _publish(view, frame.layout, name, update=True)


def _publish(view: View, layout: Any, name: str, *, update: bool = False) -> None:
    from IPython.display import publish_display_data  # noqa: PLC0415  (only a notebook has it)

    static = _static(view)
    layout._hooks.append(_with_styles)  # noqa: SLF001  (the one place after Panel's own)
    live, metadata = layout._repr_mimebundle_()
    html = (
        f'<div class="wb-out" data-lm-suppress-shortcuts="true"><style>{_STATIC}</style>{live["text/html"]}'
        f'<div class="wb-static">{static["text/html"]}</div></div>'
    )
    publish_display_data(
        {**live, "text/html": html, "text/plain": static["text/plain"]},
        metadata,
        transient={"display_id": name},
        update=update,
    )


def _with_styles(_: Any, root: Any, changed: Any, __: Any) -> None:
    """Put style sheets into what is added to a layout later: Panel 1.9 leaves its design's at a CDN."""
    from bokeh.models.ui import UIElement  # noqa: PLC0415  (heavy)
    from panel.io.notebook import patch_inline_stylesheets  # noqa: PLC0415  (heavy)

    added, _ = changed._models.get(root.ref["id"], (None, None))  # noqa: SLF001
    for model in added.select({"type": UIElement}) if added is not None else ():
        patch_inline_stylesheets(model)


def _static(view: View) -> dict[str, str]:
    try:
        return view._repr_mimebundle_()
    except WorkbenchError as error:
        return {"text/plain": f"{view!r}: {error}", "text/html": fragment(alert(str(error)))}
