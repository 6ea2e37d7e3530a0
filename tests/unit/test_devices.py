"""What a separator runs on: segments side by side, in batches, and too little memory for them."""

import gc
import itertools
import threading
from collections.abc import Callable

import pytest
import torch

from functions.separate import devices
from functions.separate.devices import Cpu, Cuda, Values, device_of, fitting
from functions.separate.networks import Demucs, Network
from medley.errors import OutOfMemory
from medley.settings import BadSettings
from tests.networks import CASES, EXACT, QUANTISED, Case, agreement, ours, separated, separator, small, song, untrained


@pytest.fixture(scope="module", params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]()


# --- A CPU's lanes --------------------------------------------------------------------------------------------------


class Meeting:
    """A network that waits until all segments of a batch are in it."""

    segment = 100

    def __init__(self, together: int) -> None:
        self.barrier = threading.Barrier(together, timeout=10)
        self.threads: list[int] = []

    def seen(self, length: int) -> int:
        return length

    def __call__(self, segments: torch.Tensor) -> torch.Tensor:
        self.barrier.wait()
        self.threads.append(torch.get_num_threads())
        return segments[:, None]


@pytest.mark.parametrize(("threads", "together", "each"), [(1, 1, [1]), (2, 2, [1, 1]), (2, 1, [2]), (5, 2, [2, 2])])
def test_segments_are_side_by_side_and_share_the_threads(threads: int, together: int, each: list[int]) -> None:
    before = torch.get_num_threads()
    network, segments = Meeting(together), torch.rand(together, 2, 100)
    assert torch.equal(Cpu(threads).run(network, segments), segments[:, None])
    assert network.threads == each
    assert torch.get_num_threads() == before


def test_a_cpu_takes_no_more_segments_than_it_has_threads() -> None:
    assert [Cpu(threads).batch(Meeting(1)) for threads in (1, 2, 3, 64)] == [1, 2, 2, 2]


def test_the_first_segment_of_a_song_goes_alone() -> None:
    device = Batches(4, 4, alone=True)
    separated(separator(ours(small()), on=device), song(6 * 16537))
    assert device.ran == [1, 4, 1]


def test_numbers_too_small_to_matter_are_taken_for_zero() -> None:
    """Silence ends in them, and they take a processor a hundred times as long."""
    tiny = Cpu(1).run(Scaled(), torch.full((1, 2, 100), 1e-38))
    assert torch.equal(tiny, torch.zeros_like(tiny))


class Scaled(Meeting):
    def __init__(self) -> None:
        super().__init__(1)

    def __call__(self, segments: torch.Tensor) -> torch.Tensor:
        return super().__call__(segments) * 1e-3


def test_a_cpu_out_of_memory_goes_on_with_one_segment_then_fails() -> None:
    device = Cpu(threads=2)
    device.shrink(Meeting(1))
    assert device.batch(Meeting(1)) == 1
    with pytest.raises(OutOfMemory, match="not enough memory for one segment"):
        device.shrink(Meeting(1))


def test_what_a_gpu_remembers_of_a_network_goes_with_it() -> None:
    """A graph holds memory; and another network in its place in memory must not be taken for it."""
    device, network = Cuda(), Meeting(1)
    device._sizes[network], device._graphs[network] = 4, {}
    device._unrecordable.add(network)
    del network
    gc.collect()
    assert (len(device._sizes), len(device._graphs), len(device._unrecordable)) == (0, 0, 0)


def test_a_gpu_that_ran_out_of_memory_is_measured_again_before_the_next_song(monkeypatch: pytest.MonkeyPatch) -> None:
    device, network, other = Cuda(), Meeting(1), Meeting(1)
    measured: list[Network] = []

    def measure(network: Network) -> tuple[int, int]:
        measured.append(network)
        return 1000, 100

    monkeypatch.setattr(device, "_measured", measure)
    assert [device.batch(each) for each in (network, other)] == [4, 4]
    device.shrink(network)
    assert device.batch(network) == 2
    device.begin()
    assert [device.batch(each) for each in (network, other)] == [4, 4]
    device.begin()
    assert [device.batch(each) for each in (network, other)] == [4, 4]
    assert measured == [network, other, network]


