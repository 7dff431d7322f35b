"""Signals on blinker: in connection order, sync and async receivers together, robust on demand.

blinker awaits async receivers one after another, refuses sync and async ones together, and has no
variant that survives a failing receiver; ``Signal`` adds these.
"""

from __future__ import annotations

import asyncio
import contextvars
import itertools
import logging
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any

from blinker import ANY
from blinker import Signal as BlinkerSignal

from penstock.handler.tasks import comes_from_outside

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable

    Receiver = Callable[..., Any]

logger = logging.getLogger("penstock.signals")
_counter = itertools.count()


class Signal(BlinkerSignal):
    """A signal whose receivers are called ``receiver(signal=..., sender=..., **named)``.

    Results come as ``[(receiver, result), ...]``: sync receivers first, each kind in the order of
    connection. In the ``robust`` variants an exception is logged and stands in place of its result.
    """

    def __init__(self, doc: str | None = None) -> None:
        super().__init__(doc)
        # When each (receiver, sender) was connected; blinker's own sets keep no order.
        self._order: dict[tuple[Hashable, Hashable], int] = {}
        # The receiver of each (dispatch_uid, sender).
        self._uids: dict[tuple[Hashable, Hashable], Hashable] = {}

    def connect(  # type: ignore[override]
        self,
        receiver: Receiver,
        sender: Any = None,
        weak: bool = True,  # noqa: FBT001, FBT002
        dispatch_uid: Hashable = None,
    ) -> Receiver:
        """Call ``receiver`` whenever ``sender`` (``None``: anybody) sends.

        Idempotent for the same receiver, or the same ``dispatch_uid``, and sender. ``weak``
        receivers are forgotten when nothing else holds them.
        """
        if not callable(receiver):
            raise TypeError(f"signal receiver {receiver!r}: expected a callable")
        self._forget_the_dead()
        key, sender_key = _key(receiver), _key(sender)
        if (
            dispatch_uid is not None
            and self._uids.setdefault((dispatch_uid, sender_key), key) != key
        ):
            return receiver
        super().connect(receiver, ANY if sender is None else sender, weak)
        self._order.setdefault((key, sender_key), next(_counter))
        return receiver

    def disconnect(  # type: ignore[override]
        self, receiver: Receiver | None = None, sender: Any = None, dispatch_uid: Hashable = None
    ) -> bool:
        """Forget the receiver, or the one of ``dispatch_uid``; whether it was connected."""
        key: Hashable = None if receiver is None else _key(receiver)
        sender_key = _key(sender)
        if dispatch_uid is not None:
            key = self._uids.get((dispatch_uid, sender_key))
        if not self._is_connected(key, sender_key):
            return False
        # blinker's own disconnect would take "from anybody" for "from everybody".
        self._by_sender[sender_key].discard(key)
        senders = self._by_receiver[key]
        senders.discard(sender_key)
        if not senders:
            self._disconnect(key, _ANY_ID)
        self._forget_the_dead()
        return True

    def _is_connected(self, key: Hashable, sender_key: Hashable) -> bool:
        return sender_key in self._by_receiver.get(key, ())

    def _forget_the_dead(self) -> None:
        """Drop what is known of receivers and senders that are no more: their ids come again."""
        for pair in list(self._order):
            if not self._is_connected(*pair):
                self._order.pop(pair, None)
        for uid, key in list(self._uids.items()):
            if not self._is_connected(key, uid[1]):
                self._uids.pop(uid, None)

    def has_listeners(self, sender: Any = None) -> bool:
        """Whether anybody would be called."""
        return bool(self.receivers) and bool(self._live(sender))

    def _live(self, sender: Any) -> list[Receiver]:
        key, order = _key(sender), self._order
        found = list(self.receivers_for(sender))
        if len(found) > 1:

            def position(receiver: Receiver) -> int:
                one = _key(receiver)
                last = 1 << 62
                return min(order.get((one, _ANY_ID), last), order.get((one, key), last))

            found.sort(key=position)
        return found

    def _split(self, sender: Any) -> tuple[list[Receiver], list[Receiver]]:
        sync: list[Receiver] = []
        async_: list[Receiver] = []
        for receiver in self._live(sender):
            (async_ if _is_async(receiver) else sync).append(receiver)
        return sync, async_

    def send(self, sender: Any = None, /, **named: Any) -> list[tuple[Receiver, Any]]:
        """Call sync receivers here, then the async ones on a loop; the first error propagates."""
        return self._send(named.pop("sender", sender), named, robust=False)

    def send_robust(self, sender: Any = None, /, **named: Any) -> list[tuple[Receiver, Any]]:
        """Like ``send``; errors are logged and returned in place."""
        return self._send(named.pop("sender", sender), named, robust=True)

    async def asend(self, sender: Any = None, /, **named: Any) -> list[tuple[Receiver, Any]]:
        """Call sync receivers in one hop to the request's thread, async ones concurrently."""
        if not self.receivers:
            return []
        return await self._asend(named.pop("sender", sender), named, robust=False)

    async def asend_robust(self, sender: Any = None, /, **named: Any) -> list[tuple[Receiver, Any]]:
        """Like ``asend``; errors are logged and returned in place."""
        if not self.receivers:
            return []
        return await self._asend(named.pop("sender", sender), named, robust=True)

    def _send(
        self, sender: Any, named: dict[str, Any], *, robust: bool
    ) -> list[tuple[Receiver, Any]]:
        if not self.receivers:
            return []
        sync, async_ = self._split(sender)
        named = {"signal": self, "sender": sender, **named}
        results = _call(sync, named, robust=robust)
        if async_:
            from asgiref.sync import async_to_sync

            results += async_to_sync(_gather)(async_, named, robust=robust)
        return results

    async def _asend(
        self, sender: Any, named: dict[str, Any], *, robust: bool
    ) -> list[tuple[Receiver, Any]]:
        sync, async_ = self._split(sender)
        named = {"signal": self, "sender": sender, **named}
        results: list[tuple[Receiver, Any]] = []
        if sync:
            from penstock.handler.hops import in_request_thread

            results = await in_request_thread(_call, sync, named, robust=robust)
        if async_:
            results += await _gather(async_, named, robust=robust)
        return results


