"""A cold start step by step, ours or stock Demucs': `python -m benchmarks.starts ours|stock <time of its start>`."""

import sys
import time
from contextlib import nullcontext

from benchmarks.child import serve
from functions.separate.importing import quickly

SEGMENT = 343980  # samples


def main() -> None:
    """Answers {} with the seconds of each step since the time given, of the clock that all processes share."""
    whose, began = sys.argv[1], float(sys.argv[2])
    steps = {"interpreter": time.perf_counter() - began}

    def done(step: str) -> None:
        steps[step] = time.perf_counter() - began - sum(steps.values())

    with quickly() if whose == "ours" else nullcontext():
        import torch

    done("import torch")
    mix = torch.randn(1, 2, SEGMENT)
    if whose == "ours":
        from functions.separate.engine import Engine
        from medley.separation import Separation

        done("import ours or demucs")
        separator = Engine("cpu").separator(Separation("htdemucs"))
        done("load")
        separator.on.run(separator.ensemble.networks[0], mix)
        done("first segment")
        separator.on.run(separator.ensemble.networks[0], mix)
    else:
        from demucs.api import Separator

        done("import ours or demucs")
        network = Separator("htdemucs").model.models[0].eval()
        done("load")
        with torch.no_grad():
            network(mix)
            done("first segment")
            network(mix)
    done("a segment more")
    serve(lambda: steps)


if __name__ == "__main__":
    main()
