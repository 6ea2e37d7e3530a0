"""Frames of MP3 streams: where one stream can go on from another."""

import pytest

from medley.frames import DATA, SETTLED, graft, joint, parted

HEADER = b"\xff\xfb\x90\x04"  # 128 kbit/s at 44.1 kHz, two channels
SIZE = 417
COUNT = 12


def frame(number: int = 0, reservoir: int = 0, window: int = 0, of: tuple[int, int] = (1, 0)) -> bytearray:
    """One of 128 kbit/s, its main data all `number`; `window` has flag, type and mixed flag of a granule's channel."""
    granule, channel = of
    side = reservoir << 247 | window << 252 - (20 + 59 * (2 * granule + channel) + 33)
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


LONG, START, SHORT, STOP = 0b0000, 0b1010, 0b1100, 0b1110
MIXED = 0b0001  # of a window that is not long
TABLES = 0b0110  # of a long one: these bits are about something else


@pytest.mark.parametrize("channel", [0, 1])
@pytest.mark.parametrize(
    ("left", "right", "at"),
    [
        (LONG, LONG, 6), (LONG, STOP, 6), (TABLES, LONG, 6), (SHORT, SHORT, 6), (START, SHORT, 6),
        (SHORT | MIXED, START | MIXED, 6),
        (LONG, SHORT, 7), (START, LONG, 7), (SHORT, STOP, 7), (SHORT | MIXED, SHORT, 7), (START | MIXED, TABLES, 7),
    ],
)  # fmt: skip
def test_windows_have_to_fall_alike(left: int, right: int, at: int, channel: int) -> None:
    ours, others = (stream(_5=frame(window=window, of=(1, channel))) for window in (left, right))
    assert joint(ours, others) == at


@pytest.mark.parametrize("channel", [0, 1])
def test_only_the_last_granule_before_matters(channel: int) -> None:
    assert joint(stream(_5=frame(window=SHORT, of=(0, channel))), stream(_6=frame(window=SHORT, of=(0, channel)))) == 6


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
