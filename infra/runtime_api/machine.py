"""What a runtime may do when, as state machines without any I/O.

``OneAtATime`` is a runtime of a classic function, ``ManyAtOnce`` one on Managed Instances. Pollers
are whatever the caller tells them apart by. A call that is not allowed raises ``Refused``.
Source: "Using the Lambda runtime API", "Building custom runtimes for Lambda Managed Instances".
"""

from __future__ import annotations

from collections import deque
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Protocol

from penstock.infra.runtime_api.refusals import (
    INVALID_REQUEST_ID,
    INVOKE_TIMEOUT,
    TOO_MANY_POLLERS,
    Refused,
    wrong_state,
)

if TYPE_CHECKING:
    from collections.abc import Hashable

    from penstock.infra.runtime_api.invocation import Invocation


class State(StrEnum):
    """Where a runtime is; the names are those in the Runtime API's messages."""

    STARTED = "Started"
    READY = "Ready"
    RUNNING = "Running"
    RESPONDING = "InvocationResponse"
    REPORTING = "InvocationErrorResponse"
    SENT = "RuntimeResponseSentState"
    INIT_FAILED = "InitError"
    RESTORE_READY = "RestoreReady"
    RESTORING = "Restoring"
    RESTORE_FAILED = "RuntimeRestoreErrorState"


NEXT: Final = "/invocation/next"
RESPONSE: Final = "/invocation/{id}/response"
ERROR: Final = "/invocation/{id}/error"
INIT_ERROR: Final = "/init/error"
RESTORE_NEXT: Final = "/restore/next"
RESTORE_ERROR: Final = "/restore/error"
RESTORED: Final = "restored"

TRANSITIONS: Final[dict[tuple[str, str], State]] = {
    (State.STARTED, NEXT): State.READY,
    (State.READY, NEXT): State.READY,
    (State.RUNNING, NEXT): State.RUNNING,
    (State.SENT, NEXT): State.READY,
    (State.RESTORING, NEXT): State.READY,
    (State.RUNNING, RESPONSE): State.RESPONDING,
    (State.RUNNING, ERROR): State.REPORTING,
    (State.STARTED, INIT_ERROR): State.INIT_FAILED,
    (State.RESTORING, INIT_ERROR): State.RESTORE_FAILED,
    (State.STARTED, RESTORE_NEXT): State.RESTORE_READY,
    (State.RESTORE_READY, RESTORED): State.RESTORING,
    (State.RESTORING, RESTORE_ERROR): State.RESTORE_FAILED,
}
_WANTED: Final = {
    NEXT: State.READY,
    RESPONSE: State.RESPONDING,
    ERROR: State.REPORTING,
    INIT_ERROR: State.INIT_FAILED,
    RESTORE_NEXT: State.READY,
    RESTORE_ERROR: State.RESTORE_FAILED,
    RESTORED: State.RESTORING,
}


class Machine(Protocol):
    """What both kinds of runtime have in common."""

    @property
    def free_pollers(self) -> int:
        """How many invocations could be delivered right now."""

    def poll(self, poller: Hashable) -> Invocation | None:
        """Return the event that a request for one gets at once; None if it has to wait.

        Raises: Refused.
        """

    def forget(self, poller: Hashable) -> None:
        """Take back a request for an event: its connection is gone."""

    def deliver(self, invocation: Invocation) -> Hashable:
        """Give an invocation to a waiting poller, which there has to be, and return which."""

    def begin(self, step: str, request_id: str, invocation_id: str) -> Invocation:
        """Return the invocation that a post (``RESPONSE`` or ``ERROR``) is about.

        Raises: Refused.
        """

    def sent(self, invocation: Invocation) -> None:
        """Take note that the post about an invocation is complete."""

    def expire(self, invocation: Invocation) -> None:
        """Take note that an invocation has reached its deadline."""

    def step(self, step: str) -> None:
        """Take a step that is about no invocation: a failed initialisation, or a restore.

        Raises: Refused.
        """


