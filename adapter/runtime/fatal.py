"""Errors that end the process: logged, told to Lambda, and then nothing more is run."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, NoReturn

from penstock.adapter.runtime import logs, protocol
from penstock.adapter.runtime.reports import Report

if TYPE_CHECKING:
    from penstock.adapter.runtime.client import RuntimeClient

logger = logging.getLogger("penstock")


def fail_init(client: RuntimeClient, error: BaseException) -> NoReturn:
    """Log an error of the init phase, tell Lambda, and end the process with status 1."""
    fail(client, error, protocol.INIT_ERROR, 1)


def fail(
    client: RuntimeClient, error: BaseException, path: str, status: int, *, kind: str | None = None
) -> NoReturn:
    """Log an error of the process, post it to ``path``, and end the process with ``status``.

    ``kind`` is Lambda's type for it, if the phase says more than the error.
    ``os._exit``, because threads that the application has started would keep ``sys.exit`` waiting.
    """
    try:
        report = Report(error)
        logs.log_report(report)
        body = report.body
        client.close()
        head = client.write.process_error(path, len(body), kind or report.type)
        response = client.request(head, body)
        # With several processes, only the first report counts.
        if response.status not in {202, 403}:
            logger.error("POST %s: expected 202, got %d", path, response.status)
    except Exception:
        logger.exception("POST %s: the error could not be reported", path)
    finally:
        logs.flush()
        os._exit(status)
