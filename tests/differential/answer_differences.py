"""Differences in what the function returns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.differential.answer_rules import (
    EDGE_REFUSED,
    MAPS,
    UTF_8,
    alb_description,
    alb_joined,
    charset,
    content_type,
    edge_entries,
    edge_form,
    excluded,
    framing,
    has,
    is_bodiless,
    is_encoded,
    joined,
    one_type,
    repeated,
    right_body,
    sent_as_base64,
    sent_as_text,
    values,
    with_maps,
    without,
)
from tests.differential.difference import ANSWER, Difference
from tests.differential.request_rules import PAYLOAD_2

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.differential.both import Case


def body_rule(when: Callable[[dict[str, Any], Case], bool]) -> dict[str, Any]:
    return {
        "part": ANSWER,
        "keys": ("body", "isBase64Encoded"),
        "when": when,
        "turn": right_body,
    }


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
