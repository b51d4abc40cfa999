"""Run notebooks and store what they show, without what only a live page needs: ``notebooks.py FILE …``."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

KEPT = ("text/plain", "text/markdown", "text/html", "image/svg+xml")
LARGEST = 20_000


def slim(notebook: Any) -> Any:
    """Take out what draws only while a page is live, such as whole libraries, and the kernel's own facts."""
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        cell.metadata.pop("execution", None)
        kept = []
        for output in cell.outputs:
            if "data" in output:
                data = output.data
                output.data = {
                    kind: data[kind] for kind in KEPT if kind in data and len(data[kind]) <= LARGEST
                }
                output.metadata = {}
                if "text/plain" not in output.data:
                    continue
            elif output.output_type == "stream" and output.name == "stderr":
                continue
            kept.append(output)
        cell.outputs = kept
    notebook.metadata = {"kernelspec": notebook.metadata["kernelspec"]}
    return notebook


def main() -> None:
    """Run each file in the working directory, on the CPU as the tests do, and write it again."""
    os.environ["WORKBENCH_DEVICE"] = "cpu"
    for name in sys.argv[1:]:
        notebook = nbformat.read(name, as_version=4)
        NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(Path.cwd())}}).execute()
        nbformat.write(slim(notebook), name)
        print(f"{name}: {len(notebook.cells)} cells")


if __name__ == "__main__":
    main()
