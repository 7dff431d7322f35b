"""Our signals, passed on to Django's: its connections, caches and query logs are cleaned up there.

Importing this module imports ``django.core.signals`` and nothing else of Django.
"""

from __future__ import annotations

from typing import Any

from django.core import signals as django_signals

from penstock.handler.signals import got_request_exception, request_finished, request_started


def mirror_signals() -> None:
    """Send Django's signal whenever one of ours of that name is sent, with Django's arguments.

    The receivers (``close_old_connections``, ``reset_queries``, ``close_caches`` …) run in the
    request's thread, which is where its database connections are. May be called again.
    """
    request_started.connect(_started, dispatch_uid="penstock.handler.django_signals")
    request_finished.connect(_finished, dispatch_uid="penstock.handler.django_signals")
    got_request_exception.connect(_failed, dispatch_uid="penstock.handler.django_signals")


def _started(sender: Any, scope: Any, **_: Any) -> None:
    django_signals.request_started.send_robust(sender=sender, scope=scope)


def _finished(sender: Any, **_: Any) -> None:
    django_signals.request_finished.send_robust(sender=sender)


def _failed(request: Any, **_: Any) -> None:
    django_signals.got_request_exception.send_robust(sender=None, request=request)
