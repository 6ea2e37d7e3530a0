"""Every overlay, and the base with each component, before Knative's own webhooks: they enforce what no schema says."""

import json
from collections.abc import Iterator, Sequence

import pytest

from tests.knative.on_cluster.kubectl import Document, applied, kubectl
from tests.manifests.rendering import COMPONENTS, OVERLAYS, base_with, of_kind, overlay

NAMESPACE = "dry-run"
NOT_HERE = {"RabbitmqCluster", "RabbitmqBrokerConfig"}  # of operators that this cluster has not
CLAIMS = "kubernetes.podspec-persistent-volume-claim"


@pytest.fixture(scope="module", autouse=True)
def _namespace() -> Iterator[None]:
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "medley"}}
    with applied(namespace), applied(account, namespace=NAMESPACE):  # Knative tries whether the pods could be made
        yield


@pytest.fixture
def _claims() -> Iterator[None]:
    """The feature flag that the component weights names."""
    flag("enabled")
    yield
    flag("disabled")


def flag(value: str) -> None:
    patch = json.dumps({"data": {CLAIMS: value}})
    kubectl("patch", "configmap", "config-features", "--type=merge", "-p", patch, namespace="knative-serving")


def dry_run(documents: Sequence[Document]) -> str:
    """What the cluster says that it would do. Raises AssertionError with why it would not."""
    here = [one for one in documents if one["kind"] not in NOT_HERE]
    given = "\n---\n".join(
        json.dumps(one).replace('"namespace": "medley"', f'"namespace": "{NAMESPACE}"') for one in here
    )
    told = kubectl("apply", "--dry-run=server", "-f", "-", given=given, namespace=NAMESPACE)
    assert len(told.splitlines()) == len(here)
    return told


@pytest.mark.usefixtures("_claims")
@pytest.mark.parametrize("name", OVERLAYS)
def test_every_overlay_is_accepted(name: str) -> None:
    assert dry_run(overlay(name)).count("serving.knative.dev") == len(of_kind(overlay(name), "Service"))


@pytest.mark.parametrize("name", [name for name in COMPONENTS if name != "weights"])
def test_every_component_is_accepted_without_any_flag(name: str) -> None:
    dry_run(base_with(name))


def test_a_claim_needs_the_flag_that_its_component_names() -> None:
    with pytest.raises(AssertionError, match="must not set the field"):
        dry_run(base_with("weights"))
