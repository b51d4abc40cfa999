"""What may not be written: domain names in the engine, names of places, notes to oneself."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "workbench"

# Words of the shipped samples. "device" is not among them: kernels run on devices.
DOMAIN = {
    "affiliate",
    "aircraft",
    "airport",
    "arrival",
    "cancellation",
    "carrier",
    "casino",
    "departure",
    "manufacturer",
    "popup",
    "tailnum",
    "vip",
}
# Ordinary English as a name in code, the name of an entity type in a string.
DOMAIN_IN_STRINGS = DOMAIN | {"member"}

# Each pattern is written so that it does not match itself.
REGISTRY_HOST = re.compile(r"https?://\S*(?:/simple\b|/packages/|registry\.|/-/\w)")
MACHINE_PATH = re.compile(r"(?<![\w./)\]}~-])(/(?:home|root|Users|work|opt|mnt)/\w[\w.-]*|[A-Z]:\\Users\\)")
NOTE = re.compile(r"\b(TO(?:DO)|FIX(?:ME)|XX(?:X))\b")


def words(text: str) -> set[str]:
    """Return the words of a name or a text: ``unique_tailNums`` gives unique, tail and nums.

    Joined pairs are words too, so that ``tailNum`` is found as ``tailnum``; a plural s is dropped.
    """
    parts = [part.lower() for part in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", text)]
    joined = [first + second for first, second in pairwise(parts)]
    return {word for part in parts + joined for word in (part, part.removesuffix("s"))}


def docstrings(tree: ast.Module) -> set[ast.expr]:
    """Return the docstrings: their examples run on the samples and may name what is in them."""
    return {
        node.body[0].value
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and ast.get_docstring(node) is not None
        and isinstance(node.body[0], ast.Expr)
    }


def domain_names(source: str) -> Iterator[tuple[int, str]]:
    """Yield line and word for each domain name in code, docstrings and comments left out."""
    tree = ast.parse(source)
    skipped = docstrings(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in skipped:
            found = words(node.value) & DOMAIN_IN_STRINGS
        else:
            fields = (getattr(node, name, None) for name in ("id", "attr", "arg", "name", "asname", "module"))
            found = {word for name in fields if isinstance(name, str) for word in words(name) & DOMAIN}
        for word in sorted(found):
            yield getattr(node, "lineno", 0), word


def text_files() -> list[Path]:
    """Return every text file that git tracks or would track."""
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout: there is no list of tracked files")
    listed = subprocess.run(
        [git, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout
    files = [ROOT / name for name in listed.decode().split("\0") if name]
    return [file for file in files if file.is_file() and b"\0" not in file.read_bytes()]


def matches(pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{file.relative_to(ROOT)}:{number}: {match.group()}"
        for file in text_files()
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1)
        if (match := pattern.search(line))
    ]


def test_the_engine_knows_no_domain() -> None:
    found = [
        f"{file.relative_to(ROOT)}:{line}: {word}"
        for file in sorted(PACKAGE.rglob("*.py"))
        if PACKAGE / "samples" not in file.parents
        for line, word in domain_names(file.read_text(encoding="utf-8"))
    ]
    assert found == []


@pytest.mark.parametrize(
    ("source", "word"),
    [
        ("key = row['tailNum']", "tailnum"),
        ("def unique_airports(): ...", "airport"),
        ("hint = 'for example member:anna'", "member"),
        ("from somewhere import vip_tier", "vip"),
        ("run(carrier=1)", "carrier"),
    ],
)
def test_a_domain_name_is_found(source: str, word: str) -> None:
    assert word in {found for _, found in domain_names(source)}


@pytest.mark.parametrize("source", ['"""Follows an aircraft."""', "member = mask[0]", "device = 'gpu'"])
def test_an_example_and_plain_english_are_no_domain_name(source: str) -> None:
    assert list(domain_names(source)) == []


def test_no_file_names_a_package_registry() -> None:
    assert matches(REGISTRY_HOST) == []


def test_no_file_names_a_path_of_one_machine() -> None:
    assert matches(MACHINE_PATH) == []


def test_no_file_has_a_note_to_oneself() -> None:
    assert matches(NOTE) == []


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (REGISTRY_HOST, "https://" + "index.example.org" + "/simple"),
        (MACHINE_PATH, "open('" + "/home" + "/anna/x')"),
        (MACHINE_PATH, "cd " + "/work" + "/main"),
        (NOTE, "# TO" + "DO later"),
    ],
)
def test_each_pattern_finds_what_it_is_for(pattern: re.Pattern[str], text: str) -> None:
    assert pattern.search(text)


@pytest.mark.parametrize("text", ["docs/home/start.md", "https://example.org/srv/x", "./opt/x"])
def test_a_relative_path_is_no_path_of_one_machine(text: str) -> None:
    assert not MACHINE_PATH.search(text)
