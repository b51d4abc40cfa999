"""Signatures as text: read from unpacked wheels without importing them, and bound to a call's syntax."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

# Parameters that the caller does not write.
_BOUND = frozenset({"self", "cls"})


def read_name(site: Path, name: str) -> str | None:
    """Return the signature behind a full name in the wheels unpacked at ``site``.

    A class gives its constructor's. None stands for a name that exists and has no signature of its
    own: a module, a value, a class without a constructor.

    Raises:
        LookupError: If the wheels have no such name.
    """
    found = _find(site, name.split("."))
    if found and isinstance(found.node, ast.ClassDef):
        found = _method(site, found, "__init__")
    return _text(found.node) if found and isinstance(found.node, ast.FunctionDef) else None


@dataclass(frozen=True)
class _Definition:
    file: Path
    node: ast.FunctionDef | ast.ClassDef


def _find(site: Path, parts: list[str]) -> _Definition | None:
    """Return what defines a full name; None for a module or a value.

    A package's member hides its submodule of the same name, as it does for Python.
    """
    *owner, name = parts
    module = _file(site, owner) if owner else None
    if module:
        try:
            return _member(site, module, name)
        except LookupError:
            if not _file(site, parts):
                raise
    if _file(site, parts):
        return None
    if not owner:
        raise LookupError(f"no module {name!r}")
    parent = _find(site, owner)
    method = _method(site, parent, name) if parent else None
    if method is None and parent and _assigned(site, parent, name):
        return None
    if method is None:
        raise LookupError(f"{'.'.join(owner)} has no {name!r}")
    return method


def _file(site: Path, parts: list[str]) -> Path | None:
    stem = site.joinpath(*parts)
    found = (stem / "__init__.py", *(stem.with_suffix(suffix) for suffix in (".py", ".pyi", ".pyx")))
    return next((f for f in found if f.is_file()), None)


def _syntax(file: Path) -> ast.Module:
    """Return a module's syntax; of Cython, which is not Python, what its classes say in Python's words.

    That is each class with its bases, the heads of its methods and the names that it assigns.
    """
    text = file.read_text()
    if file.suffix != ".pyx":
        return ast.parse(text)
    statements = []
    for found in _HEAD.finditer(text):
        indent, name = found["indent"], found["name"]
        head = f"{indent}{name} = None" if name else _until_colon(text[found.start() :]) + " ..."
        statements.append(head)
    return _parsed(statements)


# A class, a method's head, or a name that a class assigns.
_HEAD = re.compile(r"^(?P<indent>(?:    )?)(?:(?:cdef )?class |def |(?P<name>[A-Za-z_]\w*) = )", re.MULTILINE)


def _until_colon(text: str) -> str:
    """Return a statement's head: up to the colon outside all brackets."""
    depth = 0
    for place, letter in enumerate(text):
        depth += (letter in "([{") - (letter in ")]}")
        if letter == ":" and not depth:
            return text[: place + 1].removeprefix("cdef ")
    return text


def _parsed(statements: list[str]) -> ast.Module:
    """Return the syntax of heads, those left out that only Cython understands."""
    module = ast.Module(body=[], type_ignores=[])
    for statement in statements:
        try:
            (node,) = ast.parse(textwrap.dedent(statement)).body
        except SyntaxError:
            continue
        inside = statement.startswith(" ")
        last = module.body[-1] if module.body else None
        if not inside:
            module.body.append(node)
        elif isinstance(last, ast.ClassDef):
            last.body.append(node)
    return module


def _member(site: Path, file: Path, name: str) -> _Definition | None:
    """Return what ``name`` is in a module, through re-exports; None for a value."""
    found: _Definition | None = None
    known = False
    for node in _syntax(file).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == name:
            found, known = _Definition(file, node), True
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    found, known = _find(site, [*_origin(site, file, node), alias.name]), True
        elif isinstance(node, ast.Assign):
            known = known or any(isinstance(t, ast.Name) and t.id == name for t in node.targets)
    if not known:
        raise LookupError(f"{file.relative_to(site)} has no {name!r}")
    return found


def _origin(site: Path, file: Path, node: ast.ImportFrom) -> list[str]:
    """Return the parts of the module that an import statement of ``file`` names."""
    module = (node.module or "").split(".") if node.module else []
    if not node.level:
        return module
    package = file.parent.parents[node.level - 2] if node.level > 1 else file.parent
    return [*package.relative_to(site).parts, *module]


