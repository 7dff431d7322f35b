"""What a runtime may do when, as state machines without any I/O.

``OneAtATime`` is a runtime of a classic function, ``ManyAtOnce`` one on Managed Instances. Pollers
are whatever the caller tells them apart by. A call that is not allowed gets a ``Refusal``.
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
    Refusal,
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
    (State.RESTORING, RESTORE_ERROR): State.RESTORE_FAILED,
}
_WANTED: Final = {
    NEXT: State.READY,
    RESPONSE: State.RESPONDING,
    ERROR: State.REPORTING,
    INIT_ERROR: State.INIT_FAILED,
    RESTORE_NEXT: State.READY,
    RESTORE_ERROR: State.RESTORE_FAILED,
}


class Machine(Protocol):
    """What both kinds of runtime have in common."""

    @property
    def free_pollers(self) -> int:
        """How many invocations could be delivered right now."""

    def poll(self, poller: Hashable) -> Invocation | Refusal | None:
        """Return the event that a request for one gets at once; None if it has to wait."""

    def forget(self, poller: Hashable) -> None:
        """Take back a request for an event: its connection is gone."""

    def deliver(self, invocation: Invocation) -> Hashable | None:
        """Give an invocation to a waiting poller, and return which; None if none waits."""

    def begin(self, step: str, request_id: str, invocation_id: str) -> Invocation | Refusal:
        """Return the invocation that a post (``RESPONSE`` or ``ERROR``) is about."""

    def sent(self, invocation: Invocation) -> None:
        """Take note that the post about an invocation is complete."""

    def expire(self, invocation: Invocation) -> None:
        """Take note that an invocation has reached its deadline."""

    def init_failed(self) -> Refusal | None:
        """Take a report that the initialisation failed."""

    def restore_poll(self) -> Refusal | None:
        """Take the request that waits for the restored snapshot."""

    def restored(self) -> None:
        """Take note that the snapshot has been restored."""

    def restore_failed(self) -> Refusal | None:
        """Take a report that the work after a restore failed."""


def _stale(invocation: Invocation, invocation_id: str) -> bool:
    return bool(invocation_id) and invocation_id != invocation.invocation_id


class OneAtATime:
    """A runtime that has one invocation at a time: ``TRANSITIONS`` is the whole of it."""

    def __init__(self) -> None:
        self.state = State.STARTED
        self._pollers: deque[Hashable] = deque()
        self._current: Invocation | None = None

    @property
    def free_pollers(self) -> int:
        """How many invocations could be delivered right now: none or one."""
        return min(1, len(self._pollers))

    def _step(self, step: str) -> Refusal | None:
        state = TRANSITIONS.get((self.state, step))
        if state is None:
            return wrong_state(self.state, _WANTED[step])
        self.state = state
        return None

    def poll(self, poller: Hashable) -> Invocation | Refusal | None:
        """Return the event that a request for one gets at once; None if it has to wait.

        A runtime that asks again before it has answered gets the same event again.
        """
        if refusal := self._step(NEXT):
            return refusal
        if self.state is State.RUNNING:
            return self._current
        self._pollers.append(poller)
        return None

    def forget(self, poller: Hashable) -> None:
        """Take back a request for an event: its connection is gone."""
        if poller in self._pollers:
            self._pollers.remove(poller)

    def deliver(self, invocation: Invocation) -> Hashable | None:
        """Give an invocation to the poller that asked last, and return which; None if none waits.

        Of several requests for an event the last is the one whose connection is surely alive.
        """
        if not self._pollers:
            return None
        poller = self._pollers.pop()
        self.state = State.RUNNING
        self._current = invocation
        return poller

    def begin(self, step: str, request_id: str, invocation_id: str) -> Invocation | Refusal:
        """Return the invocation that a post (``RESPONSE`` or ``ERROR``) is about."""
        current = self._current
        if current is None or request_id != current.request_id:
            return INVALID_REQUEST_ID
        if _stale(current, invocation_id):
            return INVOKE_TIMEOUT
        return self._step(step) or current

    def sent(self, invocation: Invocation) -> None:
        """Take note that the post about an invocation is complete."""
        self.state = State.SENT

    def expire(self, invocation: Invocation) -> None:
        """Nothing: at the deadline the whole runtime is replaced, and this machine with it."""

    def init_failed(self) -> Refusal | None:
        """Take a report that the initialisation, or the work after a restore, failed."""
        return self._step(INIT_ERROR)

    def restore_poll(self) -> Refusal | None:
        """Take the request that waits for the restored snapshot."""
        return self._step(RESTORE_NEXT)

    def restored(self) -> None:
        """Take note that the snapshot has been restored."""
        self.state = State.RESTORING

    def restore_failed(self) -> Refusal | None:
        """Take a report that the work after a restore failed."""
        return self._step(RESTORE_ERROR)


class ManyAtOnce:
    """A runtime with several slots; each request for an event offers one of them."""

    def __init__(self, slots: int) -> None:
        self._slots = slots
        self._pollers: deque[Hashable] = deque()
        self._running: dict[str, Invocation] = {}
        self._posting: set[str] = set()
        self._timed_out: set[str] = set()
        self._failed = False

    @property
    def free_pollers(self) -> int:
        """How many invocations could be delivered right now."""
        return len(self._pollers)

    def poll(self, poller: Hashable) -> Invocation | Refusal | None:
        """Return a refusal if as many requests wait already as there are slots; else None."""
        if len(self._pollers) >= self._slots:
            return TOO_MANY_POLLERS
        self._pollers.append(poller)
        return None

    def forget(self, poller: Hashable) -> None:
        """Take back a request for an event: its connection is gone."""
        if poller in self._pollers:
            self._pollers.remove(poller)

    def deliver(self, invocation: Invocation) -> Hashable | None:
        """Give an invocation to the longest waiting poller, and return which; None if none."""
        if not self._pollers:
            return None
        self._running[invocation.request_id] = invocation
        return self._pollers.popleft()

    def begin(self, step: str, request_id: str, invocation_id: str) -> Invocation | Refusal:
        """Return the invocation that a post (``RESPONSE`` or ``ERROR``) is about.

        The first post about an invocation that has timed out is told so, the next is not known.
        """
        invocation = self._running.get(request_id)
        if invocation is None:
            if request_id in self._timed_out:
                self._timed_out.discard(request_id)
                return INVOKE_TIMEOUT
            return INVALID_REQUEST_ID
        if _stale(invocation, invocation_id):
            return INVOKE_TIMEOUT
        if request_id in self._posting:
            return INVALID_REQUEST_ID
        self._posting.add(request_id)
        return invocation

    def sent(self, invocation: Invocation) -> None:
        """Take note that the post about an invocation is complete."""
        self._running.pop(invocation.request_id, None)
        self._posting.discard(invocation.request_id)

    def expire(self, invocation: Invocation) -> None:
        """Take note that an invocation has reached its deadline: its answer will be too late."""
        self.sent(invocation)
        self._timed_out.add(invocation.request_id)

    def init_failed(self) -> Refusal | None:
        """Take the first report that the initialisation failed; those of others are refused."""
        if self._failed:
            return wrong_state(State.INIT_FAILED, State.INIT_FAILED)
        self._failed = True
        return None

    def restore_poll(self) -> Refusal:
        """Refuse: there are no snapshots here."""
        return wrong_state(State.STARTED, State.RESTORE_READY)

    def restored(self) -> None:
        """Nothing: there are no snapshots here."""

    def restore_failed(self) -> Refusal:
        """Refuse: there are no snapshots here."""
        return wrong_state(State.STARTED, State.RESTORE_FAILED)
