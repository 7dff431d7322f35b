"""What a scripted runtime does to AWS's emulator and to the local Runtime API."""

from __future__ import annotations

from typing import Any

BASE = "/2018-06-01/runtime"
RESPONSE = f"{BASE}/invocation/{{id}}/response"
ERROR = f"{BASE}/invocation/{{id}}/error"
REGISTER = "/2020-01-01/extension/register"
EXTENSION = "/2020-01-01/extension"
NAMED = {"Lambda-Extension-Name": "mine"}
IDENTIFIED = {"Lambda-Extension-Identifier": "{extension}"}
MODE = "Lambda-Runtime-Function-Response-Mode"
JSON = {"Content-Type": "application/json"}
STREAM = {
    "Transfer-Encoding": "chunked",
    MODE: "streaming",
    "Content-Type": "application/vnd.awslambda.http-integration-response",
    "Trailer": "Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body",
}
Step = tuple[str, str, str, dict[str, str]]


def get(path: str, **headers: str) -> Step:
    return "GET", path, "", headers


def post(path: str, body: str = "1", headers: dict[str, str] | None = None) -> Step:
    return "POST", path, body, headers or {}


NEXT = get(f"{BASE}/invocation/next")
ANSWER = post(RESPONSE, '"tea"', JSON)
UNKNOWN = f"{BASE}/invocation/unknown"


def typed(error_type: str, body: str = '{"errorMessage":"m","errorType":"t"}') -> Step:
    return post(ERROR, body, {**JSON, "Lambda-Runtime-Function-Error-Type": error_type})


SCENARIOS: dict[str, list[Step]] = {
    "answer": [NEXT, ANSWER],
    "empty answer": [NEXT, post(RESPONSE, "")],
    "answer without content type": [NEXT, post(RESPONSE, "{}")],
    "same event twice": [NEXT, NEXT, ANSWER],
    "answer twice": [NEXT, ANSWER, ANSWER],
    "error behind an answer": [NEXT, ANSWER, post(ERROR)],
    "answer behind an error": [NEXT, post(ERROR, "{}"), ANSWER],
    "unknown request ids": [
        NEXT,
        post(f"{UNKNOWN}/response"),
        post(f"{UNKNOWN}/error"),
        ANSWER,
    ],
    "posts before the first event": [
        post(f"{UNKNOWN}/response"),
        post(f"{UNKNOWN}/error"),
        NEXT,
        ANSWER,
    ],
    "error": [NEXT, typed("Function.Tea")],
    "error of an odd type": [NEXT, typed("ValueError")],
    "error without type": [NEXT, post(ERROR, '{"errorMessage":"m"}')],
    "error with its cause": [
        NEXT,
        post(
            ERROR,
            '{"errorMessage":"m","errorType":"t","stackTrace":["s"],"errorCause":"c"}',
            {"Content-Type": "application/vnd.aws.lambda.error.cause+json"},
        ),
    ],
    "init error": [
        post(f"{BASE}/init/error", '{"errorMessage":"m","errorType":"Runtime.No"}'),
        post(f"{BASE}/init/error", "{}"),
        NEXT,
    ],
    "init error too late": [NEXT, post(f"{BASE}/init/error", "{}"), ANSWER],
    "wrong response mode": [NEXT, post(RESPONSE, "1", {MODE: "Streaming"}), NEXT],
    "too long": [NEXT, post(RESPONSE, "x * 6291557")],
    "just short enough": [NEXT, post(RESPONSE, "x * 6291556")],
    "methods and paths": [
        get(f"{BASE}/unknown"),
        get("/unknown"),
        post(f"{BASE}/invocation/next"),
        get(f"{UNKNOWN}/response"),
        get(f"{BASE}/restore/next"),
        post(f"{BASE}/restore/error"),
        get("/2018-06-01/ping"),
        NEXT,
        ANSWER,
    ],
    "stream": [
        NEXT,
        post(RESPONSE, "5\r\n{}\0\0\0\r\n5\r\n\0\0\0\0\0\r\n3\r\ntea\r\n0\r\n\r\n", STREAM),
    ],
    "empty stream": [NEXT, post(RESPONSE, "0\r\n\r\n", STREAM)],
    "chunked without mode": [
        NEXT,
        post(RESPONSE, "3\r\ntea\r\n0\r\n\r\n", {"Transfer-Encoding": "chunked"}),
    ],
    "stream with trailers": [
        NEXT,
        post(
            RESPONSE,
            "3\r\ntea\r\n0\r\nLambda-Runtime-Function-Error-Type: Function.NoTea\r\n"
            "Lambda-Runtime-Function-Error-Body: e30=\r\n\r\n",
            STREAM,
        ),
    ],
    "registrations": [
        post(REGISTER, '{"events":[]}'),
        post(REGISTER, "[", NAMED),
        post(REGISTER, '{"events":["SHUTDOWN"]}', NAMED),
        post(REGISTER, '{"events":["TEA"]}', NAMED),
        post(REGISTER, '{"events":["INVOKE"]}', NAMED),
        post(REGISTER, '{"events":[]}', NAMED),
        post(REGISTER, "{}", {"Lambda-Extension-Name": "other"}),
        post(
            REGISTER,
            '{"events":[]}',
            {"Lambda-Extension-Name": "third", "Lambda-Extension-Accept-Feature": "accountId"},
        ),
    ],
    "identifiers": [
        get(f"{EXTENSION}/event/next"),
        get(f"{EXTENSION}/event/next", **{"Lambda-Extension-Identifier": "no"}),
        get(
            f"{EXTENSION}/event/next",
            **{"Lambda-Extension-Identifier": "12345678-1234-1234-1234-123456789012"},
        ),
        NEXT,
        ANSWER,
    ],
    "registration too late": [NEXT, post(REGISTER, '{"events":[]}', NAMED), ANSWER],
    "extension errors": [
        post(REGISTER, '{"events":[]}', NAMED),
        post(f"{EXTENSION}/exit/error", "{}"),
        post(f"{EXTENSION}/exit/error", "{}", IDENTIFIED),
        post(
            f"{EXTENSION}/init/error",
            "{}",
            {**IDENTIFIED, "Lambda-Extension-Function-Error-Type": "Extension.Tired"},
        ),
    ],
    "telemetry": [
        ("PUT", "/2022-07-01/telemetry", "{}", {}),
        ("PUT", "/2020-08-15/logs", "{}", {}),
        NEXT,
        ANSWER,
    ],
}

