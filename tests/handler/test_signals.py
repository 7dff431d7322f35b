"""Signals: C164 to C169."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
from contextvars import ContextVar
from functools import partial
from typing import Any

import pytest
from asgi_calls import exchange, run

from penstock.handler import (
    ASGIHandler,
    HttpResponse,
    Signal,
    got_request_exception,
    receiver,
    request_finished,
    request_started,
)

pytestmark = pytest.mark.usefixtures("no_django")


@pytest.mark.conformance("C164")
def test_connecting_twice_is_connecting_once() -> None:
    signal = Signal()
    calls: list[Any] = []

    def first(**fields: Any) -> None:
        calls.append(("first", fields["sender"], fields["value"]))

    def second(**fields: Any) -> None:
        calls.append("second")

    signal.connect(first)
    signal.connect(first)
    signal.connect(first, dispatch_uid="x")
    signal.connect(second, dispatch_uid="x")
    signal.send(sender="me", value=1)
    assert [("first", "me", 1)] == calls
    assert signal.disconnect(first)
    assert not signal.disconnect(first)
    assert not signal.has_listeners("me")


@pytest.mark.conformance("C164")
def test_dispatch_uid_finds_the_receiver_again() -> None:
    signal = Signal()

    def one(**fields: Any) -> None:
        pass

    signal.connect(one, dispatch_uid="uid")
    assert signal.has_listeners()
    assert signal.disconnect(dispatch_uid="uid")
    assert not signal.disconnect(dispatch_uid="uid")
    assert not signal.has_listeners()


@pytest.mark.conformance("C164")
def test_weak_receivers_and_bound_methods() -> None:
    signal = Signal()
    calls: list[str] = []

    class Owner:
        def method(self, **fields: Any) -> None:
            calls.append("method")

    owner = Owner()
    signal.connect(owner.method)
    signal.connect(owner.method)
    signal.connect(lambda **fields: calls.append("lost"))
    signal.connect(lambda **fields: calls.append("kept"), weak=False)
    gc.collect()
    signal.send()
    assert ["method", "kept"] == calls
    del owner
    gc.collect()
    signal.send()
    assert ["method", "kept", "kept"] == calls


@pytest.mark.conformance("C164")
def test_receivers_of_one_sender() -> None:
    signal = Signal()
    calls: list[str] = []

    class A:
        pass

    class B:
        pass

    def of_a(**fields: Any) -> None:
        calls.append("a")

    def of_all(**fields: Any) -> None:
        calls.append("all")

    signal.connect(of_all)
    signal.connect(of_a, sender=A)
    signal.send(sender=B)
    signal.send(sender=A)
    assert ["all", "all", "a"] == calls
    signal.connect(of_all, sender=A)
    assert signal.disconnect(of_all)
    assert signal.has_listeners(A)
    assert not signal.has_listeners(B)
    assert signal.disconnect(of_all, sender=A)
    with pytest.raises(TypeError, match="expected a callable"):
        signal.connect(42)  # type: ignore[arg-type]


def test_the_decorator_connects_to_several() -> None:
    one, two = Signal(), Signal()
    calls: list[Any] = []

    @receiver([one, two])
    def both(**fields: Any) -> None:
        calls.append(fields["signal"])

    one.send()
    two.send()
    assert [one, two] == calls


@pytest.mark.conformance("C165")
def test_results_are_sync_before_async_each_in_order() -> None:
    signal = Signal()

    async def async_1(**fields: Any) -> str:
        await asyncio.sleep(0.001)
        return "async 1"

    def sync_1(**fields: Any) -> str:
        return "sync 1"

    async def async_2(**fields: Any) -> str:
        return "async 2"

    def sync_2(**fields: Any) -> str:
        return "sync 2"

    for one in (async_1, sync_1, async_2, sync_2):
        signal.connect(one)
    expected = ["sync 1", "sync 2", "async 1", "async 2"]

    async def main(name: str) -> Any:
        return await getattr(signal, name)(sender=None)

    assert expected == [value for _, value in signal.send()]
    assert expected == [value for _, value in signal.send_robust()]
    assert expected == [value for _, value in run(main("asend"))]
    assert expected == [value for _, value in run(main("asend_robust"))]
    assert [sync_1, sync_2, async_1, async_2] == [one for one, _ in signal.send()]


@pytest.mark.conformance("C165")
def test_errors_propagate_or_are_results(caplog: pytest.LogCaptureFixture) -> None:
    error = LookupError("x")
    for is_async in (False, True):
        signal = Signal()

        async def failing_async(**fields: Any) -> None:
            raise error

        def failing(**fields: Any) -> None:
            raise error

        async def fine(**fields: Any) -> str:
            return "fine"

        signal.connect(failing_async if is_async else failing)
        signal.connect(fine)

        async def main(name: str, signal: Signal = signal) -> Any:
            return await getattr(signal, name)()

        with pytest.raises(LookupError):
            signal.send()
        with pytest.raises(LookupError):
            run(main("asend"))
        assert [error, "fine"] == [value for _, value in signal.send_robust()]
        assert [error, "fine"] == [value for _, value in run(main("asend_robust"))]
        assert "failed" in caplog.text


def test_context_variables_that_receivers_set_survive() -> None:
    signal = Signal()
    one: ContextVar[str] = ContextVar("one", default="")
    two: ContextVar[str] = ContextVar("two", default="")

    async def first(**fields: Any) -> None:
        one.set("first")

    async def second(**fields: Any) -> None:
        two.set("second")

    signal.connect(first)
    signal.connect(second)

    async def main() -> tuple[str, str]:
        await signal.asend()
        return one.get(), two.get()

    assert ("first", "second") == run(main())


async def hello(request: Any) -> HttpResponse:
    return HttpResponse("hello")


@pytest.mark.conformance("C166")
def test_three_sync_receivers_cost_one_hop(monkeypatch: pytest.MonkeyPatch) -> None:
    from penstock.handler.threads import Lease

    posted: list[Any] = []
    original = Lease.post

    def post(lease: Any, call: Any) -> None:
        posted.append(call)
        original(lease, call)

    monkeypatch.setattr(Lease, "post", post)
    exchange(ASGIHandler(hello))
    assert [] == posted
    receivers = [lambda **fields: None for _ in range(3)]
    for one in receivers:
        request_started.connect(one)
    try:
        exchange(ASGIHandler(hello))
    finally:
        for one in receivers:
            request_started.disconnect(one)
    assert 1 == len(posted)


@pytest.mark.conformance("C168")
@pytest.mark.parametrize("is_async", [True, False])
def test_receivers_of_one_request_run_on_its_thread(is_async: bool) -> None:
    threads: list[int] = []

    def note(**fields: Any) -> None:
        threads.append(threading.get_ident())

    def view(request: Any) -> HttpResponse:
        note()
        return HttpResponse()

    request_started.connect(note)
    request_finished.connect(note)
    try:
        exchange(ASGIHandler(hello if is_async else view))
    finally:
        request_started.disconnect(note)
        request_finished.disconnect(note)
    assert 1 == len(set(threads))
    assert (2 if is_async else 3) == len(threads)
    assert threading.get_ident() not in threads


@pytest.mark.conformance("C169")
@pytest.mark.parametrize("view_is_async", [True, False])
@pytest.mark.parametrize("receiver_is_async", [True, False])
def test_exc_info_is_the_views_exception(view_is_async: bool, receiver_is_async: bool) -> None:
    seen: list[Any] = []
    error = LookupError("x")

    async def async_receiver(**fields: Any) -> None:
        seen.append((sys.exc_info()[1], fields["exception"]))

    def sync_receiver(**fields: Any) -> None:
        seen.append((sys.exc_info()[1], fields["exception"]))

    async def view(request: Any) -> HttpResponse:
        raise error

    def sync_view(request: Any) -> HttpResponse:
        raise error

    chosen = async_receiver if receiver_is_async else sync_receiver
    got_request_exception.connect(chosen)
    try:
        exchange(ASGIHandler(view if view_is_async else sync_view))
    finally:
        got_request_exception.disconnect(chosen)
    assert [(error, error)] == seen


def test_the_dead_are_forgotten() -> None:
    """Receivers and senders that come and go leave nothing behind, nor do they come back."""

    class Sender:
        pass

    def connect_some(number: int) -> None:
        sender = Sender()

        def receiver(**fields: Any) -> None:
            pass

        signal.connect(receiver)
        signal.connect(receiver, sender=sender)
        signal.connect(receiver, dispatch_uid=number)
        signal.connect(lasting, sender=sender, dispatch_uid=number)
        gc.collect(0)

    def lasting(**fields: Any) -> None:
        pass

    signal = Signal()
    for number in range(20):
        connect_some(number)
    gc.collect()
    signal.connect(lasting)
    assert {"_order": 1, "_uids": 0} == {
        name: len(vars(signal)[name]) for name in ("_order", "_uids")
    }
    assert not signal.disconnect(dispatch_uid=3)
    assert signal.disconnect(lasting)
    assert not signal.disconnect(lasting)
    assert not signal.has_listeners()


def test_a_uid_is_free_again_once_its_receiver_is_disconnected() -> None:
    calls: list[str] = []

    def first(**fields: Any) -> None:
        calls.append("first")

    def second(**fields: Any) -> None:
        calls.append("second")

    signal = Signal()
    signal.connect(first, dispatch_uid="uid")
    signal.connect(second, dispatch_uid="uid")
    signal.send()
    assert signal.disconnect(first)
    signal.connect(second, dispatch_uid="uid")
    signal.send()
    assert ["first", "second"] == calls
    assert signal.disconnect(dispatch_uid="uid")
    assert not signal.receivers


@pytest.mark.parametrize("count", [1, 2])
def test_a_receiver_that_cancels_itself_has_failed(count: int) -> None:
    async def receiver(number: int, **fields: Any) -> None:
        raise asyncio.CancelledError

    async def main() -> Any:
        signal = Signal()
        held = [partial(receiver, number) for number in range(count)]
        for one in held:
            signal.connect(one)
        with pytest.raises(asyncio.CancelledError):
            await signal.asend()
        return await signal.asend_robust()

    results = asyncio.run(main())
    assert [asyncio.CancelledError] * count == [type(error) for _, error in results]