class Recorder:
    """In the place of what makes graphs, which wants a GPU: of networks in `cannot` there are none."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.cannot: set[Network] = set()
        self.asked: list[tuple[Network, int]] = []
        self.streams: set[object] = set()
        monkeypatch.setattr(torch.cuda, "Stream", object)
        monkeypatch.setattr(torch.cuda, "graph_pool_handle", lambda: None)
        monkeypatch.setattr(devices, "captured", self._captured)

    def _captured(self, network: Network, like: torch.Tensor, pool: object, stream: object) -> "Recorded | None":
        self.streams.add(stream)
        self.asked.append((network, len(like)))
        return None if network in self.cannot else Recorded(network)


class Recorded:
    """In the place of a graph."""

    pool = None

    def __init__(self, network: Network) -> None:
        self.network = network

    def __call__(self, segments: torch.Tensor) -> torch.Tensor:
        return self.network(segments)


def test_a_graph_is_made_once_for_each_power_of_two(monkeypatch: pytest.MonkeyPatch) -> None:
    recorder, device, network = Recorder(monkeypatch), Cuda(), Scaled()
    for size in (3, 4, 1, 3):
        segments = torch.rand(size, 2, 100)
        assert torch.equal(device.run(network, segments), segments[:, None] * 1e-3)
    assert recorder.asked == [(network, 4), (network, 1)]


def test_a_network_that_cannot_be_recorded_is_tried_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where it is one of several, and whatever sizes its batches have."""
    recorder, device, bag = Recorder(monkeypatch), Cuda(), [Scaled(), Scaled(), Scaled()]
    recorder.cannot = set(bag[:2])
    for size in (4, 4, 1):
        for network in bag:
            device.run(network, torch.rand(size, 2, 100))
    assert [network for network, _ in recorder.asked].count(bag[0]) == 1
    assert [network for network, _ in recorder.asked].count(bag[1]) == 1
    assert [size for network, size in recorder.asked if network is bag[2]] == [4, 1]
    assert len(recorder.streams) == 1


def test_other_graphs_are_given_up_after_one_that_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody knows in which state that left the memory they share."""
    recorder, device, bag = Recorder(monkeypatch), Cuda(), [Scaled(), Scaled()]
    recorder.cannot = {bag[1]}
    for network in (*bag, bag[0]):
        device.run(network, torch.rand(1, 2, 100))
    assert [network for network, _ in recorder.asked] == [bag[0], bag[1], bag[0]]


def test_demucs_own_forward_is_never_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    recorder, network = Recorder(monkeypatch), Demucs(untrained(), "cpu")
    segments = torch.rand(1, 2, network.segment)
    assert torch.equal(Cuda().run(network, segments), network(segments))
    assert recorder.asked == []


@pytest.mark.parametrize(
    ("capability", "built_for", "has"),
    [
        ((6, 1), "sm_75 sm_80 sm_90", False),
        ((7, 0), "sm_75 sm_80 sm_90", False),
        ((7, 5), "sm_75 sm_80 sm_90", True),
        ((8, 9), "sm_75 sm_80 sm_90", True),
        ((12, 0), "sm_75 sm_80 sm_90", False),
        ((12, 0), "sm_75 sm_90a compute_90", True),
    ],
)
def test_a_gpu_that_pytorch_was_not_built_for_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], built_for: str, has: bool
) -> None:
    """PyTorch says that it is there, and the first kernel fails."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: capability)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "a GPU")
    monkeypatch.setattr(torch.cuda, "get_arch_list", built_for.split)
    assert devices._has_kernels() is has
    if not has:
        assert device_of("auto").name == "cpu"
        with pytest.raises(BadSettings, match="no kernels for a GPU"):
            device_of("cuda")


