"""What becomes of an application's tasks when the process ends by itself."""

from __future__ import annotations

import os
import subprocess
import sys

CODE = """
import asyncio

from penstock.adapter import LambdaAdapter

kept = []


async def work():
    try:
        await asyncio.Event().wait()
    finally:
        print("cleaned up")


async def app(scope, receive, send):
    kept.append(asyncio.create_task(work()))
    await asyncio.sleep(0)
    await send({"type": "http.response.start", "status": 204})
    await send({"type": "http.response.body"})


print(LambdaAdapter(app, lifespan="off")({"httpMethod": "GET", "path": "/"})["statusCode"])
"""


def test_tasks_that_are_left_are_cancelled_and_clean_up() -> None:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("AWS_")}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", CODE],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert ("204\ncleaned up\n", "") == (done.stdout, done.stderr)
