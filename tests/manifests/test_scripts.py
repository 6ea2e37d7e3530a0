"""What `make deploy` calls: the scripts that render an overlay and make the first secrets."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from medley import names
from medley.settings import STORES, read
from tests.manifests.rendering import KNATIVE, OVERLAYS, ROOT, functions, overlay, renderer

KUBECTL = """#!/bin/sh
# A cluster that has nothing yet, or the Secret already: tells what it was asked, and keeps what it was given.
echo "$*" >> "$TOLD"
case "$*" in
  "get namespace medley") exit "$NAMESPACE" ;;
  "-n medley get secret medley-stores") exit "$SECRET" ;;
  *"create secret"*) cat > "$GIVEN" ;;
esac
"""


def render(folder: Path, overlay: str = "laptop") -> "subprocess.CompletedProcess[str]":
    renderer()  # or the test is skipped
    command = ["sh", str(KNATIVE / "render.sh"), overlay, "registry.test/me", "v1", str(folder / "out")]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)


def secrets(folder: Path, secret: int, **own: str) -> tuple[str, dict[str, str]]:
    """What kubectl was asked by secrets.sh, and what it was given; `secret` is the status of `get secret`.

    `own` are the stores that the operator has. Raises CalledProcessError.
    """
    fake = folder / "kubectl"
    fake.write_text(KUBECTL)
    fake.chmod(0o755)
    told, given = folder / "told", folder / "given"
    given.touch()
    environment = {"PATH": f"{folder}:/usr/bin:/bin", "TOLD": str(told), "GIVEN": str(given)}
    environment |= {"NAMESPACE": str(secret), "SECRET": str(secret), **own}
    subprocess.run(["sh", str(KNATIVE / "secrets.sh")], check=True, env=environment)
    return told.read_text(), dict(line.split("=", 1) for line in given.read_text().splitlines())


@pytest.mark.parametrize("name", OVERLAYS)
def test_rendering_writes_every_object_with_the_registrys_images(name: str, tmp_path: Path) -> None:
    ran = render(tmp_path, name)
    assert (ran.returncode, ran.stderr) == (0, "")
    written = [yaml.safe_load(path.read_text()) for path in (tmp_path / "out").iterdir()]
    assert len(written) == len(overlay(name))
    text = "".join(path.read_text() for path in (tmp_path / "out").iterdir())
    expected = {f"registry.test/me/{function}:v1" for function, _ in functions(overlay(name))}
    assert set(re.findall(r"image: (registry\.test\S+)", text)) == expected
    assert {function for function, _ in functions(overlay(name))} == set(names.FUNCTIONS)
    assert "image: medley/" not in text


def test_rendering_leaves_nothing_of_the_time_before(tmp_path: Path) -> None:
    render(tmp_path, "one-gpu")
    before = {path.name for path in (tmp_path / "out").iterdir()}
    render(tmp_path, "laptop")
    after = {path.name for path in (tmp_path / "out").iterdir()}
    assert any("weights" in name for name in before)
    assert not any("weights" in name for name in after)


def test_files_are_named_as_the_readme_says(tmp_path: Path) -> None:
    render(tmp_path)
    readme = (KNATIVE / "README.md").read_text()
    for function in names.FUNCTIONS:
        name = f"serving.knative.dev_v1_service_{function}.yaml"
        assert (tmp_path / "out" / name).exists()
    assert "build/manifests/serving.knative.dev_v1_service_$name.yaml" in readme
    assert f"for name in {' '.join(names.FUNCTIONS)}; do" in readme


def test_an_overlay_of_ones_own_may_be_anywhere(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    # kustomize wants relative paths
    (own / "kustomization.yaml").write_text(
        f"resources: [{os.path.relpath(KNATIVE / 'overlays/laptop', own.resolve())}]\n"
    )
    assert render(tmp_path, "./own").returncode == 0
    assert len(list((tmp_path / "out").iterdir())) == len(overlay("laptop"))
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_an_overlay_that_is_not_there_is_told(tmp_path: Path) -> None:
    ran = render(tmp_path, "nowhere")
    assert ran.returncode == 1
    assert all(name in ran.stderr for name in OVERLAYS)
    assert not (tmp_path / "out").exists()


def test_new_secrets_are_settings_and_random(tmp_path: Path) -> None:
    told, first = secrets(tmp_path, 1)
    assert "create namespace medley" in told
    assert "-n medley create secret generic medley-stores" in told
    _, second = secrets(tmp_path, 1)
    settings = read(first)
    assert all(getattr(settings, name) for name in STORES)
    assert first["REDIS_PASSWORD"] in first["REDIS_URL"]
    for name in ("REDIS_PASSWORD", "S3_ACCESS_KEY", "S3_SECRET_KEY"):
        assert len(first[name]) == 48
        assert first[name] != second[name]
        assert first[name] not in told  # a command line can be read by others


def test_secrets_that_are_there_are_left_alone(tmp_path: Path) -> None:
    told, given = secrets(tmp_path, 0)
    assert "create" not in told
    assert given == {}


def test_secrets_name_stores_of_ones_own(tmp_path: Path) -> None:
    own = {"S3_ENDPOINT": "https://s3.test", "S3_ACCESS_KEY": "me", "S3_SECRET_KEY": "a+b/c=="}
    told, given = secrets(tmp_path, 1, **own)
    assert own.items() <= given.items()
    assert "a+b/c==" not in told
    assert given["REDIS_PASSWORD"] in given["REDIS_URL"]
    assert secrets(tmp_path, 1, REDIS_URL="redis://me:x@redis.test")[1]["REDIS_URL"] == "redis://me:x@redis.test"


def test_a_store_of_ones_own_wants_its_keys(tmp_path: Path) -> None:
    with pytest.raises(subprocess.CalledProcessError):
        secrets(tmp_path, 1, S3_ENDPOINT="https://s3.test", S3_ACCESS_KEY="me")
    assert "create secret" not in (tmp_path / "told").read_text()


@pytest.mark.parametrize(
    "own",
    [
        {"REDIS_URL": "redis://:x@127.0.0.1:6379/0"},
        {"S3_ENDPOINT": "http://localhost:8333", "S3_ACCESS_KEY": "me", "S3_SECRET_KEY": "x"},
    ],
)
def test_stores_of_this_machine_are_refused(own: dict[str, str], tmp_path: Path) -> None:
    """A shell may have them from `medley env`."""
    with pytest.raises(subprocess.CalledProcessError):
        secrets(tmp_path, 1, **own)
    assert "create secret" not in (tmp_path / "told").read_text()


def test_other_code_is_another_tag_and_other_manifests_are_not(tmp_path: Path) -> None:
    for name in ("functions", "medley", "knative"):
        shutil.copytree(ROOT / name, tmp_path / name)
    for name in ("Makefile", "requirements.lock"):
        shutil.copy(ROOT / name, tmp_path)

    def tag() -> str:
        return subprocess.run(
            ["make", "-s", "--no-print-directory", "tag"], cwd=tmp_path, check=True, capture_output=True, text=True
        ).stdout

    before = tag()
    assert re.fullmatch(r"[0-9a-f]{12}\n", before)
    (tmp_path / "knative" / "secrets.sh").write_text("")
    assert tag() == before
    (tmp_path / "functions" / "start.sh").write_text("")
    assert tag() != before
