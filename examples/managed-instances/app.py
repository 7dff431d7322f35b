"""A FastAPI application that waits for others: on Managed Instances, one process serves many."""

from __future__ import annotations

import asyncio
import logging
import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

logger = logging.getLogger(__name__)


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[dict[str, Any]]:
    """Make what all invocations share, once for each process."""
    yield {"most": asyncio.Semaphore(100)}


app = FastAPI(title="penstock on Managed Instances", lifespan=lifespan)


@app.get("/report/{name}")
async def report(request: Request, name: str, seconds: float = 0.05) -> dict[str, Any]:
    """Wait for a slow service, as most requests do, and log as the invocation that it is."""
    async with request.state.most:
        await asyncio.sleep(seconds)
    logger.info("report %s is ready", name)
    return {"name": name, "process": os.getpid()}
