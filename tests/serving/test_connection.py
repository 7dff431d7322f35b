"""Connections to the Runtime API, at moments that a whole runtime meets by chance only."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
import threading
from contextlib import ExitStack, asynccontextmanager
from functools import wraps
from typing import TYPE_CHECKING, Any

import pytest

from penstock.adapter.errors import RuntimeAPIError
from penstock.adapter.runtime.client import RuntimeClient
from penstock.adapter.runtime.connection import Connection
from penstock.adapter.runtime.stop import StopSignal

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine

RESPONSE = b"HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\nok"


def on_a_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run a test's coroutine, for a minute at most."""

    @wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        asyncio.run(asyncio.wait_for(test(*args, **kwargs), 60))

    return run


@asynccontextmanager
async def connected() -> AsyncIterator[tuple[Connection, socket.socket]]:
    """Yield a connection and the other end of its socket."""
    ours, theirs = socket.socketpair()
    for end in (ours, theirs):
        end.settimeout(0)
    connection = Connection(ours, asyncio.get_running_loop())
    try:
        yield connection, theirs
    finally:
        connection.close()
        theirs.close()


@pytest.mark.parametrize(
    ("sent", "is_receiving"), [(b"", False), (RESPONSE[:5], True), (RESPONSE[:-1], True)]
)
@on_a_loop
async def test_it_knows_of_what_the_loop_has_not_read_yet(sent: bytes, is_receiving: bool) -> None:
    async with connected() as (connection, api):
        connection.write(b"GET / HTTP/1.1\r\n\r\n")
        api.sendall(sent)
        assert connection.is_receiving is is_receiving
        assert connection.is_open


@on_a_loop
async def test_a_whole_response_is_one_before_anybody_has_taken_it() -> None:
    async with connected() as (connection, api):
        response = connection.begin(b"GET / HTTP/1.1\r\n\r\n")
        api.sendall(RESPONSE)
        assert connection.is_receiving
        assert connection.is_receiving  # and it stays one
        assert (await response).body == b"ok"


@pytest.mark.parametrize("sent", [b"", RESPONSE[:-1]])
@on_a_loop
async def test_the_end_of_the_connection_is_no_response(
    caplog: pytest.LogCaptureFixture, sent: bytes
) -> None:
    async with connected() as (connection, api):
        response = connection.begin(b"GET / HTTP/1.1\r\n\r\n")
        api.sendall(sent)
        api.close()
        while not response.done():  # noqa: ASYNC110 - it is read in pieces
            await asyncio.sleep(0)
        assert not connection.is_receiving
        with pytest.raises(RuntimeAPIError):
            await response
        assert caplog.messages == []  # of asyncio


