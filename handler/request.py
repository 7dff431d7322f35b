"""Requests: the scope's attributes, and the body as bytes, file, lines, JSON or form."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any, NoReturn

from penstock.handler.config import DEFAULT_CONFIG
from penstock.handler.connection import Connection, Lazy
from penstock.handler.exceptions import (
    BadRequest,
    MultiPartParserError,
    RawPostDataException,
    RequestDataTooBig,
    TooManyFieldsSent,
    TooManyFilesSent,
    UnreadablePostError,
)
from penstock.handler.receiving import StreamBody, too_big

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterable, Iterator

    from penstock.handler.config import HandlerConfig
    from penstock.handler.datastructures import MultiValueDict, QueryDict
    from penstock.handler.exchange import Exchange

_UNSAVABLE = "a request holds an open connection and cannot be pickled: pass on what you need of it"


class HttpRequest(Connection):
    """A request: attributes of its scope (see ``Connection``) and its body.

    ``body_file`` is the body: bytes, a file opened for reading, or None for an empty one.
    """

    def __init__(
        self, scope: Any, body_file: Any = None, config: HandlerConfig = DEFAULT_CONFIG
    ) -> None:
        super().__init__(scope, config)
        self._source = b"" if body_file is None else body_file
        self._body: bytes | None = None
        self._read_started = False

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.method} {self.get_full_path()!r}>"

    def __getstate__(self) -> NoReturn:
        raise TypeError(_UNSAVABLE)

    def __copy__(self) -> HttpRequest:
        twin = type(self).__new__(type(self))
        twin.__dict__.update(self.__dict__)
        return twin

    def __deepcopy__(self, memo: dict[int, Any]) -> HttpRequest:
        """A copy with attributes of its own; scope and stream are shared."""
        from copy import deepcopy

        twin = type(self).__new__(type(self))
        memo[id(self)] = twin
        for name, value in self.__dict__.items():
            shared = name in _SHARED_BY_COPIES
            twin.__dict__[name] = value if shared else deepcopy(value, memo)
        return twin

    # The type of the body.

    @Lazy
    def _content_type(self) -> tuple[str, dict[str, str]]:
        from penstock.handler.negotiation import parse_header_parameters

        if "META" in self.__dict__:
            header = self.META.get("CONTENT_TYPE", "")
        else:
            header = self.headers.get("content-type", "")
        return parse_header_parameters(header) if header else ("", {})

    @Lazy
    def content_type(self) -> str:
        """The media type in lower case, without parameters; ``""`` if there is none."""
        return self._content_type[0]

    @Lazy
    def content_params(self) -> dict[str, str]:
        """The parameters of the media type."""
        return self._content_type[1]

    @property
    def encoding(self) -> str | None:
        """The charset of the media type if Python knows it, else None, for ``default_charset``.

        Setting it makes ``GET`` and ``POST`` be read again.
        """
        if "_encoding" not in self.__dict__:
            self._encoding = None
            charset = self.content_params.get("charset")
            if charset is not None:
                from penstock.handler.negotiation import is_charset

                self._encoding = charset if is_charset(charset) else None
        return self._encoding

    @encoding.setter
    def encoding(self, value: str | None) -> None:
        self._encoding = value
        for name in ("GET", "_form"):
            self.__dict__.pop(name, None)

    # The body as bytes and as a file.

    @Lazy
    def _stream(self) -> Any:
        source = self._source
        return BytesIO(source) if isinstance(source, bytes) else source

    @property
    def body(self) -> bytes:
        """The whole body, kept.

        Raises ``RawPostDataException`` if part of it was read already, ``RequestDataTooBig``
        (413) beyond ``data_upload_max_memory_size``, ``UnreadablePostError`` if reading fails.
        """
        if self._body is None:
            self._check_unread()
            source = self._source
            self._keep(source if isinstance(source, bytes) else self._from(source.read))
        return self._body  # type: ignore[return-value]

    def limit_body(self, limit: int) -> None:
        """Allow at most ``limit`` bytes; a streamed body is held to it while it is read.

        Raises ``RequestDataTooBig`` if the declared length, or what has arrived, is more already.
        """
        source = self._source
        arrived = len(source) if isinstance(source, bytes) else getattr(source, "size", 0)
        if max(arrived, self._content_length or 0) > limit:
            raise too_big(limit)
        if isinstance(source, StreamBody):
            source.limit = limit if source.limit is None else min(limit, source.limit)

    def _check_unread(self) -> None:
        if self._read_started:
            raise RawPostDataException(
                "the body was read as a stream or a form: use what came of that, or take"
                " request.body first"
            )
        limit = self.config.data_upload_max_memory_size
        if limit is None:
            return
        source = self._source
        size = None if isinstance(source, StreamBody) else getattr(source, "size", None)
        if self._content_length is not None:
            size = max(self._content_length, size or 0)
        if size is not None and size > limit:
            raise too_big(limit)

    def _keep(self, body: bytes) -> None:
        limit = self.config.data_upload_max_memory_size
        if limit is not None and len(body) > limit:
            raise too_big(limit)
        self._body = body
        self._stream = BytesIO(body)

    def _from(self, read: Callable[..., bytes], *args: Any) -> bytes:
        try:
            return read(*args)
        except UnreadablePostError:
            raise
        except OSError as error:
            raise UnreadablePostError(*error.args) from error

    def read(self, size: int = -1) -> bytes:
        """Read from the body like from a file."""
        self._read_started = True
        return self._from(self._stream.read, size)

    def readline(self, size: int = -1) -> bytes:
        """Read a line of the body."""
        self._read_started = True
        return self._from(self._stream.readline, size)

    def __iter__(self) -> Iterator[bytes]:
        while line := self.readline():
            yield line

    def readlines(self) -> list[bytes]:
        """Read what is left of the body as lines."""
        return list(self)

    # The same for async code, which never waits for a disk on the event loop.

    async def abody(self) -> bytes:
        """Return the whole body, kept; raises as ``body`` does."""
        if self._body is None:
            source = self._source
            if isinstance(source, StreamBody):
                self._check_unread()
                limit = self.config.data_upload_max_memory_size
                data = await source.aread(-1 if limit is None else limit + 1)
                self._keep(data)
            elif _on_disk(source):
                from penstock.handler.offloading import in_thread

                return await in_thread(getattr, self, "body")
        return self.body

    async def aread(self, size: int = -1) -> bytes:
        """Read from the body like from a file."""
        stream = self._stream
        if isinstance(stream, StreamBody):
            self._read_started = True
            return await stream.aread(size)
        if _on_disk(stream):
            from penstock.handler.offloading import in_thread

            return await in_thread(self.read, size)
        return self.read(size)

    async def astream(self) -> AsyncGenerator[bytes, None]:
        """Iterate over the body in parts, as they came or of ``chunk_size`` bytes."""
        stream = self._stream
        if isinstance(stream, StreamBody):
            self._read_started = True
            while part := await stream.apart():
                yield part
        else:
            while part := await self.aread(self.config.chunk_size):
                yield part

    async def ajson(self) -> Any:
        """Parse the body as JSON; raises ``BadRequest`` (400) if it is none."""
        import json

        body = await self.abody()
        try:
            return json.loads(body)
        except ValueError as error:  # JSONDecodeError and UnicodeDecodeError
            raise BadRequest(f"the body is not JSON: {error}") from None
        except RecursionError:
            raise BadRequest("the body is JSON nested too deeply") from None

    # Forms.

    @property
    def upload_handlers(self) -> list[Any]:
        """What takes the files of a multipart form; may be set until the form is parsed."""
        if "_upload_handlers" not in self.__dict__:
            self._initialize_handlers()
        return self._upload_handlers

    @upload_handlers.setter
    def upload_handlers(self, handlers: list[Any]) -> None:
        if "_form" in self.__dict__:
            raise AttributeError("the form is parsed: set the upload handlers before")
        self._upload_handlers = handlers

    def _initialize_handlers(self) -> None:
        from penstock.handler.upload_handlers import default_upload_handlers

        self._upload_handlers = default_upload_handlers(self)

    @Lazy
    def _form(self) -> tuple[QueryDict, MultiValueDict]:
        from penstock.handler.forms import parse_form

        if not self._prepare_form():
            return self._empty_form()
        try:
            return parse_form(self)
        except _MARKING:
            self._mark_post_parse_error()
            raise

    async def _aform(self) -> tuple[QueryDict, MultiValueDict]:
        if "_form" not in self.__dict__:
            from penstock.handler.forms import aparse_form

            if not self._prepare_form():
                self._form = self._empty_form()
                return self._form
            try:
                self._form = await aparse_form(self)
            except _MARKING:
                self._mark_post_parse_error()
                raise
        return self._form

    def _prepare_form(self) -> bool:
        """Whether the body is still there to be parsed, and at its start."""
        if self._body is not None:
            self._stream = BytesIO(self._body)
        elif self._read_started:
            self._post_parse_error = True
            return False
        return True

    def _empty_form(self) -> tuple[QueryDict, MultiValueDict]:
        from penstock.handler.datastructures import MultiValueDict, QueryDict

        encoding = self.encoding or self.config.default_charset
        return QueryDict("", encoding=encoding), MultiValueDict()

    def _mark_post_parse_error(self) -> None:
        """After a failure ``POST`` and ``FILES`` are empty, so an error page can touch them."""
        self._form = self._empty_form()
        self._post_parse_error = True

    @property
    def POST(self) -> QueryDict:  # noqa: N802
        """Fields of a form that came by POST; empty for other methods and other media types."""
        return (self._form if self.method == "POST" else self._no_form)[0]

    @POST.setter
    def POST(self, value: QueryDict) -> None:  # noqa: N802
        self._form = (value, self._form[1])

    @property
    def FILES(self) -> MultiValueDict:  # noqa: N802
        """Files of a form that came by POST."""
        return (self._form if self.method == "POST" else self._no_form)[1]

    @Lazy
    def _no_form(self) -> tuple[QueryDict, MultiValueDict]:
        return self._empty_form()

    @property
    def form(self) -> MultiValueDict:
        """Fields and files of a form, whatever the method."""
        return _joined(self._form)

    async def aform(self) -> MultiValueDict:
        """Return the same without waiting for a disk on the event loop; fills ``POST`` too."""
        return _joined(await self._aform())

    def close(self) -> None:
        """Close every uploaded file; may be called again."""
        form = self.__dict__.get("_form")
        if form is not None:
            for _, files in form[1].lists():
                for file in files:
                    file.close()

    def set_content_length(self, length: int) -> None:
        """Tell code that trusts ``CONTENT_LENGTH`` the true size of a body that came without."""
        self._true_length = length

    _true_length: int | None = None

    @Lazy
    def META(self) -> dict[str, Any]:  # noqa: N802
        """CGI names (RFC 3875) to values; a plain dict that may be changed."""
        meta = Connection.META.compute(self)
        if self._true_length is not None:
            meta["CONTENT_LENGTH"] = str(self._true_length)
        return meta


# What an error of these means for POST and FILES: they cannot be parsed again.
_MARKING = (
    BadRequest,
    MultiPartParserError,
    RequestDataTooBig,
    TooManyFieldsSent,
    TooManyFilesSent,
    UnreadablePostError,
)
_SHARED_BY_COPIES = frozenset(
    ("scope", "config", "_source", "_stream", "_exchange", "resolver_match", "_upload_handlers")
)


def _on_disk(source: Any) -> bool:
    return bool(getattr(source, "rolled", False))


def _joined(form: tuple[QueryDict, MultiValueDict]) -> MultiValueDict:
    from penstock.handler.datastructures import MultiValueDict

    fields, files = form
    joined = MultiValueDict(dict(fields.lists()))
    for name, values in files.lists():
        joined.setlist(name, [*joined.getlist(name), *values])
    return joined


class ASGIRequest(HttpRequest):
    """A request on a live connection: what can be said to the client before the response.

    Outside a handler (in tests) there is no connection: nothing is sent, and background tasks are
    not run.
    """

    _exchange: Exchange | None = None

    def add_background(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> None:
        """Call ``function`` after the response was sent, in order; sync ones in a thread.

        A failure is logged and the next one runs; a client that goes away changes nothing.
        """
        self.__dict__.setdefault("_background", []).append((function, args, kwargs))

    async def is_disconnected(self) -> bool:
        """Whether the client has gone, as far as the server has said."""
        if self._exchange is None:
            return False
        import asyncio

        await asyncio.sleep(0)  # let a disconnect that has arrived be seen
        return self._exchange.disconnected

    async def send_early_hints(self, links: Iterable[str | bytes]) -> bool:
        """Send a 103 with these ``link`` values; False where the server does not offer it.

        ASGI extension ``http.response.early_hint``; only before the response starts. Raises
        ``BadHeaderError`` for a link that cannot be sent.
        """
        from penstock.handler.headers import header_value

        return await self._say(
            "http.response.early_hint",
            links=[header_value(link).encode("latin-1") for link in links],
        )

    async def push(self, path: str) -> bool:
        """Push ``path`` to the client; False where the server does not offer it.

        ASGI extension ``http.response.push``.
        """
        headers = [
            (name, value)
            for name, value in self.scope.get("headers", ())
            if name.lower() in _PUSHED_HEADERS
        ]
        return await self._say("http.response.push", path=path, headers=headers)

    async def _say(self, kind: str, **fields: Any) -> bool:
        if self._exchange is None or kind not in (self.scope.get("extensions") or {}):
            return False
        return await self._exchange.send_informational({"type": kind, **fields})


_PUSHED_HEADERS = frozenset(
    (b"accept", b"accept-encoding", b"accept-language", b"cache-control", b"user-agent")
)
