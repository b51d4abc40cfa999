"""Which names of GPU libraries a source file uses, and which calls it makes: read from its syntax alone."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path
from typing import TypeGuard

PACKAGE = Path(__file__).parents[2] / "workbench"
CHECKED = [
    *(PACKAGE / "compute" / name for name in ("gpu.py", "_gpu_device.py", "_gpu_points.py", "_gpu_rows.py")),
    PACKAGE / "graph" / "export.py",
]
LIBRARIES = frozenset({"cudf", "cugraph", "cuml", "rmm"})


@dataclass(frozen=True)
class Use:
    """One use of a library's name.

    Attributes:
        name: The full name, for example ``cudf.DataFrame.from_arrow``.
        line: The line in the source file.
        call: The call's syntax if it is called, None if it is only named.
    """

    name: str
    line: int
    call: ast.Call | None


def library_uses(source: str) -> list[Use]:
    """Return every use of a library's name in ``source``, in the order of the lines.

    A variable has the class that it is annotated with, so ``frame: cudf.DataFrame = ...`` makes
    ``frame.groupby(...)`` a call of ``cudf.DataFrame.groupby``.
    """
    tree = ast.parse(source)
    imported = _imported(tree)
    uses: list[Use] = []
    for scope in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)):
        finder = _Finder(imported | _annotated(scope, imported))
        for statement in scope.body:
            finder.visit(statement)
        uses += finder.uses
    return sorted(uses, key=lambda use: use.line)


def unknown_objects(source: str) -> list[str]:
    """Return the method calls on variables of unknown class, in functions that use a library.

    A variable that holds a library's object and is not annotated would hide its calls from
    :func:`library_uses`. Arguments are annotated anyway.
    """
    tree = ast.parse(source)
    found = []
    for scope in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)):
        if not _imported(scope):
            continue
        annotated = {
            n.target.id for n in ast.walk(scope) if isinstance(n, ast.AnnAssign) and _is_name(n.target)
        }
        assigned = {n.id for n in ast.walk(scope) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
        for node in ast.walk(scope):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and _is_name(node.func.value)
            ):
                name = node.func.value.id
                if name in assigned - annotated:
                    found.append(f"{node.lineno}: {name}.{node.func.attr}")
    return found


def _imported(tree: ast.Module | ast.FunctionDef) -> dict[str, str]:
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {a.asname or a.name: a.name for a in node.names if a.name.split(".")[0] in LIBRARIES}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in LIBRARIES:
            names |= {a.asname or a.name: f"{node.module}.{a.name}" for a in node.names}
    return names


def _annotated(scope: ast.FunctionDef, imported: dict[str, str]) -> dict[str, str]:
    arguments = {a.arg: a.annotation for a in (*scope.args.args, *scope.args.kwonlyargs)}
    variables = {
        node.target.id: node.annotation
        for node in ast.walk(scope)
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    }
    resolved = {name: _dotted(note, imported) for name, note in (arguments | variables).items() if note}
    return {name: full for name, full in resolved.items() if full}


def _is_name(node: ast.expr) -> TypeGuard[ast.Name]:
    return isinstance(node, ast.Name)


def _dotted(node: ast.expr, known: dict[str, str]) -> str:
    """Return the full name of ``a.b.c`` if ``a`` is known, else nothing."""
    if isinstance(node, ast.Name):
        return known.get(node.id, "")
    if isinstance(node, ast.Attribute):
        base = _dotted(node.value, known)
        return f"{base}.{node.attr}" if base else ""
    return ""


class _Finder(ast.NodeVisitor):
    def __init__(self, known: dict[str, str]) -> None:
        self.known = known
        self.uses: list[Use] = []

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        """A nested function is a scope of its own."""

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value:
            self.visit(node.value)

    def visit_Call(self, node: ast.Call) -> None:
        name = _dotted(node.func, self.known)
        if name:
            self.uses.append(Use(name, node.lineno, node))
        else:
            self.visit(node.func)
        for argument in (*node.args, *node.keywords):
            self.visit(argument)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        name = _dotted(node, self.known)
        if name:
            self.uses.append(Use(name, node.lineno, None))
        else:
            self.generic_visit(node)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        if (node.module or "").split(".")[0] in LIBRARIES:
            self.uses += [Use(f"{node.module}.{a.name}", node.lineno, None) for a in node.names]
