"""What becomes of a song when memory runs out or a GPU fails, by whichever error that comes."""

import gc
import itertools
import threading
import time
import weakref
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from functions.separate import devices
from functions.separate.devices import Cpu, captured
from functions.separate.networks import Network
from medley.errors import DeviceLost
from tests.networks import EXACT, agreement, ours, separated, separator, small, song


class Failing:
    """A network that computes one segment, and then fails once, while another is computed."""

    def __init__(self, network: Network, fail: Callable[[], object]) -> None:
        self.segment, self.seen = network.segment, network.seen
        self.held: list[weakref.ref[Held]] = []
        self._network, self._fail, self._calls = network, fail, itertools.count()

    def __call__(self, segments: torch.Tensor) -> torch.Tensor:
        number = next(self._calls)
        if number > 2:
            assert not [held for held in self.held if held()]  # what it had when it failed is free again, at once
        if number == 1:
            held = Held()
            self.held.append(weakref.ref(held))
            self._fail()
        return self._network(segments)


class Held:
    """In the place of what takes memory."""


def raising(kind: type[Exception], text: str) -> Callable[[], object]:
    def fail() -> object:
        raise kind(text)

    return fail


# What is raised by what asks CUDA for memory, but not for a tensor's, and by the libraries beside it.
FULL = {
    "an allocation on a CPU": lambda: torch.empty(1 << 50),
    "a tensor's": raising(torch.OutOfMemoryError, "CUDA out of memory."),
    "pinned memory": raising(torch.AcceleratorError, "CUDA error: out of memory"),
    "a plan of cuFFT's": raising(RuntimeError, "cuFFT error: CUFFT_ALLOC_FAILED"),
}


@pytest.mark.parametrize("name", FULL)
def test_whatever_runs_out_of_memory_makes_batches_smaller(name: str) -> None:
    of, mix, device = ours(small()), song(6 * 16537), Cpu(threads=2)
    network = Failing(of.networks[0], FULL[name])
    gc.disable()
    try:
        found = separated(separator(replace(of, networks=[network]), on=device), mix)
    finally:
        gc.enable()
    assert device.batch(network) == 1
    assert agreement(separated(separator(of), mix), found) >= EXACT
    separated(separator(of, on=device), mix)
    assert device.batch(network) == 2  # with the next song, for which there may be enough


def test_a_lane_that_fails_waits_for_the_others() -> None:
    """What they hold would be in the way of the next try."""
    device, ended = Cpu(threads=2), threading.Event()
    network = Uneven(ended)
    with pytest.raises(torch.OutOfMemoryError):
        device.run(network, torch.stack([torch.zeros(2, 100), torch.ones(2, 100)]))
    assert ended.is_set()


class Uneven:
    """Fails for silence at once, and takes a while for the rest."""

    segment = 100

    def seen(self, length: int) -> int:
        return length

    def __init__(self, ended: threading.Event) -> None:
        self.barrier, self.ended = threading.Barrier(2, timeout=10), ended

    def __call__(self, segments: torch.Tensor) -> torch.Tensor:
        self.barrier.wait()
        if not segments.any():
            raise torch.OutOfMemoryError("too many")
        time.sleep(0.2)
        self.ended.set()
        return segments[:, None]


def test_other_failures_of_a_gpu_are_its_end_and_those_of_a_cpu_what_they_are() -> None:
    of, mix = ours(small()), song(6 * 16537)
    lost = Failing(of.networks[0], raising(torch.AcceleratorError, "CUDA error: an illegal memory access"))
    with pytest.raises(DeviceLost, match="The GPU failed: CUDA error: an illegal"):
        list(separator(replace(of, networks=[lost])).parts(mix))
    wrong = Failing(of.networks[0], raising(RuntimeError, "shapes differ"))
    with pytest.raises(RuntimeError, match="shapes differ"):
        list(separator(replace(of, networks=[wrong])).parts(mix))


def test_a_graph_that_finds_no_memory_may_be_made_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not one that cannot be recorded."""
    network, like = ours(small()).networks[0], torch.zeros(1)
    monkeypatch.setattr(devices, "Graph", lambda *_: raising(torch.AcceleratorError, "CUDA error: out of memory")())
    with pytest.raises(torch.AcceleratorError, match="out of memory"):
        captured(network, like, None, None)
    monkeypatch.setattr(devices, "Graph", lambda *_: raising(RuntimeError, "not permitted when stream is capturing")())
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
    assert captured(network, like, None, None) is None
