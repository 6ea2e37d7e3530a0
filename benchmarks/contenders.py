"""Who runs HTDemucs' forward over a segment, each in its own process: `python -m benchmarks.contenders <name>`."""

import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.child import serve

MODEL = "htdemucs"
RATE, SEGMENT = 44100, 343980  # Hz; samples
ONNX = Path(__file__).resolve().parents[1] / ".cache" / "htdemucs.onnx"
# glibc gives no memory back to the kernel, and asks for none again, between two forwards.
KEEP_MEMORY = {"MALLOC_MMAP_THRESHOLD_": "4294967296", "MALLOC_TRIM_THRESHOLD_": "17179869184"}

Audio = NDArray[np.float32]
Forward = Callable[[Audio], Audio]  # a normalised mix (2, SEGMENT) as its stems (stems, 2, SEGMENT)


@dataclass(frozen=True)
class Contender:
    """How it is called, what it computes in, how it is made ready, and the environment of its process."""

    name: str
    precision: str  # float32, bfloat16
    make: Callable[[], Forward]
    environment: Mapping[str, str] = field(default_factory=dict)
    together: int = 1  # segments that it computes side by side: the same one several times


def _threads() -> int:
    return int(os.environ["OMP_NUM_THREADS"])


def _ours(precision: str, together: int = 1) -> Forward:
    """As the function has it: alone the first segment of a song, two together all others."""
    import torch

    from functions.separate.engine import Engine
    from medley.separation import Separation

    separator = Engine("cpu", precision).separator(Separation(MODEL))
    (network,) = separator.ensemble.networks

    def forward(mix: Audio) -> Audio:
        segments = torch.from_numpy(mix).expand(together, *mix.shape)
        for some in segments.split(separator.on.batch(network)):  # one thread takes no two of them together
            out: Audio = separator.on.run(network, some)[0].numpy()
        return out

    return forward


def _network() -> Any:
    from demucs.pretrained import get_model

    return get_model(MODEL).models[0].eval()


def _stock(*, autocast: bool) -> Forward:
    import torch

    network = _network()

    def forward(mix: Audio) -> Audio:
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            out: Audio = network(torch.from_numpy(mix)[None])[0].float().numpy()
            return out

    return forward


def _onnxruntime() -> Forward:
    import onnxruntime  # type: ignore[import-untyped]

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = _threads()
    session = onnxruntime.InferenceSession(str(ONNX), options, providers=["CPUExecutionProvider"])
    names = [one.name for one in session.get_inputs()]
    return _between_transforms(lambda mix, spectra: session.run(None, {names[0]: mix, names[1]: spectra}))


def _openvino(precision: str, together: int = 1) -> Forward:
    import openvino  # type: ignore[import-untyped]

    options = {
        "INFERENCE_PRECISION_HINT": precision,
        "INFERENCE_NUM_THREADS": _threads(),
        "PERFORMANCE_HINT": "LATENCY" if together == 1 else "THROUGHPUT",
        "NUM_STREAMS": together,
    }
    compiled = openvino.Core().compile_model(str(ONNX), "CPU", options)
    requests = threading.local()

    def core(mix: Any, spectra: Any) -> Any:
        if not hasattr(requests, "own"):
            requests.own = compiled.create_infer_request()
        return list(requests.own.infer([mix, spectra]).values())

    forward, streams = _between_transforms(core), ThreadPoolExecutor(together)

    def side_by_side(mix: Audio) -> Audio:
        stems, *_ = streams.map(forward, [mix] * together)
        return stems

    return side_by_side


def _between_transforms(core: Callable[[Any, Any], Any]) -> Forward:
    """The ONNX graph leaves out Demucs' STFT and its inverse: here they are Demucs' own."""
    import torch

    network = _network()

    def forward(mix: Audio) -> Audio:
        with torch.no_grad():
            batch = torch.from_numpy(mix)[None]
            spectra = network._spec(batch)
            frequencies, waves = core(batch.numpy(), network._magnitude(spectra).contiguous().numpy())
            separated = network._ispec(network._mask(spectra, torch.tensor(frequencies)), SEGMENT)
            out: Audio = (separated + torch.tensor(waves))[0].numpy()
            return out

    return forward


def _one(make: Callable[..., Forward], *arguments: Any, **options: Any) -> Callable[[], Forward]:
    return lambda: make(*arguments, **options)


CONTENDERS = {
    one.name: one
    for one in (
        Contender("stock", "float32", _one(_stock, autocast=False)),
        Contender("stock, tuned allocator", "float32", _one(_stock, autocast=False), KEEP_MEMORY),
        Contender("stock, tuned allocator, autocast", "bfloat16", _one(_stock, autocast=True), KEEP_MEMORY),
        Contender("onnxruntime", "float32", _onnxruntime),
        Contender("OpenVINO, f32", "float32", _one(_openvino, "f32")),
        Contender("OpenVINO, bf16", "bfloat16", _one(_openvino, "bf16")),
        Contender("OpenVINO, f32, two streams", "float32", _one(_openvino, "f32", 2), together=2),
        Contender("OpenVINO, bf16, two streams", "bfloat16", _one(_openvino, "bf16", 2), together=2),
        Contender("ours, exact, alone", "float32", _one(_ours, "exact")),
        Contender("ours, fast, alone", "bfloat16", _one(_ours, "fast")),
        Contender("ours, exact", "float32", _one(_ours, "exact", 2), together=2),
        Contender("ours, fast", "bfloat16", _one(_ours, "fast", 2), together=2),
    )
}


def obtain_onnx() -> None:
    """Gets the graph of HTDemucs, unless it is there."""
    from functions.separate.weights import onnx_graph

    if not ONNX.exists():
        ONNX.parent.mkdir(exist_ok=True)
        with TemporaryDirectory(dir=ONNX.parent) as folder, onnx_graph(Path(folder)) as graph:
            shutil.move(graph, ONNX)


def segment() -> Audio:
    """Music, normalised, (2, SEGMENT)."""
    from benchmarks.quality import BAND, decoded

    mix = decoded(BAND / "mixture.flac")
    audio: Audio = ((np.ascontiguousarray(mix.samples[:, :SEGMENT]) - mix.mean) / mix.deviation).astype(np.float32)
    return audio


def main() -> None:
    """Answers {out} with the seconds for one segment, whose stems go to the file `out` if there is one."""
    contender, mix = CONTENDERS[sys.argv[1]], segment()
    forward = contender.make()

    def answer(out: str = "") -> float:
        begin = time.perf_counter()
        stems = forward(mix)
        seconds = (time.perf_counter() - begin) / contender.together
        if out:
            np.save(out, stems)
        return seconds

    serve(answer)


if __name__ == "__main__":
    main()
