"""Who can be reached from where."""

import pytest

from medley import names
from tests.knative.on_cluster.deployed import DOMAIN, OUTSIDE, Deployed, inside, is_outside, outside, request
from tests.knative.on_cluster.kubectl import NAMESPACE

HIDDEN = ("separate", "callback", "sweep", "logsink")


def test_what_is_hidden() -> None:
    assert {name for name in names.FUNCTIONS if not is_outside(name)} == set(HIDDEN)


@pytest.mark.parametrize("function", names.FUNCTIONS)
def test_inside_all_can_be_reached(function: str) -> None:
    assert inside(function)[0] == 200


@pytest.mark.parametrize("function", [name for name in names.FUNCTIONS if name not in HIDDEN])
def test_outside_those_with_a_route_can(function: str) -> None:
    assert outside(function)[0] == 200


@pytest.mark.parametrize("function", HIDDEN)
@pytest.mark.parametrize("domain", [DOMAIN, "svc.cluster.local", "svc"])
def test_outside_the_others_cannot(function: str, domain: str) -> None:
    assert request(f"http://{OUTSIDE}/", Host=f"{function}.{NAMESPACE}.{domain}") == (404, b"no route\n")


@pytest.mark.parametrize("function", HIDDEN)
def test_nor_by_the_gateway(medley: Deployed, function: str) -> None:
    for path in (f"/{function}", f"/apiv1/../{function}"):
        assert request(medley.url + path, Host=f"{function}.{NAMESPACE}.svc.cluster.local")[0] == 404
