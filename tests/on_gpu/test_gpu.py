"""What only a GPU can show: `make test-gpu`. References are computed on the CPU, by demucs itself or by ours."""

from contextlib import suppress
from fractions import Fraction

import numpy as np
import pytest
import torch

from functions.separate.devices import Cuda, Graph, device_of
from functions.separate.loading import ensemble
from functions.separate.networks import Demucs, Ensemble
from functions.separate.norms import PIECE, products, whole_norm
from medley.errors import OutOfMemory
from medley.models import SAMPLERATE
from tests.networks import EXACT, QUANTISED, Saved, agreement, ours, separated, separator, small, song, theirs

FAST = 40.0  # dB
STRIDE = 16537  # samples from one segment of `small` to the next


@pytest.fixture
def gpu() -> Cuda:
    device = device_of("cuda")
    assert isinstance(device, Cuda)
    return device


def on_gpu(*networks: object, precision: str = "exact", shares: object = None) -> Ensemble:
    return ensemble([Saved(network) for network in networks], "cuda", precision, shares)  # type: ignore[arg-type]


@pytest.mark.parametrize(("precision", "least"), [("exact", EXACT), ("fast", FAST)])
@pytest.mark.parametrize("seed", range(3))
def test_the_network_agrees_with_demucs(gpu: Cuda, precision: str, least: float, seed: int) -> None:
    network = small(seed)
    (own,) = on_gpu(network, precision=precision).networks
    mix = torch.randn(3, 2, own.segment, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        wanted = network(mix)
    assert agreement(wanted, own(mix.cuda()).cpu()) >= least


@pytest.mark.parametrize("seconds", [0.1, 0.5, 3.0, 9.0])
@pytest.mark.parametrize(("precision", "least"), [("exact", QUANTISED), ("fast", FAST)])
def test_a_song_is_separated_as_on_a_cpu(gpu: Cuda, precision: str, least: float, seconds: float) -> None:
    mix = song(int(seconds * SAMPLERATE))
    wanted = separated(separator(ours(small())), mix)
    assert agreement(wanted, separated(separator(on_gpu(small(), precision=precision), on=gpu), mix)) >= least


def test_a_bag_and_shifts(gpu: Cuda) -> None:
    shares, mix = [[1, 0, 0.5, 0.25], [0, 1, 0.5, 0.5]], song(5 * STRIDE)
    wanted = separated(separator(ours(small(), small(1), shares=shares), shifts=2), mix)
    bag = on_gpu(small(), small(1), shares=shares)
    assert agreement(wanted, separated(separator(bag, shifts=2, on=gpu), mix)) >= QUANTISED


def test_a_song_goes_on_from_any_part(gpu: Cuda) -> None:
    of, mix = on_gpu(small()), song(20 * STRIDE)
    whole = separated(separator(of, on=gpu), mix)
    for first in (1, 15, 16, 19):
        rest = separated(separator(of, on=gpu), mix, first)
        assert agreement(whole[..., -rest.shape[-1] :], rest) >= QUANTISED


def test_graphs_are_made_for_powers_of_two_and_used_again(gpu: Cuda) -> None:
    of = on_gpu(small())
    for _ in range(2):
        separated(separator(of, on=gpu), song(21 * STRIDE))
    graphs = gpu._graphs[of.networks[0]]
    assert sorted(graphs) == [8, 16]  # 16 segments and 5
    assert all(isinstance(graph, Graph) for graph in graphs.values())


def test_out_of_memory_makes_batches_smaller_and_the_process_stays_usable(gpu: Cuda) -> None:
    network = small(channels=32, nfft=4096, segment=Fraction(4))
    of, mix = on_gpu(network), song(18 * 3 * SAMPLERATE)
    wanted = separated(separator(of, on=gpu), mix)
    _, each = gpu._measured(of.networks[0])
    sizes = []
    for segments in (1000, 24, 12, 6, 0):
        gpu._graphs.clear()
        torch.cuda.empty_cache()
        free = torch.cuda.mem_get_info()[0]
        others = torch.empty(max(0, free - segments * each - (64 << 20)), dtype=torch.uint8, device="cuda")
        sizes.append(0)
        with suppress(OutOfMemory):  # not even one segment
            assert agreement(wanted, separated(separator(of, on=gpu), mix)) >= QUANTISED
            sizes[-1] = gpu.batch(of.networks[0])
        del others
    assert (sizes[0], sizes[-1]) == (16, 0), sizes
    assert any(0 < size < 16 for size in sizes), sizes
    assert agreement(wanted, separated(separator(of, on=gpu), mix)) >= QUANTISED
    assert all(isinstance(graph, Graph) for graph in gpu._graphs[of.networks[0]].values())


@pytest.mark.parametrize("positions", [1, PIECE, PIECE + 1, 3 * PIECE + 7])
def test_long_sums(gpu: Cuda, positions: int) -> None:
    x = torch.randn(2, positions, 6, generator=torch.Generator().manual_seed(positions)) + 0.5
    weight, bias = torch.rand(6), torch.rand(6)
    normed = torch.nn.functional.group_norm(x.transpose(1, 2), 1, weight, bias).transpose(1, 2)
    assert agreement(normed[:, None], whole_norm(x.cuda(), weight.cuda(), bias.cuda()).cpu()[:, None]) >= EXACT
    assert np.allclose(x.transpose(1, 2) @ x, products(x.cuda()).cpu(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("recordable", [False, True])
def test_demucs_own_forward(gpu: Cuda, recordable: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the end of the file: where a recording is tried, it fails, and may leave the allocator in disorder."""
    monkeypatch.setattr(Demucs, "recordable", recordable)
    mix, of = song(4 * STRIDE), theirs([small()])
    there = Ensemble(of.stems, SAMPLERATE, [Demucs(small(), "cuda")], of.shares, "random")
    assert agreement(separated(separator(of), mix), separated(separator(there, on=gpu), mix)) >= QUANTISED
    assert recordable or not gpu._graphs
