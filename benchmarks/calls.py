"""Time calls of penstock and of Mangum in one process, and print the times as JSON.

Both get the same event, context and application. They take turns, batch by batch, so whatever
slows the machine down for a while slows both; a ratio is the median of the ratios of such pairs.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from itertools import repeat
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

from mangum import Mangum

from penstock.adapter import LambdaAdapter
from penstock.infra.gateway import ClientRequest, make_event

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Call = Callable[[Any, Any], Any]

DOORS = ("http-api", "rest-api", "http-api-1", "alb", "alb-multi", "function-url", "edge")
LARGE_DOORS = {"http-api": 4 << 20, "rest-api": 4 << 20, "alb-multi": 700_000}

PAIRS, QUICK_PAIRS = 61, 15
LARGE_PAIRS, QUICK_LARGE_PAIRS = 25, 7
BATCH_SECONDS = 0.005

CHROME = (
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)"
    " Chrome/138.0.0.0 Safari/537.36"
)
BROWSER = (
    ("Host", "shop.example.com"),
    ("Connection", "keep-alive"),
    ("sec-ch-ua", '"Chromium";v="138", "Not=A?Brand";v="8"'),
    ("sec-ch-ua-mobile", "?0"),
    ("sec-ch-ua-platform", '"Linux"'),
    ("User-Agent", CHROME),
    ("Accept", "application/json, text/plain, */*"),
    ("Sec-Fetch-Site", "same-origin"),
    ("Sec-Fetch-Mode", "cors"),
    ("Sec-Fetch-Dest", "empty"),
    ("Referer", "https://shop.example.com/orders"),
    ("Accept-Encoding", "gzip, deflate, br, zstd"),
    ("Accept-Language", "en-GB,en;q=0.9,de;q=0.8"),
    ("Cookie", "session=0c7ae1b2d4f94e5f8f3a; theme=dark"),
)
JSON_TYPE = ("Content-Type", "application/json")
BYTES_TYPE = ("Content-Type", "application/octet-stream")
TARGET = "/orders/1207?fields=status&fields=total&page=2"
ORDER = b'{"item": "tea", "count": 2, "note": "leave it at the door", "express": false}'


class Context:
    """What AWS's client hands over, as far as adapters look at it."""

    def __init__(self) -> None:
        self.aws_request_id = "8f5ba2f2-61ae-4b1f-a6a7-0f9a3f6a8a1c"
        self.function_name = "orders"
        self.memory_limit_in_mb = "1024"
        self._deadline_ms = int(time.time() * 1000) + 900_000

    def get_remaining_time_in_millis(self) -> int:
        """Count down from the fifteen minutes that Lambda gives at most."""
        return max(0, self._deadline_ms - int(time.time() * 1000))


class App:
    """An application that reads the request, answers one body, and has a lifespan."""

    def __init__(self, body: bytes, content_type: bytes) -> None:
        self._start = {
            "type": "http.response.start",
            "status": 200,
            "headers": [
                (b"content-type", content_type),
                (b"content-length", b"%d" % len(body)),
                (b"cache-control", b"no-store"),
                (b"vary", b"Cookie"),
            ],
        }
        self._end = {"type": "http.response.body", "body": body}
        self.received = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        received, more = 0, True
        while more:
            message = await receive()
            received += len(message["body"])
            more = message["more_body"]
        self.received = received
        await send(self._start)
        await send(self._end)


class Case(NamedTuple):
    """One row: a request at one door, what the application answers, the adapters' option."""

    name: str
    door: str
    request: ClientRequest
    answer: tuple[bytes, bytes] = (b'{"id": 1207, "status": "packed", "total": "18.40"}', b"json")
    options: dict[str, str] = {}  # noqa: RUF012 - read only
    is_large: bool = False


