"""The compiled layers against their definitions, in double precision."""

from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from functions.separate import kernels
from functions.separate.panels import GatedInPanels, LinearInPanels, gated_linear, linear
from functions.separate.products import Gated, Linear, State
from functions.separate.residual import Residual, ResidualInOne, residual
from functions.separate.winograd import GatedInTiles, InFours, gated_convolutions, in_fours
from tests.networks import EXACT, agreement, branched

LIKE = torch.empty(0)
CHANNELS = 16


def values(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def song(batch: int, channels: int, rows: int, positions: int) -> Tensor:
    return values(batch, channels, rows, positions, seed=9).contiguous(memory_format=torch.channels_last)


def agree(wanted: Tensor, found: Tensor) -> bool:
    assert (wanted.shape, found.dtype) == (found.shape, torch.float32)
    return agreement(wanted.reshape(1, 1, -1), found.reshape(1, 1, -1)) >= EXACT


@pytest.fixture(autouse=True, params=[1, 3], ids=["one thread", "three threads"])
def _threads(request: pytest.FixtureRequest, compiled: None) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("rows", [1, 5, 6, 49, 200])
@pytest.mark.parametrize("inputs", [1, 7, 40])
def test_linear_layers(rows: int, inputs: int) -> None:
    weight, bias, x, other = (
        values(48, inputs),
        values(48, seed=1),
        values(2, rows, inputs, seed=2),
        values(2, rows, 48),
    )
    layer = linear(weight, bias, LIKE)
    assert isinstance(layer, LinearInPanels)
    wanted = functional.linear(x.double(), weight.double(), bias.double())
    assert agree(wanted, layer(x))
    assert agree(functional.gelu(wanted), layer(x, "gelu"))
    assert agree(wanted + other, layer.plus(x, other))
    gate = gated_linear(list(zip(weight.split(24), bias.split(24), strict=True)), LIKE)
    assert isinstance(gate, GatedInPanels)
    assert agree(functional.glu(wanted), gate(x))


@pytest.mark.parametrize("size", [1e-8, 1e-3, 30.0, 1e4, 1e15])
def test_gates_and_gelu_of_any_size(size: float) -> None:
    """Powers of e have a range that is soon left."""
    weight, bias, x = torch.eye(16), torch.zeros(16), values(60, 16) * size
    assert agree(functional.gelu(x.double()), linear(weight, bias, LIKE)(x, "gelu"))
    gated = gated_linear(list(zip(weight.split(8), bias.split(8), strict=True)), LIKE)
    assert agree(functional.glu(x.double()), gated(x))


@pytest.mark.parametrize("kernel", [(3, 3), (1, 3)], ids=str)
@pytest.mark.parametrize("rows", [1, 4, 5, 9])
@pytest.mark.parametrize("positions", [1, 3, 4, 90])
def test_gated_convolutions(kernel: tuple[int, int], rows: int, positions: int) -> None:
    halves = [(values(CHANNELS, CHANNELS, *kernel, seed=n), values(CHANNELS, seed=n)) for n in (1, 2)]
    padding = kernel[0] // 2, kernel[1] // 2
    layer, x = gated_convolutions(halves, LIKE, padding), song(2, CHANNELS, rows, positions)
    assert isinstance(layer, GatedInTiles)
    weight, bias = (torch.cat(each).double() for each in zip(*halves, strict=True))
    assert agree(functional.glu(functional.conv2d(x.double(), weight, bias, padding=padding), 1), layer(x))


@pytest.mark.parametrize("over_rows", [True, False], ids=["over rows", "over positions"])
@pytest.mark.parametrize("then", ["none", "gelu"])
@pytest.mark.parametrize("length", [1, 2, 4, 7, 80])
def test_strided_convolutions(length: int, then: str, over_rows: bool) -> None:
    weight, bias = values(32, CHANNELS, 8), values(32, seed=1)
    if over_rows:
        weight, x, stride, padding = weight[..., None], song(2, CHANNELS, 4 * length, 3), (4, 1), (2, 0)
    else:
        x, stride, padding = song(2, CHANNELS, 1, 4 * length), (1, 4), (0, 2)
    layer = in_fours(weight, bias, LIKE, 4)
    assert isinstance(layer, InFours)
    over_two = weight if over_rows else weight[:, :, None]
    wanted = functional.conv2d(x.double(), over_two.double(), bias.double(), stride, padding)
    assert agree(functional.gelu(wanted) if then == "gelu" else wanted, layer(x, then))


@pytest.mark.parametrize("over_rows", [True, False], ids=["over rows", "over positions"])
@pytest.mark.parametrize("then", ["none", "gelu"])
@pytest.mark.parametrize("length", [1, 2, 3, 4, 7, 80])
def test_transposed_convolutions(length: int, then: str, over_rows: bool) -> None:
    weight, bias = values(CHANNELS, 8, 8), values(8, seed=1)
    if over_rows:
        weight, x, stride, padding = weight[..., None], song(2, CHANNELS, length, 3), (4, 1), (2, 0)
    else:
        x, stride, padding = song(2, CHANNELS, 1, length), (1, 4), (0, 2)
    layer = in_fours(weight, bias, LIKE, 4, transposed=True)
    assert isinstance(layer, InFours)
    over_two = weight if over_rows else weight[:, :, None]
    wanted = functional.conv_transpose2d(x.double(), over_two.double(), bias.double(), stride, padding)
    assert agree(functional.gelu(wanted) if then == "gelu" else wanted, layer(x, then))


def branch(channels: int, hidden: int) -> State:
    """The weights of one of demucs' residual branches."""
    shapes = {"0.weight": (hidden, channels, 3), "0.bias": (hidden,), "1.weight": (hidden,), "1.bias": (hidden,)}
    shapes |= {"3.weight": (2 * channels, hidden, 1), "3.bias": (2 * channels,), "4.weight": (2 * channels,)}
    shapes |= {"4.bias": (2 * channels,), "6.scale": (channels,)}
    return {name: values(*shape, seed=n) for n, (name, shape) in enumerate(shapes.items())}


@pytest.mark.parametrize("hidden", [1, 6, 12, 24, 48])
@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize(("rows", "positions"), [(4, 2), (3, 13), (1, 5), (1, 3000)])
def test_residual_branches(hidden: int, dilation: int, rows: int, positions: int) -> None:
    state, x = branch(CHANNELS, hidden), song(2, CHANNELS, rows, positions)
    layer = residual(state, dilation, LIKE)
    assert isinstance(layer, ResidualInOne)
    found = layer(x.clone(memory_format=torch.preserve_format)).double() - x
    wanted = branched(state, x.permute(0, 2, 1, 3).flatten(0, 1), dilation).unflatten(0, (2, rows)).permute(0, 2, 1, 3)
    assert agree(wanted, found.float())


@pytest.mark.parametrize("positions", [50, 3000])
def test_a_residual_branch_of_what_is_quiet_beside_a_bias(positions: int) -> None:
    """That is, of what numbers leave of it: the sums' rounding is not to take that away too."""
    state, x = {**branch(CHANNELS, 2), "0.bias": torch.full((2,), 300.0)}, song(1, CHANNELS, 1, positions) / 100
    found = residual(state, 1, LIKE)(x.clone(memory_format=torch.preserve_format)) - x
    wanted = branched(state, x[:, :, 0], 1)
    assert agreement(wanted[:, None], found.permute(0, 2, 1, 3)) > 50


@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (lambda: linear(values(16, 24), values(16), LIKE), (24, 1, 500)),
        (lambda: residual(branch(CHANNELS, 6), 1, LIKE), (CHANNELS, 1, 5000)),
    ],
    ids=["linear", "residual"],
)
def test_any_number_of_threads_makes_the_same(
    make: Callable[[], Callable[[Tensor], Tensor]], shape: tuple[int, int, int]
) -> None:
    layer = make()
    x = song(1, *shape) if isinstance(layer, ResidualInOne) else song(1, *shape).permute(0, 2, 3, 1)
    found = layer(x.clone(memory_format=torch.preserve_format))
    torch.set_num_threads(2)
    assert torch.equal(found, layer(x))


