"""A function behind its own door, in the tests' process."""

from pathlib import Path

import functions_framework
from flask.testing import FlaskClient

FUNCTIONS = Path(__file__).resolve().parents[2] / "functions"


def opened(name: str) -> FlaskClient:
    """Who asks a function, as functions-framework serves it. Raises what its start raises."""
    return functions_framework.create_app(name, str(FUNCTIONS / name / "main.py"), "http").test_client()
