"""The form in a request's body, read from sync and from async code."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from penstock.handler.datastructures import MultiValueDict, QueryDict
from penstock.handler.exceptions import BadRequest
from penstock.handler.offloading import in_thread
from penstock.handler.receiving import StreamBody

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from penstock.handler.multiparts import MultiPartForm
    from penstock.handler.request import HttpRequest

_URLENCODED = "application/x-www-form-urlencoded"
_MULTIPART = "multipart/form-data"
# How much a thread is given at once: a hop costs more than parsing a small piece.
_BATCH_SIZE = 524_288
_PIECE_COSTS = 64  # bytes of memory, besides its own: a client may send very small ones
# How much is searched at once of a body on disk whose files nobody but us is given. No more than
# the threshold, so that what is to be on disk does not lie in a single piece.
_WINDOW_PIECE = 262_144

Form = tuple[QueryDict, MultiValueDict]


def parse_form(request: HttpRequest) -> Form:
    """Return the fields and the files of the body; both empty if its type is that of no form.

    Raises: BadRequest, MultiPartParserError, TooManyFieldsSent, TooManyFilesSent,
    RequestDataTooBig, UnreadablePostError. Files opened until then are closed.
    """
    if request.content_type == _URLENCODED:
        return _urlencoded(request, request.body)
    if request.content_type != _MULTIPART:
        return _empty(request)
    form, replaced = _begin(request)
    if replaced is not None:
        return replaced
    size = _offer_windows(request, form) or _chunk_size(request)
    try:
        while not form.complete and (chunk := request.read(size)):
            form.feed(chunk)
        while not form.connection_reset and request.read(size):
            pass
        return form.finish()
    except BaseException:
        form.close()
        raise


async def aparse_form(request: HttpRequest) -> Form:
    """Return the same; what may wait for a disk, or for an upload handler, runs in a thread."""
    if request.content_type == _URLENCODED:
        return _urlencoded(request, await request.abody())
    if request.content_type != _MULTIPART:
        return _empty(request)
    in_memory = _bytes_in_memory(request)
    if not isinstance(request._stream, StreamBody):  # noqa: SLF001 - of this package
        if _size(request) <= in_memory:
            return parse_form(request)
        return await in_thread(_parse_and_keep, request)
    form, replaced = _begin(request) if in_memory else await in_thread(_begin, request)
    if replaced is not None:
        return replaced
    chunks = request.astream()
    try:
        await _feed_stream(form, chunks, in_memory)
        return form.finish() if in_memory else await in_thread(form.finish)
    except BaseException:
        form.close()
        raise
    finally:
        await chunks.aclose()  # what an error has interrupted would be left to the loop


async def _feed_stream(
    form: MultiPartForm, chunks: AsyncGenerator[bytes, None], in_memory: int
) -> None:
    """Feed the first bytes at once, and what may have to wait for a disk in a thread."""
    batch: list[bytes] = []
    received = batched = 0
    async for chunk in chunks:
        received += len(chunk)
        if received <= in_memory:
            form.feed(chunk)
        elif not form.complete:
            batch.append(chunk)
            batched += len(chunk) + _PIECE_COSTS
            if batched >= _BATCH_SIZE:
                await in_thread(_feed_all, form, batch)
                batch, batched = [], 0
        elif form.connection_reset:
            break
    if batch:
        await in_thread(_feed_all, form, batch)


def _parse_and_keep(request: HttpRequest) -> Form:
    # Whoever waits may be cancelled, and drops the result; the request closes what it has.
    request._form = form = parse_form(request)  # noqa: SLF001 - of this package
    return form


def _urlencoded(request: HttpRequest, body: bytes) -> Form:
    encoding = request.encoding
    if encoding is not None and encoding == request.content_params.get("charset"):
        from codecs import lookup

        if lookup(encoding).name != "utf-8":
            raise BadRequest(
                f"{_URLENCODED} is UTF-8 (WHATWG URL Standard, section 5.1), got {encoding!r}"
            )
    limit = request.config.data_upload_max_number_fields
    return QueryDict(body, encoding=encoding, max_fields=limit), MultiValueDict()


def _empty(request: HttpRequest) -> Form:
    return QueryDict(encoding=_encoding(request)), MultiValueDict()


def _encoding(request: HttpRequest) -> str:
    return request.encoding or request.config.default_charset


def _begin(request: HttpRequest) -> tuple[MultiPartForm, Form | None]:
    """Return the form to feed; and, if an upload handler parsed the body itself, the result."""
    from penstock.handler.multiparts import MultiPartForm, boundary_of

    content_type = request.headers.get("content-type", "")
    boundary = boundary_of(content_type, request.content_params)
    encoding = _encoding(request)
    handlers = request.upload_handlers
    form = MultiPartForm(boundary, handlers, encoding, request.config)
    length = int(request.META.get("CONTENT_LENGTH") or 0)
    for handler in handlers:
        result = handler.handle_raw_input(request, request.META, length, boundary, encoding)
        if result is not None:
            return form, (result[0], result[1])
    return form, None


def _offer_windows(request: HttpRequest, form: MultiPartForm) -> int:
    """Where the body is in a file and nobody else wants the uploads, they can stay in that file.

    Returns the size of the pieces that then are best; else 0.
    """
    from penstock.handler.body import SpooledBody
    from penstock.handler.upload_handlers import SpooledUploadHandler

    body, handlers = request._stream, request.upload_handlers  # noqa: SLF001 - of this package
    if not (
        isinstance(body, SpooledBody)
        and body.rolled
        and hasattr(os, "preadv")  # not on Windows
        and len(handlers) == 1
        and type(handlers[0]) is SpooledUploadHandler
    ):
        return 0
    handlers[0].descriptor = body.fileno()
    form.on_stored = handlers[0].stored_until
    return min(_WINDOW_PIECE, max(_chunk_size(request), handlers[0].max_memory))


def _chunk_size(request: HttpRequest) -> int:
    sizes: list[int] = [handler.chunk_size for handler in request.upload_handlers]
    return min([request.config.chunk_size, *filter(None, sizes)])


def _bytes_in_memory(request: HttpRequest) -> int:
    """How much can be fed before an upload handler may block."""
    from penstock.handler.upload_handlers import SpooledUploadHandler

    handlers = request.upload_handlers
    if all(type(handler) is SpooledUploadHandler for handler in handlers):
        return int(min((handler.max_memory for handler in handlers), default=0))
    return 0


def _size(request: HttpRequest) -> int:
    source = request._source if request._body is None else request._body  # noqa: SLF001
    return len(source) if isinstance(source, bytes) else int(source.size)


def _feed_all(form: MultiPartForm, chunks: list[bytes]) -> None:
    for chunk in chunks:
        form.feed(chunk)
