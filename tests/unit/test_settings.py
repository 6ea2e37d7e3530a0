"""Settings: typed, and everything that is wrong named at once."""

import pytest

from medley.settings import ABOVE_0, BadSettings, Settings, read


def test_defaults_stand_where_nothing_is_set() -> None:
    assert read({}) == Settings()


def test_each_type_is_read() -> None:
    values = read(
        {
            "MAX_BYTES": "5",
            "LEASE_SECONDS": "12.5",
            "MODELS": "htdemucs, htdemucs_ft",
            "CALLBACK_SCHEDULE": "1,2.5",
            "S3_BUCKET": "b",
        }
    )
    assert (values.max_bytes, values.lease_seconds, values.s3_bucket) == (5, 12.5, "b")
    assert values.models == ("htdemucs", "htdemucs_ft")
    assert values.callback_schedule == (1, 2.5)


def test_all_that_is_wrong_is_named_at_once() -> None:
    wrong = {"MAX_BYTES": "many", "LEASE_SECONDS": "long", "MODELS": "nosuch", "DEVICE": "tpu", "REDIS_URL": "nowhere"}
    with pytest.raises(BadSettings) as raised:
        read(wrong)
    assert all(name in str(raised.value) for name in wrong)


@pytest.mark.parametrize(
    "wrong", [{"TIME_LIMIT": "60", "TIME_MARGIN": "60"}, {"LEASE_SECONDS": "10"}, {"LOG_LEVEL": "loud"}]
)
def test_what_cannot_work_together_is_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(BadSettings):
        read(wrong)


@pytest.mark.parametrize("name", ABOVE_0)
def test_what_would_do_nothing_is_refused(name: str) -> None:
    with pytest.raises(BadSettings, match=f"{name.upper()} is not above 0"):
        read({name.upper(): "0", "TIME_MARGIN": "0"})


@pytest.mark.parametrize("name", ["MAX_QUEUE", "GRACE_SECONDS", "KEEP_DAYS", "CALLBACK_SCHEDULE", "PORT"])
def test_a_0_that_says_something_is_taken(name: str) -> None:
    read({name: "0"})


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("REDIS_URL", "redis://[x"),
        ("REDIS_URL", "http://redis:6379"),
        ("REDIS_URL", "redis://redis:port"),
        ("S3_ENDPOINT", "s3.example.com:443"),
        ("S3_ENDPOINT", "s3://bucket"),
        ("S3_ENDPOINT", "https://"),
        ("S3_ENDPOINT", "https://s3.example.com/songs"),
        ("S3_ENDPOINT", "https://s3.example.com/?x-id=1"),
        ("S3_ENDPOINT", "https://key:secret@s3.example.com"),
        ("BROKER_URL", "ftp://broker"),
        ("BROKER_URL", "http://broker:0"),
    ],
)
def test_an_address_that_cannot_be_reached_is_refused(name: str, url: str) -> None:
    with pytest.raises(BadSettings, match=name):
        read({name: url})


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("REDIS_URL", "rediss://user:p%40ss@redis:6380/1"),
        ("S3_ENDPOINT", "https://[::1]:8333"),
        ("S3_ENDPOINT", "http://minio:9000/"),
        ("BROKER_URL", "http://b"),
    ],
)
def test_an_address_is_taken(name: str, url: str) -> None:
    assert getattr(read({name: url}), name.lower()) == url
