"""Words of time, against dates worked out by hand."""

from __future__ import annotations

from datetime import date, datetime

import pytest

from workbench.plans.grammar.language import load_language
from workbench.plans.grammar.times import Bucket, Hours, Period, TimeReader, Weekdays
from workbench.plans.grammar.tokens import tokenize

ENGLISH = load_language("english")
NOW = datetime.fromisoformat("2013-12-31T18:00")


def read(text: str, first: date = date(2013, 1, 1), now: datetime = NOW) -> list[object]:
    """Return what the longest times of a text mean."""
    found = list(TimeReader(ENGLISH, first, now).find(tokenize(text, ENGLISH)))
    longest = max((j - i for i, j, _ in found), default=0)
    return [value for i, j, value in found if j - i == longest]


def span(text: str) -> tuple[str | None, str | None]:
    """Return the one time that a text speaks of."""
    found = {(v.since, v.until) for v in read(text) if isinstance(v, Period)}
    assert len(found) == 1, found
    return found.pop()


@pytest.mark.parametrize(
    ("text", "since", "until"),
    [
        ("in March", "2013-03-01", "2013-04-01"),
        ("March 2013", "2013-03-01", "2013-04-01"),
        ("on 8 February", "2013-02-08", "2013-02-09"),
        ("Feb 8th", "2013-02-08", "2013-02-09"),
        ("the 8th of February 2013", "2013-02-08", "2013-02-09"),
        ("8 and 9 February", "2013-02-08", "2013-02-10"),
        ("8\u20139 February", "2013-02-08", "2013-02-10"),
        ("March 4-17", "2013-03-04", "2013-03-18"),
        ("between 4 and 17 March", "2013-03-04", "2013-03-18"),
        ("from 4 March to 2 April", "2013-03-04", "2013-04-03"),
        ("from February to April", "2013-02-01", "2013-05-01"),
        ("the first two weeks of March", "2013-03-01", "2013-03-15"),
        ("last 3 days of May", "2013-05-29", "2013-06-01"),
        ("first half of June", "2013-06-01", "2013-06-16"),
        ("two weeks from 4 March", "2013-03-04", "2013-03-18"),
        ("the week of 6 March", "2013-03-04", "2013-03-11"),
        ("in the second quarter", "2013-04-01", "2013-07-01"),
        ("Q4 2013", "2013-10-01", "2014-01-01"),
        ("summer", "2013-06-01", "2013-09-01"),
        ("in 2012", "2012-01-01", "2013-01-01"),
        ("2013-05-06", "2013-05-06", "2013-05-07"),
        ("since 1 November", "2013-11-01", None),
        ("after 8 February", "2013-02-09", None),
        ("before March", None, "2013-03-01"),
        ("until 17 March", None, "2013-03-18"),
        ("yesterday", "2013-12-30", "2013-12-31"),
        ("last week", "2013-12-23", "2013-12-30"),
        ("last month", "2013-11-01", "2013-12-01"),
        ("last 7 days", "last 7d", None),
        ("past two weeks", "last 2w", None),
    ],
)
def test_a_time_is_understood(text: str, since: str | None, until: str | None) -> None:
    assert span(text) == (since, until)


def test_the_year_is_the_one_that_the_window_holds() -> None:
    window = {"first": date(2012, 11, 1), "now": datetime.fromisoformat("2013-02-10T00:00")}
    (december,) = read("December", **window)
    (january,) = read("January", **window)
    assert isinstance(december, Period)
    assert isinstance(january, Period)
    assert (december.since, january.since) == ("2012-12-01", "2013-01-01")


def test_a_day_that_no_month_has_is_no_time() -> None:
    assert not [v for v in read("30 February") if isinstance(v, Period) and v.since == "2013-02-30"]


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("on Mondays", Weekdays((1,), "Monday")),
        ("on weekends", Weekdays((6, 7), "weekends (Saturday and Sunday)")),
        ("after 6 pm", Hours(18, 24, "18:00 to 24:00")),
        ("between 6 am and 9 am", Hours(6, 9, "6:00 to 9:00")),
        ("daily", Bucket("day", adjective=True)),
        ("hour of the day", Bucket("hour of day")),
    ],
)
def test_days_hours_and_lengths_are_understood(text: str, meaning: object) -> None:
    assert meaning in read(text)
