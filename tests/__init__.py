"""All tests. Asserts in the tables' modules say as much as those in tests."""

import pytest

pytest.register_assert_rewrite("tests.e2e", "tests.knative")
