"""A notebook as the template of a report: run with parameters on one generation, then laid out as a page."""

from __future__ import annotations

import hashlib
import sys
import time
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

from workbench.errors import DriverUnavailableError, ReportFailedError, SourceError, UsageError
from workbench.progress import Update, silent
from workbench.reports.live import PROVENANCE
from workbench.reports.manifest import manifest
from workbench.reports.page import page
from workbench.reports.parameters import assignments, declared, given_values
from workbench.reports.parts import markdown
from workbench.reports.pinned import pinned

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from workbench.progress import Progress
    from workbench.reports.pinned import Pinned
    from workbench.reports.world import Live

__all__ = ["TemplateRun", "run_template"]

WORKSPACE = "workspace"
_PARAMETERS = "parameters"
_INJECTED = "injected-parameters"
_BEGIN = "from workbench.reports.live import begin\nbegin(get_ipython())\n"
_TITLE = "# "


@dataclass(frozen=True)
class TemplateRun:
    """What became of a template.

    Attributes:
        html: The page.
        manifest: What it was made from.
        notebook: The executed notebook, as nbformat has it.
    """

    html: str
    manifest: dict[str, Any]
    notebook: Any


def run_template(  # noqa: PLR0913  (the options of the command)
    template: Path,
    world: Live,
    given: Mapping[str, Any] | None = None,
    *,
    code: bool = False,
    cell_seconds: int = 600,
    progress: Progress = silent,
) -> TemplateRun:
    """Run a notebook against the newest generation of a workspace and return it as an offline page.

    The cell with the tag ``parameters`` sets the defaults; those that are given are set after it. A parameter
    ``workspace`` is where the workspace lies: the run gives it one that holds still while others write.

    Args:
        template: The notebook.
        world: The workspace.
        given: Parameters by name; texts are read as what the default is.
        code: Show the cells' code, too.
        cell_seconds: How long one cell may run.
        progress: Told after each cell.

    Raises:
        SourceError: If the template cannot be read.
        UnknownNameError: If it has no parameter of a given name.
        UsageError: If a value does not fit, or the template says nothing of a workspace.
        ReportFailedError: If a cell fails.
        DriverUnavailableError: If nothing is installed that runs notebooks.
    """
    started = time.perf_counter()
    notebook = _read(template)
    place = _parameter_cell(notebook)
    defaults = {} if place is None else declared(notebook.cells[place].source)
    if WORKSPACE not in defaults:
        raise UsageError(
            "the template has no parameter 'workspace'.",
            where=str(template),
            fix="Set it in a cell with the tag 'parameters', and open it with wb.open(workspace).",
        )
    values = given_values(defaults, given or {}, str(template))
    with pinned(world) as still:
        injected = assignments({**values, WORKSPACE: str(still.path)})
        notebook.cells.insert((place or 0) + 1, _cell(_BEGIN + injected))
        _execute(notebook, template, cell_seconds, progress)
        facts = _facts(
            notebook, template, still, {**_plain(defaults), **values}, time.perf_counter() - started
        )
    title, sections = _sections(notebook, code=code)
    facts["title"] = title or template.stem
    # what stays is where the workspace lies, not where it was held for the run
    html = page(facts["title"], sections, facts).replace(escape(str(still.path)), escape(world.store.name))
    return TemplateRun(html, facts, notebook)


def _read(template: Path) -> Any:
    try:
        import nbclient  # noqa: F401, PLC0415  (for templates alone)
        import nbformat  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise DriverUnavailableError(
            f"running a notebook needs {error.name}, which is not installed.", fix="Install the extra 'lab'."
        ) from error
    try:
        read: Any = nbformat.read
        return read(template, as_version=4)
    except OSError as error:
        raise SourceError(f"cannot be read: {error.strerror}.", where=str(template)) from error
    except (nbformat.reader.NotJSONError, nbformat.ValidationError, KeyError, AttributeError) as error:
        raise SourceError("is no notebook.", where=str(template)) from error


def _parameter_cell(notebook: Any) -> int | None:
    tagged = [n for n, c in enumerate(notebook.cells) if _PARAMETERS in c.metadata.get("tags", ())]
    return tagged[0] if tagged else None


def _cell(source: str) -> Any:
    import nbformat  # noqa: PLC0415  (for templates alone)

    cell: Any = nbformat.v4.new_code_cell
    return cell(source, metadata={"tags": [_INJECTED]})


