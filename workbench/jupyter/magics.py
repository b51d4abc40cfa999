"""``%wb``, ``%%ask`` and ``%%wbsql``."""

from __future__ import annotations

import json
import shlex
from typing import Any

from IPython.core.magic import Magics, cell_magic, line_cell_magic, line_magic, magics_class
from IPython.core.magic_arguments import argument, magic_arguments, parse_argstring

from workbench.errors import UnknownNameError, UsageError
from workbench.jupyter.asking import ask, proposals
from workbench.jupyter.engines import engines, find_engine

__all__ = ["WorkbenchMagics"]

_USAGE = """\
%wb open PATH [NAME]         open a workspace or data files as NAME (db)
%wb demo [NAME]              open the demo
%wb catalog                  what there is
%wb status                   its figures
%wb show VIEW [KEY=VALUE …]  a view, with its state
%wb list                     the open workspaces
Any of them: --db NAME, where several are open.
%%ask asks a question, %%wbsql runs SQL; both explain themselves with a question mark: %%ask?"""


@magics_class
class WorkbenchMagics(Magics):
    """The magics of ``%load_ext workbench``; they find the open workspace among the notebook's variables."""

    @line_magic
    def wb(self, line: str) -> Any:
        """Open, show and describe workspaces; ``%wb`` alone says how."""
        words = shlex.split(line)
        name = _option(words, "--db")
        command, *rest = words or ["help"]
        commands = {
            "open": self._open,
            "demo": self._demo,
            "catalog": self._catalog,
            "status": self._status,
            "show": self._show,
            "list": self._list,
            "help": self._help,
        }
        if command not in commands:
            raise UnknownNameError("command of %wb", command, commands)
        return commands[command](rest, name)

    @magic_arguments()
    @argument("question", nargs="*", help="The question, unless it stands in the cell.")
    @argument(
        "--plan-only", action="store_true", help="Give the plan and what is wrong with it; run nothing."
    )
    @argument("-o", "--output", metavar="NAME", help="Keep the answer (or the plan) in this variable.")
    @argument("--planner", help="Who makes the plan: grammar, model or both.")
    @argument("--provider", help="Whose language model the planner asks.")
    @argument("--session", metavar="NAME", help="The conversation that it belongs to.")
    @argument("--db", metavar="NAME", help="The variable of the workspace, where several are open.")
    @line_cell_magic
    def ask(self, line: str, cell: str | None = None) -> Any:
        """Answer a question in plain words."""
        given = parse_argstring(self.ask, line)
        question = " ".join([" ".join(given.question), cell or ""]).strip()
        if not question:
            raise UsageError("there is no question.", fix="Write it into the cell under %%ask.")
        world = find_engine(self._namespace, given.db)
        names = ("planner", "provider", "session")
        options = {name: value for name in names if (value := getattr(given, name)) is not None}
        result: Any = (proposals if given.plan_only else ask)(world, question, options)
        self._keep(given.output, result)
        return _Json(result) if given.plan_only else result

    @magic_arguments()
    @argument("-o", "--output", metavar="NAME", help="Keep the result in this variable.")
    @argument("--timeout", type=float, metavar="SECONDS", help="How long it may run.")
    @argument("--db", metavar="NAME", help="The variable of the workspace, where several are open.")
    @cell_magic
    def wbsql(self, line: str, cell: str) -> Any:
        """Run one SELECT over the workspace."""
        given = parse_argstring(self.wbsql, line)
        result = find_engine(self._namespace, given.db).sql(cell, timeout=given.timeout)
        self._keep(given.output, result)
        return result

    @property
    def _namespace(self) -> dict[str, Any]:
        assert self.shell is not None  # noqa: S101  (the shell that registered the magics)
        namespace: dict[str, Any] = self.shell.user_ns
        return namespace

    def _keep(self, name: str | None, value: Any) -> None:
        if name is None:
            return
        if not name.isidentifier():
            raise UsageError(f"{name!r} is no name of a variable.")
        self._namespace[name] = value

    def _open(self, words: list[str], _: str | None) -> Any:
        import workbench  # noqa: PLC0415

        if not words or len(words) > 2:
            raise UsageError("what is to be opened?", fix="Write %wb open PATH, or %wb open PATH NAME.")
        self._keep(words[1] if len(words) > 1 else "db", workbench.open(words[0]))
        return self._namespace[words[1] if len(words) > 1 else "db"].catalog

    def _demo(self, words: list[str], _: str | None) -> Any:
        import workbench  # noqa: PLC0415

        name = words[0] if words else "db"
        self._keep(name, workbench.demo())
        return self._namespace[name].catalog

    def _catalog(self, _: list[str], name: str | None) -> Any:
        return find_engine(self._namespace, name).refresh().catalog

    def _status(self, _: list[str], name: str | None) -> Any:
        return _Json(find_engine(self._namespace, name).refresh().status())

    def _show(self, words: list[str], name: str | None) -> Any:
        if not words:
            raise UsageError("which view?", fix="Write %wb show VIEW, for example %wb show catalog.")
        state = {}
        for word in words[1:]:
            key, equals, value = word.partition("=")
            if not equals:
                raise UsageError(f"{word!r} has no value.", fix="Write it key=value.")
            state[key] = _value(value)
        return find_engine(self._namespace, name).view(words[0], **state)

    def _list(self, _: list[str], __: str | None) -> Any:
        return _Text(
            "\n".join(f"{n}: {e.path}" for n, e in engines(self._namespace).items()) or "none is open"
        )

    def _help(self, _: list[str], __: str | None) -> Any:
        return _Text(_USAGE)


class _Text:
    """Plain text as a cell's output."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text


class _Json(dict[str, Any]):
    """JSON data that a cell shows line by line."""

    def __repr__(self) -> str:
        return json.dumps(self, indent=2, ensure_ascii=False, default=str)

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text("…" if cycle else repr(self))


def _option(words: list[str], name: str) -> str | None:
    """Take an option with its value out of the words."""
    if name not in words:
        return None
    place = words.index(name)
    if place + 1 == len(words):
        raise UsageError(f"{name} has no value.")
    value = words[place + 1]
    del words[place : place + 2]
    return value


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
