"""Errors say what was asked, what is wrong, where, and what to do; near misses are suggested."""

from __future__ import annotations

import inspect
import pickle

import pytest

from workbench import errors
from workbench.errors import UnknownNameError, UsageError, WorkbenchError, did_you_mean

CLASSES = [c for _, c in inspect.getmembers(errors, inspect.isclass) if issubclass(c, WorkbenchError)]


@pytest.mark.parametrize("cls", [c for c in CLASSES if c is not UnknownNameError], ids=lambda c: c.__name__)
def test_a_message_is_where_what_and_what_to_do(cls: type[WorkbenchError]) -> None:
    error = cls("it is broken.", where="a.yaml:3", fix="Mend it.")
    assert str(error) == "a.yaml:3: it is broken. Mend it."
    assert str(cls("it is broken.")) == "it is broken."
    assert (error.message, error.where, error.fix) == ("it is broken.", "a.yaml:3", "Mend it.")


def test_an_unknown_name_is_a_key_error_that_reads_like_a_sentence() -> None:
    error = UnknownNameError("entity type", "aircaft", ["airport", "aircraft"], where="graph")
    assert isinstance(error, KeyError)
    assert isinstance(error, ValueError)
    assert str(error) == "graph: there is no entity type 'aircaft'. Did you mean 'aircraft'?"
    assert (error.name, error.known) == ("aircaft", ["aircraft", "airport"])
    assert (
        str(UnknownNameError("x", "y", ["z"], fix="Look elsewhere.")) == "there is no x 'y'. Look elsewhere."
    )


@pytest.mark.parametrize(
    ("name", "known", "expected"),
    [
        ("departure", ["Arrival", "Departure"], "Did you mean 'Departure'?"),
        ("DEPARTUER", ["Arrival", "Departure"], "Did you mean 'Departure'?"),
        ("x", ["b", "a"], "There are: b, a."),
        ("x", [], "There are none."),
        ("x", (f"name{i}" for i in range(14)), None),
    ],
)
def test_suggestions(name: str, known: list[str], expected: str | None) -> None:
    found = did_you_mean(name, known)
    if expected is None:
        assert found.startswith("There are: name0, ")
        assert found.endswith(", name11 and 2 more.")
    else:
        assert found == expected


def test_errors_are_caught_by_what_users_expect() -> None:
    with pytest.raises(ValueError, match="cannot be meant"):
        raise UsageError("it cannot be meant.")
    assert issubclass(errors.SqlTimeoutError, TimeoutError)
    assert issubclass(errors.ConfigError, ValueError)


def test_errors_cross_process_borders_whole() -> None:
    again = pickle.loads(pickle.dumps(WorkbenchError("a.", where="b", fix="c.")))  # noqa: S301  (own bytes)
    assert type(again) is WorkbenchError
    assert str(again) == "b: a. c."