def _call(
    receivers: Iterable[Receiver], named: dict[str, Any], *, robust: bool
) -> list[tuple[Receiver, Any]]:
    results: list[tuple[Receiver, Any]] = []
    for receiver in receivers:
        try:
            results.append((receiver, receiver(**named)))
        except Exception as error:
            if not robust:
                raise
            results.append((receiver, _logged(receiver, error)))
    return results


async def _gather(
    receivers: list[Receiver], named: dict[str, Any], *, robust: bool
) -> list[tuple[Receiver, Any]]:
    if len(receivers) == 1:  # no task, so context variables that it sets survive
        receiver = receivers[0]
        return [(receiver, _result(receiver, *await _guarded(receiver, named), robust=robust))]
    context = contextvars.copy_context()
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(_guarded(receiver, named), context=context) for receiver in receivers
        ]
    for variable, value in context.items():  # what receivers set is seen by whoever sent
        if variable.get(None) is not value:
            variable.set(value)
    return [
        (receiver, _result(receiver, *task.result(), robust=robust))
        for receiver, task in zip(receivers, tasks, strict=True)
    ]


async def _guarded(receiver: Receiver, named: dict[str, Any]) -> tuple[Any, BaseException | None]:
    # An error must not cancel the other receivers, as it would in a task group.
    try:
        return await receiver(**named), None
    except BaseException as error:
        # A receiver's own cancellation would pass for one of the request, and SystemExit in a task
        # would stop the loop at once.
        if comes_from_outside(error) or isinstance(error, GeneratorExit):
            raise
        return None, error


def _result(receiver: Receiver, value: Any, error: BaseException | None, *, robust: bool) -> Any:
    if error is None:
        return value
    if robust and isinstance(error, Exception | asyncio.CancelledError):
        return _logged(receiver, error)
    try:
        raise error
    finally:
        del error  # its traceback holds this frame, and that the receiver


def _logged(receiver: Receiver, error: BaseException) -> BaseException:
    name = getattr(receiver, "__qualname__", repr(receiver))
    logger.error("signal receiver %s failed", name, exc_info=error)
    return error


def _is_async(receiver: Receiver) -> bool:
    return iscoroutinefunction(receiver) or iscoroutinefunction(
        getattr(receiver, "__call__", None)  # noqa: B004
    )


_ANY_ID = 0  # blinker's key for "anybody"


def _key(obj: Any) -> Hashable:
    """The identity that blinker gives a receiver or sender."""
    if obj is None:
        return _ANY_ID
    function = getattr(obj, "__func__", None)
    if function is not None:
        return id(function), id(obj.__self__)
    return obj if isinstance(obj, str | int) else id(obj)


def receiver(
    signals: Signal | Iterable[Signal],
    *,
    sender: Any = None,
    weak: bool = True,
    dispatch_uid: Hashable = None,
) -> Callable[[Receiver], Receiver]:
    """Decorator: connect the function to one signal or several; options as in ``connect``."""

    def connect(function: Receiver) -> Receiver:
        for one in (signals,) if isinstance(signals, Signal) else signals:
            one.connect(function, sender, weak, dispatch_uid)
        return function

    return connect


request_started = Signal("A request begins: ``scope``; sender is the handler's class.")
request_finished = Signal(
    "A request is over, once and always: ``scope``, ``request``, ``response`` (either may be None)"
    " and ``outcome``: complete, disconnect, cancelled or error."
)
got_request_exception = Signal(
    "An exception became a 500: ``request``, ``exception``; ``sys.exc_info()`` is set."
)
startup = Signal("The lifespan begins: ``handler``; sender is the handler's class.")
shutdown = Signal("The lifespan ends: ``handler``; sender is the handler's class.")
websocket_connected = Signal("A WebSocket was accepted: ``scope``, ``websocket``.")
websocket_disconnected = Signal(
    "A WebSocket is over: ``scope``, ``websocket``, ``code``, ``reason``."
)
