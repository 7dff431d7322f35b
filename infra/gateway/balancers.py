"""Events of the load balancers: Application Load Balancer and VPC Lattice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock.infra.gateway.door import (
    ACCOUNT,
    REGION,
    Door,
    Pairs,
    append_client,
    encoded_body,
    is_text_type,
    lowered,
    media_type,
    multi,
    raw_query,
    replace,
    single,
    with_content_length,
    with_host,
    with_scheme,
    with_trace,
)
from penstock.infra.gateway.messages import RequestRefused

if TYPE_CHECKING:
    from penstock.infra.gateway.messages import ClientRequest

_ALB_BODY_LIMIT = 1_000_000
_ALB_TARGET_GROUP = (
    f"arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT}:targetgroup/functions/6d0ecf831eec9f09"
)


def alb_event(request: ClientRequest, door: Door, *, multi_value: bool) -> dict[str, Any]:
    """Return a load balancer's event; nothing in it is percent-decoded.

    Shapes: with ``multi_value`` only the two maps of lists, else only the two maps of strings,
    where the last of several values is left.
    Raises: RequestRefused with 413 for a body over 1 MB, with 400 for text that is not UTF-8.
    Source: "Use Lambda functions as targets of an Application Load Balancer", "HTTP headers and
    Application Load Balancers", recorded events.
    """
    if len(request.body) > _ALB_BODY_LIMIT:
        raise RequestRefused(
            f"expected a body of at most {_ALB_BODY_LIMIT} bytes, got {len(request.body)}", 413
        )
    text = _sent_as_text(request)
    body, is_base64 = encoded_body(request.body, text=text)
    if text and is_base64:
        raise RequestRefused(f"expected {media_type(request)} to be UTF-8, got other bytes", 400)
    headers = with_content_length(list(request.headers), request.body, always=False)
    headers = append_client(with_host(headers, door), request.client_ip)
    headers = lowered(with_scheme(_with_own_trace(headers, request, door), door.scheme))
    query = raw_query(request.query)
    maps: dict[str, Any] = (
        {"multiValueQueryStringParameters": multi(query), "multiValueHeaders": multi(headers)}
        if multi_value
        else {"queryStringParameters": single(query), "headers": single(headers)}
    )
    return {
        "requestContext": {"elb": {"targetGroupArn": _ALB_TARGET_GROUP}},
        "httpMethod": request.method,
        "path": request.path,
        **maps,
        "body": body,
        "isBase64Encoded": is_base64,
    }


def lattice_1_event(request: ClientRequest, door: Door) -> dict[str, Any]:
    """Return VPC Lattice's event of version V1: the query is in ``raw_path`` and in a map.

    Source: "Lambda functions as targets in VPC Lattice".
    """
    headers = multi(_lattice_headers(request, door))
    body, is_base64 = encoded_body(request.body, text=_sent_as_text(request))
    return {
        "raw_path": request.target,
        "method": request.method,
        "headers": {name: ", ".join(values) for name, values in headers.items()},
        "query_string_parameters": single(raw_query(request.query)),
        "body": body,
        "is_base64_encoded": is_base64,
    }


def lattice_2_event(request: ClientRequest, door: Door) -> dict[str, Any]:
    """Return VPC Lattice's event of version V2: lists of header and query values.

    Units: ``requestContext.timeEpoch`` is microseconds, as a string.
    Source: "Lambda functions as targets in VPC Lattice".
    """
    body, is_base64 = encoded_body(request.body, text=_sent_as_text(request))
    lattice = f"arn:aws:vpc-lattice:{REGION}:{ACCOUNT}"
    return {
        "version": "2.0",
        "path": request.target,
        "method": request.method,
        "headers": multi(_lattice_headers(request, door)),
        "queryStringParameters": multi(raw_query(request.query)),
        "body": body,
        "isBase64Encoded": is_base64,
        "requestContext": {
            "serviceNetworkArn": f"{lattice}:servicenetwork/sn-0bf3f2882e9cc805a",
            "serviceArn": f"{lattice}:service/svc-0a40eebed65f8d69c",
            "targetGroupArn": f"{lattice}:targetgroup/tg-6d0ecf831eec9f09",
            "identity": {
                "sourceVpcArn": f"arn:aws:ec2:{REGION}:{ACCOUNT}:vpc/vpc-0b8276c84697e7339"
            },
            "region": REGION,
            "timeEpoch": str(door.time_ms * 1000),
        },
    }


def _lattice_headers(request: ClientRequest, door: Door) -> Pairs:
    headers = with_content_length(list(request.headers), request.body, always=False)
    return lowered(append_client(with_host(headers, door), request.client_ip))


def _with_own_trace(headers: Pairs, request: ClientRequest, door: Door) -> Pairs:
    sent = request.values("x-amzn-trace-id")
    if not sent:
        return with_trace(headers, door)
    own = door.trace_id.replace("Root=", "Self=")
    return replace(headers, "x-amzn-trace-id", f"{own};{sent[-1]}")


def _sent_as_text(request: ClientRequest) -> bool:
    return not request.values("content-encoding") and is_text_type(media_type(request))
