"""What parts of a song fit together: those that are made by the same recipe."""

import hashlib
import json

from medley.separation import Separation


def recipe(separation: Separation, weights: str, precision: str) -> str:
    """8 hex digits of all that changes how parts sound; `precision` is the one that is computed in."""
    what = {**vars(separation), "weights": weights, "precision": precision}
    canonical = json.dumps(what, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:8]
