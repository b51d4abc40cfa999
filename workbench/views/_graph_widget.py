"""The graph widget: one browser module behind an anywidget in notebooks and a Panel component in pages."""

from __future__ import annotations

import uuid
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workbench.views._graph_picture import Picture

__all__ = ["panel_graph", "widget"]

_MODULE = Path(__file__).with_name("assets") / "graph.js"


@cache
def _component() -> type[Any]:
    """Return the Panel component: made on first use, since Panel is heavy."""
    import param  # noqa: PLC0415
    from panel.custom import AnyWidgetComponent  # noqa: PLC0415

    class GraphComponent(AnyWidgetComponent):
        """The graph widget in Panel; the traits are those of the module."""

        _esm = _MODULE.read_text(encoding="utf-8")

        graph = param.Dict(default={})
        selected = param.List(default=[])
        event = param.Dict(default={})
        theme: Any = param.Selector(default="auto", objects=["auto", "light", "dark"])
        # "height" is taken by Panel for the whole component
        stage = param.Integer(default=560)

    return GraphComponent


@cache
def _widget() -> type[Any]:
    """Return the anywidget: made on first use, since a plain server does without."""
    import anywidget  # noqa: PLC0415
    import traitlets  # noqa: PLC0415

    class GraphWidget(anywidget.AnyWidget):
        """The graph widget in a notebook; the traits are those of the module."""

        _esm = _MODULE

        graph = traitlets.Dict().tag(sync=True)
        selected = traitlets.List(traitlets.Unicode()).tag(sync=True)
        event = traitlets.Dict().tag(sync=True)
        theme = traitlets.Enum(["auto", "light", "dark"], "auto").tag(sync=True)
        stage = traitlets.Int(520).tag(sync=True)
        twin = traitlets.Unicode().tag(sync=True)

        def __init__(self, picture: Picture, **traits: Any) -> None:
            self._static = picture.to_html()
            super().__init__(graph=picture.to_json(), twin=f"wb-{uuid.uuid4().hex}", **traits)

        def _ipython_display_(self) -> None:
            """Publish the widget and its static twin, which hides where the widget draws.

            They are two outputs: whoever exports a notebook without its kernel takes the widget's place in
            an output first, and leaves it blank.
            """
            from IPython.display import display  # noqa: PLC0415  (only a notebook has it)

            from workbench.views._look import fragment  # noqa: PLC0415  (a style sheet is read)

            bundle: Any = self._repr_mimebundle_()
            live, metadata = bundle if isinstance(bundle, tuple) else (bundle, {})
            display(live, metadata=metadata, raw=True)
            static = fragment(f'<div id="{self.twin}">{self._static}</div>')
            display({"text/plain": "the same graph, drawn", "text/html": static}, raw=True)

    return GraphWidget


def panel_graph(picture: Picture, **traits: Any) -> Any:
    """Return the widget for a Panel layout."""
    return _component()(graph=picture.to_json(), sizing_mode="stretch_width", **traits)


def widget(picture: Picture, **traits: Any) -> Any:
    """Return the widget for a notebook: ``selected``, ``event`` and ``graph`` are traits of the kernel."""
    return _widget()(picture, **traits)
