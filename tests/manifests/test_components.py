"""What each component adds, and that its line in the table says what it needs."""

import re
from typing import Any

import pytest

from medley.local import servers
from medley.settings import Settings
from tests.manifests import schemas
from tests.manifests.rendering import COMPONENTS, KNATIVE, base_with, find, of_kind

TABLE = [
    [cell.strip() for cell in line.strip("| ").split("|")]
    for line in (KNATIVE / "components/README.md").read_text().splitlines()
    if line.startswith("| `")
]


def separate(*components: str) -> dict[str, Any]:
    spec: dict[str, Any] = find(base_with(*components), "Service", "separate")["spec"]["template"]["spec"]
    return spec


def test_every_component_has_its_line() -> None:
    assert sorted(row[0].strip("`") for row in TABLE) == sorted(COMPONENTS)
    assert all(len(row) == 4 and all(row) for row in TABLE)


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row[0].strip("`"))
def test_a_line_names_exactly_the_flags_that_are_needed(row: list[str]) -> None:
    needed = set().union(*(schemas.flags(one) for one in base_with(row[0].strip("`"))))
    assert set(re.findall(r"`([^`]+)`", row[2])) == needed


def test_base_needs_no_flag() -> None:
    assert set().union(*(schemas.flags(one) for one in base_with())) == set()


def test_gpu_gives_each_instance_one_and_insists_on_it() -> None:
    (container,) = separate("gpu")["containers"]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert {"name": "DEVICE", "value": "cuda"} in container["env"]


def test_weights_are_read_where_the_image_looks_and_written_by_the_job_alone() -> None:
    (container,) = separate("weights")["containers"]
    (mount,) = (one for one in container["volumeMounts"] if one["name"] == "weights")
    dockerfile = (KNATIVE.parent / "functions/separate/Dockerfile").read_text()
    assert f"WEIGHTS_DIR={mount['mountPath']}\n" in dockerfile
    assert mount["readOnly"] is True
    job = find(base_with("weights"), "CronJob", "weights")["spec"]
    assert job["suspend"] is True
    (container,) = job["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    assert [one.get("readOnly") for one in container["volumeMounts"] if one["mountPath"] == mount["mountPath"]] == [
        None
    ]


@pytest.mark.parametrize(
    ("component", "kind"), [("broker-inmemory", "MTChannelBasedBroker"), ("broker-rabbitmq", "RabbitMQBroker")]
)
def test_a_broker_is_of_its_class_and_keeps_the_dead_letters(component: str, kind: str) -> None:
    broker = find(base_with(component), "Broker", "default")
    assert broker["metadata"]["annotations"]["eventing.knative.dev/broker.class"] == kind
    assert broker["spec"]["delivery"]["deadLetterSink"]["ref"]["name"] == "logsink"
    config = broker["spec"]["config"]
    assert find(base_with(component), config["kind"], config["name"])["metadata"]["namespace"] == config["namespace"]


def test_the_broker_in_memory_answers_before_anybody_got_the_event() -> None:
    annotations = find(base_with("broker-inmemory"), "Broker", "default")["metadata"]["annotations"]
    assert annotations["messaging.knative.dev/async-handler"] == "true"


def test_rabbitmq_has_an_address_of_its_own_and_counts_for_every_trigger() -> None:
    documents = base_with("broker-rabbitmq")
    assert "//default-broker-ingress.medley." in find(documents, "ConfigMap", "medley")["data"]["BROKER_URL"]
    for trigger in of_kind(documents, "Trigger"):
        assert int(trigger["metadata"]["annotations"]["rabbitmq.eventing.knative.dev/parallelism"]) > 0


@pytest.mark.parametrize("component", ["s3", "minio"])
def test_both_object_stores_are_found_in_the_same_place(component: str) -> None:
    (service,) = (one for one in base_with(component) if one["apiVersion"] == "v1" and one["metadata"]["name"] == "s3")
    (container,) = find(base_with(component), "StatefulSet", "s3")["spec"]["template"]["spec"]["containers"]
    assert service["spec"]["ports"][0]["port"] == 8333
    assert any("8333" in argument for argument in container["args"])
    assert "http://s3:8333" in (KNATIVE / "secrets.sh").read_text()


def test_policies_name_pods_that_are_there() -> None:
    documents = base_with("network-policy", "redis", "s3")
    functions = {one["metadata"]["name"] for one in of_kind(documents, "Service")}
    stores = {one["spec"]["template"]["metadata"]["labels"]["app"] for one in of_kind(documents, "StatefulSet")}
    named: dict[str, list[str]] = {"app": [], "serving.knative.dev/service": []}
    for policy in of_kind(documents, "NetworkPolicy"):
        for expression in policy["spec"]["podSelector"]["matchExpressions"]:
            named[expression["key"]] += expression.get("values", [])
    assert sorted(named["serving.knative.dev/service"]) == sorted(functions)  # each once
    assert set(named["app"]) == stores


def test_images_set_only_settings_and_a_home() -> None:
    known = {name.upper() for name in Settings.__dataclass_fields__}
    for path in KNATIVE.parent.glob("functions/*/Dockerfile"):
        after = path.read_text().partition("USER 10001")[2]
        given = set(re.findall(r"(\w+)=\S+", " ".join(re.findall(r"^ENV (.*)", after, re.MULTILINE))))
        assert "HOME" in given, path
        assert given - {"HOME", "LD_LIBRARY_PATH"} <= known, path


def test_seaweedfs_leaves_room_free_for_a_copy_of_a_volume() -> None:
    """By which alone what is removed is freed; else a disk that was full once would stay so."""
    (container,) = find(base_with("s3"), "StatefulSet", "s3")["spec"]["template"]["spec"]["containers"]
    options = dict(option.removeprefix("-").split("=") for option in container["args"] if "=" in option)
    free = options["volume.minFreeSpace"]
    assert free.endswith("MiB")
    assert int(options["master.volumeSizeLimitMB"]) < int(free.removesuffix("MiB"))
    assert servers.VOLUME < servers.ROOM
