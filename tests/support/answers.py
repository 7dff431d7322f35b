"""A handler that answers with what a function makes, and an error of no known kind."""

from __future__ import annotations

from typing import Any

from penstock.handler import ASGIHandler


def answering(make: Any) -> ASGIHandler:
    async def view(request: Any) -> Any:
        return make()

    return ASGIHandler(view)


class Boom(Exception):
    pass
