"""Differences in what the function returns. The functions restate each rule from what was sent."""

from __future__ import annotations

import base64
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from tests.differential.difference import ANSWER, Difference
from tests.differential.request_differences import PAYLOAD_2

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.differential.both import Case

PAYLOAD_1_OR_2 = ("rest-api", "http-api-1", *PAYLOAD_2)
HTTP_API = ("http-api", "http-api-1", "function-url")
MAPS = ("headers", "multiValueHeaders")
FRAMING = frozenset(
    [
        "connection",
        "keep-alive",
        "proxy-connection",
        "transfer-encoding",
        "upgrade",
        "te",
        "trailer",
    ]
)
EDGE_REFUSED = frozenset(
    [
        "connection",
        "expect",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "trailer",
        "upgrade",
        "x-accel-buffering",
        "x-cache",
        "x-forwarded-proto",
        "x-real-ip",
        "content-length",
        "host",
        "transfer-encoding",
        "via",
        "accept-encoding",
        "if-modified-since",
        "if-none-match",
        "if-range",
        "if-unmodified-since",
        "x-amzn-requestid",
        "x-amz-cf-id",
        "x-edge-location",
    ]
)
TEXT_APPLICATIONS = frozenset(
    f"application/{name}"
    for name in [
        "javascript",
        "ecmascript",
        "x-javascript",
        "x-www-form-urlencoded",
        "yaml",
        "graphql",
        "x-ndjson",
        "vnd.oai.openapi",
    ]
)
UTF_8 = ("utf-8", "utf8", "us-ascii", "ascii")


def text(value: bytes) -> str:
    return value.decode()


def sent(case: Case) -> list[tuple[str, str]]:
    return [(name.decode().lower(), text(value)) for name, value in case.response.headers]


def values(case: Case, name: str) -> list[str]:
    return [value for key, value in sent(case) if key == name]


def repeated(case: Case) -> list[str]:
    names = [name for name, _ in sent(case)]
    return sorted({name for name in names if names.count(name) > 1})


def framing(case: Case) -> frozenset[str]:
    return FRAMING if case.method == "HEAD" else FRAMING | {"content-length"}


def excluded(case: Case) -> frozenset[str]:
    return frozenset(name.lower() for name in case.options.exclude_headers)


def is_bodiless(case: Case) -> bool:
    return case.method == "HEAD" or case.response.status in (204, 304) or case.response.status < 200


def content_type(case: Case) -> str | None:
    types = [] if "content-type" in excluded(case) else values(case, "content-type")
    return types[0] if types else None


def charset(case: Case) -> str:
    for parameter in (content_type(case) or "").lower().split(";")[1:]:
        name, _, value = parameter.partition("=")
        if name.strip() == "charset":
            return value.strip().strip('"')
    return "utf-8"


def says_text(case: Case) -> bool:
    """Whether type and charset say that the body is text."""
    whole = content_type(case)
    if whole is None:
        return True
    if case.options.text_mime_types:
        return any(part in whole for part in case.options.text_mime_types)
    media_type = whole.lower().split(";")[0].strip()
    main, _, sub = media_type.partition("/")
    structured = sub.split("+")[-1] in ("json", "xml")
    is_text = main == "text" or structured or media_type in TEXT_APPLICATIONS
    return is_text and charset(case) in UTF_8


def is_encoded(case: Case) -> bool:
    if "content-encoding" in excluded(case):
        return False
    return bool(set(values(case, "content-encoding")) - {"identity", ""})


def right_body(answer: dict[str, Any], case: Case) -> dict[str, Any]:
    body = case.response.body
    if says_text(case) and not is_encoded(case):
        try:
            return {**answer, "body": body.decode(), "isBase64Encoded": False}
        except UnicodeDecodeError:
            pass
    return {**answer, "body": base64.b64encode(body).decode(), "isBase64Encoded": True}


def body_is(*, base64_for: bool) -> Callable[[dict[str, Any], Case], bool]:
    """Whether Mangum sends this body in the other form than penstock does."""

    def check(answer: dict[str, Any], case: Case) -> bool:
        if not case.response.body or is_bodiless(case):
            return False
        right = right_body(answer, case)["isBase64Encoded"]
        return bool(answer["isBase64Encoded"] != right and right is base64_for)

    return check


sent_as_text = body_is(base64_for=True)
sent_as_base64 = body_is(base64_for=False)


def body_rule(when: Callable[[dict[str, Any], Case], bool]) -> dict[str, Any]:
    return {
        "part": ANSWER,
        "keys": ("body", "isBase64Encoded"),
        "when": when,
        "turn": right_body,
    }


def without(answer: dict[str, Any], names: frozenset[str]) -> dict[str, Any]:
    """The answer without these headers, in whatever case they are written."""
    for key in MAPS:
        if key in answer:
            kept = answer[key].items()
            answer[key] = {name: value for name, value in kept if name.lower() not in names}
    if "set-cookie" in names and "cookies" in answer:
        answer["cookies"] = []
    return answer


