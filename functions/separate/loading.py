"""Loading a model: its weights from disk into the networks that are to run them."""

import hashlib
import importlib.util
import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors import SafetensorError, safe_open
from torch import Tensor

from functions.separate.htdemucs import KLASS, Forward, shape_of
from functions.separate.importing import complete
from functions.separate.networks import Demucs, Ensemble, Maker, Network, Own
from functions.separate.precision import dtype_of
from functions.separate.weights import find, folder_of
from medley.errors import WeightsMissing
from medley.models import MODELS, SAMPLERATE, SEPARATORS, UNTRAINED
from medley.settings import BadSettings

UNTRAINED_SEED = 0
UNTRAINED_SEGMENT = 2  # s; its own 40 s would make tests long


def load(model: str, device: str, precision: str, weights_dir: str) -> Ensemble:
    """A model of `medley.models` on "cpu" or "cuda", in "exact" or "fast"; needs no network.

    Fast is what HTDemucs and models from elsewhere may be; the others go through demucs itself, which is exact.
    Raises WeightsMissing where its weights are not in `weights_dir`, BadSettings where a package is missing or gives
    another model than it says.
    """
    found = _found(model, device, precision, weights_dir)
    given, wanted = (tuple(found.stems), found.samplerate), (MODELS[model].stems, SAMPLERATE)
    if given != wanted:
        raise BadSettings(f"the model {model} gives {_told(*given)}; {_told(*wanted)} is what was declared")
    if not _are_shares(found.shares, len(found.networks), len(found.stems)):
        raise BadSettings(f"the model {model} does not say how much of each of its stems is each network's")
    return found


def _are_shares(given: object, networks: int, stems: int) -> bool:
    """Whether they are numbers of 0 or more, (networks, stems), and some of each stem is somebody's."""
    try:
        shares = torch.tensor(given, dtype=torch.float64)
    except (TypeError, ValueError):
        return False
    there = shares.shape == (networks, stems) and networks > 0
    return there and bool((shares >= 0).all() and shares.isfinite().all() and (shares.sum(0) > 0).all())


def _told(stems: Sequence[str], samplerate: int) -> str:
    return f"{', '.join(stems)} at {samplerate} Hz"


def _found(model: str, device: str, precision: str, weights_dir: str) -> Ensemble:
    if made := entry_points(group=SEPARATORS, name=model):
        complete()
        maker: Maker = next(iter(made)).load()
        return maker(device, precision)
    if model == UNTRAINED:
        network = Demucs(_untrained(), device)
        return Ensemble(MODELS[model].stems, SAMPLERATE, [network], [[1.0] * 4], f"seed {UNTRAINED_SEED}")
    folder = folder_of(weights_dir)
    weights = find(model, folder)
    if weights is None:
        raise WeightsMissing(f"the weights of {model} are not in {folder}; get them by `medley weights {model}`")
    bag = yaml.safe_load(weights.definition.read_text())
    files = [File(path) for path in weights.networks]
    return ensemble(files, device, precision, bag.get("weights"), bag.get("segment"))


class File:
    """A network in a safetensors file as `demucs.hf` writes it: its class, its arguments and its weights.

    Raises WeightsMissing where the file is damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with safe_open(path, framework="pt") as file:
                self.about: Mapping[str, str] = file.metadata() or {}
                self.state: dict[str, Tensor] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            self.arguments: dict[str, Any] = _decoded(json.loads(self.about["kwargs"]))
        except (SafetensorError, KeyError, ValueError) as error:
            why = f"{type(error).__name__}: {error}"
            raise WeightsMissing(f"{path} is damaged ({why}); remove it, and get its model's weights again") from error


def ensemble(
    files: Sequence[Any],
    device: str,
    precision: str,
    shares: Sequence[Sequence[float]] | None = None,
    segment: float | None = None,
) -> Ensemble:
    """As `demucs.apply.BagOfModels`: the networks of files, how much of each stem is whose, and a shorter segment."""
    shapes = [shape_of(file.arguments) if file.about["klass"] == KLASS else None for file in files]
    with ThreadPoolExecutor(1) as aside:
        digested = aside.submit(digest, [file.state for file in files], shares)
        if all(shapes):
            networks: list[Network] = [
                _own(shape, file.state, device, precision, segment)
                for shape, file in zip(shapes, files, strict=True)
                if shape
            ]
        else:
            networks, precision = [_by_demucs(file, device, segment) for file in files], "exact"
        about = files[0].arguments
        stems = tuple(about["sources"])
        shares = shares or [[1.0] * len(stems) for _ in files]
        return Ensemble(stems, about.get("samplerate", SAMPLERATE), networks, shares, digested.result(), precision)


def _own(shape: Any, state: Mapping[str, Tensor], device: str, precision: str, segment: float | None) -> Own:
    forward = Forward(shape, state, dtype_of(precision, device), device)
    shorter = min(float(shape.segment), segment or float("inf"))
    return Own(forward, min(int(shorter * shape.samplerate), forward.length))


def _by_demucs(file: Any, device: str, segment: float | None) -> Demucs:
    if "structure" in file.about and importlib.util.find_spec("diffq") is None:
        raise BadSettings("the model is quantized and needs the package diffq")
    from demucs.hf import load_safetensors_model
    from demucs.htdemucs import HTDemucs

    network = load_safetensors_model(file.path)
    if segment is not None and (not isinstance(network, HTDemucs) or segment <= network.segment):
        network.segment = segment
    return Demucs(network, device)


def digest(states: Sequence[Mapping[str, Tensor]], shares: object) -> str:
    """SHA-256 over weights as they are used, whatever file and type of number they came in."""
    sha256 = hashlib.sha256(json.dumps(shares).encode())
    for state in states:
        for name, value in sorted(state.items()):
            sha256.update(name.encode())
            sha256.update(value.float().contiguous().view(-1).numpy().data)
    return sha256.hexdigest()


def _decoded(value: Any) -> Any:
    """`demucs.hf._decode_json`, without the import of demucs."""
    if isinstance(value, list):
        return [_decoded(item) for item in value]
    if not isinstance(value, dict):
        return value
    if value.get("_type") == "fraction":
        return Fraction(value["numerator"], value["denominator"])
    return {name: _decoded(item) for name, item in value.items()}


def _untrained() -> Any:
    """Demucs' tiny model for tests, with the same random weights in every process."""
    from demucs.pretrained import get_model

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(UNTRAINED_SEED)
        network = get_model(UNTRAINED)
    network.segment = UNTRAINED_SEGMENT
    return network
