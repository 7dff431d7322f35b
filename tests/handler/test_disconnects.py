"""A client that goes away, and servers that say odd things: C020 to C032, C082."""

from __future__ import annotations

import asyncio
import gc
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from asgi_calls import END, GONE, Server, exchange, http_scope, run, serve

from penstock.handler import ASGIHandler, HttpResponse, StreamingHttpResponse
from penstock.handler.exceptions import ASGIProtocolError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path
    from typing import Any as Signals  # what conftest's fixture gives

pytestmark = pytest.mark.usefixtures("no_django")


@pytest.mark.conformance("C020")
def test_an_async_view_is_cancelled(signals: Signals) -> None:
    seen: list[str] = []

    async def view(request: Any) -> HttpResponse:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise
        raise AssertionError

    result = exchange(ASGIHandler(view), messages=[END, GONE])
    assert (["cancelled"], [], None) == (seen, result.out, result.error)
    assert ["disconnect"] == signals.outcomes


@pytest.mark.conformance("C021")
def test_a_view_that_swallows_the_cancellation_answers_nobody(signals: Signals) -> None:
    response = HttpResponse("too late")

    async def view(request: Any) -> HttpResponse:
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        return response

    result = exchange(ASGIHandler(view), messages=[END, GONE])
    assert [] == result.out
    assert response.closed
    assert ["disconnect"] == signals.outcomes


@pytest.mark.conformance("C022")
def test_a_sync_view_ends_and_its_file_is_closed(signals: Signals, tmp_path: Path) -> None:
    from penstock.handler import FileResponse

    (tmp_path / "file").write_bytes(b"content")
    opened = (tmp_path / "file").open("rb")
    seen: list[bytes] = []

    async def main() -> Any:
        loop = asyncio.get_running_loop()
        server = Server([{"type": "http.request", "body": b"body"}])

        def view(request: Any) -> FileResponse:
            gate = threading.Event()

            async def until_cut() -> None:
                server.add(GONE)
                while not request._exchange.disconnected:  # noqa: ASYNC110
                    await asyncio.sleep(0.001)
                gate.set()

            asyncio.run_coroutine_threadsafe(until_cut(), loop)
            gate.wait()
            seen.append(request.body)
            return FileResponse(opened)

        return await serve(ASGIHandler(view), http_scope(method="POST"), server)

    result = run(main())
    assert ([b"body"], [], None) == (seen, result.out, result.error)
    assert opened.closed
    assert ["disconnect"] == signals.outcomes


@pytest.mark.conformance("C023")
def test_a_stream_ends_with_its_generator_closed_before_the_signal() -> None:
    events: list[str] = []

    async def content() -> AsyncIterator[bytes]:
        try:
            yield b"first"
            await asyncio.Event().wait()
            yield b"never"
        finally:
            events.append("finally")

    async def view(request: Any) -> StreamingHttpResponse:
        return StreamingHttpResponse(content())

    async def main() -> Any:
        from penstock.handler import request_finished

        async def finished(**fields: Any) -> None:
            events.append(fields["outcome"])

        request_finished.connect(finished)
        return await serve(ASGIHandler(view), http_scope(), Server([END, GONE]))

    gc.disable()
    try:
        result = run(main())
    finally:
        gc.enable()
    assert ["finally", "disconnect"] == events
    assert b"first" == result.body
    assert not result.is_complete


@pytest.mark.conformance("C023")
def test_a_cancellation_at_send_closes_the_generator_too(signals: Signals) -> None:
    events: list[str] = []

    async def content() -> AsyncIterator[bytes]:
        try:
            yield b"first"
            yield b"second"
        finally:
            events.append("finally")

    async def view(request: Any) -> StreamingHttpResponse:
        return StreamingHttpResponse(content())

    async def block(message: dict[str, Any]) -> None:
        if message.get("body") == b"first":
            await asyncio.Event().wait()

    result = exchange(ASGIHandler(view), messages=[END, GONE], on_send=block)
    assert ["finally"] == events
    assert b"" == result.body
    assert ["disconnect"] == signals.outcomes


@pytest.mark.conformance("C024")
def test_a_generator_that_never_started_is_closed(signals: Signals) -> None:
    events: list[str] = []

    class Content:
        def __aiter__(self) -> Content:
            return self

        async def __anext__(self) -> bytes:
            events.append("started")
            return b""

        async def aclose(self) -> None:
            events.append("aclose")

    async def view(request: Any) -> StreamingHttpResponse:
        response = StreamingHttpResponse(Content())
        response.add_closer(lambda: events.append("closer"))
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        return response

    result = exchange(ASGIHandler(view), messages=[END, GONE])
    assert [] == result.out
    assert ["aclose", "closer"] == events
    assert ["disconnect"] == signals.outcomes


@pytest.mark.conformance("C025")
def test_disconnect_and_completion_in_the_same_pass(signals: Signals) -> None:
    async def main() -> Any:
        server = Server()

        async def view(request: Any) -> HttpResponse:
            # Until the listener waits for a message.
            while not server._more._waiters:  # noqa: ASYNC110
                await asyncio.sleep(0)
            server.add(GONE)
            return HttpResponse("x")

        return await serve(ASGIHandler(view), http_scope(), server)

    result = run(main())
    assert result.error is None
    assert 1 == len(signals.outcomes)


