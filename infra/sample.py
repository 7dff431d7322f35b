"""Events for the command line: read from a file, or made from options."""

from __future__ import annotations

import json
import mimetypes
import string
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

from penstock.adapter.headers import is_clean, is_token
from penstock.infra.gateway import (
    TRIGGERS,
    ClientRequest,
    RequestRefused,
    make_event,
    make_trigger_event,
)
from penstock.infra.problems import Problem

_SAMPLES: dict[str, list[str]] = {
    "sqs": ["hello"],
    "sns": ["hello"],
    "eventbridge": ["{}"],
    "schedule": [],
    "s3": ["example.txt"],
    "dynamodb": ['{"id": "1"}'],
    "kinesis": ["hello"],
}
_OBJECTS = frozenset({"eventbridge", "dynamodb"})


def read_json(path: str) -> Any:
    """Return the JSON value in a file, or on standard input for ``-``.

    Raises: Problem if it cannot be read, or is not JSON.
    """
    try:
        data = sys.stdin.read() if path == "-" else Path(path).read_bytes()
    except (OSError, UnicodeDecodeError) as error:
        raise Problem(f"expected a file with an event, got {path}: {error}") from None
    try:
        return json.loads(data)
    except ValueError as error:
        raise Problem(
            f"expected JSON in {path}, got something else ({error});"
            " 'penstock event http-api' prints an event"
        ) from None


def sample_event(source: str, options: dict[str, Any]) -> dict[str, Any]:
    """Return an event of a front door or a trigger, made from the command line's options.

    Shapes: ``options`` holds what was given of method, path, query, header (list of ``Name:
    value``), cookie (list), data (list of text or ``@file``), data_file, stage, domain.
    Raises: Problem if an option makes no sense there, or the door would refuse the request.
    """
    try:
        if source in TRIGGERS:
            return make_trigger_event(source, _records(source, options))
        request = _request(options)
        return make_event(source, request, stage=options.get("stage"), domain=options.get("domain"))
    except (ValueError, RequestRefused) as error:
        raise Problem(str(error)) from None


def _records(kind: str, options: dict[str, Any]) -> list[Any]:
    if wrong := options.keys() - {"data", "data_file"}:
        flags = ", ".join(f"--{name}" for name in sorted(wrong))
        raise Problem(f"expected only --data and --data-file with {kind}, got {flags}")
    given = [data.decode() for data, _ in _bodies(options)] or _SAMPLES[kind]
    if kind not in _OBJECTS:
        return given
    return [_object(kind, text) for text in given]


def _object(kind: str, text: str) -> Any:
    try:
        item = json.loads(text)
    except ValueError:
        item = None
    if not isinstance(item, dict):
        raise Problem(f"expected JSON objects as --data of {kind}, got {text!r}")
    return item


def _request(options: dict[str, Any]) -> ClientRequest:
    path = options.get("path", "/")
    query = options.get("query", "").removeprefix("?")
    if query and "?" in path:
        raise Problem(f"expected the query in --path or in --query, got both: {path} and {query}")
    bodies = _bodies(options)
    if len(bodies) > 1:
        raise Problem(f"expected one --data for a request, got {len(bodies)}")
    body, content_type = bodies[0] if bodies else (b"", "")
    headers = [_header(line) for line in options.get("header", [])]
    if cookies := options.get("cookie"):
        headers.append(("Cookie", "; ".join(cookies)))
    if content_type and not any(name.lower() == "content-type" for name, _ in headers):
        headers.append(("Content-Type", content_type))
    method = options.get("method", "POST" if bodies else "GET").upper()
    if not is_token(method):
        raise Problem(f"expected an HTTP method as --method, got {method!r}")
    visible = string.ascii_letters + string.digits + string.punctuation
    return ClientRequest(
        method=method,
        target=quote(f"{path}?{query}" if query else path, safe=visible),
        headers=tuple(headers),
        body=body,
    )


def _header(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    name, value = name.strip(), value.strip()
    if not colon or not is_token(name) or not is_clean(value):
        raise Problem(f"expected --header 'Name: value', got {line!r}")
    return name, value


def _bodies(options: dict[str, Any]) -> list[tuple[bytes, str]]:
    """Return each body and the media type that it has unless a header says another."""
    found = [
        _file(text[1:]) if text.startswith("@") else (text.encode(), _type_of(text))
        for text in options.get("data", [])
    ]
    return [*found, _file(options["data_file"])] if "data_file" in options else found


def _file(path: str) -> tuple[bytes, str]:
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise Problem(f"expected a file with the body, got {path}: {error}") from None
    return data, mimetypes.guess_type(path)[0] or "application/octet-stream"


def _type_of(text: str) -> str:
    try:
        json.loads(text)
    except ValueError:
        return "text/plain; charset=utf-8"
    return "application/json"
