"""Events of queues, topics, buses, buckets, tables and streams: what is not HTTP."""

from __future__ import annotations

import base64
import hashlib
import time
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_plus

from penstock.infra.gateway.door import ACCOUNT, REGION

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


@dataclass(frozen=True, slots=True)
class _Moment:
    """What is the same in all records of one event."""

    request_id: str
    time_ms: int

    def identifier(self, index: int) -> str:
        return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{self.request_id}/{index}"))

    def sequence(self, index: int) -> str:
        return f"4959033827149025660855969253836157109592{self.time_ms:013d}{index:03d}"

    @property
    def seconds(self) -> float:
        return self.time_ms / 1000

    def iso(self, *, milliseconds: bool) -> str:
        stamp = datetime.fromtimestamp(self.seconds, UTC).replace(tzinfo=None)
        return stamp.isoformat(timespec="milliseconds" if milliseconds else "seconds") + "Z"


def make_trigger_event(
    kind: str,
    data: Sequence[Any] = (),
    *,
    request_id: str | None = None,
    time_ms: int | None = None,
) -> dict[str, Any]:
    """Return the event with which AWS invokes a function for something that is not HTTP.

    Args:
        kind: one of ``TRIGGERS``.
        data: one item for each record. ``sqs``: message bodies. ``sns``: one message.
            ``eventbridge``: one detail, a dict. ``schedule``: at most one rule name. ``s3``:
            object keys, not encoded. ``dynamodb``: new items as plain dicts, whose first attribute
            is the key. ``kinesis``: bytes or str.
        request_id: from which all identifiers are derived; default random.
        time_ms: when it happened, in milliseconds since the epoch; default now.

    Raises:
        ValueError: the kind is unknown, or the number of items is not possible there.
        TypeError: a DynamoDB item holds what no attribute can.

    Source: "Using Lambda with Amazon SQS" and its sisters for SNS, S3, DynamoDB, Kinesis in the
    Lambda Developer Guide; "Events" in the EventBridge User Guide.

    >>> from penstock.infra.gateway import make_trigger_event
    >>> make_trigger_event("sqs", ["one", "two"])["Records"][1]["body"]
    'two'

    """
    if kind not in _MAKERS:
        raise ValueError(f"expected one of {', '.join(TRIGGERS)} as trigger, got {kind!r}")
    maker, least, most = _MAKERS[kind]
    if not least <= len(data) <= most:
        wanted = "one item" if (least, most) == (1, 1) else f"from {least} to {most} items"
        raise ValueError(f"expected {wanted} for {kind}, got {len(data)}")
    moment = _Moment(
        request_id or str(uuid.uuid4()), int(time.time() * 1000) if time_ms is None else time_ms
    )
    return maker(data, moment)


def _sqs(bodies: Sequence[str], moment: _Moment) -> dict[str, Any]:
    return {
        "Records": [
            {
                "messageId": moment.identifier(index),
                "receiptHandle": base64.b64encode(moment.identifier(index).encode()).decode(),
                "body": body,
                "attributes": {
                    "ApproximateReceiveCount": "1",
                    "SentTimestamp": str(moment.time_ms),
                    "SenderId": "AIDAEXAMPLEEXAMPLE123",
                    "ApproximateFirstReceiveTimestamp": str(moment.time_ms + 1),
                },
                "messageAttributes": {},
                "md5OfBody": hashlib.md5(body.encode(), usedforsecurity=False).hexdigest(),
                "eventSource": "aws:sqs",
                "eventSourceARN": f"arn:aws:sqs:{REGION}:{ACCOUNT}:queue",
                "awsRegion": REGION,
            }
            for index, body in enumerate(bodies)
        ]
    }


def _sns(messages: Sequence[str], moment: _Moment) -> dict[str, Any]:
    topic = f"arn:aws:sns:{REGION}:{ACCOUNT}:topic"
    subscription = f"{topic}:{moment.identifier(1)}"
    service = f"https://sns.{REGION}.amazonaws.com"
    return {
        "Records": [
            {
                "EventSource": "aws:sns",
                "EventVersion": "1.0",
                "EventSubscriptionArn": subscription,
                "Sns": {
                    "Type": "Notification",
                    "MessageId": moment.identifier(0),
                    "TopicArn": topic,
                    "Subject": None,
                    "Message": messages[0],
                    "Timestamp": moment.iso(milliseconds=True),
                    "SignatureVersion": "1",
                    "Signature": "EXAMPLE",
                    "SigningCertUrl": f"{service}/SimpleNotificationService-example.pem",
                    "UnsubscribeUrl": (
                        f"{service}/?Action=Unsubscribe&SubscriptionArn={subscription}"
                    ),
                    "MessageAttributes": {},
                },
            }
        ]
    }


def _bus_event(moment: _Moment, detail_type: str, source: str) -> dict[str, Any]:
    return {
        "version": "0",
        "id": moment.identifier(0),
        "detail-type": detail_type,
        "source": source,
        "account": ACCOUNT,
        "time": moment.iso(milliseconds=False),
        "region": REGION,
        "resources": [],
        "detail": {},
    }


