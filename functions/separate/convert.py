"""Turns the ONNX graph of htdemucs into weights that demucs loads: safetensors with the model's class and arguments."""

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medley.models import MODELS

Array = NDArray[np.float32]
Shapes = Mapping[str, tuple[int, ...]]

SEGMENT = Fraction(39, 5)  # s

ARGUMENTS: dict[str, Any] = {
    "sources": list(MODELS["htdemucs"].stems),
    "samplerate": 44100,
    "segment": SEGMENT,
    "dconv_mode": 3,
    "bottom_channels": 512,
    "t_layers": 5,
}
"""What htdemucs was made with, where that is not HTDemucs' default."""

EMBEDDING_SCALE = 10  # demucs.hdemucs.ScaledEmbedding multiplies its weight by this, and the graph holds the product

# Node names repeat a layer's number: layers.1/layers.1.4 is the module layers.1.4.
_REPEATED = re.compile(r"layers\.(\d+)\.layers\.\1\b")


class BadGraph(ValueError):
    """The graph is not the one that this conversion was written for."""


def convert(onnx_file: Path, safetensors_file: Path) -> None:
    """Write the weights of `onnx_file` in the form that `demucs.hf.load_safetensors_model` reads."""
    import onnx
    from demucs.htdemucs import HTDemucs

    shapes = {name: tuple(value.shape) for name, value in HTDemucs(**ARGUMENTS).state_dict().items()}
    save(state_dict(onnx.load(onnx_file).graph, shapes), safetensors_file)


def save(state: Mapping[str, Array], safetensors_file: Path) -> None:
    """Write `state` with the class and arguments of htdemucs."""
    from safetensors.numpy import save_file

    save_file({name: _half(name, value) for name, value in state.items()}, safetensors_file, metadata())


def metadata() -> dict[str, str]:
    """The class and arguments of the model, as `demucs.hf` reads them."""
    segment = {"_type": "fraction", "numerator": SEGMENT.numerator, "denominator": SEGMENT.denominator}
    return {"klass": "demucs.htdemucs.HTDemucs", "args": "[]", "kwargs": json.dumps(ARGUMENTS | {"segment": segment})}


def state_dict(graph: Any, shapes: Shapes) -> dict[str, Array]:
    """The initializers of `graph` (onnx.GraphProto) as a state dict with the keys and shapes of `shapes`.

    Raises BadGraph unless every initializer is used once and every key is filled.
    """
    pieces: dict[str, dict[int, Array]] = defaultdict(dict)
    for key, place, value in _pieces(graph, shapes):
        if place in pieces[key]:
            raise BadGraph(f"{key} is filled twice")
        pieces[key][place] = value
    state = {key: np.concatenate([values[place] for place in sorted(values)]) for key, values in pieces.items()}
    _check(state, shapes)
    return state


def _check(state: Mapping[str, Array], shapes: Shapes) -> None:
    """Raise BadGraph unless `state` has the keys and the shapes of `shapes`."""
    if state.keys() != shapes.keys():
        raise BadGraph(f"not filled, or not known: {', '.join(sorted(state.keys() ^ shapes.keys()))}")
    for key, value in state.items():
        if value.shape != shapes[key]:
            raise BadGraph(f"{key} is {value.shape}, not {shapes[key]}")


def _pieces(graph: Any, keys: Iterable[str]) -> Iterator[tuple[str, int, Array]]:
    """Each initializer once: the key it belongs to, its place in that, its value."""
    from onnx.numpy_helper import to_array

    users = defaultdict(list)
    for node in graph.node:
        for name in node.input:
            users[name].append(node)
    for initializer in graph.initializer:
        value, nodes = to_array(initializer), users[initializer.name]
        if initializer.name in keys:
            yield initializer.name, 0, value
        elif len(nodes) == 1:
            yield _placed(nodes[0].name, nodes[0].op_type, value, keys)
        else:
            raise BadGraph(f"{initializer.name} has no key, and {len(nodes)} nodes use it")


def _placed(node: str, operator: str, value: Array, keys: Iterable[str]) -> tuple[str, int, Array]:
    """The key, the place in it and the value of an initializer that has lost its name, by the node that uses it."""
    path, name = module(node), node.rpartition("/")[2]
    second = int(name.endswith("_1"))  # attention projects q by its first product, k and v by the second
    match operator:
        case "Expand":
            return "freq_emb.embedding.weight", 0, value[0, :, :, 0].T / np.float32(EMBEDDING_SCALE)
        case "MatMul" if path.endswith("attn"):
            return f"{path}.in_proj_weight", second, value.T
        case "Add" if path.endswith("attn"):
            return f"{path}.in_proj_bias", second, value
        case "MatMul":
            return f"{path}.weight", 0, value.T
        case "Mul":
            return f"{path}.weight" if f"{path}.weight" in keys else f"{path}.scale", 0, value.reshape(-1)
        case "Add":
            return f"{path}.bias", 0, value.reshape(-1)
    raise BadGraph(f"{node} is a {operator}")


def module(node: str) -> str:
    """The module a node belongs to: `/encoder.0/dconv/layers.1/layers.1.4/Mul` is of `encoder.0.dconv.layers.1.4`."""
    path = node.strip("/").rpartition("/")[0].replace("/", ".")
    return _REPEATED.sub(r"layers.\1", path)


def _half(name: str, value: Array) -> NDArray[np.float16]:
    """`value` in the 16 bits it was published in: the graph's 32 hold no more, and the file is half as large."""
    half = value.astype(np.float16, order="C")  # safetensors writes a transposed array's memory as it lies
    if not np.array_equal(half, value):
        raise BadGraph(f"{name} does not fit 16 bits")
    return half
