"""Rendering what people ask for out of the stored parts: no GPU, flat memory."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from medley import parts, stores
from medley.errors import NotReady
from medley.names import Upload
from medley.output import Output
from medley.render import encode, mix
from medley.song import Done

Values = NDArray[np.int32]


def render(upload: Upload, done: Done, output: Output) -> Iterator[bytes]:
    """A file, piece by piece. Raises NotReady when a part is gone: its stem was removed meanwhile."""
    stems = output.sources(done.stems)
    return encode(output, mix([stored(upload, done, stem) for stem in stems]), done.length)


def stored(upload: Upload, done: Done, stem: str) -> Iterator[Values]:
    """The parts of a stem in order, as arrays (2, samples) of 24-bit values at half amplitude."""
    for number in range(done.parts):
        yield part(upload, done.recipe, stem, number)


def part(upload: Upload, recipe: str, stem: str, number: int) -> Values:
    """One stored part."""
    data = stores.objects().read(upload.part(recipe, stem, number))
    if data is None:
        raise NotReady(f"Part {number} of {stem} is not there (any more).")
    return parts.decode(data)
