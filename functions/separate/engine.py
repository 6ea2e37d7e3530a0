"""The device of a process and the model that was last used on it."""

import threading

import torch

from functions.separate import kernels
from functions.separate.allocator import keep_memory
from functions.separate.devices import device_of
from functions.separate.faults import told_apart
from functions.separate.loading import load
from functions.separate.networks import Ensemble
from functions.separate.precision import choose
from functions.separate.recipe import recipe
from functions.separate.separator import Separator
from medley import logs
from medley.separation import Separation


class Engine:
    """For the settings DEVICE, PRECISION and WEIGHTS_DIR.

    Raises BadSettings where there is no such device, DeviceLost where a GPU fails.
    """

    def __init__(self, device: str = "auto", precision: str = "auto", weights_dir: str = "") -> None:
        keep_memory()
        with told_apart():
            self._device = device_of(device)
            about = found() if device != "cpu" else f"{torch.get_num_threads()} CPU threads"  # a GPU may be broken
        self._precision, self._weights_dir = precision, weights_dir
        self._loaded: tuple[tuple[str, str], Ensemble] | None = None
        self._lock = threading.Lock()
        logs.info(f"computing on {self._device.name}", asked=device, found=about)
        if self._device.name == "cpu" and kernels.missing():
            logs.info("layers are not compiled and take half as long again", how="functions/separate/kernels/build.py")

    def separator(self, separation: Separation, seed: str = "", begun: str = "", *, exactly: bool = False) -> Separator:
        """For one song; `begun` is the recipe of the parts that there are of it, which is kept to where that can be.

        `exactly` says that it is to be computed so, whatever was asked for. Raises WeightsMissing, BadSettings, and
        DeviceLost where the GPU failed, now or unnoticed before.
        """
        if exactly:
            return Separator(self._load(separation.model, "exact"), self._device, separation, seed)
        asked = separation.precision if separation.precision != "auto" else self._precision
        precision = choose(asked, self._device.name)
        if asked == "fast" and precision != "fast":
            logs.info("computed exactly: nothing here is faster at 16 bits", hash=seed)
        weights, taken = self._known(separation.model, precision)
        other = "exact" if precision == "fast" else choose("fast", self._device.name)
        if begun == recipe(separation, weights, other) != recipe(separation, weights, taken):
            precision = other
        return Separator(self._load(separation.model, precision), self._device, separation, seed)

    def _known(self, model: str, precision: str) -> tuple[str, str]:
        """The digest of a model's weights, and the precision that came of what was asked for.

        And not the model: who holds it while another is loaded keeps two in memory.
        """
        loaded = self._load(model, precision)
        return loaded.weights, loaded.precision

    def _load(self, model: str, precision: str) -> Ensemble:
        with self._lock:
            if self._loaded is None or not _serves(*self._loaded, model, precision):
                self._loaded = None  # before the next one is loaded: two do not fit a small GPU
                with told_apart():
                    loaded = load(model, self._device.name, precision, self._weights_dir)
                self._loaded = (model, precision), loaded
                logs.info("model loaded", model=model, device=self._device.name, precision=loaded.precision)
            return self._loaded[1]


def _serves(loaded: tuple[str, str], ensemble: Ensemble, model: str, precision: str) -> bool:
    """Whether what was loaded is that model, in that precision; not every model can be `fast`."""
    return loaded[0] == model and precision in (loaded[1], ensemble.precision)


def found() -> str:
    """The hardware, for the log."""
    if torch.cuda.is_available():
        return str(torch.cuda.get_device_name())
    return f"no GPU that PyTorch can use; {torch.get_num_threads()} CPU threads"
