"""Words of time: months, days, ranges, relative times, days of the week, hours; in the workspace's zone."""

from __future__ import annotations

import calendar
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from workbench.plans.grammar.language import Language
    from workbench.plans.grammar.tokens import Token

__all__ = ["Bucket", "Hours", "Period", "TimeReader", "Weekdays"]


@dataclass(frozen=True)
class Period:
    """A time from ``since`` to before ``until``, either open; ISO dates or times of the workspace's zone.

    Attributes:
        since: Where it begins.
        until: Where it ends, not included.
        name: What it is called ("March 2013").
        guessed: Which part was not said and is taken from the window ("year").
    """

    since: str | None
    until: str | None
    name: str
    guessed: str = ""

    @property
    def spans(self) -> bool:
        """Return whether it was named by where it begins and where it ends."""
        return " to " in self.name

    @property
    def told(self) -> str:
        """Return it with the preposition that it takes, as "on 8 February 2013".

        >>> Period("2013-02-08", "2013-02-09", "8 February 2013 to 8 February 2013").told
        'on 8 February 2013'
        """
        name = self.name
        first, _, last = name.partition(" to ")
        if not (self.since and self.until and self.since[:1].isdigit() and self.until[:1].isdigit()):
            return name
        days = (date.fromisoformat(self.until[:10]) - date.fromisoformat(self.since[:10])).days
        whole = len(self.since) == len(self.until) == len("2013-02-08")
        if first == last or (whole and days == 1):
            return first if first.endswith(")") else f"on {first.split(' (')[0]}"
        return f"from {name}" if last else f"in {name}"


@dataclass(frozen=True)
class Weekdays:
    """Some days of the week, 1 is Monday."""

    days: tuple[int, ...]
    name: str


@dataclass(frozen=True)
class Hours:
    """Hours of the day from ``first`` to before ``end``."""

    first: int
    end: int
    name: str


@dataclass(frozen=True)
class Bucket:
    """A length of time to group by; ``adjective`` where it was said as one ("daily")."""

    unit: str
    adjective: bool = False


Found = tuple[int, int, "Period | Weekdays | Hours | Bucket"]
_Day = tuple[int, date, date, str, str]