@on_a_loop
async def test_a_response_that_nobody_waits_for_any_more_is_none(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with connected() as (connection, api):
        connection.begin(b"GET / HTTP/1.1\r\n\r\n").cancel()
        assert not connection.is_receiving
        api.sendall(RESPONSE)
        assert not connection.is_receiving
        await asyncio.sleep(0.01)
        assert caplog.messages == []


@on_a_loop
async def test_an_end_that_nobody_waits_for_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    async with connected() as (connection, api):
        connection.write(b"GET / HTTP/1.1\r\n\r\n")
        api.close()
        while connection.is_open:  # noqa: ASYNC110 - the loop finds it out
            await asyncio.sleep(0)
    del connection
    gc.collect()
    assert caplog.messages == []


@on_a_loop
async def test_a_request_on_a_closed_connection_is_an_error_of_its_response() -> None:
    async with connected() as (connection, _):
        connection.close()
        assert not connection.is_open
        with pytest.raises(RuntimeAPIError, match="broken"):
            await connection.begin(b"GET / HTTP/1.1\r\n\r\n")
        with pytest.raises(OSError, match="broken"):
            await connection.drain()


@on_a_loop
async def test_what_the_socket_does_not_take_leaves_in_order() -> None:
    """Written in parts, some of them before the first has left."""
    async with connected() as (connection, api):
        parts = [bytes([number]) * 300_000 for number in range(8)]
        response = connection.begin(*parts[:3])
        received = b""
        for part in parts[3:]:
            received += api.recv(20_000)  # so that there is room for more, before it is noticed
            connection.write(part)
        drained = asyncio.create_task(connection.drain())
        await asyncio.sleep(0)
        assert not drained.done()
        loop = asyncio.get_running_loop()
        wanted = b"".join(parts)
        while len(received) < len(wanted):
            received += await loop.sock_recv(api, 1 << 20)
        assert received == wanted
        await drained
        api.sendall(RESPONSE)
        assert (await response).status == 202


@on_a_loop
async def test_what_comes_when_the_socket_has_no_room_at_all_leaves_later() -> None:
    """In parts so small that each is taken whole, up to the first that is not."""
    async with connected() as (connection, api):
        parts = [b"%08d" % number for number in range(20_000)]
        for part in parts:
            connection.write(part)
        drained = asyncio.create_task(connection.drain())
        await asyncio.sleep(0)
        assert not drained.done()
        loop = asyncio.get_running_loop()
        wanted, received = b"".join(parts), b""
        while len(received) < len(wanted):
            received += await loop.sock_recv(api, 1 << 20)
        assert received == wanted
        await drained


@on_a_loop
async def test_a_write_finds_out_that_the_connection_is_broken() -> None:
    async with connected() as (connection, api):
        response = connection.begin(b"POST / HTTP/1.1\r\n\r\n")
        api.close()
        connection.write(b"more")
        assert not connection.is_open
        with pytest.raises(OSError, match="broken"):
            await connection.drain()
        with pytest.raises(RuntimeAPIError):
            await response


@on_a_loop
async def test_a_connection_that_takes_no_more_is_broken_although_it_might_give() -> None:
    async with connected() as (connection, api):
        response = connection.begin(b"POST / HTTP/1.1\r\n\r\n")
        api.shutdown(socket.SHUT_RD)
        connection.write(b"more")
        assert not connection.is_open
        with pytest.raises(RuntimeAPIError):
            await response


@on_a_loop
async def test_a_connection_that_cannot_be_made_in_time_leaves_nothing_behind() -> None:
    """The next one gets the same descriptor."""
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server, ExitStack() as stack:
        opening = [loop.create_task(Connection.open(server.getsockname(), loop)) for _ in range(5)]
        await asyncio.sleep(0.1)  # the server has room for one or two, and the others wait
        for task in opening:
            if task.done():
                stack.callback(task.result().close)
            else:
                task.cancel()
        await asyncio.wait(opening)
        assert any(task.cancelled() for task in opening)
        with socket.create_server(("127.0.0.1", 0)) as other:
            for _ in range(5):
                stack.callback((await Connection.open(other.getsockname(), loop)).close)


@on_a_loop
async def test_whoever_waits_for_a_response_learns_that_the_connection_was_closed() -> None:
    async with connected() as (connection, _):
        response = connection.begin(b"GET / HTTP/1.1\r\n\r\n")
        connection.close()
        with pytest.raises(RuntimeAPIError, match="was closed"):
            await response


@on_a_loop
async def test_an_address_may_be_of_ipv6() -> None:
    try:
        server = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError as error:
        pytest.skip(f"no IPv6 here: {error}")
    with server:
        address = server.getsockname()[:2]
        connection = await Connection.open(address, asyncio.get_running_loop())
        response = connection.begin(b"GET / HTTP/1.1\r\n\r\n")
        api, _ = server.accept()
        with api:
            api.sendall(RESPONSE)
            assert (await response).body == b"ok"
        connection.close()


@on_a_loop
async def test_whoever_waits_for_room_learns_that_the_connection_is_broken() -> None:
    async with connected() as (connection, api):
        response = connection.begin(bytes(4_000_000))
        drained = asyncio.create_task(connection.drain())
        await asyncio.sleep(0)
        api.close()
        with pytest.raises(OSError, match="broken"):
            await drained
        with pytest.raises(RuntimeAPIError):
            await response
        assert not connection.is_open


@on_a_loop
async def test_a_response_that_ends_the_connection_closes_it() -> None:
    async with connected() as (connection, api):
        response = connection.begin(b"GET / HTTP/1.1\r\n\r\n")
        api.sendall(b"HTTP/1.1 403 No\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
        assert (await response).status == 403
        assert not connection.is_open


@on_a_loop
async def test_an_early_refusal_is_read_where_the_rest_of_the_request_cannot_leave() -> None:
    async with connected() as (connection, api):
        response = connection.begin(bytes(4_000_000))
        api.sendall(b"HTTP/1.1 413 Long\r\nContent-Length: 0\r\n\r\n")
        api.close()
        assert (await response).status == 413


@on_a_loop
async def test_an_early_refusal_is_read_where_a_write_finds_out() -> None:
    async with connected() as (connection, api):
        response = connection.begin(b"POST / HTTP/1.1\r\n\r\n")
        api.sendall(b"HTTP/1.1 413 Long\r\nContent-Length: 0\r\n\r\n")
        api.close()
        connection.write(b"more")
        assert (await response).status == 413


@on_a_loop
async def test_nothing_is_left_to_wait_for_on_a_closed_connection() -> None:
    async with connected() as (connection, _):
        connection.write(bytes(4_000_000))
        connection.close()
        with pytest.raises(OSError, match="broken"):
            await connection.drain()


def test_after_the_stop_an_answer_that_is_not_taken_is_given_up() -> None:
    stop = StopSignal()
    stop.request()
    with socket.create_server(("127.0.0.1", 0)) as server:
        host, port = server.getsockname()
        client = RuntimeClient(host, port, stop)
        client.post(b"POST /answer HTTP/1.1\r\n\r\n", [bytes(100_000_000)])  # nobody reads it
        with pytest.raises(
            RuntimeAPIError, match="POST /answer: no response in time, as the environment"
        ):
            client.settle()
        client.close()


def test_an_answer_goes_on_after_a_signal() -> None:
    """A signal of the application's own, which ends a write on a blocking socket half-way."""
    came, body, received = threading.Event(), os.urandom(20_000_000), bytearray()
    head = b"POST /answer HTTP/1.1\r\n\r\n"

    def take() -> None:
        api, _ = server.accept()
        with api:
            api.settimeout(10)
            came.wait(10)
            while len(received) < len(head) + len(body):
                part = api.recv(1 << 20)
                if not part:
                    return
                received.extend(part)
            api.sendall(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")

    before = signal.signal(signal.SIGALRM, lambda *_: came.set())
    try:
        with socket.create_server(("127.0.0.1", 0)) as server:
            client = RuntimeClient(*server.getsockname())
            reader = threading.Thread(target=take)
            reader.start()
            signal.setitimer(signal.ITIMER_REAL, 0.1)
            client.post(head, [body[:99], body[99:]])
            client.settle()
            client.close()
            reader.join()
    finally:
        signal.signal(signal.SIGALRM, before)
    assert received == head + body


def test_a_connection_that_the_api_is_about_to_close_takes_no_other_request() -> None:
    answer = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\n"

    def serve() -> None:
        for number in (b"1", b"2"):
            api, _ = server.accept()
            kept.append(api)
            api.recv(4096)
            api.sendall(answer + number)

    kept: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(10)
        thread = threading.Thread(target=serve)
        thread.start()
        client = RuntimeClient(*server.getsockname())
        bodies = [client.request(client.write.get("/")).body for _ in range(2)]
        thread.join()
    for api in kept:
        api.close()
    assert bodies == [b"1", b"2"]
