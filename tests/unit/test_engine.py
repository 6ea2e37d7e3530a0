"""Loading models: which, on what, and by which recipe."""

import gc
import subprocess
import sys
import weakref
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from functions.separate import engine as module
from functions.separate.devices import Cpu
from functions.separate.engine import Engine
from functions.separate.loading import File
from functions.separate.networks import Ensemble
from functions.separate.recipe import recipe
from functions.separate.separator import Separator
from medley.errors import DeviceLost, WeightsMissing
from medley.models import MODELS
from medley.separation import Separation
from medley.settings import BadSettings
from tests.networks import ours, separator, small, untrained


def test_the_untrained_model_is_the_same_in_every_process() -> None:
    here = Engine("cpu").separator(Separation("demucs_unittest"))
    script = (
        "from functions.separate.engine import Engine; from medley.separation import Separation;"
        "tiny = Engine('cpu').separator(Separation('demucs_unittest'));"
        "print(tiny.recipe, float(sum(each.double().sum() for each in tiny.ensemble.networks[0].network.parameters())))"
    )
    there = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout.split()
    total = float(sum(each.double().sum() for each in untrained().parameters()))
    assert there == [here.recipe, str(total)]
    assert here.stems == MODELS["demucs_unittest"].stems
    assert (here.device, here.precision, here.samplerate) == ("cpu", "exact", 44100)
    assert (here.grid(1).segment, here.grid(1).stride) == (88200, 66150)


def test_loading_the_untrained_model_leaves_the_random_state_alone() -> None:
    torch.manual_seed(7)
    expected = torch.rand(1)
    torch.manual_seed(7)
    Engine("cpu").separator(Separation("demucs_unittest"))
    assert torch.equal(torch.rand(1), expected)


def test_whatever_changes_the_sound_is_another_recipe() -> None:
    separators = [
        Separator(of, Cpu(1), Separation("test", shifts=shifts, overlap=overlap))
        for of in (ours(small()), ours(small(1)), ours(small(), precision="fast"), ours(small(), small()))
        for shifts in (0, 1)
        for overlap in (0.25, 0.3)
    ]
    assert len({each.recipe for each in separators}) == len(separators)
    assert separator(ours(small())).recipe == separator(ours(small())).recipe


def test_a_model_is_gone_before_another_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small GPU does not hold two; also where a song was begun in another precision than is asked for now."""
    engine = Engine("cpu")
    monkeypatch.setattr(module, "choose", lambda wish, device: "exact" if wish == "exact" else "fast")
    before: list[weakref.ref[Ensemble]] = []

    def load(_: str, device: str, precision: str, folder: str) -> Ensemble:
        gc.collect()
        assert not [each for each in before if each() is not None]
        loaded = ours(small(), precision=precision)
        before.append(weakref.ref(loaded))
        return loaded

    monkeypatch.setattr(module, "load", load)
    asked = Separation("test", precision="fast")
    engine.separator(Separation("other"))
    engine.separator(asked, begun=recipe(asked, ours(small()).weights, "exact"))
    assert len(before) == 3


def test_a_model_that_cannot_be_fast_is_loaded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    engine, loaded = Engine("cpu"), []
    monkeypatch.setattr(module, "choose", lambda wish, device: "exact" if wish == "exact" else "fast")
    load = module.load
    monkeypatch.setattr(module, "load", lambda *about: loaded.append(about) or load(*about))
    tiny = Separation("demucs_unittest")
    begun = engine.separator(tiny).recipe
    for one in (engine.separator(tiny, begun=begun), engine.separator(tiny), engine.separator(tiny, exactly=True)):
        assert (one.recipe, one.precision) == (begun, "exact")
    assert len(loaded) == 1


def test_cuda_without_a_gpu_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert Engine("auto").separator(Separation("demucs_unittest")).device == "cpu"
    with pytest.raises(BadSettings, match="DEVICE is cuda, but"):
        Engine("cuda")


def test_missing_weights_say_how_to_get_them(tmp_path: Path) -> None:
    with pytest.raises(WeightsMissing, match="medley weights htdemucs"):
        Engine("cpu", weights_dir=str(tmp_path)).separator(Separation("htdemucs"))


@pytest.mark.parametrize("damage", ["cut short", "empty", "without its class", "no safetensors"])
def test_a_damaged_file_is_named_with_what_to_do(tmp_path: Path, damage: str) -> None:
    file = tmp_path / "model.safetensors"
    save_file({"weight": torch.zeros(1000)}, file)
    whole = file.read_bytes()
    file.write_bytes(
        {"cut short": whole[:2000], "empty": b"", "without its class": whole, "no safetensors": b"x" * 99}[damage]
    )
    with pytest.raises(WeightsMissing, match=r"model\.safetensors is damaged .*remove it"):
        File(file)


def test_a_gpu_that_fails_at_once_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> str:
        raise torch.AcceleratorError("CUDA error: uncorrectable ECC error encountered")

    monkeypatch.setattr(module, "found", broken)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(DeviceLost, match="uncorrectable"):
        Engine("auto")
    Engine("cpu")  # does not look at it
