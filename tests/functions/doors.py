"""A function behind its own door, in the tests' process."""

from flask.testing import FlaskClient

from medley.serve import create


def opened(name: str) -> FlaskClient:
    """Who asks a function, as functions-framework serves it. Raises what its start raises."""
    return create(name).test_client()
