"""Whether there is a GPU, found out without PyTorch: before gunicorn forks, and before a song waits for it."""

import runpy
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from medley.settings import BadSettings

# In a process of its own: CUDA that was initialised before a fork is of no use after it.
DRIVER = """
import ctypes
cuda, number = ctypes.CDLL("libcuda.so.1"), ctypes.c_int()
assert cuda.cuInit(0) == 0 and cuda.cuDeviceGetCount(ctypes.byref(number)) == 0 and number.value
assert cuda.cuDriverGetVersion(ctypes.byref(number)) == 0
print(number.value // 1000)
"""


def require_gpu() -> None:
    """Raises BadSettings, which says what is missing, unless PyTorch and the machine can compute on a GPU."""
    cuda = _cuda_of_torch()
    if not cuda:
        raise BadSettings("DEVICE is cuda, but the PyTorch installed here is one for CPUs only")
    driver = subprocess.run([sys.executable, "-c", DRIVER], capture_output=True, text=True, check=False)
    if driver.returncode:
        raise BadSettings("DEVICE is cuda, but no NVIDIA GPU and driver are here; set it to cpu or auto")
    if int(driver.stdout) < int(cuda.split(".")[0]):
        known = f"the driver here is one for CUDA {driver.stdout.strip()}"
        raise BadSettings(f"DEVICE is cuda, but PyTorch was built for CUDA {cuda} and {known}: it is too old")


def _cuda_of_torch() -> str:
    """The version of CUDA that PyTorch was built for, empty for none."""
    torch = find_spec("torch")
    if torch is None or not torch.origin:
        return ""
    return runpy.run_path(str(Path(torch.origin).with_name("version.py")))["cuda"] or ""
