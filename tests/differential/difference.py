"""What an intended difference is, and how a case is explained by them."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tests.differential.both import Case, Seen

OUTCOME, SCOPE, ANSWER = "outcome", "scope", "answer"


@dataclass(frozen=True)
class Difference:
    """One intended difference: five cells of the table in docs/mangum.md, and two functions.

    ``part`` is what the functions get: the scope that Mangum gave, its answer, or its outcome in
    words. ``when`` says whether the difference applies to a case, ``turn`` makes penstock's value
    of it. A difference without the two is one of behaviour over several calls, which its
    demonstration alone shows. ``keys`` are those of the scope or the answer that it may change.
    """

    id: str
    what: str
    where: str
    mangum: str
    penstock: str
    why: str
    part: str = ""
    keys: tuple[str, ...] = ()
    when: Callable[[Any, Case], bool] | None = None
    turn: Callable[[Any, Case], Any] | None = None

    @property
    def row(self) -> tuple[str, ...]:
        """The cells of its row in the documentation."""
        return (f"`{self.id}`", self.what, self.where, self.mangum, self.penstock, self.why)


def outcome(seen: Seen) -> str:
    """What became of an invocation, in words."""
    if seen.raised is not None:
        return f"raised {type(seen.raised).__name__}"
    status = seen.answer.get("statusCode", seen.answer.get("status"))
    return f"{'answered' if seen.scope is not None else 'refused with'} {status}"


def unexplained(case: Case, differences: Iterable[Difference]) -> tuple[list[str], set[str]]:
    """Return what no difference explains, one line each, and the ids of those that applied."""
    lines: list[str] = []
    applied: set[str] = set()
    by_part: dict[str, list[Difference]] = {OUTCOME: [], SCOPE: [], ANSWER: []}
    for difference in differences:
        if difference.part:
            by_part[difference.part].append(difference)

    theirs = _turned(outcome(case.theirs), case, by_part[OUTCOME], applied, lines)
    if theirs != outcome(case.ours):
        lines.append(f"outcome: Mangum {theirs}, penstock {outcome(case.ours)}")
    if case.theirs.scope is not None and case.ours.scope is not None:
        if case.theirs.body != case.ours.body:
            lines.append(f"body: Mangum {case.theirs.body!r}, penstock {case.ours.body!r}")
        scope = _turned(case.theirs.scope, case, by_part[SCOPE], applied, lines)
        lines += _compared("scope", scope, case.ours.scope)
    if outcome(case.theirs) == outcome(case.ours) and case.theirs.raised is None:
        answer = _turned(case.theirs.answer, case, by_part[ANSWER], applied, lines)
        lines += _compared("answer", answer, case.ours.answer)
    return lines, applied


def _turned(
    value: Any, case: Case, differences: list[Difference], applied: set[str], lines: list[str]
) -> Any:
    for difference in differences:
        assert difference.when is not None
        assert difference.turn is not None
        if not difference.when(value, case):
            continue
        before = value
        value = difference.turn(copy.deepcopy(value), case)
        if value != before:
            applied.add(difference.id)
        if isinstance(value, dict):
            names = before.keys() | value.keys()
            touched = {name for name in names if before.get(name) != value.get(name)}
            if extra := touched - set(difference.keys):
                lines.append(f"{difference.id} is not about {', '.join(sorted(extra))}")
    return value


_ABSENT = "(absent)"


def _compared(part: str, theirs: dict[str, Any], ours: dict[str, Any]) -> list[str]:
    return [
        f"{part} {key}: Mangum, once turned, {theirs.get(key, _ABSENT)!r},"
        f" penstock {ours.get(key, _ABSENT)!r}"
        for key in sorted(theirs.keys() | ours.keys())
        if theirs.get(key, _ABSENT) != ours.get(key, _ABSENT)
    ]
