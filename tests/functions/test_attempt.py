"""An attempt at a song, with real stores and a network that takes no time: where it ends between two writes."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from functions.separate.attempt import Attempt, Grid, Overtaken
from functions.separate.lease import Lease
from medley import names, stores
from medley.audio import Mix
from medley.parts import HIGHEST
from medley.stores.jobs import Claim
from tests.sounds import samples, wav
from tests.stores.songs import A, about, accept, claim, upload

STRIDE, PARTS = 10_000, 4
LENGTH = STRIDE * PARTS


@dataclass(frozen=True)
class Even:
    """A song of so many samples in parts of `stride`."""

    length: int
    stride: int = STRIDE

    @property
    def count(self) -> int:
        return self.length // self.stride


@dataclass(frozen=True)
class Loud:
    """Gives stems of which part `k` has `k + 1` samples beyond full scale."""

    stems: tuple[str, ...] = ("vocals", "other")
    samplerate: int = 44100
    device: str = "cpu"
    precision: str = "exact"
    recipe: str = "00000000"

    def grid(self, length: int) -> Grid:
        return Even(length)

    def parts(self, mix: Mix, first: int, between: Callable[[], None]) -> Iterator[NDArray[np.int32]]:
        for part in range(first, PARTS):
            between()
            values = np.zeros((len(self.stems), 2, STRIDE), np.int32)
            values[..., 0, : part + 1] = HIGHEST
            yield values


@pytest.fixture
def claimed(empty_stores: None) -> Claim:
    stores.objects().put(upload(A).original("wav"), wav(samples(LENGTH / 44100)))
    stores.jobs().accept(upload(A), about() | {"extension": "wav", "outputs": "[]"}, 10, None)
    return claim(stores.jobs())


def attempt(claimed: Claim, kind: type[Attempt] = Attempt) -> Attempt:
    lease = Lease(claimed, lambda: None, float("inf"), lambda: None)
    return kind(claimed, lambda exactly: Loud(), lease, lambda: False)


def stored() -> set[str]:
    return {stat.name for stat in stores.objects().list(upload(A).prefix)}


def test_a_song_removed_after_its_last_part_is_not_said_to_be_whole(claimed: Claim) -> None:
    class Removed(Attempt):
        def _done(self, grid: Grid) -> Any:
            stores.jobs().remove(A, "event")
            return super()._done(grid)

    with pytest.raises(Overtaken):
        attempt(claimed, Removed).run()
    assert upload(A).part("00000000", "other", PARTS - 1) in stored()
    assert upload(A).done not in stored()


def test_what_a_crash_left_uncounted_is_counted_by_the_next_attempt(claimed: Claim) -> None:
    """A worker that dies when parts are stored, and not yet on record."""

    class Died(Attempt):
        def _done(self, grid: Grid) -> Any:
            raise SystemExit

    with pytest.raises(SystemExit):
        attempt(claimed, Died).run()
    first_part_only = {"counted": 1, **{f"{names.CLIPPED}{stem}": 1 for stem in Loud.stems}}
    stores.redis().hset(names.song_key(A), mapping=first_part_only)
    stores.jobs().give_back(claimed)
    done = attempt(claim(stores.jobs(), "another")).run()
    assert done.clipped == {stem: sum(range(1, PARTS + 1)) for stem in Loud.stems}


def test_the_parts_of_an_upload_that_another_took_the_place_of_are_removed(claimed: Claim) -> None:
    """And nothing else of it: its callbacks may be known to nobody but the sweep."""
    overtaken = attempt(claimed)
    overtaken.run()
    stores.objects().put(upload(A).callback("c"), b"{}")
    stores.jobs().remove(A, "event")
    accept(stores.jobs(), A, "second")
    overtaken.clean_up()
    left = stored()
    assert not any(name.startswith(upload(A).parts) for name in left)
    assert upload(A).callback("c") in left


def test_its_lease_hears_of_each_segment(claimed: Claim, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or a worker that takes long before its first part would be ended as one that hangs."""
    at_work, heard = attempt(claimed), []
    monkeypatch.setattr(at_work.lease, "goes_on", lambda: heard.append(at_work.new_parts))
    at_work.run()
    assert len(heard) >= PARTS