def has(answer: dict[str, Any], names: frozenset[str]) -> bool:
    present = {name.lower() for key in MAPS for name in answer.get(key, {})}
    present |= {"set-cookie"} if answer.get("cookies") else set()
    return bool(present & names)


def with_maps(answer: dict[str, Any], _: Case) -> dict[str, Any]:
    return {**answer, "headers": answer.get("headers", {}), "cookies": answer.get("cookies", [])}


def joined(answer: dict[str, Any], case: Case) -> dict[str, Any]:
    for name in repeated(case):
        if name in answer["headers"] and name not in ("set-cookie", "content-type"):
            answer["headers"][name] = ", ".join(values(case, name))
    return answer


def one_type(answer: dict[str, Any], case: Case) -> dict[str, Any]:
    """Type first, body after it: Mangum decides about the body without a type."""
    first = values(case, "content-type")[0]
    answer = without(answer, frozenset(("content-type",)))
    if case.source == "alb-multi":
        answer["multiValueHeaders"]["content-type"] = [first]
    elif case.source == "edge":
        answer["headers"]["content-type"] = [{"key": "content-type", "value": first}]
    else:
        answer["headers"]["content-type"] = first
    return right_body(answer, case) if case.response.body else answer


def alb_joined(answer: dict[str, Any], case: Case) -> dict[str, Any]:
    for name in repeated(case):
        items = values(case, name)
        if name in ("set-cookie", "content-type"):
            continue
        answer = without(answer, frozenset((name,)))
        answer["headers"][name] = ", ".join(items)
    return answer


def edge_entries(answer: dict[str, Any], case: Case) -> dict[str, Any]:
    for name in frozenset(repeated(case)) - {"content-type"}:
        answer["headers"][name] = [{"key": name, "value": item} for item in values(case, name)]
    return answer


def edge_form(answer: dict[str, Any], case: Case) -> dict[str, Any]:
    status = answer["status"]
    known = {item.value: item.phrase for item in HTTPStatus}
    result = {
        "status": str(status),
        "statusDescription": known.get(status, "Unknown"),
        "headers": answer["headers"],
    }
    if answer["body"]:
        result["body"] = answer["body"]
        result["bodyEncoding"] = "base64" if answer["isBase64Encoded"] else "text"
    return result


def alb_description(answer: dict[str, Any], case: Case) -> dict[str, Any]:
    status = case.response.status
    known = {item.value: item.phrase for item in HTTPStatus}
    return {**answer, "statusDescription": f"{status} {known.get(status, 'Unknown')}"}


