"""The query, the fields and the files of a request as Django's classes.

Code for Django asks for them by class: ``urlencode(request.GET)`` drops all values but one of what
is no ``MultiValueDict`` of Django's, a ``FileField`` takes nothing but a ``File`` of Django's, and
``except MultiValueDictKeyError`` means Django's.
"""

from __future__ import annotations

from typing import Any

from django.core.files.uploadedfile import UploadedFile as DjangosUploadedFile
from django.http import QueryDict as DjangosQueryDict
from django.utils.datastructures import MultiValueDict as DjangosMultiValueDict

from penstock.handler.uploads import UploadedFile


class DjangoUploadedFile(UploadedFile, DjangosUploadedFile):  # type: ignore[misc]
    """Our uploaded file, which is an instance of Django's too. What both have is ours."""


def as_djangos(form: tuple[Any, Any]) -> tuple[Any, Any]:
    """Return fields and files as Django's classes; what is of them already stays as it is."""
    fields, files = form
    if not isinstance(fields, DjangosQueryDict):
        fields = as_djangos_query(fields)
    if not isinstance(files, DjangosMultiValueDict):
        files = DjangosMultiValueDict(
            {name: list(map(_file, many)) for name, many in files.lists()}
        )
    return fields, files


def as_djangos_query(fields: Any) -> Any:
    """Return fields as an immutable ``QueryDict`` of Django's."""
    query = DjangosQueryDict(mutable=True, encoding=fields.encoding)
    for name, values in fields.lists():
        query.setlist(name, values)
    query._mutable = False  # noqa: SLF001 - the switch that Django's own parsers use
    return query


def _file(file: Any) -> Any:
    if type(file) is not UploadedFile:  # made by an upload handler of the project's
        return file
    copy = DjangoUploadedFile.__new__(DjangoUploadedFile)
    for attribute, value in vars(file).items():
        setattr(copy, attribute, value)
    return copy
