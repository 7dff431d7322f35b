"""The query, the fields and the files of a request as Django's classes.

Code for Django asks for them by class: ``urlencode(request.GET)`` drops all values but one of what
is no ``MultiValueDict`` of Django's, and ``except MultiValueDictKeyError`` means Django's.
"""

from __future__ import annotations

from typing import Any

from django.http import QueryDict as DjangosQueryDict
from django.utils.datastructures import MultiValueDict as DjangosMultiValueDict


def as_djangos(form: tuple[Any, Any]) -> tuple[Any, Any]:
    """Return fields and files as Django's classes; what is of them already stays as it is."""
    fields, files = form
    if not isinstance(fields, DjangosQueryDict):
        fields = as_djangos_query(fields)
    if not isinstance(files, DjangosMultiValueDict):
        files = DjangosMultiValueDict(dict(files.lists()))
    return fields, files


def as_djangos_query(fields: Any) -> Any:
    """Return fields as an immutable ``QueryDict`` of Django's."""
    query = DjangosQueryDict(mutable=True, encoding=fields.encoding)
    for name, values in fields.lists():
        query.setlist(name, values)
    query._mutable = False  # noqa: SLF001 - the switch that Django's own parsers use
    return query