ANSWER_DIFFERENCES = (
    Difference(
        "always-all-keys",
        "answer `headers`, `cookies`",
        "HTTP API, Function URL",
        "absent when empty",
        "always there",
        "One shape of answer; AWS reads both alike.",
        part=ANSWER,
        keys=("headers", "cookies"),
        when=lambda _, case: case.source in PAYLOAD_2,
        turn=with_maps,
    ),
    Difference(
        "content-type-made-up",
        "answer `headers`",
        "HTTP API, Function URL, no content type sent",
        "`application/json`, also with 204 and with an empty body",
        "none",
        "It is not what the application said. The gateway has a default of its own.",
        part=ANSWER,
        keys=("headers",),
        when=lambda answer, case: case.source in PAYLOAD_2 and not values(case, "content-type"),
        turn=lambda answer, _: without(answer, frozenset(("content-type",))),
    ),
    Difference(
        "text-without-type",
        "answer `body`, `isBase64Encoded`",
        "no content type sent",
        "base64 (HTTP API and Function URL: as JSON)",
        "text if it is UTF-8, else base64",
        "A REST API without binary media types would show base64 to the client.",
        **body_rule(lambda answer, case: sent_as_base64(answer, case) and not content_type(case)),
    ),
    Difference(
        "content-type-once",
        "answer `headers`, `body`, `isBase64Encoded`",
        "several `content-type` sent",
        "all of them, and the body as base64",
        "the first of them, which decides about the body",
        "Gateways and clients take one.",
        part=ANSWER,
        keys=(*MAPS, "body", "isBase64Encoded"),
        when=lambda _, case: "content-type" in repeated(case),
        turn=one_type,
    ),
    Difference(
        "text-types",
        "answer `body`, `isBase64Encoded`",
        "types such as `problem+json`, `image/svg+xml`, `application/yaml`, `TEXT/HTML`",
        "base64",
        "text",
        "Types are compared in any case, and by their structure (`+json`, `+xml`).",
        **body_rule(lambda answer, case: sent_as_base64(answer, case) and bool(content_type(case))),
    ),
    Difference(
        "text-charset",
        "answer `body`, `isBase64Encoded`",
        "a charset other than UTF-8, such as `text/plain; charset=utf-16`",
        "text, if the bytes happen to be UTF-8",
        "base64",
        "No byte may change on its way through JSON.",
        **body_rule(
            lambda answer, case: (
                sent_as_text(answer, case) and charset(case) not in UTF_8 and not is_encoded(case)
            )
        ),
    ),
    Difference(
        "text-parameters",
        "answer `body`, `isBase64Encoded`",
        "a parameter that looks like a type: `application/octet-stream; x=text/`",
        "text",
        "base64",
        "Only the media type counts, not any part of the header.",
        **body_rule(
            lambda answer, case: (
                sent_as_text(answer, case) and charset(case) in UTF_8 and not is_encoded(case)
            )
        ),
    ),
    Difference(
        "content-encoding",
        "answer `body`, `isBase64Encoded`",
        "with `content-encoding`",
        "text, if the bytes happen to be UTF-8",
        "base64",
        "Compressed bytes are no text.",
        **body_rule(lambda answer, case: sent_as_text(answer, case) and is_encoded(case)),
    ),
    Difference(
        "no-body",
        "answer `body`, `isBase64Encoded`",
        "HEAD, 1xx, 204, 304",
        "the body that the application sent",
        "empty",
        "HTTP has none there (RFC 9110 9.3.2, 15.3.5, 15.4.5).",
        part=ANSWER,
        keys=("body", "isBase64Encoded"),
        when=lambda _, case: is_bodiless(case) and bool(case.response.body),
        turn=lambda answer, _: {**answer, "body": "", "isBase64Encoded": False},
    ),
    Difference(
        "joined-with-blank",
        "answer `headers`",
        "HTTP API, Function URL, repeated headers",
        "joined with `,`",
        "joined with `, `",
        "The usual form (RFC 9110 5.3).",
        part=ANSWER,
        keys=("headers",),
        when=lambda _, case: case.source in PAYLOAD_2,
        turn=joined,
    ),
    Difference(
        "alb-repeats",
        "answer `headers`",
        "ALB without multi-value headers, repeated headers other than `set-cookie`",
        "the name in different cases; a name without letters keeps its first value",
        "joined with `, `",
        "What HTTP has for it; the trick remains for `set-cookie`, which cannot be joined.",
        part=ANSWER,
        keys=("headers",),
        when=lambda _, case: case.source == "alb",
        turn=alb_joined,
    ),
    Difference(
        "edge-repeats",
        "answer `headers`",
        "Lambda@Edge, repeated headers",
        "the last one, also of `set-cookie`",
        "an entry for each",
        "A lost cookie is a lost session.",
        part=ANSWER,
        keys=("headers",),
        when=lambda _, case: case.source == "edge",
        turn=edge_entries,
    ),
    Difference(
        "hop-by-hop",
        "answer `headers`",
        "`connection`, `keep-alive`, `proxy-connection`, `transfer-encoding`, `upgrade`, `te`,"
        " `trailer`; `content-length`",
        "passed on",
        "left out; `content-length` stays in answers to HEAD and in streams",
        "They belong to a connection that ends at the gateway, which counts the body itself.",
        part=ANSWER,
        keys=MAPS,
        when=lambda answer, case: has(answer, framing(case)),
        turn=lambda answer, case: without(answer, framing(case)),
    ),
    Difference(
        "edge-refused",
        "answer `headers`",
        "Lambda@Edge",
        "passed on: CloudFront answers 502 to `connection`, `via`, `x-cache` and others",
        "left out",
        "The documented list of what an edge function must not set.",
        part=ANSWER,
        keys=("headers",),
        when=lambda answer, case: case.source == "edge" and has(answer, EDGE_REFUSED),
        turn=lambda answer, _: without(answer, EDGE_REFUSED),
    ),
    Difference(
        "exclude-headers",
        "answer `headers`, `cookies`",
        "`exclude_headers` on HTTP APIs and Function URLs; `set-cookie` on an ALB",
        "ignored; the second `set-cookie` stays",
        "left out",
        "The option works behind every front door.",
        part=ANSWER,
        keys=(*MAPS, "cookies"),
        when=lambda answer, case: has(answer, excluded(case)),
        turn=lambda answer, case: without(answer, excluded(case)),
    ),
    Difference(
        "alb-description",
        "answer `statusDescription`",
        "ALB",
        "absent",
        "such as `200 OK`",
        "The ALB guide asks for it.",
        part=ANSWER,
        keys=("statusDescription",),
        when=lambda _, case: case.source.startswith("alb"),
        turn=alb_description,
    ),
    Difference(
        "edge-form",
        "answer `status`, `statusDescription`, `body`, `bodyEncoding`",
        "Lambda@Edge",
        "`status` is a number, `isBase64Encoded` (which CloudFront does not know) tells base64",
        "`status` is text, `bodyEncoding` tells; no `body` if there is none",
        "That is the form which CloudFront documents: images arrive as images.",
        part=ANSWER,
        keys=("status", "statusDescription", "body", "isBase64Encoded", "bodyEncoding"),
        when=lambda _, case: case.source == "edge",
        turn=edge_form,
    ),
)
