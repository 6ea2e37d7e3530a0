"""Stock Demucs: its command line as it comes, and its API in one that stays (`python -m benchmarks.stock cpu`)."""

import os
import sys
from pathlib import Path

from benchmarks.child import Run, once, serve
from medley.settings import settings

MODEL = "htdemucs"
FORMATS = {"mp3": ["--mp3", "--mp3-bitrate", "320", "--mp3-preset", "2"], "wav": []}


def environment(threads: int) -> dict[str, str]:
    """For Demucs to find the weights that medley has obtained, as it would those of its own hub."""
    from functions.separate.weights import folder_of

    weights = str(folder_of(settings().weights_dir))
    offline = {"HF_HUB_OFFLINE": "1", "HF_HUB_CACHE": weights}
    return {**os.environ, **offline, "OMP_NUM_THREADS": str(threads), "LOG_LEVEL": "error"}


def command_line(song: Path, format_: str, out: Path, threads: int, device: str) -> Run:
    """`demucs`, without the random shift that it takes by default."""
    command = [sys.executable, "-m", "demucs", "-n", MODEL, "-d", device, "--shifts", "0", "--overlap", "0.25"]
    return once([*command, *FORMATS[format_], "-o", str(out), str(song)], environment(threads))


def main() -> None:
    """Answers {song, format, out} once the stems of a song are there, as the command line would save them."""
    from demucs.api import Separator, save_audio

    separator = Separator(model=MODEL, device=sys.argv[1], shifts=0, overlap=0.25)

    def separate(song: str, format: str, out: str) -> list[str]:
        _, stems = separator.separate_audio_file(Path(song))
        for stem, audio in stems.items():
            save_audio(audio, f"{out}/{stem}.{format}", samplerate=separator.samplerate, bitrate=320, preset=2)
        return list(stems)

    serve(separate)


if __name__ == "__main__":
    main()
