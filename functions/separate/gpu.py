"""Whether there is a GPU, found out without PyTorch: before gunicorn forks, and before a song waits for it."""

import runpy
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from medley.settings import BadSettings

# In a process of its own: CUDA that was initialised before a fork is of no use after it.
COUNT = """
import ctypes
cuda, count = ctypes.CDLL("libcuda.so.1"), ctypes.c_int()
assert cuda.cuInit(0) == 0 and cuda.cuDeviceGetCount(ctypes.byref(count)) == 0 and count.value
"""


def require_gpu() -> None:
    """Raises BadSettings, which says what is missing, unless PyTorch and the machine can compute on a GPU."""
    torch = find_spec("torch")
    if torch is None or not torch.origin or not runpy.run_path(str(Path(torch.origin).with_name("version.py")))["cuda"]:
        raise BadSettings("DEVICE is cuda, but the PyTorch installed here is one for CPUs only")
    if subprocess.run([sys.executable, "-c", COUNT], capture_output=True, check=False).returncode:
        raise BadSettings("DEVICE is cuda, but no NVIDIA GPU and driver are here; set it to cpu or auto")