@pytest.mark.conformance("C026")
def test_a_request_message_after_the_body_is_ignored(signals: Signals) -> None:
    async def main() -> Any:
        server = Server([END, END, END])

        async def view(request: Any) -> HttpResponse:
            while server.messages:  # noqa: ASYNC110
                await asyncio.sleep(0)
            return HttpResponse("x")

        return await serve(ASGIHandler(view), http_scope(), server)

    result = run(main())
    assert result.is_complete
    assert result.error is None
    assert ["complete"] == signals.outcomes


def answered_while(server: Server, **fields: Any) -> Any:
    """A view that answers once the listener has had the server's messages."""

    async def view(request: Any) -> HttpResponse:
        while server.messages:  # noqa: ASYNC110
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        return HttpResponse("x")

    return serve(ASGIHandler(view), http_scope(**fields), server)


@pytest.mark.conformance("C027")
def test_an_unknown_message_is_the_servers_error_after_the_response(signals: Signals) -> None:
    async def main() -> Any:
        return await answered_while(Server([END, {"type": "http.nonsense"}]))

    result = run(main())
    assert result.is_complete
    assert isinstance(result.error, ASGIProtocolError)
    assert "http.nonsense" in str(result.error)
    assert ["complete"] == signals.outcomes


@pytest.mark.conformance("C028")
def test_a_failing_receive_is_logged_and_the_response_complete(
    signals: Signals, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> Any:
        return await answered_while(Server([END, RuntimeError("server bug")]))

    result = run(main())
    assert result.is_complete
    assert result.error is None
    assert "server bug" in caplog.text


def test_an_os_error_of_receive_is_a_disconnect(signals: Signals) -> None:
    async def view(request: Any) -> HttpResponse:
        await asyncio.Event().wait()
        raise AssertionError

    result = exchange(ASGIHandler(view), messages=[END, ConnectionResetError()])
    assert ([], None) == (result.out, result.error)
    assert ["disconnect"] == signals.outcomes


@pytest.mark.conformance("C029")
def test_a_receive_that_answers_its_cancellation_with_a_disconnect(signals: Signals) -> None:
    closed: list[str] = []

    async def main() -> Any:
        server = Server()
        waiting = asyncio.Event()

        async def receive() -> Any:
            if server.messages:
                return server.messages.pop()
            waiting.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                return GONE
            raise AssertionError

        async def view(request: Any) -> HttpResponse:
            await waiting.wait()
            response = HttpResponse("x")
            response.add_closer(lambda: closed.append("closer"))
            return response

        await ASGIHandler(view)(http_scope(), receive, server.send)
        return server.result

    result = run(main())
    assert result.is_complete
    assert ["closer"] == closed
    assert ["complete"] == signals.outcomes


def three_parts(events: list[str]) -> Callable[[Any], Any]:
    async def content() -> AsyncIterator[bytes]:
        try:
            for part in (b"1", b"2", b"3", b"4"):
                yield part
        finally:
            events.append("generator")

    async def view(request: Any) -> StreamingHttpResponse:
        response = StreamingHttpResponse(content())
        response.add_closer(lambda: events.append("closer"))
        return response

    return view


class FailingSend:
    """Raises at the message of this number, counted from 0."""

    def __init__(self, at: int, error: Exception) -> None:
        self.left = at
        self.error = error

    def __call__(self, message: dict[str, Any]) -> None:
        if self.left == 0:
            raise self.error
        self.left -= 1


@pytest.mark.conformance("C030", "C031")
@pytest.mark.parametrize("at", [0, 1, 3, 5])
@pytest.mark.parametrize("error", [OSError("gone"), BrokenPipeError()])
def test_an_os_error_of_send_is_a_disconnect(
    signals: Signals, caplog: pytest.LogCaptureFixture, at: int, error: OSError
) -> None:
    events: list[str] = []
    result = exchange(ASGIHandler(three_parts(events)), on_send=FailingSend(at, error))
    assert result.error is None
    assert at == len(result.out)
    assert "closer" in events
    assert ("generator" in events) == (at > 0 or events.count("generator") == 1)
    assert ["disconnect"] == signals.outcomes
    assert [] == [record for record in caplog.records if record.levelname != "DEBUG"]


@pytest.mark.conformance("C032")
@pytest.mark.parametrize("at", [0, 1, 3, 5])
def test_another_error_of_send_leaves_after_the_clean_up(signals: Signals, at: int) -> None:
    events: list[str] = []
    error = ValueError("the server's own")
    result = exchange(ASGIHandler(three_parts(events)), on_send=FailingSend(at, error))
    assert error is result.error
    assert "closer" in events
    assert ["error"] == signals.outcomes


def test_a_stream_of_a_sync_iterator_ends_with_the_client(signals: Signals) -> None:
    events: list[str] = []

    def content() -> Iterator[bytes]:
        try:
            while True:
                yield b"x" * 65_536
        finally:
            events.append("finally")

    async def view(request: Any) -> StreamingHttpResponse:
        return StreamingHttpResponse(content())

    result = exchange(ASGIHandler(view), messages=[END, GONE])
    assert ["finally"] == events
    assert not result.is_complete
    assert ["disconnect"] == signals.outcomes
