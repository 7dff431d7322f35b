"""How a process of the runtime imports asyncio: without TLS, which works all the same."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

CONNECT = """
from penstock.adapter.runtime.late_imports import import_asyncio

import_asyncio()
import sys
assert not {"ssl", "_ssl", "asyncio.sslproto"} & set(sys.modules)
import asyncio
import ssl

# A cipher without a certificate.
server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
for context in (server, client):
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("AECDH-AES256-SHA:@SECLEVEL=0")
client.check_hostname = False
client.verify_mode = ssl.CERT_NONE

async def answer(reader, writer):
    if await reader.readline() == b"STARTTLS\\n":
        writer.write(b"go\\n")
        await writer.start_tls(server)
        await reader.readline()
    cipher = writer.get_extra_info("cipher")[0]
    writer.write(cipher.encode())
    writer.close()
    await writer.wait_closed()

async def read(reader, writer):
    writer.write(b"hello\\n")
    text = await reader.read()
    writer.close()
    await writer.wait_closed()
    return text.decode()

async def main():
    async with await asyncio.start_server(answer, "127.0.0.1", 0, ssl=server) as listener:
        address = listener.sockets[0].getsockname()
        print(await read(*await asyncio.open_connection(*address, ssl=client)))
    async with await asyncio.start_server(answer, "127.0.0.1", 0) as listener:
        reader, writer = await asyncio.open_connection(*listener.sockets[0].getsockname())
        writer.write(b"STARTTLS\\n")
        await reader.readline()
        await writer.start_tls(client)
        print(await read(reader, writer))
"""
SERVE_TLS = f"{CONNECT}\nasyncio.run(main())"
REFUSE_TLS = f"""
{CONNECT}
import socket

async def receive():
    with client.wrap_socket(socket.socket(), do_handshake_on_connect=False) as wrapped:
        await asyncio.get_running_loop().sock_recv(wrapped, 1)

try:
    asyncio.run(receive())
except TypeError as error:
    print(error)
"""
NAMES = """
from penstock.adapter.runtime.late_imports import import_asyncio
import_asyncio()
import asyncio
late = asyncio.sslproto.SSLProtocol
import asyncio.base_events, asyncio.sslproto, ssl, types
print(type(ssl) is type(asyncio.sslproto) is types.ModuleType)
print(late is asyncio.sslproto.SSLProtocol is asyncio.base_events.sslproto.SSLProtocol)
ssl.SSLContext = object
print(asyncio.base_events.ssl.SSLContext is object, hasattr(asyncio.base_events.ssl, "rubbish"))
"""
IMPORTED = """
from penstock.adapter.runtime.late_imports import import_asyncio
import sys
import_asyncio()
print("asyncio" in sys.modules, "ssl" in sys.modules, "asyncio.sslproto" in sys.modules)
"""


def run(code: str, initialization: str | None = None) -> list[str]:
    """What the code prints in a Python of its own."""
    environ = {key: value for key, value in os.environ.items() if not key.startswith("AWS_LAMBDA")}
    if initialization is not None:
        environ["AWS_LAMBDA_INITIALIZATION_TYPE"] = initialization
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_asyncio_serves_and_connects_by_tls() -> None:
    assert run(SERVE_TLS) == ["AECDH-AES256-SHA"] * 2


def test_asyncio_refuses_sockets_of_tls() -> None:
    assert run(REFUSE_TLS) == ["Socket cannot be of type SSLSocket"]


def test_everybody_gets_the_same_real_modules() -> None:
    """Also after ``ssl`` was patched, as libraries that use the system's certificates do."""
    assert run(NAMES) == ["True", "True", "True False"]


def test_what_asyncio_asks_for_while_it_is_imported_is_there(tmp_path: Path) -> None:
    """No asyncio so far does; this one is made for the test."""
    package = tmp_path / "asyncio"
    package.mkdir()
    (package / "__init__.py").write_text("import ssl\nerror = ssl.SSLError\n")
    code = f"""
import sys
sys.path.insert(0, {str(tmp_path)!r})
from penstock.adapter.runtime.late_imports import import_asyncio
import_asyncio()
import asyncio, ssl
print(asyncio.error is ssl.SSLError)
"""
    assert run(code) == ["True"]


@pytest.mark.parametrize("initialization", [None, "on-demand"])
def test_tls_is_put_off_where_a_request_waits(initialization: str | None) -> None:
    assert run(IMPORTED, initialization) == ["True False False"]


@pytest.mark.parametrize(
    "initialization", ["snap-start", "provisioned-concurrency", "lambda-managed-instances"]
)
def test_tls_is_imported_where_lambda_starts_ahead_of_the_requests(initialization: str) -> None:
    assert run(IMPORTED, initialization) == ["True True True"]


@pytest.mark.parametrize("name", ["asyncio", "ssl"])
def test_what_is_imported_already_stays(name: str) -> None:
    """As by a library that instruments the function before the runtime runs."""
    code = f"""
import sys, {name}
before = set(sys.modules)
from penstock.adapter.runtime.late_imports import import_asyncio
import_asyncio()
import asyncio, ssl
print(asyncio.base_events.ssl is ssl, asyncio.sslproto is sys.modules["asyncio.sslproto"])
"""
    assert run(code) == ["True True"]
