"""Dates of RFC 9110 section 5.6.7, to and from seconds since 1970."""

from __future__ import annotations

import re
import time

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_CLOCK = r"(?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)"
_MONTH = rf"(?P<month>{'|'.join(_MONTHS)})"
_FORMATS = (
    # IMF-fixdate, and the two that recipients must still read.
    re.compile(
        rf"(?:{'|'.join(_DAYS)}), (?P<day>\d\d) {_MONTH} (?P<year>\d{{4}}) {_CLOCK} GMT", re.ASCII
    ),
    re.compile(
        r"(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day, "
        rf"(?P<day>\d\d)-{_MONTH}-(?P<year>\d\d) {_CLOCK} GMT",
        re.ASCII,
    ),
    re.compile(
        rf"(?:{'|'.join(_DAYS)}) {_MONTH} (?P<day>[\d ]\d) {_CLOCK} (?P<year>\d{{4}})", re.ASCII
    ),
)
_DAYS_IN_MONTH = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_DAYS_TO_1970 = 719_162  # from 0001-01-01


def http_date(seconds: float | None = None) -> str:
    """Return the time as an IMF-fixdate: ``Sun, 06 Nov 1994 08:49:37 GMT``; now, if none is given.

    ``seconds`` since 1970-01-01 UTC; fractions are cut off.
    """
    year, month, day, hour, minute, second, weekday, _, _ = time.gmtime(seconds)
    return (
        f"{_DAYS[weekday]}, {day:02d} {_MONTHS[month - 1]} {year:04d} "
        f"{hour:02d}:{minute:02d}:{second:02d} GMT"
    )


def parse_http_date(text: str) -> int | None:
    """Return seconds since 1970-01-01 UTC; ``None`` for what is no date.

    Reads all three formats of RFC 9110. A year of two digits that would be more than 50 years in
    the future is one of the past century. The name of the day is not checked.
    """
    for pattern in _FORMATS:
        if found := pattern.fullmatch(text.strip(" \t")):
            break
    else:
        return None
    year, month = int(found["year"]), _MONTHS.index(found["month"])
    if len(found["year"]) == 2:
        this_year = time.gmtime().tm_year
        year += this_year - this_year % 100
        if year > this_year + 50:
            year -= 100
    day, hour = int(found["day"]), int(found["hour"])
    minute, second = int(found["minute"]), int(found["second"])
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    longest = 29 if leap and month == 1 else _DAYS_IN_MONTH[month]
    if not 1 <= day <= longest or hour > 23 or minute > 59 or second > 60 or year < 1:
        return None
    before = year - 1
    days = before * 365 + before // 4 - before // 100 + before // 400 - _DAYS_TO_1970
    days += sum(_DAYS_IN_MONTH[:month]) + (leap and month > 1) + day - 1
    return ((days * 24 + hour) * 60 + minute) * 60 + second
