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
    from pathlib import Path

    from pydantic_core import ErrorDetails

__all__ = ["Metadata", "Strict", "load_document"]

M = TypeVar("M", bound=BaseModel)


class Strict(BaseModel):
    """A part of a document: immutable, unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Metadata(Strict):
    """Who a document is: ``id`` is unique among documents of its kind."""

    id: str
    name: str = ""
    description: str = ""
    tags: tuple[str, ...] = ()
    enabled: bool = True
    version: int = 1


class _Document(Strict):
    apiVersion: Literal["workbench/v1"]  # noqa: N815  (the document's own spelling)
    kind: str
    metadata: Metadata
    spec: dict[str, Any]


def load_document(path: Path, kind: str, spec: type[M]) -> tuple[Metadata, M]:
    """Read one YAML document of ``kind`` and validate its ``spec``.

    Raises:
        ConfigError: With every finding at once, each with file, line, path, reason and suggestion.
            What a model checks across its parts is looked at once the parts themselves are right.
    """
    data = _parse(path)
    found = data.get("kind")
    if isinstance(found, str) and found != kind:
        # the findings of another kind's spec would mislead
        where = f"{path}:{_line(data, ('kind',))}"
        raise ConfigError(f"kind is {found!r}, expected {kind!r}.", where=where)
    head, findings = _checked(data, data, _Document, ())
    content = data.get("spec")
    body, more = _checked(data, content, spec, ("spec",)) if isinstance(content, dict) else (None, [])
    if head is None or body is None:
        (line, first), *rest = sorted(findings + more)
        others = "".join(f"\n{path}:{line}: {text}" for line, text in rest)
        raise ConfigError(first + others, where=f"{path}:{line}")
    return head.metadata, body


def _parse(path: Path) -> dict[str, Any]:
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
    if not isinstance(data, dict):
        raise ConfigError("expected a mapping with apiVersion, kind, metadata and spec.", where=f"{path}:1")
    return data


def _checked(
    root: Any, data: Any, model: type[M], prefix: tuple[str, ...]
) -> tuple[M | None, list[tuple[int, str]]]:
    """Return the validated model and nothing, or nothing and the findings, each with its line."""
    try:
        return model.model_validate(data), []
    except ValidationError as error:
        return None, [
            (_line(root, (*prefix, *e["loc"])), _finding((*prefix, *e["loc"]), e, model))
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


def _line(root: Any, path: tuple[str | int, ...]) -> int:
    """Return the 1-based line of ``path``, or of the nearest parent that stands in the file."""
    node, line = root, 1
    for part in path:
        marks = getattr(getattr(node, "lc", None), "data", None)
        if not marks or part not in marks:
            continue  # a part that pydantic added, such as the branch of a union
        line = marks[part][0] + 1
        node = node[part]
    return line
