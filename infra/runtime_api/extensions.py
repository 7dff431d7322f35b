"""The extensions of one execution environment, without any I/O.

Source: "Using the Lambda Extensions API to create extensions"; messages as in AWS's runtime
interface emulator.
"""

from __future__ import annotations

import uuid
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from penstock.infra.runtime_api.refusals import Refusal, Refused

if TYPE_CHECKING:
    from collections.abc import Collection, Hashable

LIMIT: Final = 10


class Extension:
    """One registered extension; ``poller`` is the request for an event that waits, if any."""

    def __init__(self, name: str, events: frozenset[str], *, external: bool) -> None:
        self.name = name
        self.events = events
        self.external = external
        self.identifier = str(uuid.uuid4())
        self.poller: Hashable | None = None
        self.pending: deque[dict[str, Any]] = deque()


class Extensions:
    """Which extensions there are, and which events wait for them.

    ``external`` names those that may ask for ``SHUTDOWN``; all others are internal: they live in
    the runtime's process. With ``invoke_events`` false (Managed Instances) nobody gets ``INVOKE``.
    """

    def __init__(self, *, external: Collection[str] = (), invoke_events: bool = True) -> None:
        self._external = frozenset(external)
        self._invoke_events = invoke_events
        self._by_identifier: dict[str, Extension] = {}
        self.open = True

    @property
    def any_registered(self) -> bool:
        """Whether the runtime is told to stop before it is killed."""
        return bool(self._by_identifier)

    @property
    def any_external(self) -> bool:
        """Whether an external extension has registered, which makes the shutdown longer."""
        return any(extension.external for extension in self._by_identifier.values())

    @property
    def all_waiting(self) -> bool:
        """Whether each extension waits for its next event: before that, nothing is invoked."""
        return all(extension.poller is not None for extension in self._by_identifier.values())

    def register(self, name: str, events: object) -> Extension:
        """Take a registration; ``events`` is what the request's JSON has under that name.

        Raises: Refused.
        """
        if not name:
            raise _refused("InvalidExtensionName", "Empty extension name")
        if not isinstance(events, list) or not all(isinstance(event, str) for event in events):
            message = "expected events to be a list of strings"
            raise Refused(Refusal(403, "InvalidRequestFormat", message))
        external = name in self._external
        allowed = {"INVOKE"} if self._invoke_events else set()
        if external:
            allowed = allowed | {"SHUTDOWN"}
        for event in events:
            if event not in allowed:
                raise _refused("InvalidEventType", self._reason(event))
        if not self.open:
            raise _refused("RegistrationClosed", "Extension registration closed already")
        if any(extension.name == name for extension in self._by_identifier.values()):
            raise _refused("InvalidExtensionState", "Extension with this name already registered")
        if len(self._by_identifier) >= LIMIT:
            raise _refused("TooManyExtensions", f"Extension limit ({LIMIT}) reached")
        extension = Extension(name, frozenset(events), external=external)
        self._by_identifier[extension.identifier] = extension
        return extension

    def _reason(self, event: str) -> str:
        if not self._invoke_events:
            return "No events allowed for internal extensions"
        if event == "SHUTDOWN":
            return "SHUTDOWN: ShutdownEventNotSupportedForInternalExtension"
        return f"{event}: ErrorInvalidEventType"

    def find(self, identifier: str) -> Extension:
        """Return the extension that a request's ``Lambda-Extension-Identifier`` names.

        Raises: Refused.
        """
        if not identifier:
            raise _refused(
                "MissingExtensionIdentifier", "Missing Lambda-Extension-Identifier header"
            )
        try:
            uuid.UUID(identifier)
        except ValueError:
            message = "Invalid Lambda-Extension-Identifier"
            raise _refused("InvalidExtensionIdentifier", message) from None
        extension = self._by_identifier.get(identifier)
        if extension is None:
            raise _refused("UnknownExtensionIdentifier", f"Unknown extension {identifier}")
        return extension

    def poll(self, extension: Extension, poller: Hashable) -> dict[str, Any] | None:
        """Return the event that an extension gets at once; None if it has to wait."""
        if extension.pending:
            return extension.pending.popleft()
        extension.poller = poller
        return None

    def forget(self, poller: Hashable) -> None:
        """Take back a request for an event: its connection is gone."""
        for extension in self._by_identifier.values():
            if extension.poller == poller:
                extension.poller = None

    def publish(self, event: dict[str, Any]) -> list[Hashable]:
        """Give an event to those who asked for its type; return the pollers that get it now."""
        pollers: list[Hashable] = []
        for extension in self._by_identifier.values():
            if event["eventType"] not in extension.events:
                continue
            if extension.poller is None:
                extension.pending.append(event)
            else:
                pollers.append(extension.poller)
                extension.poller = None
        return pollers


def _refused(error_type: str, message: str) -> Refused:
    return Refused(Refusal(403, f"Extension.{error_type}", message))
