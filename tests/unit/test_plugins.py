"""A model from elsewhere, of another kind than demucs', plugged in by entry points of an installed package."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from medley.models import Model, known

DECLARED = """
from medley.models import Model

MODEL = Model("masks", ("voice", "rest"))
"""

# A mask over the spectrum from a recurrent network, with random weights: nothing of it is demucs'.
NETWORK = """
import torch
from functions.separate.networks import Ensemble


class Masks(torch.nn.Module):
    segment = 20480

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.gru = torch.nn.GRU(257, 32, batch_first=True)
        self.out = torch.nn.Linear(32, 257)

    def seen(self, length):
        return self.segment

    @torch.inference_mode()
    def forward(self, segments):
        batch, channels, length = segments.shape
        window = torch.hann_window(512)
        spectra = torch.stft(segments.flatten(0, 1), 512, window=window, return_complex=True)
        mask = torch.sigmoid(self.out(self.gru(spectra.abs().transpose(1, 2))[0])).transpose(1, 2)
        voice = torch.istft(spectra * mask, 512, window=window, length=length).view(batch, channels, length)
        return torch.stack([voice, segments - voice], 1)


def make(device, precision):
    torch.cdist(*[torch.empty(2, 3, device="meta")] * 2)  # shapes alone, as compilers ask for
    return Ensemble(("voice", "rest"), 44100, [Masks().to(device)], [[1.0, 1.0]], "random 0")
"""

USE = """
import json
import numpy as np
from functions.separate.importing import quickly
with quickly():  # as a worker does
    from functions.separate.engine import Engine
from functions.separate.weights import folder_of, obtain
from medley.audio import Mix
from medley.models import MODELS
from medley.output import parse_file
from medley.separation import Separation
from medley.settings import read

obtain("masks", folder_of(""))  # there is nothing to get
samples = np.random.default_rng(0).standard_normal((2, 70_000)).astype(np.float32) * 0.1
mix = Mix(samples, 70_000, float(samples.mean()), float(samples.mean(0).std()))
separator = Engine("cpu").separator(Separation("masks", shifts=2))
parts = list(separator.parts(mix))
total = np.concatenate(parts, axis=-1).sum(0) / (1 << 22)
print(json.dumps({
    "served": read({"MODELS": "masks"}).models, "stems": MODELS["masks"].stems, "output": str(parse_file("voice.mp3")),
    "separator": separator.stems, "parts": len(parts), "grid": separator.grid(70_000).count,
    "error": float(np.abs(total - mix.mean - samples).max()), "precision": separator.precision,
}))
"""


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A package as pip leaves it: its modules, and what it says of itself."""
    (tmp_path / "masks_model.py").write_text(DECLARED)
    (tmp_path / "masks_network.py").write_text(NETWORK)
    about = tmp_path / "masks-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: masks\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(
        "[medley.models]\nmasks = masks_model:MODEL\n[medley.separators]\nmasks = masks_network:make\n"
    )
    return tmp_path


def test_a_model_from_elsewhere_is_served_and_separates(installed: Path) -> None:
    environment = {"PYTHONPATH": f"{installed}:{Path(__file__).parents[2]}", "OMP_NUM_THREADS": "1"}
    told = subprocess.run([sys.executable, "-c", USE], env=environment, check=True, capture_output=True, text=True)
    found = json.loads(told.stdout)
    assert found["served"] == ["masks"]
    assert found["stems"] == found["separator"] == ["voice", "rest"]
    assert "voice" in found["output"]
    assert found["parts"] == found["grid"] > 1
    assert found["error"] < 1e-5  # the stems add up to the mix, each with its mean
    assert found["precision"] == "exact"


LOAD = """
from functions.separate.engine import Engine
from medley.separation import Separation
from medley.settings import BadSettings

try:
    Engine("cpu").separator(Separation("masks"))
except BadSettings as error:
    print(error)
"""


@pytest.mark.parametrize("given", ["voice, rest at 48000", "rest, voice at 44100", "voice at 44100"])
def test_a_network_that_is_not_the_declared_model_is_refused(installed: Path, given: str) -> None:
    stems, _, rate = given.partition(" at ")
    file = installed / "masks_network.py"
    file.write_text(NETWORK.replace('("voice", "rest"), 44100', f"{tuple(stems.split(', '))}, {rate}"))
    environment = {"PYTHONPATH": f"{installed}:{Path(__file__).parents[2]}", "OMP_NUM_THREADS": "1"}
    told = subprocess.run([sys.executable, "-c", LOAD], env=environment, check=True, capture_output=True, text=True)
    assert told.stdout == f"the model masks gives {given} Hz; voice, rest at 44100 Hz is what was declared\n"


SHARES = (
    "[]", "None", "[1.0, 1.0]", "[[1.0]]", "[[1.0, 1.0], [1.0, 1.0]]", "[[1.0, 1.0], [1.0]]", "[[1.0, 0.0]]",
    "[[2.0, -1.0]]", "[[1.0, float('inf')]]", "[[1.0, float('nan')]]",
)  # fmt: skip


@pytest.mark.parametrize("shares", SHARES)
def test_shares_that_fit_no_network_are_refused(installed: Path, shares: str) -> None:
    file = installed / "masks_network.py"
    file.write_text(NETWORK.replace("[[1.0, 1.0]]", shares))
    environment = {"PYTHONPATH": f"{installed}:{Path(__file__).parents[2]}", "OMP_NUM_THREADS": "1"}
    told = subprocess.run([sys.executable, "-c", LOAD], env=environment, check=True, capture_output=True, text=True)
    assert told.stdout == "the model masks does not say how much of each of its stems is each network's\n"


def test_what_needs_only_its_stems_does_not_load_its_network(installed: Path) -> None:
    environment = {"PYTHONPATH": f"{installed}:{Path(__file__).parents[2]}"}
    script = "import sys; from medley.models import MODELS; print(MODELS['masks'].stems, 'torch' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", script], env=environment, check=True, capture_output=True, text=True)
    assert told.stdout.strip() == "('voice', 'rest') False"


def test_stems_that_cannot_stand_in_a_url_are_refused() -> None:
    class Found:
        name = "odd"

        def load(self) -> Model:
            return Model("odd", ("lead vocals",))

    with pytest.raises(ValueError, match="the stems of the model odd"):
        known([Found()])  # type: ignore[list-item]
