"""knative/README.md as somebody follows it, in a namespace of its own beside the medley that is deployed already."""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.knative.on_cluster.kubectl import get
from tests.manifests.rendering import KNATIVE, ROOT

NAMESPACE = "operator"
# Where the page and the files that it names say the namespace; `dev.medley.` and `medley/<function>` are other things.
NAMED = re.compile(r"((?:-n|namespace:?) )medley\b|(/)medley(?=/default)|(\.)medley(?=\.svc|\.example)")
OVERLAY = re.compile(r"OVERLAY=\S+ REGISTRY=\S+")  # those of the page take a registry, a GPU, RabbitMQ


def here(text: str) -> str:
    """The same in our namespace."""
    return NAMED.sub(lambda found: "".join(filter(None, found.groups())) + NAMESPACE, text)


def blocks() -> dict[str, str]:
    """Every shell block, by its first line."""
    found = re.findall(r"^```sh\n(.*?)^```", (KNATIVE / "README.md").read_text(), re.M | re.S)
    return {block.splitlines()[0]: block for block in found}


def commands(section: str) -> list[str]:
    """The kubectl commands in the text of a section."""
    text = (KNATIVE / "README.md").read_text().partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    return re.findall(r"`(kubectl [^`]+)`", text)


class Page:
    """A copy of what the page's commands need, and a shell in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.song = ""
        self.tag = get("ksvc", "queue")["spec"]["template"]["spec"]["containers"][0]["image"].rpartition(":")[2]
        for name in ("Makefile", "knative", "tests/knative/overlay"):
            self._copy(Path(name))
        for name in ("contract", "functions"):  # functions: render.sh looks which images there are
            shutil.copytree(ROOT / name, folder / name)
        shutil.copy(ROOT / "examples" / "slow_motion_dream.mp3", folder / "song.mp3")

    def _copy(self, name: Path) -> None:
        for path in (ROOT / name).rglob("*") if (ROOT / name).is_dir() else [ROOT / name]:
            if path.is_file():
                copy = self.folder / path.relative_to(ROOT)
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.write_text(here(path.read_text()))

    @property
    def gateway(self) -> str:
        return "http://" + str(get("service", "gateway", namespace=NAMESPACE)["spec"]["clusterIP"])

    def script(self, text: str) -> list[str]:
        """The command that runs `text` as it stands on the page, but for the names of places."""
        ours = OVERLAY.sub(f"OVERLAY=tests/knative/overlay REGISTRY=dev.local TAG={self.tag}", here(text))
        edge = 'curl() { command curl --fail --connect-to "::$EDGE" "$@"; }\n'
        return ["bash", "-euo", "pipefail", "-c", edge + ours]

    def run(self, text: str, **environment: str) -> str:
        """What it printed. Raises AssertionError with what it complained of."""
        command, environ = self.script(text), self.environment(environment)
        ran = subprocess.run(
            command, cwd=self.folder, env=environ, capture_output=True, text=True, check=False, timeout=600
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout

    def environment(self, more: Mapping[str, str]) -> dict[str, str]:
        """EDGE: whom curl connects to, the cluster's ingress, for names that no server of names knows here."""
        edge = f"{os.environ.get('INGRESS_IP', '10.96.0.80')}:80"
        return {**os.environ, "EDGE": edge, "HASH": self.song, **more}