def cases() -> Iterator[Case]:
    """Every row of the table, in its order."""
    get = ClientRequest("GET", TARGET, BROWSER)
    post = ClientRequest("POST", "/orders", (*BROWSER, JSON_TYPE), ORDER)
    for options, words in (({"lifespan": "off"}, "lifespan off"), ({}, "default options")):
        for name, request in (("small GET", get), ("small POST", post)):
            for door in DOORS:
                yield Case(f"{name}, {words}", door, request, options=options)
    for kind in ("base64 request", "text request", "binary answer", "text answer", "ASCII answer"):
        for door, size in LARGE_DOORS.items():
            binary = kind in ("base64 request", "binary answer")
            name = "Crème brûlée" if kind.startswith("text") else "Rice pudding"
            body = random.Random(1).randbytes(size) if binary else json_of(size, name)
            words = f"{'4 MiB' if size >= 1 << 20 else '700 KB'} {kind}"
            if kind.endswith("request"):
                headers = (*BROWSER, BYTES_TYPE if binary else JSON_TYPE)
                request = ClientRequest("POST", "/upload", headers, body)
                yield Case(words, door, request, options={"lifespan": "off"}, is_large=True)
            else:
                answer = body, b"octet-stream" if binary else b"json"
                yield Case(words, door, get, answer, {"lifespan": "off"}, is_large=True)


def json_of(size: int, name: str) -> bytes:
    """A JSON list of records in about so many bytes."""
    record = (
        f'{{"id": 1207, "name": "{name}", "tags": ["sweet", "cold"], "price": 3.5}},\n'.encode()
    )
    return b"[" + record * (size // len(record) - 1) + b"{}]"


def measure(case: Case, *, quick: bool) -> dict[str, Any]:
    """Return the row of one case: microseconds of a call, and their ratio."""
    body, subtype = case.answer
    apps = [App(body, b"application/" + subtype) for _ in range(2)]
    options: dict[str, Any] = case.options
    adapter = LambdaAdapter(apps[0], **options)
    calls: list[Call] = [adapter, Mangum(apps[1], **options)]
    # Strings as they come from the Runtime API, not those that this process made.
    text = json.dumps(make_event(case.door, case.request))
    event, context = json.loads(text), Context()
    compare(case, apps, [call(event, context) for call in calls])
    slowest = max(timed(call, event, context, 3) for call in calls) / 3
    count = max(1, round(BATCH_SECONDS / slowest))
    if case.is_large:
        pairs = QUICK_LARGE_PAIRS if quick else LARGE_PAIRS
    else:
        pairs = QUICK_PAIRS if quick else PAIRS
    times: list[tuple[float, float]] = []
    for number in range(pairs):
        first = number % 2
        one, other = (timed(calls[who], event, context, count) for who in (first, 1 - first))
        times.append((other, one) if first else (one, other))
    adapter.close()
    assert event == json.loads(text), "an adapter changed the event"
    penstock, mangum = zip(*times, strict=True)
    return {
        "case": case.name,
        "door": case.door,
        "penstock_us": median(penstock) / count * 1e6,
        "mangum_us": median(mangum) / count * 1e6,
        "ratio": median(mine / theirs for mine, theirs in times),
        "pairs": pairs,
        "calls_a_batch": count,
    }


def timed(call: Call, event: Any, context: Context, count: int) -> float:
    """Return the seconds of CPU that a batch of calls takes: none of them waits for anything."""
    began = time.process_time()
    for _ in repeat(None, count):
        call(event, context)
    return time.process_time() - began


def compare(case: Case, apps: list[App], answers: list[Any]) -> None:
    """Make sure that both did the whole work: a comparison with a failure would be worthless."""
    penstock, mangum = answers
    for app in apps:
        assert app.received == len(case.request.body), (case.name, case.door, app.received)
    assert penstock["body"] == mangum["body"], (case.name, case.door)
    if "statusCode" in mangum:
        assert penstock["statusCode"] == mangum["statusCode"] == 200, (case.name, case.door)


def main() -> None:
    """Print one row a case, as a JSON list."""
    quick = "--quick" in sys.argv
    # Mangum uses the current loop: one of its own, not the one that penstock has taken by then.
    LambdaAdapter(App(b"", b"json"))(make_event("http-api", ClientRequest("GET", "/")), Context())
    asyncio.set_event_loop(asyncio.new_event_loop())
    json.dump([measure(case, quick=quick) for case in cases()], sys.stdout)


if __name__ == "__main__":
    main()
