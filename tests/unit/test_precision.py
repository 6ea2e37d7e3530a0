"""In which precision a song is computed, here and where it goes on."""

import contextlib
from typing import Any

import pytest

from functions.separate import engine, gpu, precision
from functions.separate.engine import Engine
from functions.separate.gpu import require_gpu
from medley.separation import Separation
from medley.settings import BadSettings, read
from tests.networks import ours, small


@pytest.mark.parametrize(
    ("wish", "device", "has_bf16", "chosen"),
    [
        ("auto", "cpu", True, "fast"),
        ("auto", "cpu", False, "exact"),
        ("fast", "cpu", False, "exact"),
        ("exact", "cpu", True, "exact"),
        ("exact", "cuda", True, "exact"),
        ("auto", "cuda", False, "fast"),
    ],
)
def test_fast_is_taken_only_where_it_is_faster(
    wish: str, device: str, has_bf16: bool, chosen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision, "_is_bf16_faster", lambda: has_bf16)
    assert precision.choose(wish, device) == chosen


def test_a_processor_that_does_not_say_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision.platform, "machine", lambda: "aarch64")
    for seconds, faster in (({"float32": 3.0, "bfloat16": 1.0}, True), ({"float32": 1.0, "bfloat16": 0.9}, False)):
        precision._is_measured_faster.cache_clear()
        monkeypatch.setattr(precision, "_seconds", lambda dtype, seconds=seconds: seconds[str(dtype).split(".")[1]])
        assert precision._is_bf16_faster() is faster
        monkeypatch.setattr(precision, "_seconds", lambda dtype: 1.0)
        assert precision._is_bf16_faster() is faster  # once and for all
    precision._is_measured_faster.cache_clear()
    monkeypatch.undo()
    assert precision._seconds(precision.torch.float32) > 0


@pytest.fixture
def fast_here(monkeypatch: pytest.MonkeyPatch) -> Engine:
    """An engine on a processor with bfloat16, with a small network."""
    monkeypatch.setattr(precision, "_is_bf16_faster", lambda: True)
    loads: Any = lambda model, device, precision, folder: ours(small(), precision=precision)  # noqa: E731
    monkeypatch.setattr(engine, "load", loads)
    return Engine("cpu")


def test_a_song_goes_on_in_the_precision_it_was_begun_with(fast_here: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    separation = Separation("test")
    assert fast_here.separator(separation).precision == "fast"
    exact = Engine("cpu", "exact").separator(separation)
    assert exact.precision == "exact"
    assert fast_here.separator(separation, begun=exact.recipe).recipe == exact.recipe
    fast = fast_here.separator(separation)
    assert fast_here.separator(separation, begun=fast.recipe).recipe == fast.recipe
    monkeypatch.setattr(precision, "_is_bf16_faster", lambda: False)
    assert fast_here.separator(separation, begun=fast.recipe).precision == "exact"  # anew, under another recipe
    assert fast_here.separator(separation, begun="another").recipe == exact.recipe


def test_a_songs_own_precision_comes_before_the_setting(fast_here: Engine) -> None:
    assert fast_here.separator(Separation("test", precision="exact")).precision == "exact"
    assert Engine("cpu", "exact").separator(Separation("test", precision="fast")).precision == "fast"
    assert Engine("cpu", "exact").separator(Separation("test")).precision == "exact"
    assert read({}).precision == "auto"


def test_fast_where_it_is_emulated_is_computed_exactly_and_logged(
    fast_here: Engine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(precision, "_is_bf16_faster", lambda: False)
    assert fast_here.separator(Separation("test", precision="fast")).precision == "exact"
    assert "computed exactly" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("cuda", "driver", "fits"), [("13.2", "12", False), ("13.2", "13", True), ("12.6", "13", True)]
)
def test_a_driver_that_is_too_old_is_named(monkeypatch: pytest.MonkeyPatch, cuda: str, driver: str, fits: bool) -> None:
    monkeypatch.setattr(gpu, "_cuda_of_torch", lambda: cuda)
    monkeypatch.setattr(gpu, "DRIVER", f"print({driver})")
    with (
        contextlib.nullcontext() if fits else pytest.raises(BadSettings, match=f"one for CUDA {driver}: it is too old")
    ):
        require_gpu()


def test_a_worker_that_must_have_a_gpu_does_not_start_without() -> None:
    with pytest.raises(BadSettings, match="DEVICE is cuda, but"):
        require_gpu()
