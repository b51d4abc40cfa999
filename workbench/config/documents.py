"""YAML documents read strictly: every finding names file, line, path and what to do."""

from __future__ import annotations

import re
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from workbench.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from pydantic_core import ErrorDetails

__all__ = ["Metadata", "Strict", "load_document", "merged"]

M = TypeVar("M", bound=BaseModel)


class Strict(BaseModel):
    """A part of a document: immutable, unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Metadata(Strict):
    """Who a document is.

    Attributes:
        id: Unique among documents of its kind.
        name: What people call it.
        description: What it is for.
        tags: Words to find it by.
        enabled: Whether it is at work.
        version: Counted by its author.
        extends: The id of the document that this one changes: see :func:`merged`.
    """

    id: str
    name: str = ""
    description: str = ""
    tags: tuple[str, ...] = ()
    enabled: bool = True
    version: int = 1
    extends: str = ""


class _Document(Strict):
    apiVersion: Literal["workbench/v1"]  # noqa: N815  (the document's own spelling)
    kind: str
    metadata: Metadata
    spec: dict[str, Any]


# What a document does not take from the one that it extends: who it is.
_OWN = ("id", "extends", "enabled", "version")


def load_document(
    path: Path, kind: str, spec: type[M], find: Callable[[str], Path | None] | None = None
) -> tuple[Metadata, M]:
    """Read one YAML document of ``kind``, with what it extends, and validate its ``spec``.

    Args:
        path: The file.
        kind: What its ``kind`` has to be.
        spec: The model of its ``spec``.
        find: Returns the file of the document that has an id, for ``extends``; none without it.

    Raises:
        ConfigError: With every finding at once, each with file, line, path, reason and suggestion.
            What a model checks across its parts is looked at once the parts themselves are right.
    """
    chain = list(_chain(path, kind, find))
    data = chain[-1][1]
    for _, change in reversed(chain[:-1]):
        data = _extended(change, data)
    head, findings = _checked(chain, data, _Document, ())
    content = data.get("spec")
    body, more = _checked(chain, content, spec, ("spec",)) if isinstance(content, dict) else (None, [])
    if head is None or body is None:
        first, *rest = sorted(findings + more, key=lambda found: (found[0] != path, *found))
        others = "".join(f"\n{file}:{line}: {text}" for file, line, text in rest)
        raise ConfigError(first[2] + others, where=f"{first[0]}:{first[1]}")
    return head.metadata, body


def merged(base: Any, change: Any) -> Any:
    """Return ``base`` changed: mappings merge deeply, everything else replaces, null removes.

    Source: RFC 7396, JSON Merge Patch.

    >>> merged({"a": {"b": 1, "c": [1, 2]}}, {"a": {"c": [3], "b": None}, "d": 4})
    {'a': {'c': [3]}, 'd': 4}
    """
    if not isinstance(change, dict):
        return change
    found = dict(base) if isinstance(base, dict) else {}
    for key, value in change.items():
        if value is None:
            found.pop(key, None)
        else:
            found[key] = merged(found.get(key), value)
    return found


def _chain(
    path: Path, kind: str, find: Callable[[str], Path | None] | None
) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Yield a document and what it extends, up to the one that extends nothing, each with its file."""
    seen: list[Path] = []
    next_path: Path | None = path
    while next_path is not None:
        file = next_path
        seen.append(file)
        data = _parse(file)
        found = data.get("kind")
        if isinstance(found, str) and found != kind:
            # the findings of another kind's spec would mislead
            where = f"{file}:{_place([(file, data)], ('kind',))[1]}"
            raise ConfigError(f"kind is {found!r}, expected {kind!r}.", where=where)
        yield file, data
        metadata = data.get("metadata")
        base = metadata.get("extends") if isinstance(metadata, dict) else None
        if not isinstance(base, str) or not base:
            return
        where = f"{file}:{_place([(file, data)], ('metadata', 'extends'))[1]}"
        next_path = find(base) if find else None
        if next_path is None:
            raise ConfigError(f"metadata.extends: there is no {kind} {base!r}.", where=where)
        if next_path in seen:
            ring = " -> ".join(p.name for p in [*seen[seen.index(next_path) :], next_path])
            raise ConfigError(f"metadata.extends: it extends itself: {ring}.", where=where)


def _extended(data: dict[str, Any], base: dict[str, Any]) -> dict[str, Any]:
    metadata = base.get("metadata")
    left = {k: v for k, v in metadata.items() if k not in _OWN} if isinstance(metadata, dict) else {}
    found: dict[str, Any] = merged({**base, "metadata": left}, data)
    return found


