"""Compiles the kernels: `python functions/separate/kernels/build.py`, by the C++ compiler of the package ziglang.

It needs nothing else, no compiler of the system's and none of the other packages. What it makes runs with glibc 2.17
or newer.
"""

import hashlib
import platform
import subprocess
import sys
import sysconfig
from pathlib import Path
from tempfile import TemporaryDirectory

HERE = Path(__file__).parent
TARGET = ("-target", "x86_64-linux-gnu.2.17", "-mcpu=x86_64_v3")  # with AVX2 and FMA
OPTIONS = (
    *("-std=c++17", "-O3", "-ffp-contract=fast", "-fno-exceptions", "-fno-rtti", "-fvisibility=hidden"),
    *("-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-nostdlib++", "-s"),
)


def library() -> Path:
    """Where it is, or would be. Of other sources it is another, so that none is ever called as another was."""
    digest = hashlib.sha256(" ".join(TARGET + OPTIONS).encode())
    for source in sorted(HERE.glob("*.?pp")):
        digest.update(source.read_bytes())
    return HERE / f"{digest.hexdigest()[:16]}.so"


def fits() -> bool:
    """Whether it runs on such a system."""
    return sys.platform == "linux" and platform.machine() == "x86_64"


def build() -> None:
    """Raises CalledProcessError where the compiler fails, having said why."""
    sources = [str(source) for source in sorted(HERE.glob("*.cpp"))]
    with TemporaryDirectory(dir=HERE) as folder:
        environment = ["env", f"ZIG_GLOBAL_CACHE_DIR={folder}", f"ZIG_LOCAL_CACHE_DIR={folder}"]  # it is not to stay
        made = Path(folder) / "kernels.so"
        compiler = [sys.executable, "-m", "ziglang", "c++"]
        subprocess.run([*environment, *compiler, *TARGET, *OPTIONS, *sources, "-o", str(made)], check=True)
        for old in HERE.glob("*.so"):
            old.unlink(missing_ok=True)
        made.rename(library())


if __name__ == "__main__":
    if not fits():
        print(f"no kernels for {sysconfig.get_platform()}: PyTorch's operators do without", file=sys.stderr)
    elif not library().exists():
        build()
