"""What a client sends, distrusted: a body that notices when it breaks off, and JSON that is no more than JSON."""

import json
from typing import Any, NoReturn

from medley.errors import BadRequest

DEEPEST = 100  # lists and objects within each other, far below what Python can write again


class Body:
    """WSGI's input. Reading raises BadRequest, once, where it ends before it should; then it has ended."""

    def __init__(self, stream: Any, length: int | None) -> None:
        self._stream = stream
        self._left = length
        self._over = False

    def read(self, size: int) -> bytes:
        if self._over:
            return b""
        try:
            data = bytes(self._stream.read(size))
        except Exception as error:  # gunicorn has one for each way in which a body can be broken
            self._over = True
            raise BadRequest(f"The body is broken: {error}") from error
        if self._left is not None:
            self._left -= len(data)
        self._over = not data
        if self._over and self._left:
            raise BadRequest(f"The body ended {self._left} bytes before it should; send it again.")
        return data


def read_json(text: str) -> Any:
    """The value of a JSON text. Raises ValueError, saying what is wrong with it."""
    try:
        value = json.loads(text, parse_constant=_refuse)
    except RecursionError:
        raise _too_deep() from None
    level = [value]
    for _ in range(DEEPEST):
        level = [inner for outer in level for inner in _members(outer)]
    if level:
        raise _too_deep()
    return value


def _members(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def _refuse(constant: str) -> NoReturn:
    """Python's own reader takes these."""
    raise ValueError(f"{constant} is no number")


def _too_deep() -> ValueError:
    return ValueError(f"it is nested too deeply, beyond {DEEPEST} levels")
