"""What a network runs on: how many segments at a time, and how its results come back."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from functools import cached_property, partial
from typing import Any, Protocol
from weakref import WeakKeyDictionary, WeakSet

import torch
from torch import Tensor
from torch.nn import functional

from functions.separate.faults import out_of_memory, told_apart
from functions.separate.networks import Network
from medley import logs
from medley.errors import OutOfMemory
from medley.quota import allowed
from medley.settings import BadSettings

LANES = 2  # segments that a CPU computes side by side; each takes some 500 MB with HTDemucs
MOST_SEGMENTS = 16  # more at a time fill no GPU better
SPARE = 0.4  # of the free memory may one batch take: while a graph is made of it, it takes that twice
FULL = "The GPU has not enough free memory for one segment of a song."
Values = Any  # int32 array


class Device(Protocol):
    """A processor, and the networks it has run."""

    name: str  # of PyTorch
    ahead: int  # how many batches are begun before the result of the first is waited for
    alone: bool  # whether an attempt's first segment goes alone, so that its part can be heard sooner

    def begin(self) -> None:
        """Before a song: where memory ran out in an earlier one, there may be more of it by now."""

    def batch(self, network: Network) -> int:
        """How many segments of a network it takes at a time."""

    def take(self, values: Tensor) -> Tensor:
        """Values in the host's memory as values on the device."""

    def run(self, network: Network, segments: Tensor) -> Tensor:
        """Segments (batch, 2, samples) as stems (batch, stems, 2, samples), both on the device.

        Raises what PyTorch does where memory runs out: functions/separate/faults.py.
        """

    def shrink(self, network: Network) -> None:
        """After it ran out of memory: half as many segments at a time. Raises OutOfMemory where there was one."""

    def fetch(self, values: Tensor) -> Callable[[], Values]:
        """Begins to copy values into the host's memory; what is given back waits for them."""


class Cpu:
    """Segments side by side, each in a lane with threads of its own.

    Threads that share one segment wait for each other some thousand times in it, by spinning on the cores that encoders
    need: docs/decisions/2026-11-25-two-segments-side-by-side.md says what the lanes save.
    """

    name, ahead, alone = "cpu", 0, True

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self.begin()
        self._lanes = ThreadPoolExecutor(LANES, "lane", _opened)

    def begin(self) -> None:
        self._size = min(LANES, self._threads)

    def batch(self, network: Network) -> int:
        return self._size

    def take(self, values: Tensor) -> Tensor:
        return values

    def run(self, network: Network, segments: Tensor) -> Tensor:
        lane = partial(self._lane, network, self._threads // len(segments))
        lanes = [self._lanes.submit(lane, segment) for segment in segments.split(1)]
        wait(lanes)  # where one fails too: what the others hold is not to be in the way of the next try
        try:
            return torch.cat(list(map(Future.result, lanes)))
        finally:
            lanes.clear()  # a failure holds this frame, and with it would hold itself and all it has

    def _lane(self, network: Network, threads: int, segment: Tensor) -> Tensor:
        torch.set_num_threads(threads)  # of this thread, and of those to come
        try:
            return network(segment)
        finally:
            torch.set_num_threads(self._threads)

    def shrink(self, network: Network) -> None:
        if self._size == 1:
            raise OutOfMemory("There is not enough memory for one segment of a song.", retry_after=60)
        self._size //= 2

    def fetch(self, values: Tensor) -> Callable[[], Values]:
        there: Callable[[], Values] = values.numpy
        return there


def _opened() -> None:
    """In a lane's thread, before all else."""
    torch.set_flush_denormal(True)
    torch.get_num_threads()  # on its first use a thread takes as many threads as any other was last given


class Cuda:
    """A GPU: batches as large as its free memory allows, those of a power of two of segments a CUDA graph."""

    name, ahead, alone = "cuda", 1, False

    def __init__(self) -> None:
        # What is remembered of a network goes with it: its graph holds memory, and reads its weights.
        self._sizes: WeakKeyDictionary[Network, int] = WeakKeyDictionary()  # segments at a time
        self._shrunk: WeakSet[Network] = WeakSet()
        self._graphs: WeakKeyDictionary[Network, dict[int, Graph]] = WeakKeyDictionary()  # by segments
        self._unrecordable: WeakSet[Network] = WeakSet()

    def begin(self) -> None:
        for network in self._shrunk:
            self._sizes.pop(network, None)
        self._shrunk.clear()

    def batch(self, network: Network) -> int:
        if network not in self._sizes:
            try:
                with told_apart():
                    self._sizes[network] = fitting(*self._measured(network))
            except torch.OutOfMemoryError as error:
                raise OutOfMemory(FULL, retry_after=60) from error
        return self._sizes[network]

    @cached_property
    def _aside(self) -> Any:
        """The stream that all graphs are made on: libraries keep a workspace for each that they were ever called on."""
        return torch.cuda.Stream()

    def _pool(self) -> Any:
        """Memory for all graphs: one at a time is replayed, and each keeps what it results in.

        That of a graph that is there: PyTorch does not allow what no graph has any more to be used again.
        """
        there = (graph for graphs in self._graphs.values() for graph in graphs.values())
        graph = next(there, None)
        return graph.pool if graph else torch.cuda.graph_pool_handle()

    def _measured(self, network: Network) -> tuple[int, int]:
        """Free bytes, and how many one segment takes."""
        self._graphs.clear()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        network(torch.zeros(1, 2, network.seen(network.segment), device=self.name))
        used = torch.cuda.max_memory_allocated() - before
        torch.cuda.empty_cache()
        return torch.cuda.mem_get_info()[0], used

    def take(self, values: Tensor) -> Tensor:
        return values.pin_memory().to(self.name, non_blocking=True)

    def run(self, network: Network, segments: Tensor) -> Tensor:
        if segments.shape[-1] != network.seen(network.segment) or not self._recordable(network):
            return network(segments)  # a shape that comes once, or no graph
        size = 1 << (len(segments) - 1).bit_length()
        padded = functional.pad(segments, (0, 0, 0, 0, 0, size - len(segments)))
        return (self._graph(network, padded) or network)(padded)[: len(segments)]

    def _recordable(self, network: Network) -> bool:
        """Whether to try: by what the network says of itself, and by what became of it before."""
        return getattr(network, "recordable", True) and network not in self._unrecordable

    def _graph(self, network: Network, like: Tensor) -> "Graph | None":
        graphs = self._graphs.setdefault(network, {})
        if len(like) not in graphs:
            graph = captured(network, like, self._pool(), self._aside)
            if graph is None:
                self._unrecordable.add(network)
                self._graphs.clear()  # who knows in which state that left the others' memory
                return None
            graphs[len(like)] = graph
        return graphs[len(like)]

    def shrink(self, network: Network) -> None:
        size = self.batch(network)
        self._shrunk.add(network)
        self._graphs.clear()  # they hold memory
        torch.cuda.empty_cache()
        if size == 1:
            raise OutOfMemory(FULL, retry_after=60)
        self._sizes[network] = size // 2

    def fetch(self, values: Tensor) -> Callable[[], Values]:
        host = torch.empty(values.shape, dtype=values.dtype, pin_memory=True)
        host.copy_(values, non_blocking=True)
        copied = torch.cuda.Event(blocking=True)  # or whoever waits keeps a processor busy
        copied.record()

        def wait() -> Values:
            copied.synchronize()
            return host.numpy()

        return wait


class Graph:
    """A network's kernels for one shape, recorded once and started together."""

    def __init__(self, network: Network, like: Tensor, pool: Any, stream: Any) -> None:
        """In the memory of `pool`, whose graphs were all made on this stream."""
        self._given = like.clone()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(2):  # libraries choose their kernels, and make their workspaces, on first use
                network(self._given)
        torch.cuda.current_stream().wait_stream(stream)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph, pool, stream):
            self._result = network(self._given)

    @property
    def pool(self) -> Any:
        """The memory that it was recorded in."""
        return self._graph.pool()

    def __call__(self, segments: Tensor) -> Tensor:
        self._given.copy_(segments)
        self._graph.replay()
        return self._result


