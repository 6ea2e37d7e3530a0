"""What a client sends, distrusted: a body that notices when it breaks off, and JSON that is no more than JSON."""

import json
import re
from typing import Any, NoReturn

from medley.errors import BadRequest, Stalled

DEEPEST = 100  # lists and objects within each other, far below what Python can write again
ASCII = bytes(range(128))
BEYOND = re.compile(rb"[\x80-\xff]+")
# Of JSON; one that does not end too, or each of its escaped quotes would be looked at as the beginning of one.
TEXTS = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
WIDE = re.compile(rb"\\u(?!00[0-7])")  # Gson escapes =, and .NET +, which are no wider for it


class Body:
    """WSGI's input. Reading raises Stalled or BadRequest, once, where it ends before it should; then it has ended."""

    def __init__(self, stream: Any, length: int | None) -> None:
        self._stream = stream
        self._left = length
        self._over = False

    def read(self, size: int) -> bytes:
        if self._over:
            return b""
        try:
            data = bytes(self._stream.read(size))
        except TimeoutError as error:
            self._over = True
            raise Stalled("Nothing of the body came for too long; send it again.") from error
        except Exception as error:  # gunicorn has one for each way in which a body can be broken
            self._over = True
            raise BadRequest(f"The body is broken: {error}") from error
        if self._left is not None:
            self._left -= len(data)
        self._over = not data
        if self._over and self._left:
            raise BadRequest(f"The body ended {self._left} bytes before it should; send it again.")
        return data


def one_byte(data: bytes, longest: int) -> bytes | bytearray:
    """UTF-8 as JSON of one byte a letter: those beyond ASCII, `longest` bytes at most, as JSON escapes them.

    To Python one letter beyond Latin is four bytes for every letter of its text, and a song in base64 is a long one: so
    no text of more than `longest` letters may have one, escaped or not. Raises ValueError.
    """
    if len(data.translate(None, ASCII)) > longest:
        raise ValueError("it has more letters beyond ASCII than any upload needs")
    escaped = data if data.isascii() else _escaped(data)
    texts = TEXTS.finditer(escaped) if WIDE.search(escaped) else ()
    if any(text.end() - text.start() > longest and WIDE.search(escaped, *text.span()) for text in texts):
        raise ValueError("it has a letter beyond ASCII in base64")
    return escaped


def _escaped(data: bytes) -> bytearray:
    view, at, escaped = memoryview(data), 0, bytearray()
    for found in BEYOND.finditer(data):
        escaped += view[at : found.start()]
        escaped += json.dumps(found[0].decode())[1:-1].encode()
        at = found.end()
    escaped += view[at:]
    return escaped


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
