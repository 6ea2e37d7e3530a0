"""The models of demucs and their stems, as a table: known without torch."""

from dataclasses import dataclass

FOUR = ("drums", "bass", "other", "vocals")
SIX = (*FOUR, "guitar", "piano")


@dataclass(frozen=True)
class Model:
    """A separation model by its name in demucs, and the stems it gives in its own order."""

    name: str
    stems: tuple[str, ...] = FOUR


MODELS = {
    model.name: model
    for model in (
        Model("htdemucs"),
        Model("htdemucs_ft"),
        Model("htdemucs_6s", SIX),
        Model("hdemucs_mmi"),
        Model("mdx"),
        Model("mdx_extra"),
        Model("mdx_q"),
        Model("mdx_extra_q"),
        Model("demucs_unittest"),  # tiny, random weights: for tests of everything but sound
    )
}

STEMS = frozenset(stem for model in MODELS.values() for stem in model.stems)
ALIASES = {"base": "bass"}  # what existing clients call it