def _execute(notebook: Any, template: Path, cell_seconds: int, progress: Progress) -> None:
    from nbclient import NotebookClient  # noqa: PLC0415  (for templates alone)
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError  # noqa: PLC0415

    total = sum(cell.cell_type == "code" for cell in notebook.cells)
    done = 0

    def executed(**_: Any) -> None:
        nonlocal done
        done += 1
        progress(Update("report", done, total, "cells"))

    client = NotebookClient(
        notebook,
        timeout=cell_seconds,
        kernel_name="python3",  # whatever kernel it was written with, this is the one that is here
        resources={"metadata": {"path": str(template.parent.absolute())}},
        on_cell_executed=executed,
        extra_arguments=["--log-level=CRITICAL"],  # what fails in a cell is told below
    )
    try:
        client.execute()
    except CellExecutionError as error:
        raise _failed(notebook, template, f"{error.ename}: {error.evalue}") from error
    except AssertionError as error:
        if client.km is not None:
            raise
        # it ends its kernel at a signal, and then stumbles over that
        raise KeyboardInterrupt from error
    except (CellTimeoutError, DeadKernelError, RuntimeError) as error:
        raise _failed(notebook, template, str(error).strip().splitlines()[0]) from error


def _failed(notebook: Any, template: Path, reason: str) -> ReportFailedError:
    """Return the error that names the last cell that was begun."""
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    begun = [n for n, cell in enumerate(code) if cell.metadata.get("execution") or cell.execution_count]
    number = begun[-1] if begun else 0
    shown = sum(_INJECTED not in cell.metadata.get("tags", ()) for cell in code[: number + 1])
    source = code[number].source.strip() if code else ""
    line = source.splitlines()[0] if source else ""
    return ReportFailedError(
        f"code cell {shown} ({line}) failed: {reason}.",
        where=str(template),
        fix="Open the template in JupyterLab and run it with these parameters.",
    )


def _facts(
    notebook: Any, template: Path, still: Pinned, parameters: Mapping[str, Any], seconds: float
) -> dict[str, Any]:
    shown = {name: value for name, value in parameters.items() if name != WORKSPACE}
    provenance = [
        output.metadata[PROVENANCE]
        for cell in notebook.cells
        if cell.cell_type == "code"
        for output in cell.outputs
        if output.get("metadata", {}).get(PROVENANCE)
    ]
    return {
        **manifest(still, template.stem, shown, provenance),
        "template": template.name,
        "template_hash": hashlib.sha256(template.read_bytes()).hexdigest()[:16],
        "kernel": f"Python {sys.version.split()[0]}",
        "seconds": round(seconds, 1),
    }


def _plain(defaults: Mapping[str, Any]) -> dict[str, Any]:
    kinds = (str, int, float, list, tuple, dict, type(None))
    return {name: value for name, value in defaults.items() if isinstance(value, kinds)}


def _sections(notebook: Any, *, code: bool) -> tuple[str, list[str]]:
    """Return the title and each cell's markup; what only sets parameters is left out."""
    title, sections = "", []
    for cell in notebook.cells:
        if {_PARAMETERS, _INJECTED} & set(cell.metadata.get("tags", ())):
            continue
        source = cell.source
        if cell.cell_type == "markdown":
            if not title and source.startswith(_TITLE):
                first, _, source = source.partition("\n")
                title = first.removeprefix(_TITLE).strip()
            sections.append(markdown(source))
        elif cell.cell_type == "code":
            written = f"<details><summary>Code</summary><pre>{escape(source)}</pre></details>" if code else ""
            sections.append(written + "".join(map(_output, cell.outputs)))
    return title, [section for section in sections if section.strip()]


def _output(output: Any) -> str:
    """Return the richest form of an output that a page without a network can show."""
    if output.output_type == "stream":
        return f"<pre>{escape(output.text)}</pre>"
    data = output.get("data", {})
    if "text/html" in data:
        return str(data["text/html"])
    if "image/svg+xml" in data:
        return str(data["image/svg+xml"])
    for kind in ("image/png", "image/jpeg"):
        if kind in data:
            return f'<img alt="" src="data:{kind};base64,{"".join(data[kind].split())}">'
    if "text/markdown" in data:
        return markdown(data["text/markdown"])
    return f"<pre>{escape(data.get('text/plain', ''))}</pre>"
