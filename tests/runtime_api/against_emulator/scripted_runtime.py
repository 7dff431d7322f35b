"""A runtime that does what ``STEPS`` says and writes what it was answered to ``RECORD``.

A step is a method, a path in which ``{id}`` is the current request id and ``{extension}`` the
extension's identifier, a body, and headers. When all are done it waits for an event.
"""

from __future__ import annotations

import http.client
import json
import os
from pathlib import Path

NEXT = "/2018-06-01/runtime/invocation/next"


def ask(method: str, path: str, body: str, headers: dict[str, str]) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
    chunked = headers.get("Transfer-Encoding") == "chunked"
    connection.putrequest(method, path)
    if not chunked:
        headers = {"Content-Length": str(len(body)), **headers}
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders(body.encode())
    return connection.getresponse()


def main() -> None:
    steps = json.loads(Path(os.environ["STEPS"]).read_text(encoding="utf-8"))
    record, names = [], {"id": "unknown", "extension": "unknown"}
    for method, path, text, headers in steps:
        filled = {key: value.format(**names) for key, value in headers.items()}
        body = "x" * int(text[4:]) if text.startswith("x * ") else text
        reply = ask(method, path.format(**names), body, filled)
        names["id"] = reply.headers.get("Lambda-Runtime-Aws-Request-Id", names["id"])
        identifier = reply.headers.get("Lambda-Extension-Identifier")
        names["extension"] = identifier or names["extension"]
        answer = reply.read().decode()
        for name, value in names.items():
            answer = answer.replace(value, f"<{name}>") if value != "unknown" else answer
        record.append([reply.status, answer, reply.headers["Content-Type"]])
    finished = Path(os.environ["RECORD"])
    finished.with_suffix(".part").write_text(json.dumps(record), encoding="utf-8")
    finished.with_suffix(".part").rename(finished)
    ask("GET", NEXT, "", {})


main()
