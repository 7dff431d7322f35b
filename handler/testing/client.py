"""The client of asynchronous tests."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Self, Unpack
from urllib.parse import urljoin

from penstock.handler.testing.answer import Answer, Head, StreamedAnswer
from penstock.handler.testing.encoding import body_of, host_of, pairs, raw, scope_for
from penstock.handler.testing.exchange import HTTPExchange, LifespanRun
from penstock.handler.testing.session import WebSocketSession

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping
    from types import TracebackType

    from penstock.handler.testing.encoding import Pairs
    from penstock.handler.testing.exchange import Application
    from penstock.handler.testing.options import RequestOptions

_MAX_REDIRECTS = 20


class TooManyRedirects(Exception):
    """More than 20 redirects in a row."""


class AsyncClient:
    """Sends requests to an ASGI application without a network.

    ``async with`` runs the application's lifespan; without it a request has an empty ``state``.
    Cookies are kept by name and sent to every path of the application. What the application
    raises is raised by the request, and the request ends when the application has returned.

    Args:
        app: the ASGI application.
        base_url: scheme and host of all requests.
        headers: sent with every request.
        cookies: sent with every request, and added to by ``Set-Cookie``.
        extensions: ``scope["extensions"]``, to play a server that offers some.
    """

    def __init__(
        self,
        app: Application,
        *,
        base_url: str = "http://testserver",
        headers: Pairs = (),
        cookies: Mapping[str, str] | None = None,
        extensions: Mapping[str, Any] | None = None,
    ) -> None:
        self.app = app
        self.base_url = base_url
        self.headers = pairs(headers)
        self.cookies = dict(cookies or {})
        self.extensions = dict(extensions or {})
        self.state: dict[str, Any] = {}
        self._lifespan: LifespanRun | None = None

    async def __aenter__(self) -> Self:
        self._lifespan = LifespanRun(self.app, self.state)
        await self._lifespan.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        if self._lifespan is not None:
            await self._lifespan.stop()

    async def request(
        self,
        method: str,
        url: str,
        *,
        params: Pairs | None = None,
        headers: Pairs = (),
        cookies: Mapping[str, str] | None = None,
        json: Any = None,
        data: Any = None,
        files: Pairs | None = None,
        follow_redirects: bool = False,
    ) -> Answer:
        """Send a request and return the response, once the application has returned.

        Args:
            method: of the request.
            url: the target (``/path?query``), or an absolute URL.
            params: added to the query.
            headers: of this request; a name in use replaces the client's and computed ones.
            cookies: of this request alone.
            json: a value for a JSON body.
            data: fields of a form; or the body as text, bytes, or an iterable of bytes, each of
                which becomes a message.
            files: of a multipart form: content, an open file, or
                ``(filename, content[, content type])`` by field name.
            follow_redirects: whether to go on to where a redirect points.
        """
        body, content_type = body_of(json, data, files)
        history: list[Answer] = []
        url = urljoin(self.base_url, url)
        while True:
            scope = self._http_scope(method, url, params, headers, cookies, body, content_type)
            answer = await self._answer(HTTPExchange(self.app, scope, body))
            self._keep_cookies(answer)
            if not (follow_redirects and answer.is_redirect):
                answer.history = history
                return answer
            history.append(answer)
            if len(history) > _MAX_REDIRECTS:
                raise TooManyRedirects(f"{method} {url}: more than {_MAX_REDIRECTS} redirects")
            url, params = urljoin(url, answer.headers["location"]), None
            if answer.status_code not in {307, 308} and method != "HEAD":
                method, body, content_type = "GET", [], None

    async def get(self, url: str, **options: Unpack[RequestOptions]) -> Answer:
        """Send a GET request; options as for ``request``."""
        return await self.request("GET", url, **options)

    async def post(self, url: str, **options: Unpack[RequestOptions]) -> Answer:
        """Send a POST request; options as for ``request``."""
        return await self.request("POST", url, **options)

    async def put(self, url: str, **options: Unpack[RequestOptions]) -> Answer:
        """Send a PUT request; options as for ``request``."""
        return await self.request("PUT", url, **options)

    async def patch(self, url: str, **options: Unpack[RequestOptions]) -> Answer:
        """Send a PATCH request; options as for ``request``."""
        return await self.request("PATCH", url, **options)

    async def delete(self, url: str, **options: Unpack[RequestOptions]) -> Answer:
        """Send a DELETE request; options as for ``request``."""
        return await self.request("DELETE", url, **options)

    async def head(self, url: str, **options: Unpack[RequestOptions]) -> Answer:
        """Send a HEAD request; options as for ``request``."""
        return await self.request("HEAD", url, **options)

    async def options(self, url: str, **options: Unpack[RequestOptions]) -> Answer:
        """Send an OPTIONS request; options as for ``request``."""
        return await self.request("OPTIONS", url, **options)

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        url: str,
        *,
        params: Pairs | None = None,
        headers: Pairs = (),
        cookies: Mapping[str, str] | None = None,
        json: Any = None,
        data: Any = None,
        files: Pairs | None = None,
    ) -> AsyncIterator[StreamedAnswer]:
        """Send a request and read the response as it comes; leaving the block disconnects."""
        body, content_type = body_of(json, data, files)
        url = urljoin(self.base_url, url)
        scope = self._http_scope(method, url, params, headers, cookies, body, content_type)
        exchange = HTTPExchange(self.app, scope, body)
        try:
            answer = StreamedAnswer(await exchange.head(), exchange.parts())
            self._keep_cookies(answer)
            yield answer
        except BaseException:
            await exchange.abandon()
            raise
        await exchange.close()

    @asynccontextmanager
    async def websocket(
        self,
        url: str,
        *,
        subprotocols: Iterable[str] = (),
        params: Pairs | None = None,
        headers: Pairs = (),
        cookies: Mapping[str, str] | None = None,
    ) -> AsyncIterator[WebSocketSession]:
        """Open a WebSocket; leaving the block closes it. ``WebSocketDenied`` if it is refused."""
        url = urljoin(self.base_url, url)
        scope = scope_for("websocket", url, params)
        offered = list(subprotocols)
        computed = {"connection": "Upgrade", "upgrade": "websocket", "sec-websocket-version": "13"}
        if offered:
            computed["sec-websocket-protocol"] = ", ".join(offered)
        scope["subprotocols"] = offered
        session = WebSocketSession(self.app, self._complete(scope, url, headers, cookies, computed))
        try:
            await session.open()
            yield session
        except BaseException:
            await session.abandon()
            raise
        await session.close()

    async def _answer(self, exchange: HTTPExchange) -> Answer:
        try:
            return await exchange.answer()
        except BaseException:
            await exchange.abandon()
            raise

    def _http_scope(
        self,
        method: str,
        url: str,
        params: Pairs | None,
        headers: Pairs,
        cookies: Mapping[str, str] | None,
        body: list[bytes],
        content_type: str | None,
    ) -> dict[str, Any]:
        scope = {**scope_for("http", url, params), "method": method}
        computed = {"accept": "*/*"}
        if content_type is not None:
            computed["content-type"] = content_type
        if len(body) == 1:  # a body in several messages plays a client that streams
            computed["content-length"] = str(len(body[0]))
        return self._complete(scope, url, headers, cookies, computed)

    def _complete(
        self,
        scope: dict[str, Any],
        url: str,
        headers: Pairs,
        cookies: Mapping[str, str] | None,
        computed: dict[str, str],
    ) -> dict[str, Any]:
        """Add headers, state and extensions to a scope."""
        own = raw(headers)
        named = {name for name, _ in own}
        jar = {**self.cookies, **(cookies or {})}
        if jar:
            computed["cookie"] = "; ".join(f"{name}={value}" for name, value in jar.items())
        usual = [(name, v) for name, v in raw(self.headers) if name not in named]
        named.update(name for name, _ in usual)
        first = [(b"host", host_of(url).encode("latin-1")), *raw(computed)]
        scope["headers"] = [pair for pair in first if pair[0] not in named] + usual + own
        scope["state"] = dict(self.state)
        scope["extensions"] = dict(self.extensions)
        return scope

    def _keep_cookies(self, answer: Head) -> None:
        for line in answer.values("set-cookie"):
            pair, *attributes = line.split(";")
            name, _, value = pair.strip().partition("=")
            if any(_ends_it(attribute) for attribute in attributes):
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = value


def _ends_it(attribute: str) -> bool:
    name, _, value = attribute.strip().partition("=")
    return name.lower() == "max-age" and value.strip().lstrip("-").isdigit() and int(value) <= 0
