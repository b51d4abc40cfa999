"""Every example of the README and of ``docs/`` runs and prints what stands under it.

How a fenced block is treated depends on its first line:

========================  =====================================================================
``python``                run; if it begins with ``>>>``, its output is compared
``console``               each line after ``$`` is run by bash, its output compared
*any* ``title="name"``    written to the file ``name`` in the working directory
``text``, ``mermaid``, …  shown only
========================  =====================================================================

The blocks of a document share a namespace and an empty working directory that holds the demo. In output,
``...`` stands for anything; a command without output is only required to succeed.
"""

from __future__ import annotations

import doctest
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sybil import Document, Example
from sybil.evaluators.doctest import OutputChecker
from sybil.example import SybilFailure
from sybil.parsers.markdown import CodeBlockParser, PythonCodeBlockParser
from sybil.parsers.markdown.lexers import RawFencedCodeBlockLexer
from typer.main import get_command

from workbench.cli.app import app
from workbench.config import entity_schema
from workbench.config.documents import Metadata, Strict
from workbench.engine import Engine
from workbench.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pydantic import BaseModel
    from sybil import Region

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
SHOWN_ONLY = {"mermaid", "text", "toml", "yaml"}
RUN = {"console", "python"}

COMMAND = re.compile(r"^\$ (?P<command>(?:.*\\\n)*.*)\n?(?P<output>(?:(?!\$ ).*\n?)*)", re.MULTILINE)
TITLED = re.compile(r'\w+ title="(?P<name>[^"]+)"$\n', re.MULTILINE)
FENCE = re.compile(r"^```(\S*)(.*)$", re.MULTILINE)
LINK = re.compile(r"!?\[[^\]]*\]\((?!https?:)([^)#\s]*)(?:#([^)\s]*))?\)")


def run_console(example: Example) -> str:
    """Run the commands of a block and return what differs; what fails shows its standard error too."""
    checker, flags, wrong = OutputChecker(), doctest.ELLIPSIS, []
    for match in COMMAND.finditer(example.parsed):
        command, want = match["command"], match["output"]
        directory = None
        if command.startswith("make "):
            # what a target does takes minutes, and is the continuous integration's affair
            directory, command = ROOT, f"make --dry-run {command.removeprefix('make ')}"
        done = subprocess.run(
            ["bash", "-c", command], cwd=directory, capture_output=True, text=True, check=False, timeout=300
        )
        got = done.stdout + (done.stderr if done.returncode else "")
        got += "" if got.endswith("\n") else "\n"  # not every program ends its last line
        if not (want.strip() or done.returncode) or checker.check_output(want, got, flags):
            continue
        wrong.append(f"$ {command}\n" + checker.output_difference(doctest.Example("", want), got, flags))
    return "\n".join(wrong)


def write_file(example: Example) -> None:
    """Write a block to the file that its title names."""
    name, text = example.parsed
    path = Path(name)
    assert not path.is_absolute(), f"{name}: examples stay in the working directory"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def titled_blocks(document: Document) -> Iterable[Region]:
    for region in RawFencedCodeBlockLexer(TITLED)(document):
        region.parsed = (region.lexemes["name"], region.lexemes["source"])
        region.evaluator = write_file
        yield region


def examples(path: Path) -> Iterator[Example]:
    parsers = (
        PythonCodeBlockParser(future_imports=["annotations"], doctest_optionflags=doctest.ELLIPSIS),
        CodeBlockParser("console", run_console),
        titled_blocks,
    )
    return Document.parse(str(path), *parsers).examples()


def names(models: Iterable[type[BaseModel]]) -> list[str]:
    return sorted({field.alias or name for model in models for name, field in model.model_fields.items()})


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_examples_do_what_is_written_under_them(path: Path, workplace: Path) -> None:
    wrong, namespace = [], {}
    for example in examples(path):
        namespace = example.namespace
        try:
            example.evaluate()
        except SybilFailure as failure:
            wrong.append(str(failure))
    for value in namespace.values():
        if isinstance(value, Engine):
            value.close()
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_no_example_escapes_from_being_run(path: Path) -> None:
    fences = FENCE.findall(path.read_text(encoding="utf-8"))
    opened = fences[::2]
    assert {language for language, title in opened if not title} <= SHOWN_ONLY | RUN
    assert all(fence == ("", "") for fence in fences[1::2])
    for block in re.findall(
        r"^```text\n(.*?)^```", path.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    ):
        assert not re.search(r"^(>>> |\$ )", block, re.MULTILINE), block


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    for target, anchor in LINK.findall(path.read_text(encoding="utf-8")):
        file = (path.parent / target).resolve() if target else path
        assert file.exists(), f"{path.name} links to {target}"
        if anchor:
            heads = re.findall(r"^#+ (.*)$", file.read_text(encoding="utf-8"), re.MULTILINE)
            slugs = {re.sub(r"[^\w\- ]", "", head).strip().lower().replace(" ", "-") for head in heads}
            assert anchor in slugs, f"{path.name} links to {target}#{anchor}"


def test_every_key_of_an_entity_schema_is_explained() -> None:
    parts = [
        part
        for part in vars(entity_schema).values()
        if isinstance(part, type) and issubclass(part, Strict) and part is not Strict
    ]
    text = (ROOT / "docs" / "entity-schema.md").read_text(encoding="utf-8")
    assert [key for key in names([*parts, Metadata]) if f"`{key}`" not in text] == []


def test_every_command_and_setting_is_explained() -> None:
    text = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    root = get_command(app)
    commands = [
        f"{name} {inner}" if inner else name
        for name, command in root.commands.items()
        for inner in getattr(command, "commands", [""])
    ]
    assert [name for name in commands if f"workbench {name}" not in text] == []
    assert [name for name in names([Settings]) if f"`{name}`" not in text] == []
