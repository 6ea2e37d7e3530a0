"""The curl examples of README.md are what it says they are: requests that work."""

import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.harness import Service

ROOT = Path(__file__).resolve().parents[2]
ADDRESS = "http://localhost:5000"


def examples() -> list[str]:
    """The commands of the block with curl below "Use it", in their order."""
    section = (ROOT / "README.md").read_text().partition("\n## Use it\n")[2].partition("\n## ")[0]
    blocks = re.findall(r"^```sh\n(.*?)^```", section, re.M | re.S)
    block = next(block for block in blocks if "curl" in block).replace("\\\n", " ")
    return [line for line in block.splitlines() if line and not line.startswith("#")]


EXAMPLES = examples()


@dataclass
class Shell:
    """Where the commands run, and the song they are about."""

    folder: Path
    address: str
    song: str = ""

    def run(self, command: str) -> str:
        """What a command printed. A curl that was answered with an error fails."""
        script = f'set -eu\ncurl() {{ command curl --fail "$@"; }}\n{command.replace(ADDRESS, self.address)}'
        environment = {"HASH": self.song, "PATH": "/usr/local/bin:/usr/bin:/bin"}
        done = subprocess.run(
            ["bash", "-c", script], check=False, cwd=self.folder, env=environment, capture_output=True, timeout=120
        )
        assert done.returncode == 0, done
        return done.stdout.decode()


@pytest.fixture(scope="module")
def shell(service: Service, tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """With the first example's song, separated."""
    folder = tmp_path_factory.mktemp("readme")
    shutil.copytree(ROOT / "examples", folder / "examples")
    shell = Shell(folder, service.url)
    shell.song = json.loads(shell.run(EXAMPLES[0]))["hash"]
    assert service.ended(shell.song, 240)["status"] == "succeeded"
    return shell


def test_there_are_examples_of_all_that_it_tells() -> None:
    told = " ".join(EXAMPLES)
    assert len(EXAMPLES) >= 10
    assert EXAMPLES[0].startswith("curl")
    assert "--data-binary" in EXAMPLES[0]
    for what in ("-F file=", "callback", "/songs/", "/queue", "/track/", "/parts/", "/remove/", "bitrate="):
        assert what in told


@pytest.mark.parametrize("command", EXAMPLES)
def test_it_works(shell: Shell, command: str) -> None:
    before = set(shell.folder.iterdir())
    printed = shell.run(command)
    made = [path for path in shell.folder.iterdir() if path not in before]
    if " -o " in command:
        assert [path.stat().st_size > 1000 for path in made] == [True]
    else:
        assert json.loads(printed)