def test_values_that_lie_otherwise_in_memory_are_the_same() -> None:
    layer = linear(values(16, 24), values(16), LIKE)
    x = values(24, 50)
    assert torch.equal(layer(x.T), layer(x.T.contiguous()))
    assert torch.equal(layer.plus(x.T, values(16, 50).T), layer.plus(x.T, values(16, 50).T.contiguous()))


def test_what_they_do_not_fit_is_left_to_operators() -> None:
    assert isinstance(linear(values(15, 24), values(15), LIKE), Linear)
    assert isinstance(gated_linear([(values(4, 4), values(4))] * 2, LIKE), Gated)
    assert isinstance(gated_convolutions([(values(4, 4, 3, 3), values(4))] * 2, LIKE, (1, 1)), Gated)
    assert isinstance(gated_convolutions([(values(8, 8, 1, 1), values(8))] * 2, LIKE, (0, 0)), Gated)
    assert in_fours(values(16, 4, 8), values(16), LIKE, 4) is None
    assert in_fours(values(16, 8, 4), values(16), LIKE, 4) is None
    assert in_fours(values(16, 8, 8), values(16), LIKE, 2) is None
    assert in_fours(values(16, 2, 8), values(2), LIKE, 4, transposed=True) is None
    assert isinstance(residual(branch(4, 6), 1, LIKE), Residual)
    assert isinstance(residual(branch(CHANNELS, 49), 1, LIKE), Residual)


@pytest.mark.parametrize("like", [torch.empty(0, dtype=torch.bfloat16), torch.empty(0, dtype=torch.float64)], ids=str)
def test_other_numbers_are_left_to_operators(like: Tensor) -> None:
    assert not kernels.ready(like)
    assert isinstance(linear(values(16, 24), values(16), like), Linear)


def test_memory_that_ran_out_is_told_as_pytorch_tells_it() -> None:
    with pytest.raises(torch.OutOfMemoryError, match="linear"):
        kernels._call("linear", 0, 0, 0, 0, None, 0, 1, 1 << 44, 16)


@pytest.mark.parametrize("name", sorted(branch(CHANNELS, 6)))
def test_a_branch_of_weights_that_do_not_fit_is_not_made(name: str) -> None:
    state = branch(CHANNELS, 6)
    state[name] = (
        state[name].repeat(1, 2, 1) if name == "0.weight" else state[name].repeat(2, *[1] * (state[name].dim() - 1))
    )
    x = song(1, CHANNELS, 2, 50)
    with pytest.raises(ValueError, match="do not fit"):
        residual(state, 1, LIKE)(x)


@pytest.mark.parametrize(
    ("weight", "bias"), [((16, 24), 32), ((16, 48), 16), ((32, 24), 16)], ids=["bias", "inputs", "outputs"]
)
def test_a_layer_of_weights_that_do_not_fit_is_refused(weight: tuple[int, int], bias: int) -> None:
    with pytest.raises(ValueError, match="do not fit"):
        kernels.linear(values(5, 24), kernels.panels(values(*weight).T), values(bias))
