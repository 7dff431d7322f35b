"""What a request of ours raises, as Django's exceptions too: code for Django catches those."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from django.core import exceptions as core
from django.http import multipartparser
from django.http import request as requests

from penstock.handler import exceptions as ours

if TYPE_CHECKING:
    from collections.abc import Iterator


def _both(own: type[Exception], djangos: Any) -> type[Exception]:
    return type(own.__name__, (own, djangos), {"__doc__": own.__doc__, "__module__": __name__})


_BOTH = {
    ours.BadRequest: _both(ours.BadRequest, core.BadRequest),
    ours.DisallowedHost: _both(ours.DisallowedHost, core.DisallowedHost),
    ours.MultiPartParserError: _both(
        ours.MultiPartParserError, multipartparser.MultiPartParserError
    ),
    ours.RawPostDataException: _both(ours.RawPostDataException, requests.RawPostDataException),
    ours.RequestDataTooBig: _both(ours.RequestDataTooBig, core.RequestDataTooBig),
    ours.TooManyFieldsSent: _both(ours.TooManyFieldsSent, core.TooManyFieldsSent),
    ours.TooManyFilesSent: _both(ours.TooManyFilesSent, core.TooManyFilesSent),
    ours.UnreadablePostError: _both(ours.UnreadablePostError, requests.UnreadablePostError),
}


@contextmanager
def djangos_errors() -> Iterator[None]:
    """Inside, an exception of ours that Django has as well is one of Django's class, too."""
    try:
        yield
    except tuple(_BOTH) as error:
        both = _BOTH.get(type(error))
        if both is None:  # it is of both classes already
            raise
        raise both(*error.args) from error