# --- Batches --------------------------------------------------------------------------------------------------------


class Batches(Cpu):
    """Takes `size` segments at a time, of which `fits` fit; gives results a batch later, as a GPU does."""

    name, ahead = "cpu", 1

    def __init__(self, size: int, fits: int, *, alone: bool = False) -> None:
        self.size, self.fits, self.alone = size, fits, alone
        self.full: set[int] = set()  # of what is fetched, by number
        self.fetched = itertools.count()
        self.ran: list[int] = []

    def begin(self) -> None:
        pass

    def batch(self, network: Network) -> int:
        return self.size

    def fetch(self, values: torch.Tensor) -> Callable[[], Values]:
        if next(self.fetched) in self.full:
            raise torch.OutOfMemoryError("no room for the result")
        return super().fetch(values)

    def run(self, network: Network, segments: torch.Tensor) -> torch.Tensor:
        if len(segments) > self.fits:
            raise torch.OutOfMemoryError("too many")
        self.ran.append(len(segments))
        return network(segments)

    def shrink(self, network: Network) -> None:
        if self.size == 1:
            raise OutOfMemory("not one fits")
        self.size //= 2


@pytest.mark.parametrize("shifts", [0, 2])
@pytest.mark.parametrize("size", [2, 4, 16])
def test_batches_give_the_same_parts(case: Case, size: int, shifts: int) -> None:
    device = Batches(size, size)
    alone, together = separator(case.ensemble, shifts), separator(case.ensemble, shifts, on=device)
    mix = song(3 * alone.grid(1).stride + alone.grid(1).segment // 2)
    assert agreement(separated(alone, mix), separated(together, mix)) >= QUANTISED
    assert max(device.ran) > 1
    assert agreement(separated(alone, mix, 2), separated(together, mix, 2)) >= QUANTISED


def test_out_of_memory_makes_batches_smaller() -> None:
    device, of = Batches(16, 3), ours(small())
    mix = song(6 * 16537)
    assert agreement(separated(separator(of), mix), separated(separator(of, on=device), mix)) >= EXACT
    assert device.ran[0] == 2
    assert max(device.ran) == 2


def test_out_of_memory_for_one_segment_fails_clearly_and_once() -> None:
    device, of, mix = Batches(4, 0), ours(small()), song(50_000)
    with pytest.raises(OutOfMemory, match="not one fits"):
        list(separator(of, on=device).parts(mix))
    device.fits = 1
    assert separated(separator(of, on=device), mix).shape == (4, 2, 50_000)


@pytest.mark.parametrize("full", [{0}, {3}, {4}, {4, 9}])
def test_out_of_memory_beside_the_networks_makes_batches_smaller_too(full: set[int]) -> None:
    """And the song goes on with the part that is next."""
    device, of, mix = Batches(4, 4), ours(small()), song(12 * 16537)
    device.full = full
    assert agreement(separated(separator(of), mix), separated(separator(of, on=device), mix)) >= QUANTISED
    assert device.size == 4 >> len(full)


def test_out_of_memory_beside_the_networks_is_as_clear_where_batches_cannot_be_smaller() -> None:
    device, of, mix = Batches(4, 4), ours(small()), song(6 * 16537)
    device.full = set(range(100))
    with pytest.raises(OutOfMemory, match="not one fits"):
        list(separator(of, on=device).parts(mix))
    assert device.ran == [4, 2, 1]


def test_networks_that_share_their_size_are_made_smaller_once() -> None:
    device, of, mix = Batches(2, 2), ours(small(), small(1)), song(6 * 16537)
    device.full = {0}
    assert agreement(separated(separator(of), mix), separated(separator(of, on=device), mix)) >= QUANTISED
    assert device.size == 1


@pytest.mark.parametrize(("free", "size"), [(0, 1), (100, 1), (500, 2), (1000, 4), (10**9, 16)])
def test_a_batch_fits_the_free_memory(free: int, size: int) -> None:
    assert fitting(free, 100) == size