def _method(site: Path, owner: _Definition, name: str) -> _Definition | None:
    """Return a method of a class or of those of its bases that are in the wheels."""
    if not isinstance(owner.node, ast.ClassDef):
        return None
    for node in owner.node.body:
        if isinstance(node, ast.FunctionDef) and node.name == name:
            return _Definition(owner.file, node)
    for base in owner.node.bases:
        try:
            parent = _member(site, owner.file, base.id) if isinstance(base, ast.Name) else None
        except LookupError:  # a base from another library, or a built-in
            continue
        found = _method(site, parent, name) if parent else None
        if found:
            return found
    return None


def _assigned(site: Path, owner: _Definition, name: str) -> bool:
    """Return whether a class says that it has an attribute of this name."""
    body = owner.node.body if isinstance(owner.node, ast.ClassDef) else []
    targets = [target for node in body if isinstance(node, ast.Assign) for target in node.targets]
    targets += [node.target for node in body if isinstance(node, ast.AnnAssign)]
    return any(isinstance(target, ast.Name) and target.id == name for target in targets)


def _text(function: ast.FunctionDef) -> str:
    """Return the parameters as source text, without annotations, decorators' work and defaults' values."""
    arguments = function.args
    static = any(isinstance(d, ast.Name) and d.id == "staticmethod" for d in function.decorator_list)
    for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
        argument.annotation = None
    for star in (arguments.vararg, arguments.kwarg):
        if star is not None:
            star.annotation = None
    leading = arguments.posonlyargs or arguments.args
    if leading and leading[0].arg in _BOUND and not static:
        del leading[0]
    return f"({ast.unparse(arguments)})"


def parse(text: str) -> inspect.Signature:
    """Return the signature that ``text`` describes; default values are not evaluated.

    >>> str(parse("(a, /, b=no_default, *, c)"))
    '(a, /, b=..., *, c)'
    """
    function = ast.parse(f"def f{text}: ...").body[0]
    if not isinstance(function, ast.FunctionDef):
        raise TypeError(text)
    kinds = inspect.Parameter
    given = function.args
    positional = [(a.arg, kinds.POSITIONAL_ONLY) for a in given.posonlyargs]
    positional += [(a.arg, kinds.POSITIONAL_OR_KEYWORD) for a in given.args]
    required = len(positional) - len(given.defaults)
    parameters = [
        kinds(name, kind, default=kinds.empty if place < required else ...)
        for place, (name, kind) in enumerate(positional)
    ]
    if given.vararg:
        parameters.append(kinds(given.vararg.arg, kinds.VAR_POSITIONAL))
    for argument, default in zip(given.kwonlyargs, given.kw_defaults, strict=True):
        parameters.append(kinds(argument.arg, kinds.KEYWORD_ONLY, default=... if default else kinds.empty))
    if given.kwarg:
        parameters.append(kinds(given.kwarg.arg, kinds.VAR_KEYWORD))
    return inspect.Signature(parameters)


def misfit(signature: str, call: ast.Call) -> str:
    """Return why Python would refuse the call, or what of it nobody has a name for; else nothing.

    What only ``*args`` or ``**kwargs`` takes is refused too: the library may not know it, and would not say.

    >>> misfit("(G, alpha=0.85)", ast.parse("f(g, beta=1)", mode="eval").body)
    "got an unexpected keyword argument 'beta'"
    >>> misfit("(path, **kwargs)", ast.parse("f(p, colums=['a'])", mode="eval").body)
    "'colums' is taken by **kwargs alone, which takes anything"
    """
    if any(isinstance(a, ast.Starred) for a in call.args) or any(k.arg is None for k in call.keywords):
        return "passes * or **, which cannot be checked"
    parsed = parse(signature)
    try:
        bound = parsed.bind(*call.args, **{str(k.arg): k.value for k in call.keywords}).arguments
    except TypeError as error:
        return str(error)
    for name, parameter in parsed.parameters.items():
        if parameter.kind is parameter.VAR_KEYWORD and name in bound:
            return f"{', '.join(map(repr, bound[name]))} is taken by **{name} alone, which takes anything"
        if parameter.kind is parameter.VAR_POSITIONAL and name in bound:
            return f"{len(bound[name])} arguments are taken by *{name} alone, which takes anything"
    return ""
