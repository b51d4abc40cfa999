"""Questions about the flights of 2013, against SQL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from gold import right

if TYPE_CHECKING:
    from workbench.engine import Engine

QUESTIONS = "flights"


def test_the_answer_is_right(case: dict[str, Any], asked: Any, flights: Engine) -> None:
    assert right(case, asked(flights, case["ask"]), flights) == ""


def test_a_question_back_offers_complete_questions(asked: Any, flights: Engine) -> None:
    proposal = asked(flights, "which airport had the most cancellations")
    assert proposal.status == "ask_back"
    assert proposal.plan is None
    statuses = {asked(flights, question).status for question in proposal.suggestions}
    assert len(proposal.suggestions) == 2
    assert statuses == {"planned"}


def test_a_name_of_several_is_asked_back_with_each(asked: Any, flights: Engine) -> None:
    proposal = asked(flights, "how many departures were there to Chicago in May")
    assert "ORD" in proposal.text
    assert "MDW" in proposal.text
    assert {asked(flights, q).status for q in proposal.suggestions} == {"planned"}


def test_an_unknown_word_is_named(asked: Any, flights: Engine) -> None:
    proposal = asked(flights, "the pilot of N725MQ")
    assert proposal.status == "declined"
    assert "'pilot'" in proposal.text
    assert {asked(flights, q).status for q in proposal.suggestions} == {"planned"}


def test_a_time_without_data_is_declined_with_the_window(asked: Any, flights: Engine) -> None:
    proposal = asked(flights, "departures per carrier in 2011")
    assert proposal.status == "declined"
    assert "2013-01-01" in proposal.text


def test_the_reading_says_what_was_assumed(asked: Any, flights: Engine) -> None:
    reading = asked(flights, "how many flights did JetBlue have in March").reading
    for word in ("Departure", "Cancellation", "JetBlue Airways", "March 2013", "America/New_York"):
        assert word in reading


def test_a_typing_error_is_undone_and_said(asked: Any, flights: Engine) -> None:
    proposal = asked(flights, "cancelations by carier in febuary")
    assert proposal.status == "planned"
    assert proposal.confidence < asked(flights, "cancellations by carrier in february").confidence
    assert "'carier' is read as 'carrier'" in proposal.reading


@pytest.mark.parametrize(
    ("questions", "sql"),
    [
        (
            ("departures per carrier in March", "and in April?"),
            "select carrier, count(*) from Departure where month(_ts) = 4 group by 1",
        ),
        (
            ("departures per carrier in March", "only United"),
            "select carrier, count(*) from Departure where month(_ts) = 3 and carrier = 'UA' group by 1",
        ),
        (
            ("average arrival delay by carrier", "and departure delay?", "now for July"),
            "select carrier, avg(dep_delay) from Departure where month(_ts) = 7 group by 1",
        ),
        (
            ("how many cancellations were there in February", "what about January?", "and for JetBlue?"),
            "select count(*) from Cancellation where month(_ts) = 1 and carrier = 'B6'",
        ),
        (
            ("share of cancelled flights by origin", "by carrier"),
            """select carrier, avg((_type = 'Cancellation')::int) from events
            where _type in ('Departure', 'Cancellation') group by 1""",
        ),
        (
            ("departures in July", "show them as a timeline"),
            "select date_trunc('day', _ts), count(*) from Departure where month(_ts) = 7 group by 1",
        ),
        (
            ("aircraft that flew to both Denver and Miami", "how many of them"),
            """select count(*) from (select tailnum from Arrival where dest = 'DEN'
            intersect select tailnum from Arrival where dest = 'MIA')""",
        ),
    ],
)
def test_a_follow_up_takes_over_what_it_leaves_out(
    questions: tuple[str, ...], sql: str, asked: Any, flights: Engine
) -> None:
    assert right({"sql": sql}, asked(flights, *questions), flights) == ""


def test_a_new_question_takes_nothing_over(asked: Any, flights: Engine) -> None:
    alone = asked(flights, "top 5 aircraft by departures")
    after = asked(flights, "share of cancelled flights by origin in May", "top 5 aircraft by departures")
    assert after.plan.fingerprint == alone.plan.fingerprint


def test_two_times_joined_by_and_are_asked_back_as_one_and_as_two(asked: Any, flights: Engine) -> None:
    proposal = asked(flights, "departures in March and April")
    assert proposal.suggestions == ("departures in March to April", "departures in March versus April")
    assert [asked(flights, q).status for q in proposal.suggestions] == ["planned", "planned"]


def test_a_day_told_by_its_distance_is_named(asked: Any, flights: Engine) -> None:
    assert "yesterday (2013-12-31)" in asked(flights, "departures yesterday").reading


def test_events_that_name_nobody_are_not_left_out_in_silence(asked: Any, flights: Engine) -> None:
    told = "events that name no aircraft are left out"
    assert told in asked(flights, "top 5 aircraft by cancellations").reading
    assert told not in asked(flights, "top 5 aircraft by departures").reading
