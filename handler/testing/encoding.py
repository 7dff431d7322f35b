"""From what a test writes to what a client sends: targets, headers, bodies, scopes."""

from __future__ import annotations

import json as json_module
import secrets
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote_to_bytes, urlencode, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    Pairs = Mapping[str, Any] | Iterable[tuple[str, Any]]

_PATH_SAFE = "/%:@!$&'()*+,;=-._~"
_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}


def scope_for(kind: str, url: str, params: Pairs | None) -> dict[str, Any]:
    """Return the part of a scope that the URL decides; ``kind`` is ``http`` or ``websocket``."""
    parts = urlsplit(url)
    raw_path = quote(parts.path or "/", safe=_PATH_SAFE)
    query = parts.query
    if params:
        query = "&".join(filter(None, (query, urlencode(pairs(params), doseq=True))))
    scheme = parts.scheme
    if kind == "websocket":
        scheme = {"http": "ws", "https": "wss"}.get(scheme, scheme)
    return {
        "type": kind,
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "scheme": scheme,
        "path": unquote_to_bytes(raw_path).decode(errors="replace"),
        "raw_path": raw_path.encode("ascii"),
        "query_string": quote(query, safe=_PATH_SAFE + "?[]").encode("ascii"),
        "root_path": "",
        "client": ("testclient", 50000),
        "server": (parts.hostname or "testserver", parts.port or _PORTS[scheme]),
    }


def host_of(url: str) -> str:
    """Return the value of the Host header for a URL."""
    return urlsplit(url).netloc


def pairs(values: Pairs) -> list[tuple[str, Any]]:
    """Return the pairs of a mapping or of an iterable of pairs."""
    return list(getattr(values, "items", lambda: values)())


def raw(headers: Pairs) -> list[tuple[bytes, bytes]]:
    """Return headers as a server hands them over."""
    return [
        (name.lower().encode("latin-1"), str(value).encode("latin-1"))
        for name, value in pairs(headers)
    ]


def body_of(json: Any, data: Any, files: Any) -> tuple[list[bytes], str | None]:
    """Return the parts of the body, one for each message, and its content type.

    ``data`` is form fields, or the body itself as text, bytes or an iterable of bytes.
    """
    if json is not None:
        return [json_module.dumps(json).encode()], "application/json"
    if files is not None:
        return _multipart(pairs(data or {}), pairs(files))
    if data is None:
        return [], None
    if isinstance(data, str):
        return [data.encode()], None
    if isinstance(data, bytes | bytearray | memoryview):
        return [bytes(data)], None
    if hasattr(data, "items"):
        form = urlencode(pairs(data), doseq=True).encode()
        return [form], "application/x-www-form-urlencoded"
    return [bytes(part) for part in data], None


def _multipart(
    fields: list[tuple[str, Any]], files: list[tuple[str, Any]]
) -> tuple[list[bytes], str]:
    boundary = secrets.token_hex(16)
    body = bytearray()

    def part(disposition: str, content: bytes, content_type: str | None = None) -> None:
        body.extend(f"--{boundary}\r\nContent-Disposition: form-data; {disposition}\r\n".encode())
        if content_type is not None:
            body.extend(f"Content-Type: {content_type}\r\n".encode())
        body.extend(b"\r\n" + content + b"\r\n")

    for name, values in fields:
        for value in values if isinstance(values, list | tuple) else [values]:
            content = value if isinstance(value, bytes) else str(value).encode()
            part(f'name="{_escaped(name)}"', content)
    for name, file in files:
        filename, content, content_type = _file(name, file)
        disposition = f'name="{_escaped(name)}"; filename="{_escaped(filename)}"'
        part(disposition, content, content_type)
    body.extend(f"--{boundary}--\r\n".encode())
    return [bytes(body)], f"multipart/form-data; boundary={boundary}"


def _file(name: str, file: Any) -> tuple[str, bytes, str]:
    """Take content, an open file, or ``(filename, content or file[, content type])``."""
    filename, content, content_type = name, file, "application/octet-stream"
    if isinstance(file, tuple):
        filename, content = file[:2]
        content_type = file[2] if len(file) > 2 else content_type
    elif hasattr(file, "name"):
        filename = str(file.name).rpartition("/")[2]
    if hasattr(content, "read"):
        content = content.read()
    return filename, content.encode() if isinstance(content, str) else bytes(content), content_type


def _escaped(value: str) -> str:
    """Escape a name as browsers do (HTML standard, multipart/form-data encoding)."""
    return value.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
