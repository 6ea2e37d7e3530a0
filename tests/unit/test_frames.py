"""Frames of MP3 streams: where one stream can go on from another."""

import pytest

from medley.frames import DATA, SETTLED, graft, joint, parted

HEADER = b"\xff\xfb\x90\x04"  # 128 kbit/s at 44.1 kHz, two channels
SIZE = 417
COUNT = 12


def frame(number: int = 0, reservoir: int = 0, short: tuple[int, int] | None = None) -> bytearray:
    """One of 128 kbit/s, its main data all `number`; `short` is the granule and the channel that have short windows."""
    side = reservoir << 247
    if short is not None:
        granule, channel = short
        side |= 1 << 255 - (20 + 59 * (2 * granule + channel) + 33)
    return bytearray(HEADER + side.to_bytes(32, "big") + bytes([number]) * (SIZE - DATA))


def stream(**changed: bytearray) -> list[bytearray]:
    """`_8` is the frame of that number."""
    return [changed.get(f"_{number}", frame(number)) for number in range(COUNT)]


def test_streams_are_parted_into_frames() -> None:
    padded = frame(1) + b"\0"
    padded[2] |= 2
    frames, rest = parted(bytes(frame() + padded + frame(2)[:100]))
    assert frames == [frame(), padded]
    assert rest == frame(2)[:100]


@pytest.mark.parametrize("count", range(DATA))
def test_a_beginning_is_no_frame(count: int) -> None:
    assert parted(bytes(frame()[:count])) == ([], frame()[:count])


def test_the_first_that_an_encoder_can_be_trusted_with() -> None:
    assert joint(stream(), stream()) == SETTLED


@pytest.mark.parametrize(("left", "right", "at"), [(300, 300, 6), (300, 301, 7), (0, 511, 7), (511, 0, 6)])
def test_main_data_have_to_fit_into_the_reservoir(left: int, right: int, at: int) -> None:
    assert joint(stream(_6=frame(reservoir=left)), stream(_6=frame(reservoir=right))) == at


@pytest.mark.parametrize("channel", [0, 1])
def test_windows_have_to_be_long_on_both_sides(channel: int) -> None:
    assert joint(stream(_5=frame(short=(1, channel))), stream()) == 7
    assert joint(stream(), stream(_6=frame(short=(0, channel)))) == 7
    assert joint(stream(_6=frame(short=(0, channel))), stream(_5=frame(short=(1, channel)))) == 6


def test_there_may_be_no_such_place() -> None:
    assert joint(stream()[:SETTLED], stream()) is None
    assert joint(stream(), [frame(reservoir=1) for _ in range(COUNT)]) is None
    assert joint([], []) is None


@pytest.mark.parametrize("reservoir", [0, 1, 381, 382, 511])
def test_main_data_go_where_they_are_looked_for(reservoir: int) -> None:
    left, right = [frame(1) for _ in range(3)], [frame(number) for number in (7, 8, 9)]
    graft(left, right, frame(reservoir=reservoir))
    assert all(new[:DATA] == frame()[:DATA] and len(new) == SIZE for new in left)
    last = b"".join(new[DATA:] for new in left)
    wanted = b"".join(new[DATA:] for new in right)[-reservoir:] if reservoir else b""
    assert last == b"\1" * (len(last) - reservoir) + wanted
