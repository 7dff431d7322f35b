"""The connection of one streamed answer: what leaves, who is told that it broke, how it ends."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager
from functools import wraps
from typing import TYPE_CHECKING, Any

import pytest

from penstock.adapter.errors import RuntimeAPIError
from penstock.adapter.runtime.stream import Stream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine

HEAD = b"POST /answer HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
PRELUDE = b"a\r\n{}" + bytes(8) + b"\r\n"
ACCEPTED = b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"
REFUSED = b"HTTP/1.1 413 Long\r\nContent-Length: 0\r\n\r\n"
LARGE = bytes(20_000_000)
"""More than fits into the sockets."""


def on_a_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run a test's coroutine, for a minute at most."""

    @wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        asyncio.run(asyncio.wait_for(test(*args, **kwargs), 60))

    return run


class Broken(list[tuple[float, str]]):
    """What the stream has said of its end before its time."""

    def told(self, grace_s: float, why: str) -> None:
        self.append((grace_s, why))


class API:
    """The Runtime API's end of the connection."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._loop = asyncio.get_running_loop()
        self.received = b""

    async def read_until(self, end: bytes) -> bytes:
        """Return all that was sent, once it ends so."""
        while not self.received.endswith(end):
            data = await self._loop.sock_recv(self._socket, 1 << 20)
            assert data, f"ended with {self.received[-100:]!r}"
            self.received += data
        return self.received

    async def read_all(self) -> bytes:
        """Return all that was sent, once the connection has ended."""
        while data := await self._loop.sock_recv(self._socket, 1 << 20):
            self.received += data
        return self.received

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)


@asynccontextmanager
async def opened(broken: Broken) -> AsyncIterator[tuple[Stream, API]]:
    """Yield a stream, connected, and the other end of it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        stream = Stream(server.getsockname(), HEAD, broken.told)
        await stream.open()
        connected, _ = server.accept()
    with connected:
        connected.setblocking(False)
        yield stream, API(connected)


async def begin(stream: Stream, body: bytes, *, more: bool) -> asyncio.Task[None]:
    """Start the answer in a task, which has had its first step."""
    task = asyncio.create_task(stream.start(b"{}", body, more=more))
    await asyncio.sleep(0)
    return task


@on_a_loop
async def test_a_whole_answer_is_no_broken_one_and_ends_its_connection() -> None:
    broken = Broken()
    async with opened(broken) as (stream, api):
        await stream.start(b"{}", b"one", more=True)
        await stream.send(b"", more=True)
        await stream.send(b"two", more=False)
        sent = await api.read_until(b"0\r\n\r\n")
        assert sent == HEAD + PRELUDE + b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"
        api.send(ACCEPTED)
        await stream.settle()
        assert await api.read_all() == sent
        assert broken == []


@on_a_loop
async def test_an_answer_in_one_part_is_no_broken_one() -> None:
    broken = Broken()
    async with opened(broken) as (stream, api):
        await stream.start(b"{}", b"", more=False)
        assert await api.read_until(b"0\r\n\r\n") == HEAD + PRELUDE + b"0\r\n\r\n"
        api.send(ACCEPTED)
        await stream.settle()
        assert broken == []


@pytest.mark.parametrize("more", [True, False])
@on_a_loop
async def test_the_first_part_waits_for_its_reader(more: bool) -> None:
    async with opened(Broken()) as (stream, api):
        task = await begin(stream, LARGE, more=more)
        assert not task.done()
        await api.read_until(b"\r\n" if more else b"0\r\n\r\n")
        await task


@on_a_loop
async def test_an_answer_that_is_refused_early_is_cut_and_whoever_makes_it_is_told() -> None:
    broken = Broken()
    async with opened(broken) as (stream, api):
        await stream.start(b"{}", b"one", more=True)
        api.send(REFUSED)
        assert await api.read_all() == HEAD + PRELUDE + b"3\r\none\r\n"
        assert broken == [(1.0, "nobody takes the response any more")]
        with pytest.raises(OSError, match="broken"):
            await stream.send(b"two", more=True)
        with pytest.raises(RuntimeAPIError, match="POST /answer: expected 202, got 413"):
            await stream.settle()


@on_a_loop
async def test_the_error_that_ends_an_answer_is_its_end() -> None:
    broken = Broken()
    async with opened(broken) as (stream, api):
        await stream.start(b"{}", b"one", more=True)
        await stream.abort("Function.ValueError", b"report", 60)
        sent = await api.read_until(b"\r\n\r\n")
        assert b"\r\n0\r\nLambda-Runtime-Function-Error-Type: Function.ValueError\r\n" in sent
        api.send(ACCEPTED)
        await stream.settle()
        assert await api.read_all() == sent
        assert broken == []


@on_a_loop
async def test_an_answer_whose_end_is_on_its_way_gets_no_other() -> None:
    """The application was cancelled while it waited for the last part to leave."""
    async with opened(Broken()) as (stream, api):
        task = await begin(stream, LARGE, more=False)
        task.cancel()
        ending = asyncio.create_task(stream.abort("Function.TimeoutError", b"report", 60))
        await asyncio.sleep(0)
        await api.read_until(b"0\r\n\r\n")
        await ending
        api.send(ACCEPTED)
        await stream.settle()
        assert (await api.read_all()).endswith(bytes(100) + b"\r\n0\r\n\r\n")


@on_a_loop
async def test_a_reader_that_does_not_take_the_error_is_cut_off() -> None:
    async with opened(Broken()) as (stream, api):
        task = await begin(stream, LARGE, more=True)
        task.cancel()
        await stream.abort("Function.TimeoutError", b"report", 0.01)
        assert len(await api.read_all()) < len(LARGE)
        with pytest.raises(RuntimeAPIError, match="the connection was closed"):
            await stream.settle()


@on_a_loop
async def test_a_connection_that_is_lost_takes_no_error() -> None:
    broken = Broken()
    async with opened(broken) as (stream, api):
        await stream.start(b"{}", b"one", more=True)
        await api.read_until(b"one\r\n")
    while not broken:  # noqa: ASYNC110 - the loop finds it out
        await asyncio.sleep(0.001)
    await stream.abort("Function.ValueError", b"report", 60)
    with pytest.raises(RuntimeAPIError):
        await stream.settle()


@on_a_loop
async def test_nothing_is_said_where_nobody_can_be_told() -> None:
    """The answer is penstock's own: the application has ended."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = server.getsockname()
    with pytest.raises(OSError, match="refused"):
        await Stream(address, HEAD, None).open()
    broken = Broken()
    with pytest.raises(OSError, match="refused"):
        await Stream(address, HEAD, broken.told).open()
    assert [why.partition(":")[0] for _, why in broken] == ["there is no connection for it"]
