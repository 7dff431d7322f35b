"""Faults that the local Runtime API commits on demand."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from penstock.infra.runtime_api.request import ConnectionGone

if TYPE_CHECKING:
    from penstock.infra.runtime_api.connection import Connection
    from penstock.infra.runtime_api.request import Request

Place = Literal[
    "next",
    "response",
    "error",
    "init/error",
    "restore/next",
    "restore/error",
    "extension/register",
    "extension/event/next",
]


@dataclass(frozen=True, slots=True)
class Status:
    """Answer with a status instead of doing what was asked.

    ``early`` answers before the request's body has been read, and leaves it unread.
    """

    status: int
    error_type: str = "InjectedFault"
    message: str = "this fault was asked for"
    early: bool = False

    @property
    def body(self) -> bytes:
        """The error in the Runtime API's form."""
        return json.dumps({"errorType": self.error_type, "errorMessage": self.message}).encode()


@dataclass(frozen=True, slots=True)
class Reset:
    """Reset the connection: after so many bytes of body, the event's or the answer's."""

    after_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Close:
    """Close the connection in order, after so many bytes of body."""

    after_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Hold:
    """Do nothing, after so many bytes of body, until released or the seconds have passed."""

    after_bytes: int = 0
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Raw:
    """Send these bytes instead of an answer, and close the connection."""

    data: bytes


Fault = Status | Reset | Close | Hold | Raw


class Injection:
    """A fault at its place; tells when it was reached, and ends a ``Hold``."""

    def __init__(self, fault: Fault, times: int) -> None:
        self.fault = fault
        self.times_left = times
        self._reached = asyncio.Event()
        self._released = asyncio.Event()

    async def reached(self) -> None:
        """Return when the fault has been met for the first time."""
        await self._reached.wait()

    def release(self) -> None:
        """Let everything that a ``Hold`` holds go on, now and later."""
        self._released.set()

    async def commit(self, connection: Connection) -> None:
        """Do the fault on a connection; returns for a ``Hold`` only, when that is over."""
        self._reached.set()
        match self.fault:
            case Hold(seconds=seconds):
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._released.wait(), seconds)
                return
            case Reset():
                connection.reset()
            case Raw(data=data):
                await connection.write_raw(data)
            case Close():
                connection.close()
            case Status(status=status, body=body):
                await connection.answer(status, body, [("Content-Type", "application/json")])
                raise FaultAnswered
        raise ConnectionGone("a fault was injected")

    @property
    def trap(self) -> Trap | None:
        """What waits for the body's bytes, if the fault is to come in the middle of it."""
        match self.fault:
            case Reset(after) | Close(after) | Hold(after) if after:
                return Trap(self, after)
        return None


class FaultAnswered(Exception):
    """A request has been answered by a fault: nothing more is to be done about it."""


class Trap:
    """Counts the bytes of a body and commits its fault when they are reached."""

    def __init__(self, injection: Injection, after_bytes: int) -> None:
        self._injection = injection
        self._left = after_bytes

    def split(self, data: bytes) -> tuple[bytes, ...]:
        """Return the data in pieces, the first of which ends where the fault is to come."""
        if 0 < self._left < len(data):
            return data[: self._left], data[self._left :]
        return (data,)

    async def count(self, connection: Connection, size: int) -> None:
        """Take note of bytes that have passed; commit the fault when they are enough."""
        if self._left <= 0:
            return
        self._left -= size
        if self._left <= 0:
            await self._injection.commit(connection)


class Faults:
    """The faults still to come, by the place where they are met."""

    def __init__(self) -> None:
        self._pending: dict[str, list[Injection]] = {}

    def inject(self, place: Place, fault: Fault, *, times: int = 1) -> Injection:
        """Let the next ``times`` requests at a place meet a fault; in order of injection."""
        injection = Injection(fault, times)
        self._pending.setdefault(place, []).append(injection)
        return injection

    def _take(self, place: str) -> Injection | None:
        pending = self._pending.get(place)
        if not pending:
            return None
        injection = pending[0]
        injection.times_left -= 1
        if injection.times_left <= 0:
            pending.pop(0)
        return injection

    async def meet(self, place: str, request: Request, connection: Connection) -> None:
        """Commit what waits at a place, or set it up for the middle of the body.

        Raises: FaultAnswered or ConnectionGone where nothing more is to be done.
        """
        injection = self._take(place)
        if injection is None:
            return
        if trap := injection.trap:
            if request.method == "GET":
                connection.outbound_trap = trap
            else:
                connection.inbound_trap = trap
            return
        if isinstance(injection.fault, Status) and not injection.fault.early:
            await request.body()
        await injection.commit(connection)
