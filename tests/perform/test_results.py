"""What users' methods return is checked before it is used."""

import pytest

from invspec.attacks.identity import Identity
from invspec.data import Scored
from invspec.errors import InvspecError
from invspec.measures.accuracy import Accuracy
from invspec.perform.results import checked


def test_a_result_of_the_expected_type_is_returned():
    scored = Scored([])
    assert checked(scored, Scored, Accuracy()) is scored


@pytest.mark.parametrize(("result", "shown"), [(None, "None"), (0.5, "a float")])
def test_any_other_result_names_the_method_and_both_types(result, shown):
    with pytest.raises(InvspecError, match=f"Identity returned {shown}, expected a Scored"):
        checked(result, Scored, Identity())
