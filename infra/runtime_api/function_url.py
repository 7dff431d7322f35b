"""A minimal Function URL: HTTP requests become events, answers and streams become HTTP.

Source: "Invoking Lambda function URLs", "Response streaming for Lambda functions".
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import TYPE_CHECKING, Any, Final

from penstock.infra.gateway import ClientRequest, RequestRefused, make_event
from penstock.infra.runtime_api import prelude
from penstock.infra.runtime_api.invocation import Call
from penstock.infra.runtime_api.invoke_endpoints import EVENT_LIMIT_BYTES
from penstock.infra.runtime_api.request import BodyTooLarge, ConnectionGone

if TYPE_CHECKING:
    from penstock.infra.runtime_api.connection import Connection
    from penstock.infra.runtime_api.environment import Environment
    from penstock.infra.runtime_api.request import Headers, Request
    from penstock.infra.runtime_api.running import Running

_FRAMING: Final = frozenset({"connection", "keep-alive", "transfer-encoding", "upgrade"})
_BODILESS: Final = frozenset({204, 304})


class FunctionURL:
    """Answers HTTP clients; in mode ``response_stream`` piece by piece."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._streams = environment.settings.invoke_mode == "response_stream"

    async def handle(self, request: Request, connection: Connection) -> None:
        """Answer one request. Raises: ConnectionGone."""
        try:
            event = await _event(request)
        except (BodyTooLarge, RequestRefused) as refused:
            status = refused.status if isinstance(refused, RequestRefused) else 413
            await _fail(connection, status, "Request Entity Too Large")
            return
        except ValueError:
            await _fail(connection, 400, "Bad Request")
            return
        call = Call(
            payload=json.dumps(event).encode(),
            streaming=self._streams,
            trace_id=event["headers"].get("x-amzn-trace-id", ""),
            request_id=event["requestContext"]["requestId"],
            timeout_s=self._environment.settings.timeout_s,
        )
        running = self._environment.submit(call)
        try:
            if self._streams:
                await _stream(running, request, connection)
            else:
                await _buffered(running, request, connection)
        except ConnectionGone:
            # A function does not learn that the client has gone: it runs to its end.
            running.answer.abandon()
            raise


async def _event(request: Request) -> dict[str, Any]:
    client = ClientRequest(
        request.method,
        request.target,
        tuple(request.headers),
        await request.body(EVENT_LIMIT_BYTES),
        client_ip="127.0.0.1",
    )
    return make_event("function-url", client)


async def _fail(connection: Connection, status: int, message: str) -> None:
    await connection.answer_json(status, {"Message": message})


async def _buffered(running: Running, request: Request, connection: Connection) -> None:
    payload = b"".join([piece async for piece in running.answer.pieces()])
    if running.answer.error is not None:
        await _fail(connection, 502, "Internal Server Error")
        return
    try:
        status, headers, body = _read_answer(payload)
        headers = [pair for pair in headers if pair[0].lower() != "content-length"]
        bodiless = request.method == "HEAD" or status in _BODILESS
        length = [] if bodiless else [("content-length", str(len(body)))]
        await connection.begin(status, headers + length)
    except ValueError:
        await _fail(connection, 502, "Internal Server Error")
        return
    if not bodiless:
        await connection.send(body)
    await connection.end()


def _read_answer(payload: bytes) -> tuple[int, Headers, bytes]:
    """Return status, headers and body of what a function answered.

    Raises: ValueError if it is no answer. What has no ``statusCode`` is a JSON body itself.
    """
    answer = json.loads(payload)
    if not isinstance(answer, dict) or "statusCode" not in answer:
        return 200, [("content-type", "application/json")], payload
    head = prelude.read_fields(answer)
    text = answer.get("body")
    if text is None:
        text = ""
    try:
        encoded = answer.get("isBase64Encoded")
        body = base64.b64decode(text, validate=True) if encoded else text.encode()
    except (binascii.Error, AttributeError, TypeError) as error:
        raise ValueError(f"expected body to be text, got {text!r:.100}") from error
    return head.status, _with_content_type(_unframed(head.headers), "application/json"), body


async def _stream(running: Running, request: Request, connection: Connection) -> None:
    """Pass a stream on as it comes."""
    answer = running.answer
    await answer.begun()
    has_prelude = answer.content_type == prelude.CONTENT_TYPE
    response = _StreamedResponse(request, connection, has_prelude=has_prelude)
    try:
        async for piece in answer.pieces():
            await response.write(piece)
        if answer.error is None:
            await response.end()
    except ValueError:
        answer.abandon()
        await _fail(connection, 502, "Internal Server Error")
        return
    if answer.error is not None:
        await response.break_off()


class _StreamedResponse:
    """A response that begins as soon as its head is complete.

    What is not marked as having a head of its own passes as it is.
    """

    def __init__(self, request: Request, connection: Connection, *, has_prelude: bool) -> None:
        self._method = request.method
        self._connection = connection
        self._parser = prelude.PreludeParser() if has_prelude else None
        self._has_begun = False
        self._takes_body = True

    async def write(self, piece: bytes) -> None:
        """Send what can be sent of a piece of the stream.

        Raises: ValueError for a head that HTTP cannot carry; ConnectionGone.
        """
        body = piece if self._parser is None else self._parser.feed(piece)
        if not self._has_begun:
            await self._begin()
        if body and self._has_begun and self._takes_body:
            await self._connection.send(body)

    async def _begin(self) -> None:
        head: prelude.Prelude | None = prelude.Prelude(200, [])
        if self._parser is not None:
            head = self._parser.prelude
        if head is None:
            return
        headers = [
            (f"x-amzn-remapped-{name}" if name.lower() == "content-length" else name, value)
            for name, value in _unframed(head.headers)
        ]
        headers = _with_content_type(headers, "application/octet-stream")
        self._takes_body = self._method != "HEAD" and head.status not in _BODILESS
        framing = [("transfer-encoding", "chunked")] if self._takes_body else []
        await self._connection.begin(head.status, headers + framing)
        self._has_begun = True

    async def end(self) -> None:
        """End the response. Raises: ValueError if its head never came; ConnectionGone."""
        if self._parser is not None:
            self._parser.end()
        if not self._has_begun:
            await self._begin()
        await self._connection.end()

    async def break_off(self) -> None:
        """Tell the client of a failure, in the one way that HTTP has left.

        Raises: ConnectionGone.
        """
        if self._has_begun:
            raise ConnectionGone("the function failed in the middle of its stream")
        await _fail(self._connection, 502, "Internal Server Error")


def _unframed(headers: Headers) -> Headers:
    return [pair for pair in headers if pair[0].lower() not in _FRAMING]


def _with_content_type(headers: Headers, default: str) -> Headers:
    if any(name.lower() == "content-type" for name, _ in headers):
        return headers
    return [*headers, ("content-type", default)]