CALLER = "caller"
_NO_JSON = "InvalidRequestFormat"
_TIMED_OUT = {
    "errorType": "Sandbox.Timedout",
    "errorMessage": "RequestId: <id> Error: Task timed out after 1.00 seconds",
}
KNOWN: dict[str, dict[int | str, tuple[Any, Any]]] = {
    # Lambda answers 200 with X-Amz-Function-Error when a function fails, whenever it does.
    "init error": {
        CALLER: (
            [502, {"errorMessage": "m", "errorType": "Runtime.No"}],
            [200, {"errorMessage": "m", "errorType": "Runtime.No"}],
        )
    },
    # The emulator tells the caller nothing but that the runtime was replaced.
    "wrong response mode": {
        CALLER: (
            [502, ""],
            [
                200,
                {
                    "errorType": "Runtime.InvalidResponseModeHeader",
                    "errorMessage": "Invalid function response mode",
                },
            ],
        )
    },
    # The emulator does not look at trailers in this mode; on Managed Instances it does as is done
    # here: what they say takes the place of the answer.
    "stream with trailers": {CALLER: ([200, "tea"], [200, {}])},
    # Another JSON parser has other words, and the emulator knows no account.
    "registrations": {
        1: (
            [403, {"errorMessage": "unexpected end of JSON input", "errorType": _NO_JSON}],
            [
                403,
                {
                    "errorMessage": "Expecting value: line 1 column 2 (char 1)",
                    "errorType": _NO_JSON,
                },
            ],
        ),
        7: (
            [200, {"functionName": "tea", "functionVersion": "$LATEST", "handler": ""}],
            [
                200,
                {
                    "functionName": "tea",
                    "functionVersion": "$LATEST",
                    "handler": "",
                    "accountId": "123456789012",
                },
            ],
        ),
        CALLER: ([200, "Task timed out after 1.00 seconds"], [200, _TIMED_OUT]),
    },
    "extension errors": {
        CALLER: ([200, "Task timed out after 1.00 seconds"], [200, _TIMED_OUT]),
    },
}
"""Where the two differ: by scenario, then by step or for the caller; theirs, then ours.

What no scenario shows: the emulator holds an answer back until the runtime asks for the next event.
"""