def _stale(invocation: Invocation, invocation_id: str) -> bool:
    return bool(invocation_id) and invocation_id != invocation.invocation_id


class OneAtATime:
    """A runtime that has one invocation at a time: calls are allowed as ``TRANSITIONS`` says.

    One that asks for an event again before it has answered gets the same event again. Of several
    requests for an event the last gets it, whose connection is surely alive. At a deadline the
    whole runtime is replaced, and this machine with it.
    """

    def __init__(self) -> None:
        self.state = State.STARTED
        self._pollers: deque[Hashable] = deque()
        self._current: Invocation | None = None

    @property
    def free_pollers(self) -> int:
        return min(1, len(self._pollers))

    def step(self, step: str) -> None:
        state = TRANSITIONS.get((self.state, step))
        if state is None:
            raise Refused(wrong_state(self.state, _WANTED[step]))
        self.state = state

    def poll(self, poller: Hashable) -> Invocation | None:
        self.step(NEXT)
        if self.state is State.RUNNING:
            return self._current
        self._pollers.append(poller)
        return None

    def forget(self, poller: Hashable) -> None:
        if poller in self._pollers:
            self._pollers.remove(poller)

    def deliver(self, invocation: Invocation) -> Hashable:
        self.state = State.RUNNING
        self._current = invocation
        return self._pollers.pop()

    def begin(self, step: str, request_id: str, invocation_id: str) -> Invocation:
        current = self._current
        if current is None or request_id != current.request_id:
            raise Refused(INVALID_REQUEST_ID)
        if _stale(current, invocation_id):
            raise Refused(INVOKE_TIMEOUT)
        self.step(step)
        return current

    def sent(self, invocation: Invocation) -> None:
        self.state = State.SENT

    def expire(self, invocation: Invocation) -> None:
        pass


class ManyAtOnce:
    """A runtime with several slots; each request for an event offers one of them.

    The one that has waited longest gets the next event. The first post about an invocation that has
    timed out is told so; the next is not known. Of its processes the first may report that it could
    not initialise. There are no snapshots.
    """

    def __init__(self, slots: int) -> None:
        self._slots = slots
        self._pollers: deque[Hashable] = deque()
        self._running: dict[str, Invocation] = {}
        self._posting: set[str] = set()
        self._timed_out: set[str] = set()
        self._state = State.STARTED

    @property
    def free_pollers(self) -> int:
        return len(self._pollers)

    def step(self, step: str) -> None:
        if step != INIT_ERROR or self._state is State.INIT_FAILED:
            raise Refused(wrong_state(self._state, _WANTED[step]))
        self._state = State.INIT_FAILED

    def poll(self, poller: Hashable) -> Invocation | None:
        if len(self._pollers) >= self._slots:
            raise Refused(TOO_MANY_POLLERS)
        self._pollers.append(poller)
        return None

    def forget(self, poller: Hashable) -> None:
        if poller in self._pollers:
            self._pollers.remove(poller)

    def deliver(self, invocation: Invocation) -> Hashable:
        self._running[invocation.request_id] = invocation
        return self._pollers.popleft()

    def begin(self, step: str, request_id: str, invocation_id: str) -> Invocation:
        invocation = self._running.get(request_id)
        if invocation is None:
            if request_id in self._timed_out:
                self._timed_out.discard(request_id)
                raise Refused(INVOKE_TIMEOUT)
            raise Refused(INVALID_REQUEST_ID)
        if _stale(invocation, invocation_id):
            raise Refused(INVOKE_TIMEOUT)
        if request_id in self._posting:
            raise Refused(INVALID_REQUEST_ID)
        self._posting.add(request_id)
        return invocation

    def sent(self, invocation: Invocation) -> None:
        self._running.pop(invocation.request_id, None)
        self._posting.discard(invocation.request_id)

    def expire(self, invocation: Invocation) -> None:
        self.sent(invocation)
        self._timed_out.add(invocation.request_id)
