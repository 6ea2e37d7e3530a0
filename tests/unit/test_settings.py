"""Settings: typed, and everything that is wrong named at once."""

import pytest

from medley.settings import BadSettings, Settings, read


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
