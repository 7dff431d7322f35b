"""The settings of a handler, checked once."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NoReturn

from penstock.handler.exceptions import ImproperlyConfigured

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Literal, Self


class HandlerConfig:
    """Immutable settings; names are those of Django's settings, in lower case, where one exists.

    Sizes are bytes, times are seconds, ``None`` switches a limit off. ``ImproperlyConfigured`` if
    a value cannot be used. docs/handler.md has the table.
    """

    # A dataclass of this size would take a third of the whole package's import.
    __slots__ = (
        "allowed_hosts",
        "body_mode",
        "body_receive_timeout",
        "chunk_size",
        "coerce_response",
        "content_chunk_size",
        "data_upload_max_memory_size",
        "data_upload_max_number_fields",
        "data_upload_max_number_files",
        "debug",
        "debug_propagate_exceptions",
        "default_charset",
        "disconnect_grace",
        "error_handlers",
        "file_upload_max_memory_size",
        "file_upload_temp_dir",
        "finalizers",
        "force_script_name",
        "listen_for_disconnect",
        "max_body_size",
        "max_sync_threads",
        "multipart_max_header_count",
        "multipart_max_header_size",
        "preserve_header_case",
        "redirect_slashes",
        "response_timeout",
        "secure_proxy_ssl_header",
        "use_x_forwarded_host",
        "use_x_forwarded_port",
    )

    debug: bool
    debug_propagate_exceptions: bool
    allowed_hosts: Sequence[str]
    default_charset: str
    force_script_name: str | None
    file_upload_max_memory_size: int
    data_upload_max_memory_size: int | None
    data_upload_max_number_fields: int | None
    data_upload_max_number_files: int | None
    multipart_max_header_size: int
    multipart_max_header_count: int
    file_upload_temp_dir: str | None
    max_body_size: int | None
    body_mode: Literal["spool", "stream"]
    body_receive_timeout: float | None
    use_x_forwarded_host: bool
    use_x_forwarded_port: bool
    secure_proxy_ssl_header: tuple[str, str] | None
    listen_for_disconnect: bool | Literal["auto"]
    disconnect_grace: float | None
    content_chunk_size: int | None
    chunk_size: int
    preserve_header_case: bool
    error_handlers: Mapping[int | type[BaseException], Callable[..., Any]]
    redirect_slashes: bool
    response_timeout: float | None
    coerce_response: bool
    max_sync_threads: int
    finalizers: Sequence[Any]

    def __init__(
        self,
        *,
        debug: bool = False,
        debug_propagate_exceptions: bool = False,
        allowed_hosts: Sequence[str] = ("*",),
        default_charset: str = "utf-8",
        force_script_name: str | None = None,
        file_upload_max_memory_size: int = 2_621_440,
        data_upload_max_memory_size: int | None = 2_621_440,
        data_upload_max_number_fields: int | None = 1000,
        data_upload_max_number_files: int | None = 100,
        multipart_max_header_size: int = 4096,
        multipart_max_header_count: int = 8,
        file_upload_temp_dir: str | None = None,
        max_body_size: int | None = None,
        body_mode: Literal["spool", "stream"] = "spool",
        body_receive_timeout: float | None = 60.0,
        use_x_forwarded_host: bool = False,
        use_x_forwarded_port: bool = False,
        secure_proxy_ssl_header: tuple[str, str] | None = None,
        listen_for_disconnect: bool | Literal["auto"] = "auto",
        disconnect_grace: float | None = None,
        content_chunk_size: int | None = None,
        chunk_size: int = 65_536,
        preserve_header_case: bool = False,
        error_handlers: Mapping[int | type[BaseException], Callable[..., Any]] = MappingProxyType(
            {}
        ),
        redirect_slashes: bool = False,
        response_timeout: float | None = None,
        coerce_response: bool = False,
        max_sync_threads: int = 40,
        finalizers: Sequence[Any] = (),
    ) -> None:
        self._set("debug", debug)
        self._set("debug_propagate_exceptions", debug_propagate_exceptions)
        self._set("allowed_hosts", allowed_hosts)
        self._set("default_charset", default_charset)
        self._set("force_script_name", force_script_name)
        self._set("file_upload_max_memory_size", file_upload_max_memory_size)
        self._set("data_upload_max_memory_size", data_upload_max_memory_size)
        self._set("data_upload_max_number_fields", data_upload_max_number_fields)
        self._set("data_upload_max_number_files", data_upload_max_number_files)
        self._set("multipart_max_header_size", multipart_max_header_size)
        self._set("multipart_max_header_count", multipart_max_header_count)
        self._set("file_upload_temp_dir", file_upload_temp_dir)
        self._set("max_body_size", max_body_size)
        self._set("body_mode", body_mode)
        self._set("body_receive_timeout", body_receive_timeout)
        self._set("use_x_forwarded_host", use_x_forwarded_host)
        self._set("use_x_forwarded_port", use_x_forwarded_port)
        self._set("secure_proxy_ssl_header", secure_proxy_ssl_header)
        self._set("listen_for_disconnect", listen_for_disconnect)
        self._set("disconnect_grace", disconnect_grace)
        self._set("content_chunk_size", content_chunk_size)
        self._set("chunk_size", chunk_size)
        self._set("preserve_header_case", preserve_header_case)
        self._set("error_handlers", error_handlers)
        self._set("redirect_slashes", redirect_slashes)
        self._set("response_timeout", response_timeout)
        self._set("coerce_response", coerce_response)
        self._set("max_sync_threads", max_sync_threads)
        self._set("finalizers", finalizers)
        self._check()

    def _set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)

    def __setattr__(self, name: str, value: Any) -> NoReturn:
        raise AttributeError(f"HandlerConfig.{name}: settings do not change; make another config")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"HandlerConfig.{name}: settings do not change; make another config")

    def __repr__(self) -> str:
        values = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.__slots__)
        return f"HandlerConfig({values})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, HandlerConfig):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in self.__slots__)

    __hash__ = object.__hash__

    def _check(self) -> None:
        for name in _SIZES:
            value = getattr(self, name)
            if value is not None and (type(value) is not int or value < 0):
                _refuse(name, value, "a number of zero or more")
        for name in ("body_receive_timeout", "response_timeout", "disconnect_grace"):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, int | float) or value < 0):
                _refuse(name, value, "seconds, zero or more, or None")
        for name in ("chunk_size", "max_sync_threads", "content_chunk_size"):
            value = getattr(self, name)
            if value is not None and value < 1:
                _refuse(name, value, "one or more")
        for name, allowed in _CHOICES.items():
            if getattr(self, name) not in allowed:
                _refuse(name, getattr(self, name), f"one of {allowed}")
        if isinstance(self.allowed_hosts, str):
            _refuse("allowed_hosts", self.allowed_hosts, "a sequence of host names, not a string")
        _check_charset(self.default_charset)
        _check_error_handlers(self.error_handlers)

    @classmethod
    def from_django(cls, settings: Any, **overrides: Any) -> Self:
        """Take over the values of a configured ``django.conf.settings``; ``overrides`` win.

        ``ALLOWED_HOSTS`` empty with ``DEBUG`` on means localhost, as it does in Django.
        """
        values: dict[str, Any] = {}
        for name in cls.__slots__:
            if name in _OURS_ALONE:
                continue
            try:
                values[name] = getattr(settings, name.upper())
            except AttributeError:  # a setting that this release of Django does not have
                continue
        if values.get("debug") and not values.get("allowed_hosts"):
            values["allowed_hosts"] = (".localhost", "127.0.0.1", "[::1]")
        return cls(**{**values, **overrides})


_CHOICES: dict[str, tuple[Any, ...]] = {
    "body_mode": ("spool", "stream"),
    "listen_for_disconnect": (True, False, "auto"),
}
_SIZES = (
    "file_upload_max_memory_size",
    "data_upload_max_memory_size",
    "data_upload_max_number_fields",
    "data_upload_max_number_files",
    "multipart_max_header_size",
    "multipart_max_header_count",
    "max_body_size",
)
# Settings that Django has no counterpart for, so a project's setting of that name is not ours.
_OURS_ALONE = frozenset(
    (
        "multipart_max_header_size",
        "multipart_max_header_count",
        "max_body_size",
        "body_mode",
        "body_receive_timeout",
        "listen_for_disconnect",
        "disconnect_grace",
        "content_chunk_size",
        "chunk_size",
        "preserve_header_case",
        "error_handlers",
        "redirect_slashes",
        "response_timeout",
        "coerce_response",
        "max_sync_threads",
        "finalizers",
    )
)


def _check_error_handlers(handlers: Mapping[Any, Any]) -> None:
    for key, handler in handlers.items():
        if not _is_error_key(key):
            _refuse("error_handlers", key, "statuses 400 to 599 or exception classes as keys")
        if not callable(handler):
            _refuse("error_handlers", handler, "callables (request, exception) as values")


def _is_error_key(key: object) -> bool:
    if isinstance(key, type):
        return issubclass(key, BaseException)
    return isinstance(key, int) and 400 <= key <= 599


def _check_charset(name: str) -> None:
    try:
        "".encode(name)
    except (LookupError, TypeError):
        _refuse("default_charset", name, "an encoding that Python knows")


def _refuse(name: str, value: object, expected: str) -> None:
    raise ImproperlyConfigured(f"HandlerConfig {name}={value!r}: expected {expected}")


DEFAULT_CONFIG = HandlerConfig()
