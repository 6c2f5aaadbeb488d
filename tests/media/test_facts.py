"""Facts are bounded, no matter what was measured or edited."""

import math
from typing import Any

import pytest

from layer_mcp.media.facts import clean_facts


@pytest.mark.parametrize("value", [10**400, -(10**400), math.inf, math.nan, {}, None])
def test_omits_values_that_are_not_plain(value: Any) -> None:
    assert clean_facts({"colors": value, "width": 64}) == {"width": 64}
