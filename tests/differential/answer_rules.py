"""What a function should return: each rule restated from what the application sent."""

from __future__ import annotations

import base64
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.differential.both import Case

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
