"""The models and their stems, as a table: known without torch.

Beside demucs' there are those that installed packages name by entry points: of the group `medley.models` a `Model`, and
under the same name in `medley.separators` what makes its networks (`functions/separate/networks.py`).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points

SAMPLERATE = 44100  # Hz, of all models, and so of parts and stems
FOUR = ("drums", "bass", "other", "vocals")
SIX = (*FOUR, "guitar", "piano")
UNTRAINED = "demucs_unittest"  # tiny, random weights that are made where they are used: for tests of all but sound


@dataclass(frozen=True)
class Model:
    """A separation model by its name, and the stems it gives in its own order."""

    name: str
    stems: tuple[str, ...] = FOUR


DEMUCS = (
    Model("htdemucs"),
    Model("htdemucs_ft"),
    Model("htdemucs_6s", SIX),
    Model("hdemucs_mmi"),
    Model("mdx"),
    Model("mdx_extra"),
    Model("mdx_q"),
    Model("mdx_extra_q"),
    Model(UNTRAINED),
)


def known(found: Iterable[EntryPoint]) -> dict[str, Model]:
    """Demucs' models and those found, by name. Raises ValueError for one whose stems cannot stand in a URL."""
    models = {model.name: model for model in DEMUCS}
    for entry in found:
        model = entry.load()
        if not model.stems or not all(stem.isascii() and stem.isalpha() and stem.islower() for stem in model.stems):
            raise ValueError(f"the stems of the model {entry.name} are not names of small letters: {model.stems}")
        models[entry.name] = model
    return models


MODELS = known(entry_points(group="medley.models"))
SEPARATORS = "medley.separators"  # the group of what makes the networks of such a model
ALIASES = {"base": "bass"}  # what existing clients call it
