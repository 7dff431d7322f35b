"""A Django project on this kernel: its settings, middleware, URLs, views, error handlers, signals.

Needs Django 5.2 or newer, which the kernel itself never imports.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import django
from django.conf import settings
from django.urls import get_resolver, set_script_prefix, set_urlconf

from penstock.handler.asgi import ASGIHandler
from penstock.handler.config import HandlerConfig
from penstock.handler.coroutines import is_async_callable
from penstock.handler.django_request import DjangoASGIRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["DjangoASGIRequest", "DjangoHandler"]

_STATUSES_WITH_VIEWS = (400, 403, 404, 500)


class DjangoHandler(ASGIHandler):
    """An ASGI application that serves a Django project, in place of ``get_asgi_application()``.

    ::

        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
        application = DjangoHandler()

    Settings, ``MIDDLEWARE``, ``ROOT_URLCONF`` with its ``handler400`` to ``handler500``, and
    Django's signals are the project's. Whatever is given here is used instead.

    Args:
        routes_or_view: as for ``ASGIHandler``, or any object with Django's ``resolve(path)``.
        middleware: as for ``ASGIHandler``; Django's classes and ours may be mixed.
        config: settings; by default ``HandlerConfig.from_django(settings)``.
        lifespan, websocket_middleware: as for ``ASGIHandler``.

    Not taken over: ``ATOMIC_REQUESTS`` (use ``transaction.atomic``), mails to ``ADMINS``, and the
    HTML pages of ``DEBUG``.
    """

    request_class = DjangoASGIRequest

    def __init__(
        self,
        routes_or_view: Any = None,
        *,
        middleware: Iterable[Any] | None = None,
        config: HandlerConfig | None = None,
        lifespan: Any = None,
        websocket_middleware: Iterable[Any] = (),
    ) -> None:
        django.setup(set_prefix=False)
        self._serves_urlconf = routes_or_view is None
        if routes_or_view is None:
            routes_or_view = get_resolver()
            _ = routes_or_view.url_patterns  # a broken urls.py is found now, not by a visitor
        if config is None:
            handlers = _error_handlers(routes_or_view) if self._serves_urlconf else {}
            config = HandlerConfig.from_django(settings, error_handlers=handlers)
        super().__init__(
            routes_or_view,
            middleware=settings.MIDDLEWARE if middleware is None else middleware,
            config=config,
            lifespan=lifespan,
            websocket_middleware=websocket_middleware,
        )

    def create_request(self, scope: Any, body_file: Any) -> tuple[Any, Any]:
        """Return what ``ASGIHandler`` does; Django's ``reverse`` knows the prefix from here on."""
        prefix = self._script_name(scope)
        set_script_prefix(f"{prefix.rstrip('/')}/")
        return super().create_request(scope, body_file)

    def resolve_request(self, request: Any) -> Any:
        """Return Django's ``ResolverMatch``; ``request.urlconf`` may name another module."""
        if not self._serves_urlconf:
            return super().resolve_request(request)
        urlconf = request.__dict__.get("urlconf")
        set_urlconf(urlconf)
        match = get_resolver(urlconf).resolve(request.path_info)
        request.resolver_match = match
        return match


def _error_handlers(resolver: Any) -> dict[int | type[BaseException], Callable[..., Any]]:
    """Return the views of ``handler400`` and so on, called as our error handlers are."""
    return {
        status: _error_handler(status, resolver.resolve_error_handler(status))
        for status in _STATUSES_WITH_VIEWS
    }


def _error_handler(status: int, view: Callable[..., Any]) -> Callable[..., Any]:
    if is_async_callable(view):

        async def handle_async(request: Any, error: BaseException) -> Any:
            return await (view(request) if status == 500 else view(request, exception=error))

        return handle_async

    def handle(request: Any, error: BaseException) -> Any:
        return view(request) if status == 500 else view(request, exception=error)

    return handle
