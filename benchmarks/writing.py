"""A worker that writes a song's parts, or only pretends to (`python -m benchmarks.writing`)."""

import time
from typing import Any

from benchmarks.child import serve


def main() -> None:
    """Answers {parts} once the oldest song in the queue is separated: with its seconds of work."""
    from functions.separate.worker import Worker
    from medley import parts, stores
    from medley.stores.objects import Objects

    encode, put = parts.encode, Objects.put
    worker = Worker()

    def put_no_part(self: Objects, name: str, *arguments: Any, **options: Any) -> None:
        if not name.endswith(".flac") or "/parts/" not in name:
            put(self, name, *arguments, **options)

    def answer(parts_too: bool) -> float:
        parts.encode = encode if parts_too else lambda values: b""
        Objects.put = put if parts_too else put_no_part  # type: ignore[method-assign]
        (song,) = stores.jobs().queue()
        begin = time.perf_counter()
        worker.work()
        return time.perf_counter() - begin if stores.jobs().get(song).status == "succeeded" else float("nan")  # type: ignore[union-attr]

    serve(answer)


if __name__ == "__main__":
    main()