def _parse(path: Path) -> dict[str, Any]:
    if path.is_fifo():  # it would be waited for
        raise ConfigError("this is a pipe, not a file.", where=str(path))
    try:
        data = YAML(typ="rt").load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError("no such file.", where=str(path)) from None
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}.", where=str(path)) from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"not UTF-8 text: {error}.", where=str(path)) from error
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        # of a key that stands twice ruamel.yaml quotes both values, however long they are
        problem = str(error.problem).split(" with value ", 1)[0]
        raise ConfigError(f"not valid YAML: {problem}.", where=f"{path}:{line}") from error
    except YAMLError as error:
        problem = str(error).split("\n", 1)[0]
        raise ConfigError(f"not valid YAML: {problem}.", where=str(path)) from error
    except RecursionError as error:
        raise ConfigError("not valid YAML: it is nested too deep.", where=str(path)) from error
    except Exception as error:  # what the library meets in values, such as the 30th of February
        problem = str(error).split("\n", 1)[0]
        raise ConfigError(f"not to be read as YAML: {problem}.", where=str(path)) from error
    if not isinstance(data, dict):
        raise ConfigError("expected a mapping with apiVersion, kind, metadata and spec.", where=f"{path}:1")
    return data


def _checked(
    chain: Sequence[tuple[Path, Any]], data: Any, model: type[M], prefix: tuple[str, ...]
) -> tuple[M | None, list[tuple[Path, int, str]]]:
    """Return the validated model and nothing, or nothing and the findings, each with file and line."""
    try:
        return model.model_validate(data), []
    except ValidationError as error:
        return None, [
            (*_place(chain, (*prefix, *e["loc"])), _finding((*prefix, *e["loc"]), e, model))
            for e in error.errors()
        ]


def _finding(path: tuple[str | int, ...], error: ErrorDetails, model: type[BaseModel]) -> str:
    """Say where in the document, what is wrong and, where there is a near miss, what may be meant."""
    given = error["input"]
    match error["type"]:
        case "extra_forbidden":
            *parents, key = error["loc"]
            reason = f"unknown key {key!r}. {did_you_mean(str(key), _known_keys(model, parents))}"
        case "missing":
            reason = f"missing key {path[-1]!r}."
        case "literal_error":
            known = re.findall(r"'([^']*)'", error["ctx"]["expected"])
            reason = f"{given!r} is not a possible value. {did_you_mean(str(given), known)}"
        case "dict_type" | "model_type" | "model_attributes_type":
            reason = f"expected a mapping, not {given!r}."
        case "value_error" | "inconsistent":
            reason = error["msg"].removeprefix("Value error, ")
        case _:
            value = f", not {given!r}" if isinstance(given, str | int | float | None) else ""
            reason = f"{error['msg']}{value}."
    return f"{'.'.join(str(part) for part in path) or 'document'}: {reason}"


def _known_keys(model: type[BaseModel], path: list[str | int]) -> list[str]:
    """Follow ``path`` through the models' annotations and return the keys that may stand there."""
    options: list[Any] = [model]
    for part in path:
        # a part that leads nowhere is one that pydantic added, such as the branch of a union
        options = [inner for option in options for inner in _inside(option, part)] or options
    fields = [pair for option in options for m in _models(option) for pair in m.model_fields.items()]
    return sorted({field.alias or name for name, field in fields})


def _inside(annotation: Any, part: str | int) -> list[Any]:
    """Return the annotations of what stands under ``part`` of a value that is so annotated."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _inside(inner[0], part)
    if origin in (Union, UnionType):
        return [found for option in inner for found in _inside(option, part)]
    if origin is dict:
        return [inner[1]]
    if origin in (list, tuple):
        return [inner[0]]
    fields = [pair for model in _models(annotation) for pair in model.model_fields.items()]
    return [field.annotation for name, field in fields if part == (field.alias or name)]


def _models(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    if get_origin(annotation) in (Annotated, Union, UnionType):
        return [model for option in get_args(annotation) for model in _models(option)]
    return []


def _place(chain: Sequence[tuple[Path, Any]], path: tuple[str | int, ...]) -> tuple[Path, int]:
    """Return file and 1-based line of ``path``, or of the nearest parent that stands in a file.

    Of a document and those that it extends it is the first in which most of the path stands.
    """
    places = [(*_line(root, path), file) for file, root in chain]
    _, line, file = max(places, key=lambda place: place[0])
    return file, line


def _line(root: Any, path: tuple[str | int, ...]) -> tuple[int, int]:
    """Return how many parts of ``path`` stand in the document, and the line of the last of them."""
    node, line, found = root, 1, 0
    for part in path:
        marks = getattr(getattr(node, "lc", None), "data", None)
        if not marks or part not in marks:
            continue  # a part that pydantic added, such as the branch of a union
        line = marks[part][0] + 1
        node = node[part]
        found += 1
    return found, line
