"""A view as the output of a cell: live, with its static form for the saved notebook."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from workbench.errors import WorkbenchError
from workbench.views._look import alert, fragment

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
    """Publish a view as the output of the running cell."""
    from IPython import get_ipython  # noqa: PLC0415  (only a notebook has it)
    from IPython.display import display  # noqa: PLC0415  (only a notebook has it)

    try:
        static = view._repr_mimebundle_()
    except WorkbenchError as error:
        static = {"text/plain": f"{view!r}: {error}", "text/html": fragment(alert(str(error)))}
    if getattr(get_ipython(), "kernel", None) is None:
        display(static, raw=True)
        return
    start_panel()
    live, metadata = view.__panel__()._repr_mimebundle_()
    display(_both(live, static), metadata=metadata, raw=True, display_id=uuid.uuid4().hex)


def _both(live: dict[str, Any], static: dict[str, str]) -> dict[str, Any]:
    html = (
        f'<div class="wb-out"><style>{_STATIC}</style>{live["text/html"]}'
        f'<div class="wb-static">{static["text/html"]}</div></div>'
    )
    return {**live, "text/html": html, "text/plain": static["text/plain"]}
