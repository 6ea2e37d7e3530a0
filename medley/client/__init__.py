"""The client: knows only the HTTP contract (`contract/openapi.yaml`) and nothing else of medley."""

from medley.client.api import Accepted, Medley
from medley.client.errors import BadCall, ClientError, MedleyProblem, Unreachable

__all__ = ["Accepted", "BadCall", "ClientError", "Medley", "MedleyProblem", "Unreachable"]
