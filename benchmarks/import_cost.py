"""Import one adapter in this fresh process, answer one request, and print what that cost.

Usage: ``python import_cost.py penstock|mangum``, with a marshalled event on standard input; prints
modules, milliseconds of the import and of the first call. Counted is what comes on top of asyncio,
which both adapters need; for that reason nothing else is imported before.
"""

from __future__ import annotations

import asyncio  # noqa: F401 - before the clock starts
import marshal
import sys
import time

EVENT = marshal.loads(sys.stdin.buffer.read())  # not JSON: that would be one more module

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


async def app(scope: Any, receive: Any, send: Any) -> None:
    await receive()
    if scope["type"] == "lifespan":
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    headers = [(b"content-type", b"application/json"), (b"content-length", b"2")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"{}"})


before = len(sys.modules)
began = time.perf_counter()
if sys.argv[1] == "penstock":
    from penstock.adapter import LambdaAdapter as Adapter
else:
    from mangum import Mangum as Adapter  # type: ignore[assignment]
imported = time.perf_counter()
handler: Any = Adapter(app)
answer = handler(EVENT, None)
answered = time.perf_counter()
modules = len(sys.modules) - before
assert answer["statusCode"] == 200, answer
print(modules, (imported - began) * 1e3, (answered - imported) * 1e3)
if sys.argv[1] == "penstock":
    handler.close()  # Mangum has done so after its first call
