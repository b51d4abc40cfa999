"""What is about this machine: drivers, settings, JupyterLab."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.cli.options import (
    JsonOption,
    OutputOption,
    WorkspaceOption,
    default_workspace,
    open_workspace,
)
from workbench.cli.screen import print_facts, print_json, print_note, print_text, write_file
from workbench.errors import DriverUnavailableError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["config", "drivers", "lab", "schema"]


def drivers(as_json: JsonOption = False) -> None:
    """Show the connectors, tasks, backends, executors, planners and providers, and why one cannot run."""
    from workbench.analysis import tasks  # noqa: PLC0415  (kept out of start-up)
    from workbench.compute import backends  # noqa: PLC0415  (kept out of start-up)
    from workbench.connectors import connectors  # noqa: PLC0415  (kept out of start-up)
    from workbench.executors import executors  # noqa: PLC0415  (kept out of start-up)
    from workbench.llm import providers  # noqa: PLC0415  (kept out of start-up)
    from workbench.plans.planners import planners  # noqa: PLC0415  (kept out of start-up)

    registries = (connectors, tasks, backends, executors, planners, providers)
    kinds = [registry.describe() for registry in registries]
    if as_json:
        print_json({"drivers": [asdict(info) for infos in kinds for info in infos]})
        return
    for number, infos in enumerate(kinds):
        if number:
            print_text()
        print_text(infos[0].kind + "s")
        print_facts(
            {f"  {info.name}": info.summary for info in infos},
            notes={f"  {info.name}": f"cannot run here: {info.reason}" for info in infos if info.reason},
        )


def config(workspace: WorkspaceOption = None, as_json: JsonOption = False) -> None:
    """Show every setting with its value and where that comes from.

    Layers, lowest first: defaults, workbench.toml in the workspace, the environment (WORKBENCH_…).
    """
    from workbench.settings import origins  # noqa: PLC0415  (kept out of start-up)

    path = workspace or default_workspace()
    settings = origins(None if path is None else _settings_of(path))
    if as_json:
        documents = [asdict(setting) for setting in settings]
        print_json({"workspace": None if path is None else _address(path), "settings": documents})
        return
    print_text(f"workspace: {'none here' if path is None else _address(path, path)}")
    print_facts(
        {setting.name: f"{setting.value!s:12} {setting.origin}" for setting in settings},
        notes={setting.name: setting.description for setting in settings},
    )


def schema(
    kind: Annotated[
        str | None, typer.Argument(metavar="[KIND]", help="Which kind. By default they are listed.")
    ] = None,
    output: OutputOption = None,
) -> None:
    """Print the JSON Schema of a kind of YAML document, by which editors complete and check it."""
    from workbench.config.kinds import json_schema, schema_files  # noqa: PLC0415  (kept out of start-up)

    if kind is None:
        for name, path in schema_files().items():
            print_text(f"{name:14} {path}")
    elif output is None:
        print_json(json_schema(kind))
    else:
        write_file(output, json.dumps(json_schema(kind), indent=2) + "\n")


def lab(
    arguments: Annotated[
        list[str] | None, typer.Argument(metavar="[-- ARGUMENT…]", help="Handed to JupyterLab as they are.")
    ] = None,
    workspace: WorkspaceOption = None,
) -> None:
    """Start JupyterLab in the working directory and say how to open the workspace there."""
    if importlib.util.find_spec("jupyterlab") is None:
        raise DriverUnavailableError(
            "JupyterLab is not installed.", fix="It comes with workbench's extra 'lab' (or 'make lab')."
        )
    path = workspace or default_workspace()
    call = "wb.demo()" if path is None else f"wb.open({_address(path)!r})"
    print_note(f"In a notebook: import workbench as wb; db = {call}")
    os.execv(sys.executable, [sys.executable, "-m", "jupyterlab", *(arguments or ())])  # noqa: S606


def _address(path: Path, local: Path | None = None) -> str:
    """Return what a workspace is opened by: an address in S3, or a directory's path."""
    from workbench.storage.places import s3_url  # noqa: PLC0415  (kept out of start-up)

    return s3_url(path) or str(local or path.absolute())


def _settings_of(path: Path) -> Path:
    """Return the directory with a workspace's settings; a mirror in S3 has them where it is fetched to."""
    if "s3:" not in path.parts[:1]:
        return path
    with open_workspace(path) as engine:
        return engine.path
