"""Settings and manifests: every setting is set somewhere, or left to its default on purpose."""

import re

from medley.settings import STORES, Settings
from tests.manifests.rendering import COMPONENTS, KNATIVE, base_with, functions
from tests.manifests.test_base import environment

KNATIVE_SETS = {"PORT"}
LEFT_TO_DEFAULTS = {
    "HOST",
    "S3_BUCKET", "S3_REGION",
    "BROKER_TIMEOUT",
    "MAX_BYTES", "MAX_SECONDS", "MAX_BYTES_IN_FLIGHT", "MAX_QUEUE",
    "PRECISION", "TIME_LIMIT", "TIME_MARGIN", "LEASE_SECONDS", "LEASE_RENEW_SECONDS", "MAX_ATTEMPTS",
    "CALLBACK_ALLOW", "CALLBACK_TIMEOUT", "CALLBACK_SCHEDULE",
    "GRACE_SECONDS", "SWEEP_PAGE", "KEEP_DAYS", "KEEP_CANCELED_SECONDS",
    "LOG_LENGTH",
}  # fmt: skip


def in_manifests() -> set[str]:
    """Variables that the base, a component or an image sets, and those of the Secret with the stores."""
    found = environment() | set(re.findall(r"^([A-Z0-9_]+)=", (KNATIVE / "secrets.sh").read_text(), re.MULTILINE))
    for component in COMPONENTS:
        for _, container in functions(base_with(component)):
            found |= {entry["name"] for entry in container.get("env", [])}
    for path in KNATIVE.parent.glob("functions/*/Dockerfile"):
        for line in re.findall(r"^ENV (.*)", path.read_text(), re.MULTILINE):
            found |= set(re.findall(r"(\w+)=\S+", line))
    return found


def test_every_setting_is_set_or_left_to_its_default_on_purpose() -> None:
    settings = {name.upper() for name in Settings.__dataclass_fields__}
    assert settings - in_manifests() - KNATIVE_SETS == LEFT_TO_DEFAULTS


def test_the_secret_has_all_that_the_stores_need() -> None:
    keys = set(re.findall(r"^([A-Z0-9_]+)=", (KNATIVE / "secrets.sh").read_text(), re.MULTILINE))
    assert keys == {name.upper() for name in STORES} | {"REDIS_PASSWORD"}


def test_what_is_set_in_time_is_what_the_code_takes_for_granted() -> None:
    """TIME_LIMIT is left to its default, so that has to be the time limit of separate."""
    (spec,) = (
        one["spec"]["template"]["spec"]
        for one in base_with()
        if one["metadata"]["name"] == "separate" and "template" in one["spec"]
    )
    assert spec["timeoutSeconds"] == spec["responseStartTimeoutSeconds"] == Settings().time_limit