def _eventbridge(details: Sequence[dict[str, Any]], moment: _Moment) -> dict[str, Any]:
    return {**_bus_event(moment, "Example", "com.example"), "detail": details[0]}


def _schedule(rules: Sequence[str], moment: _Moment) -> dict[str, Any]:
    rule = rules[0] if rules else "schedule"
    arn = f"arn:aws:events:{REGION}:{ACCOUNT}:rule/{rule}"
    return {**_bus_event(moment, "Scheduled Event", "aws.events"), "resources": [arn]}


def _s3(keys: Sequence[str], moment: _Moment) -> dict[str, Any]:
    return {
        "Records": [
            {
                "eventVersion": "2.1",
                "eventSource": "aws:s3",
                "awsRegion": REGION,
                "eventTime": moment.iso(milliseconds=True),
                "eventName": "ObjectCreated:Put",
                "userIdentity": {"principalId": "AWS:AIDAEXAMPLEEXAMPLE123"},
                "requestParameters": {"sourceIPAddress": "203.0.113.7"},
                "responseElements": {
                    "x-amz-request-id": moment.identifier(index)[-12:].upper(),
                    "x-amz-id-2": base64.b64encode(moment.identifier(index).encode()).decode(),
                },
                "s3": {
                    "s3SchemaVersion": "1.0",
                    "configurationId": "example",
                    "bucket": {
                        "name": "example-bucket",
                        "ownerIdentity": {"principalId": "A3EXAMPLE"},
                        "arn": "arn:aws:s3:::example-bucket",
                    },
                    "object": {
                        # S3 writes a blank as "+" and keeps the slashes.
                        "key": quote_plus(key, safe="/"),
                        "size": 1024,
                        "eTag": hashlib.md5(key.encode(), usedforsecurity=False).hexdigest(),
                        "sequencer": f"{moment.time_ms:016X}",
                    },
                },
            }
            for index, key in enumerate(keys)
        ]
    }


def _dynamodb(items: Sequence[dict[str, Any]], moment: _Moment) -> dict[str, Any]:
    table = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/example"
    images = [{name: _attribute(value) for name, value in item.items()} for item in items]
    return {
        "Records": [
            {
                "eventID": moment.identifier(index).replace("-", ""),
                "eventName": "INSERT",
                "eventVersion": "1.1",
                "eventSource": "aws:dynamodb",
                "awsRegion": REGION,
                "dynamodb": {
                    "ApproximateCreationDateTime": float(moment.time_ms // 1000),
                    "Keys": dict(list(image.items())[:1]),
                    "NewImage": image,
                    "SequenceNumber": moment.sequence(index)[-21:],
                    "SizeBytes": len(str(image)),
                    "StreamViewType": "NEW_AND_OLD_IMAGES",
                },
                "eventSourceARN": f"{table}/stream/{moment.iso(milliseconds=True)[:-1]}",
            }
            for index, image in enumerate(images)
        ]
    }


def _attribute(value: object) -> dict[str, Any]:
    attribute: dict[str, Any]
    match value:
        case None:
            attribute = {"NULL": True}
        case bool():
            attribute = {"BOOL": value}
        case str():
            attribute = {"S": value}
        case int() | float():
            attribute = {"N": str(value)}
        case bytes():
            attribute = {"B": base64.b64encode(value).decode()}
        case list():
            attribute = {"L": [_attribute(item) for item in value]}
        case dict():
            attribute = {"M": {name: _attribute(item) for name, item in value.items()}}
        case _:
            raise TypeError(f"expected JSON-like data or bytes for an attribute, got {value!r}")
    return attribute


def _kinesis(payloads: Sequence[bytes | str], moment: _Moment) -> dict[str, Any]:
    encoded = [item.encode() if isinstance(item, str) else item for item in payloads]
    return {
        "Records": [
            {
                "kinesis": {
                    "kinesisSchemaVersion": "1.0",
                    "partitionKey": str(index),
                    "sequenceNumber": moment.sequence(index),
                    "data": base64.b64encode(payload).decode(),
                    "approximateArrivalTimestamp": moment.seconds,
                },
                "eventSource": "aws:kinesis",
                "eventVersion": "1.0",
                "eventID": f"shardId-000000000006:{moment.sequence(index)}",
                "eventName": "aws:kinesis:record",
                "invokeIdentityArn": f"arn:aws:iam::{ACCOUNT}:role/function",
                "awsRegion": REGION,
                "eventSourceARN": f"arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/example",
            }
            for index, payload in enumerate(encoded)
        ]
    }


_MAKERS: dict[str, tuple[Callable[[Sequence[Any], _Moment], dict[str, Any]], int, int]] = {
    "sqs": (_sqs, 1, 10_000),
    "sns": (_sns, 1, 1),
    "eventbridge": (_eventbridge, 1, 1),
    "schedule": (_schedule, 0, 1),
    "s3": (_s3, 1, 1),
    "dynamodb": (_dynamodb, 1, 10_000),
    "kinesis": (_kinesis, 1, 10_000),
}

TRIGGERS: tuple[str, ...] = tuple(_MAKERS)
"""Names of the kinds of events that are not HTTP."""
