"""A request of ours that code for Django takes for one of its own."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest as DjangoHttpRequest

from penstock.handler.connection import Lazy
from penstock.handler.django_errors import djangos_errors
from penstock.handler.django_forms import as_djangos, as_djangos_query
from penstock.handler.request import ASGIRequest


def _form_part(index: int) -> Any:
    """Return a property for one half of the form; there is none before the form is parsed."""

    def get(self: Any) -> Any:
        try:
            return self.__dict__["_form"][index]
        except KeyError:
            raise AttributeError("the form is not parsed yet") from None

    def replace(self: Any, value: Any) -> None:
        form = list(self.__dict__.get("_form") or self._empty_form())
        form[index] = value
        self._form = tuple(form)

    return property(get, replace)


class DjangoASGIRequest(ASGIRequest, DjangoHttpRequest):  # type: ignore[misc]
    """Our request, which is an instance of Django's ``HttpRequest`` too.

    For code that asks ``isinstance``, such as ``sensitive_post_parameters`` and Django REST
    framework, and for the methods that only Django has (``get_signed_cookie``). What both have is
    ours, with Django's classes: ``GET``, ``POST`` and ``FILES`` are of them, files are taken by the
    project's ``FILE_UPLOAD_HANDLERS``, and exceptions can be caught as Django's.
    """

    _initialize_handlers = DjangoHttpRequest._initialize_handlers  # noqa: SLF001 - its own

    # Where Django keeps the form. Django REST framework asks whether it is there, and puts its own
    # in its place, so that uploads are closed.
    _post = _form_part(0)
    _files = _form_part(1)

    @Lazy
    def GET(self) -> Any:  # noqa: N802
        """The query as an immutable ``QueryDict`` of Django's."""
        with djangos_errors():
            return as_djangos_query(ASGIRequest.GET.compute(self))

    @property
    def body(self) -> bytes:
        """The whole body, kept; raises what ``HttpRequest.body`` does."""
        with djangos_errors():
            return super().body

    def read(self, size: int = -1) -> bytes:
        """Read from the body like from a file."""
        with djangos_errors():
            return super().read(size)

    def readline(self, size: int = -1) -> bytes:
        """Read a line of the body."""
        with djangos_errors():
            return super().readline(size)

    def get_host(self) -> str:
        """Return the host; raises ``DisallowedHost``."""
        with djangos_errors():
            return super().get_host()

    @Lazy
    def _form(self) -> Any:
        with djangos_errors():
            return as_djangos(ASGIRequest._form.compute(self))  # noqa: SLF001 - its own

    async def _aform(self) -> Any:
        with djangos_errors():
            self._form = form = as_djangos(await super()._aform())
            return form

    def _empty_form(self) -> Any:
        return as_djangos(super()._empty_form())

    @property
    def _no_form(self) -> Any:
        # POST and FILES of a PUT are empty, until somebody has parsed its form.
        return self.__dict__.get("_form") or self._empty_form()

    def _load_post_and_files(self) -> None:
        # Called by code that wants the form of a PUT.
        _ = self._form