def captured(network: Network, like: Tensor, pool: Any, stream: Any) -> Graph | None:
    """A graph of the network, or None where it does something that cannot be recorded."""
    try:
        return Graph(network, like, pool, stream)
    except RuntimeError as error:
        if out_of_memory(error):
            raise
        logs.info("computed without a CUDA graph", segments=len(like), error=str(error))
        with suppress(RuntimeError):
            torch.cuda.synchronize()
        return None


def fitting(free: int, each: int) -> int:
    """The power of two of segments of `each` bytes that fits into `free` bytes, MOST_SEGMENTS at most."""
    size = 1
    while size < MOST_SEGMENTS and 2 * size * each <= SPARE * free:
        size *= 2
    return size


def _has_kernels() -> bool:
    """Whether PyTorch was built for this GPU: one that is too old is found like any other, and fails at once."""
    major, minor = torch.cuda.get_device_capability()
    known = [arch.split("_") for arch in torch.cuda.get_arch_list() if arch.startswith(("sm_", "compute_"))]
    versions = [(kind, divmod(int(number.rstrip("af")), 10)) for kind, number in known]
    return not versions or any(
        least <= (major, minor) and (kind == "compute" or least[0] == major) for kind, least in versions
    )


def device_of(setting: str) -> Device:
    """For the setting DEVICE: auto, cpu or cuda. Raises BadSettings where there is no such device."""
    found = setting != "cpu" and torch.cuda.is_available()
    if setting == "cuda" and not found:
        raise BadSettings("DEVICE is cuda, but PyTorch finds no NVIDIA GPU here; set it to cpu or auto")
    if found and not _has_kernels():
        kernels = " ".join(torch.cuda.get_arch_list())
        about = f"PyTorch has no kernels for {torch.cuda.get_device_name()}, only {kernels}"
        if setting == "cuda":
            raise BadSettings(f"DEVICE is cuda, but {about}; set it to cpu or auto")
        logs.info("the GPU is left alone", why=about)
        found = False
    if not found:
        torch.set_num_threads(allowed(torch.get_num_threads()))
        return Cpu(torch.get_num_threads())
    # By default cuDNN rounds to TF32, which leaves 52 to 71 dB of agreement; the first line does not reach it in every
    # version of PyTorch.
    torch.backends.fp32_precision = "ieee"
    torch.backends.cudnn.conv.fp32_precision = torch.backends.cudnn.rnn.fp32_precision = "ieee"
    torch.set_num_threads(1)  # what is left for them is too little to share; encoders need the cores
    return Cuda()
