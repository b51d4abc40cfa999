"""The names that users rely on: what is exported, that it exists, and that it says what it does."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from importlib.metadata import entry_points, version

import pytest

import workbench
from workbench import errors

MODULES = ["workbench"] + [
    module.name
    for module in pkgutil.walk_packages(workbench.__path__, "workbench.")
    if not module.name.endswith("__main__")
]


def test_the_package_exports_these_names_and_no_others() -> None:
    assert workbench.__all__ == ["Engine", "WorkbenchError", "demo", "open", "repair", "synth"]


@pytest.mark.parametrize("name", workbench.__all__)
def test_an_exported_name_exists_and_is_completed(name: str) -> None:
    assert getattr(workbench, name).__name__ == name
    assert name in dir(workbench)


def test_a_missing_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="close"):
        workbench.close  # noqa: B018  (the access is the test)


def test_the_installed_version_is_the_one_in_the_source() -> None:
    assert version("workbench") == workbench.__version__


def test_the_command_is_installed() -> None:
    (command,) = entry_points(group="console_scripts", name="workbench")
    assert callable(command.load())


@pytest.mark.parametrize("name", MODULES)
def test_what_a_module_exports_exists_and_is_documented(name: str) -> None:
    module = importlib.import_module(name)
    assert module.__doc__
    for exported in getattr(module, "__all__", ()):
        value = getattr(module, exported)
        if inspect.isclass(value) or inspect.isfunction(value):
            assert inspect.getdoc(value), f"{name}.{exported} has no docstring"


def documented_tree() -> dict[str, set[str]]:
    """Return each error of the tree in the docstring with the classes that it is drawn under."""
    parents: dict[str, set[str]] = {}
    path: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        drawn = re.match(r"^ {4}([│├└─ ]*)(\w+Error)\b(?: \((\w+)\))?", line)
        if drawn is None:
            continue
        branch, name, standard = drawn.groups()
        depth = len(branch) // 4
        path[depth:] = [name]
        parents[name] = {*path[depth - 1 : depth], *([standard] if standard else [])}
    return parents


def test_the_error_tree_is_the_one_that_is_drawn() -> None:
    actual = {
        cls.__name__: {base.__name__ for base in cls.__bases__} - {"Exception"}
        for _, cls in inspect.getmembers(errors, inspect.isclass)
        if issubclass(cls, errors.WorkbenchError)
    }
    assert documented_tree() == actual
    assert set(actual) | {"did_you_mean"} == set(errors.__all__)