class TimeReader:
    """Finds the times that a question speaks of.

    Args:
        language: Whose words of time.
        first: The window's first day in the workspace's zone.
        now: The workspace's clock there.

    >>> from workbench.plans.grammar.language import load_language
    >>> from workbench.plans.grammar.tokens import tokenize
    >>> english = load_language("english")
    >>> reader = TimeReader(english, date(2013, 1, 1), datetime(2014, 1, 1, 5))
    >>> def period(text):
    ...     spans = sorted(reader.find(tokenize(text, english)), key=lambda s: s[0] - s[1])
    ...     return spans[0][2].since, spans[0][2].until
    >>> period("in March"), period("8 and 9 February"), period("the first two weeks of May")
    (('2013-03-01', '2013-04-01'), ('2013-02-08', '2013-02-10'), ('2013-05-01', '2013-05-15'))
    >>> period("last 7 days"), period("between 4 and 17 March")
    (('last 7d', None), ('2013-03-04', '2013-03-18'))
    """

    def __init__(self, language: Language, first: date, now: datetime) -> None:
        self._language = language
        self._words = language.times
        self._stems = {
            name: {language.stem(str(w)): v for w, v in self._words[name].items()}
            for name in ("months", "weekdays", "units", "seconds", "adjectives", "seasons")
        }
        self._stems["months"].update(self._words["months"])
        self._phrases = {
            name: sorted({language.phrase(str(w)) for w in words}, key=len, reverse=True)
            for name, words in self._words.items()
            if isinstance(words, list)
        }
        self._first, self._now = first, now

    def find(self, tokens: Sequence[Token]) -> Iterator[Found]:
        """Yield every time with the place of its first word and of the word after its last."""
        for i in range(len(tokens)):
            yield from self._periods(tokens, i)
            yield from self._days_and_hours(tokens, i)
            yield from self._buckets(tokens, i)

    # words

    def _is(self, name: str, tokens: Sequence[Token], i: int) -> int | None:
        """Return the place after a phrase of the list ``name`` at ``i``."""
        for phrase in self._phrases[name]:
            end = i + len(phrase)
            if (
                phrase
                and end <= len(tokens)
                and all(t.stem == p for t, p in zip(tokens[i:end], phrase, strict=True))
            ):
                return end
        return None

    def _number(self, tokens: Sequence[Token], i: int) -> int | None:
        if i >= len(tokens):
            return None
        word = tokens[i].word
        if word.isdecimal() and len(word) <= 4:
            return int(word)
        value = self._words["numbers"].get(word)
        return int(value) if value is not None else None

    def _month(self, tokens: Sequence[Token], i: int) -> int | None:
        if i >= len(tokens):
            return None
        token = tokens[i]
        value = self._words["months"].get(token.word)
        return int(value) if value else None

    def _year(self, tokens: Sequence[Token], i: int) -> tuple[int, int] | None:
        """Return the place after a year at ``i``, and the year."""
        after = self._is("of", tokens, i)
        for at in (i, after) if after else (i,):
            if at < len(tokens) and tokens[at].word.isdecimal() and len(tokens[at].word) == 4:
                year = int(tokens[at].word)
                if 1900 <= year <= 2100:
                    return at + 1, year
        return None

    def _day_number(self, tokens: Sequence[Token], i: int) -> int | None:
        if i >= len(tokens):
            return None
        word = tokens[i].word
        digits = word.removesuffix("st").removesuffix("nd").removesuffix("rd").removesuffix("th")
        if digits.isdecimal() and 1 <= int(digits) <= 31 and len(digits) <= 2:
            return int(digits)
        value = self._words["ordinals"].get(word)
        return int(value) if value else None

    # days and months

    def _best_year(self, month: int, day: int = 1, months: int = 1) -> tuple[int, str]:
        """Return the year whose month (or day) the window holds most of, the latest of equals."""
        last = self._now.date()

        def held(year: int) -> int:
            start = date(year, month, min(day, calendar.monthrange(year, month)[1]))
            end = _months_later(start, months) if day == 1 else start + timedelta(days=1)
            return (min(end, last + timedelta(days=1)) - max(start, self._first)).days

        years = range(self._first.year, last.year + 1)
        best = max(years, key=lambda y: (held(y), y))
        several = sum(held(y) > 0 for y in years) > 1
        return best, f"{best}" if several else ""

    def _dated(self, year: int, month: int, day: int) -> date | None:
        try:
            return date(year, month, day)
        except ValueError:
            return None

    def _points(self, tokens: Sequence[Token], i: int) -> Iterator[_Day]:
        """Yield end, first day, day after, name and what was guessed of every day or month at ``i``."""
        yield from self._iso(tokens, i)
        yield from self._named_days(tokens, i)
        month = self._month(tokens, i)
        if month:
            named = self._year(tokens, i + 1)
            year, guessed = (named[1], "") if named else self._best_year(month)
            start = date(year, month, 1)
            yield named[0] if named else i + 1, start, _months_later(start, 1), f"{start:%B %Y}", guessed
        yield from self._quarters(tokens, i)
        season = self._stems["seasons"].get(tokens[i].stem) if i < len(tokens) else None
        if season:
            named = self._year(tokens, i + 1)
            year, guessed = (named[1], "") if named else self._best_year(season, months=3)
            start = date(year, season, 1)
            yield (
                named[0] if named else i + 1,
                start,
                _months_later(start, 3),
                f"{tokens[i].word} {year}",
                guessed,
            )
        year_word = self._is("year_words", tokens, i) or i
        named = self._year(tokens, year_word)
        if named and named[0] > year_word and tokens[year_word].word.isdecimal():
            yield named[0], date(named[1], 1, 1), date(named[1] + 1, 1, 1), f"{named[1]}", ""
        yield from self._relative(tokens, i)

    def _iso(self, tokens: Sequence[Token], i: int) -> Iterator[_Day]:
        word = tokens[i].word if i < len(tokens) else ""
        parts = word.split("-")
        if len(parts) not in (2, 3) or not all(p.isdecimal() for p in parts) or len(parts[0]) != 4:
            return
        start = self._dated(int(parts[0]), int(parts[1]), int(parts[2]) if len(parts) == 3 else 1)
        if start:
            end = start + timedelta(days=1) if len(parts) == 3 else _months_later(start, 1)
            yield i + 1, start, end, f"{start}" if len(parts) == 3 else f"{start:%B %Y}", ""

    def _named_days(self, tokens: Sequence[Token], i: int) -> Iterator[_Day]:
        # 8 February, 8th of February 2013
        day = self._day_number(tokens, i)
        if day:
            at = self._is("of", tokens, i + 1) or i + 1
            month = self._month(tokens, at)
            if month:
                yield from self._day(tokens, at + 1, month, day)
        # February 8, Feb 8th, 2013
        month = self._month(tokens, i)
        day = self._day_number(tokens, i + 1) if month else None
        if month and day:
            yield from self._day(tokens, i + 2, month, day)

    def _day(self, tokens: Sequence[Token], end: int, month: int, day: int) -> Iterator[_Day]:
        named = self._year(tokens, end)
        year, guessed = (named[1], "") if named else self._best_year(month, day)
        start = self._dated(year, month, day)
        if start:
            yield named[0] if named else end, start, start + timedelta(days=1), _day_name(start), guessed

    def _quarters(self, tokens: Sequence[Token], i: int) -> Iterator[_Day]:
        if i >= len(tokens):
            return
        word, number, end = tokens[i].word, None, i + 1
        if len(word) == 2 and word[0] == "q" and word[1] in "1234":
            number = int(word[1])
        elif word in self._words["ordinals"] and self._is("quarter", tokens, i + 1):
            number, end = int(self._words["ordinals"][word]), i + 2
        if number is None:
            return
        named = self._year(tokens, end)
        month = 3 * number - 2
        year, guessed = (named[1], "") if named else self._best_year(month, months=3)
        start = date(year, month, 1)
        yield named[0] if named else end, start, _months_later(start, 3), f"Q{number} {year}", guessed

    def _relative(self, tokens: Sequence[Token], i: int) -> Iterator[_Day]:
        today = self._now.date()
        day = timedelta(days=1)
        end = self._is("today", tokens, i)
        if end:
            yield end, today, today + day, f"today ({today})", ""
        end = self._is("yesterday", tokens, i)
        if end:
            yield end, today - day, today, f"yesterday ({today - day})", ""
        for name, back in (("last", 1), ("this", 0)):
            at = self._is(name, tokens, i)
            unit = self._unit(tokens, at) if at else None
            if at and unit in ("week", "month", "quarter", "year") and not tokens[at].plural:
                start, stop = _calendar(today, unit, back)
                shown = f"{start} to {stop - day}"
                yield at + 1, start, stop, f"{tokens[i].word} {unit} ({shown})", ""
            if at and unit == "day" and back and not tokens[at].plural:
                yield at + 1, today - day, today, f"last day ({today - day})", ""

    def _unit(self, tokens: Sequence[Token], i: int | None) -> str | None:
        if i is None or i >= len(tokens):
            return None
        value = self._stems["units"].get(tokens[i].stem)
        return str(value) if value else None

    # ranges

    def _periods(self, tokens: Sequence[Token], i: int) -> Iterator[Found]:
        for end, start, stop, name, guessed in self._points(tokens, i):
            yield i, end, Period(str(start), str(stop), name, guessed)
            yield from self._span_after(tokens, i, end, start, stop, guessed)
        yield from self._short_ranges(tokens, i)
        yield from self._parts_of(tokens, i)
        yield from self._lengths(tokens, i)
        yield from self._open(tokens, i)
        whole = self._is("year_round", tokens, i)
        if whole:
            yield i, whole, Period(None, None, "the whole window")

    def _span_after(  # noqa: PLR0913, PLR0917  (a range is said by both its ends)
        self, tokens: Sequence[Token], i: int, end: int, start: date, stop: date, guessed: str
    ) -> Iterator[Found]:
        """Yield the range from a point to the point after "to"."""
        at = self._is("range_to", tokens, end)
        if not at:
            return
        joins = tokens[end].word
        opened = i > 0 and self._is("range_from", tokens, i - 1) == i
        if joins == "and" and not (i > 0 and self._is("between", tokens, i - 1) == i):
            # 8 and 9 February are one range where the days touch
            for last_end, last_start, last_stop, _, _ in self._points(tokens, at):
                if last_start == stop:
                    yield i, last_end, _range(start, last_stop, guessed)
            return
        for last_end, last_start, last_stop, _, _ in self._points(tokens, at):
            if last_stop > start:
                yield i - 1 if opened else i, last_end, _range(start, last_stop, guessed)
            elif guessed == "" and last_start.year + 1 <= self._now.year:
                continue

    def _short_ranges(self, tokens: Sequence[Token], i: int) -> Iterator[Found]:
        """Yield ranges whose month stands once: 4 to 17 March, March 4-17."""
        opened = i > 0 and self._is("range_from", tokens, i - 1) == i
        begin = i - 1 if opened else i
        first = self._day_number(tokens, i)
        at = self._is("range_to", tokens, i + 1) if first else None
        if first and at:
            for end, last, stop, _, guessed in self._named_days(tokens, at):
                start = self._dated(last.year, last.month, first)
                if start and start < last:
                    if tokens[i + 1].word == "and" and not opened and (last - start).days > 1:
                        continue
                    yield begin, end, _range(start, stop, guessed)
        for end, start, _, _, guessed in self._named_days(tokens, i):
            at = self._is("range_to", tokens, end)
            last_day = self._day_number(tokens, at) if at else None
            if at and last_day and self._month(tokens, at + 1) is None and not self._is("of", tokens, at + 1):
                stop_day = self._dated(start.year, start.month, last_day)
                if stop_day and stop_day > start:
                    named = self._year(tokens, at + 1)
                    if tokens[end].word == "and" and not opened and (stop_day - start).days > 1:
                        continue
                    yield (
                        begin,
                        named[0] if named else at + 1,
                        _range(start, stop_day + timedelta(days=1), guessed),
                    )

    def _parts_of(  # noqa: C901  (each way to cut a month)
        self, tokens: Sequence[Token], i: int
    ) -> Iterator[Found]:
        """Yield the first or last days, weeks or half of a month; the week of a day."""
        if i >= len(tokens):
            return
        word = tokens[i].word
        head = word in ("first", "second") or self._is("last", tokens, i) == i + 1
        if head:
            count = self._number(tokens, i + 1)
            at = i + 2 if count is not None else i + 1
            unit = self._unit(tokens, at)
            half = self._is("half", tokens, at)
            of = self._is("of", tokens, half or at + 1)
            if of and (unit in ("day", "week", "month") or half):
                for end, start, stop, name, guessed in self._points(tokens, of):
                    if half:
                        middle = start + timedelta(days=(stop - start).days // 2)
                        if (
                            stop.day == 1
                            and start.day == 1
                            and (stop.year, stop.month)
                            == (_months_later(start, 1).year, _months_later(start, 1).month)
                        ):
                            middle = start + timedelta(days=15)
                        a, b = (start, middle) if word == "first" else (middle, stop)
                    elif word == "second":
                        days = {"day": 1, "week": 7}.get(unit or "", 0)
                        a, b = start + timedelta(days=days), start + timedelta(days=2 * days)
                    else:
                        a, b = self._cut(start, stop, count or 1, unit or "day", from_start=word == "first")
                    if start <= a < b <= stop:
                        text = " ".join(t.word for t in tokens[i:of])
                        yield (
                            i,
                            end,
                            Period(
                                str(a), str(b), f"{text} {name} ({a} to {b - timedelta(days=1)})", guessed
                            ),
                        )
        week = self._is("week_of", tokens, i)
        if week:
            for end, start, stop, name, guessed in self._points(tokens, week):
                if (stop - start).days == 1:
                    begin = (
                        start
                        if word and tokens[week - 1].stem in ("start", "begin", "from")
                        else start - timedelta(days=start.weekday())
                    )
                    yield (
                        i,
                        end,
                        Period(str(begin), str(begin + timedelta(days=7)), f"the week of {name}", guessed),
                    )

    def _cut(self, start: date, stop: date, count: int, unit: str, *, from_start: bool) -> tuple[date, date]:
        if unit == "month":
            return (start, _months_later(start, count)) if from_start else (_months_later(stop, -count), stop)
        length = timedelta(days=count * (7 if unit == "week" else 1))
        return (start, start + length) if from_start else (stop - length, stop)

    def _lengths(self, tokens: Sequence[Token], i: int) -> Iterator[Found]:
        """Yield "last 7 days" and "two weeks from 4 March"."""
        at = self._is("last", tokens, i)
        count = self._number(tokens, at) if at else None
        unit = self._unit(tokens, at + 1) if at and count is not None else None
        if at and unit and count:
            start = self._back(count, unit)
            name = f"the last {count} {unit}{'s' * (count > 1)} (since {start:%Y-%m-%d %H:%M})"
            yield (
                i,
                at + 2,
                Period(_relative_text(count, unit) or start.isoformat(timespec="seconds"), None, name),
            )
        count = self._number(tokens, i)
        unit = self._unit(tokens, i + 1) if count is not None else None
        begin = self._is("beginning_words", tokens, i + 2) if unit else None
        if count and unit and begin:
            for end, start_day, _, _, guessed in self._points(tokens, begin):
                days = {"day": 1, "week": 7, "fortnight": 14}.get(unit)
                stop = start_day + timedelta(days=days * count) if days else _months_later(start_day, count)
                yield i, end, _range(start_day, stop, guessed)

    def _back(self, count: int, unit: str) -> datetime:
        if unit in ("month", "quarter", "year"):
            months = count * {"month": 1, "quarter": 3, "year": 12}[unit]
            day = _months_later(self._now.date().replace(day=1), -months)
            return self._now.replace(
                year=day.year,
                month=day.month,
                day=min(self._now.day, calendar.monthrange(day.year, day.month)[1]),
            )
        seconds = {"minute": 60, "hour": 3600, "day": 86400, "week": 604800, "fortnight": 1209600}[unit]
        return self._now - timedelta(seconds=count * seconds)

    def _open(self, tokens: Sequence[Token], i: int) -> Iterator[Found]:
        """Yield since, after, before and until a point."""
        for name in ("since", "after", "before", "until"):
            at = self._is(name, tokens, i)
            if not at:
                continue
            for end, start, stop, point, guessed in self._points(tokens, at):
                if name == "since":
                    on = self._is("onwards", tokens, end)
                    if tokens[i].word != "from" or on:
                        yield i, on or end, Period(str(start), None, f"since {point}", guessed)
                elif name == "after":
                    yield i, end, Period(str(stop), None, f"after {point}", guessed)
                elif name == "before":
                    yield i, end, Period(None, str(start), f"before {point}", guessed)
                elif tokens[i].word != "to":
                    yield i, end, Period(None, str(stop), f"until {point}", guessed)

    # days of the week, hours, buckets

    def _days_and_hours(self, tokens: Sequence[Token], i: int) -> Iterator[Found]:
        days = self._stems["weekdays"]
        word = tokens[i].word
        if word in days or tokens[i].stem in days:
            number = int(days.get(word) or days[tokens[i].stem])
            if len(word) > 3 or tokens[i].text[0].isupper():
                yield i, i + 1, Weekdays((number,), calendar.day_name[number - 1])
        end = self._is("weekend", tokens, i)
        if end:
            yield i, end, Weekdays((6, 7), "weekends (Saturday and Sunday)")
        end = self._is("weekday", tokens, i)
        if end:
            yield i, end, Weekdays((1, 2, 3, 4, 5), "weekdays (Monday to Friday)")
        yield from self._hours(tokens, i)

    def _hours(self, tokens: Sequence[Token], i: int) -> Iterator[Found]:
        for name in ("after", "before", "since", "until"):
            at = self._is(name, tokens, i)
            hour = self._clock(tokens, at) if at else None
            if at and hour:
                first, end = (hour[1], 24) if name in ("after", "since") else (0, hour[1])
                if first < end:
                    yield i, hour[0], Hours(first, end, f"{first}:00 to {end}:00")
        at = self._is("range_from", tokens, i)
        one = self._clock(tokens, at, bare=True) if at else None
        to = self._is("range_to", tokens, one[0]) if one else None
        two = self._clock(tokens, to) if to else None
        if one and two:
            first = one[1] + 12 if one[1] < 12 <= two[1] and one[2] == "" and one[1] + 12 < two[1] else one[1]
            if first < two[1]:
                yield i, two[0], Hours(first, two[1], f"{first}:00 to {two[1]}:00")

    def _clock(  # noqa: C901  (each way to write an hour)
        self, tokens: Sequence[Token], i: int | None, *, bare: bool = False
    ) -> tuple[int, int, str] | None:
        """Return the place after a full hour at ``i``, the hour, and am or pm."""
        if i is None or i >= len(tokens):
            return None
        word = tokens[i].word
        half = ""
        for suffix in ("am", "pm"):
            if word.endswith(suffix) and word[:-2].isdecimal():
                word, half = word[:-2], suffix
        if word.endswith(":00"):
            hour, end = int(word[:-3]), i + 1
        elif word.isdecimal() and len(word) <= 2:
            hour, end = int(word), i + 1
            following = tokens[end].word if end < len(tokens) else ""
            if not half and following in ("am", "pm"):
                half, end = following, end + 1
            elif not half and not bare:
                if self._is("oclock", tokens, end):
                    end += 1
                else:
                    return None
        else:
            return None
        if half == "pm" and hour < 12:
            hour += 12
        elif half == "am" and hour == 12:
            hour = 0
        return (end, hour, half) if 0 <= hour <= 24 else None

    def _buckets(self, tokens: Sequence[Token], i: int) -> Iterator[Found]:
        unit = self._unit(tokens, i)
        if unit and unit != "fortnight":
            yield i, i + 1, Bucket(unit)
        adjective = self._stems["adjectives"].get(tokens[i].stem) or self._words["adjectives"].get(
            tokens[i].word
        )
        if adjective:
            yield i, i + 1, Bucket(str(adjective), adjective=True)
        for name, phrases in self._words["buckets"].items():
            for phrase in phrases:
                key = self._language.phrase(phrase)
                end = i + len(key)
                if tuple(t.stem for t in tokens[i:end]) == key:
                    yield i, end, Bucket(name)


def _relative_text(count: int, unit: str) -> str:
    """Return a length of time before now as plans write it; empty where they cannot."""
    factor, short = {
        "hour": (1, "h"),
        "day": (1, "d"),
        "week": (1, "w"),
        "fortnight": (2, "w"),
        "month": (1, "mo"),
        "quarter": (3, "mo"),
        "year": (1, "y"),
    }.get(unit, (0, ""))
    return f"last {count * factor}{short}" if factor else ""


def _range(start: date, stop: date, guessed: str) -> Period:
    last = stop - timedelta(days=1)
    return Period(str(start), str(stop), f"{_day_name(start)} to {_day_name(last)}", guessed)


def _day_name(day: date) -> str:
    return f"{day.day} {day:%B %Y}"


def _months_later(day: date, months: int) -> date:
    number = day.year * 12 + day.month - 1 + months
    return date(
        number // 12,
        number % 12 + 1,
        1 if day.day == 1 else min(day.day, calendar.monthrange(number // 12, number % 12 + 1)[1]),
    )


def _calendar(today: date, unit: str, back: int) -> tuple[date, date]:
    if unit == "week":
        start = today - timedelta(days=today.weekday() + 7 * back)
        return start, start + timedelta(days=7)
    length = {"month": 1, "quarter": 3, "year": 12}[unit]
    first = today.replace(day=1)
    if unit != "month":
        first = first.replace(month=(first.month - 1) // length * length + 1)
    start = _months_later(first, -length * back)
    return start, _months_later(start, length)
