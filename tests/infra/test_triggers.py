"""Events that are not HTTP have the shapes that AWS documents."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from penstock.infra.gateway import TRIGGERS, make_trigger_event

RECORDED = Path(__file__).parents[2].parent / "shared" / "events" / "non-http"

DATA: dict[str, list[Any]] = {
    "sqs": ["one", "two"],
    "sns": ["message"],
    "eventbridge": [{"state": "on"}],
    "schedule": [],
    "s3": ["folder/a file+ä.txt"],
    "dynamodb": [{"Id": 101, "Message": "New item!"}],
    "kinesis": ["text", b"\xff"],
}


def shape(value: Any) -> Any:
    """The keys and the types of a JSON value; lists by their first item."""
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items()}
    if isinstance(value, list):
        return [shape(item) for item in value[:1]]
    return type(value).__name__


@pytest.mark.parametrize("kind", TRIGGERS)
def test_every_event_is_json_and_the_same_for_the_same_identity(kind: str) -> None:
    first, second = (
        make_trigger_event(kind, DATA[kind], request_id="id", time_ms=1_700_000_000_123)
        for _ in "ab"
    )
    assert first == second == json.loads(json.dumps(first))


@pytest.mark.parametrize(
    ("kind", "name", "varying"),
    [
        ("sqs", "sqs-sam-generated.json", ()),
        ("sns", "sns.json", ("MessageAttributes", "Subject")),
        ("schedule", "eventbridge-scheduled.json", ()),
        ("s3", "s3-put.json", ()),
        ("dynamodb", "dynamodb-stream.json", ("Keys", "NewImage")),
        ("kinesis", "kinesis.json", ()),
    ],
)
def test_shapes_of_known_events(kind: str, name: str, varying: tuple[str, ...]) -> None:
    if not RECORDED.exists():
        pytest.skip("the folder of recorded events is not beside this checkout")
    theirs = shape(json.loads((RECORDED / name).read_text(encoding="utf-8")))
    ours = shape(make_trigger_event(kind, DATA[kind]))
    for event in (theirs, ours):
        for record in event.get("Records", []):
            for part in (record.get("Sns", {}), record.get("dynamodb", {})):
                for key in varying:
                    part.pop(key, None)
    assert theirs == ours


def test_eventbridge_has_the_keys_of_a_recorded_event() -> None:
    if not RECORDED.exists():
        pytest.skip("the folder of recorded events is not beside this checkout")
    theirs = json.loads((RECORDED / "eventbridge-custom.json").read_text(encoding="utf-8"))
    # That one was replayed from an archive.
    assert theirs.keys() - {"replay-name"} == make_trigger_event("eventbridge", [{}]).keys()


def test_sqs_has_one_record_for_each_body() -> None:
    records = make_trigger_event("sqs", ["Hello from SQS!", "{}"])["Records"]
    assert ["Hello from SQS!", "{}"] == [record["body"] for record in records]
    assert "7b270e59b47ff90a553787216d55d91d" == records[0]["md5OfBody"]
    assert 2 == len({record["messageId"] for record in records})


def test_sns_has_the_message() -> None:
    assert "hi" == make_trigger_event("sns", ["hi"])["Records"][0]["Sns"]["Message"]


def test_eventbridge_has_the_detail_and_the_time_in_seconds() -> None:
    event = make_trigger_event("eventbridge", [{"a": 1}], time_ms=1_513_968_228_999)
    assert ({"a": 1}, "2017-12-22T18:43:48Z") == (event["detail"], event["time"])


def test_a_schedule_names_its_rule() -> None:
    assert make_trigger_event("schedule", ["nightly"])["resources"][0].endswith(":rule/nightly")
    assert "aws.events" == make_trigger_event("schedule")["source"]


def test_s3_encodes_the_key() -> None:
    record = make_trigger_event("s3", DATA["s3"], time_ms=0)["Records"][0]
    assert "folder/a+file%2B%C3%A4.txt" == record["s3"]["object"]["key"]
    assert "1970-01-01T00:00:00.000Z" == record["eventTime"]


def test_dynamodb_has_typed_attributes_and_the_first_as_key() -> None:
    item = {"id": "a", "n": 1.5, "b": True, "z": None, "l": [1], "m": {"x": b"\0"}}
    image = make_trigger_event("dynamodb", [item])["Records"][0]["dynamodb"]
    assert {"id": {"S": "a"}} == image["Keys"]
    assert {
        "id": {"S": "a"},
        "n": {"N": "1.5"},
        "b": {"BOOL": True},
        "z": {"NULL": True},
        "l": {"L": [{"N": "1"}]},
        "m": {"M": {"x": {"B": "AA=="}}},
    } == image["NewImage"]
    with pytest.raises(TypeError, match="attribute"):
        make_trigger_event("dynamodb", [{"id": object()}])


def test_kinesis_data_is_base64() -> None:
    records = make_trigger_event("kinesis", DATA["kinesis"])["Records"]
    assert [b"text", b"\xff"] == [base64.b64decode(record["kinesis"]["data"]) for record in records]


@pytest.mark.parametrize(
    ("kind", "data", "message"),
    [
        ("websocket", [], "expected one of sqs"),
        ("sqs", [], "from 1 to"),
        ("sns", ["a", "b"], "one item"),
        ("schedule", ["a", "b"], "from 0 to 1"),
    ],
)
def test_what_cannot_be_is_refused(kind: str, data: list[Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_trigger_event(kind, data)
