"""How a workspace is chosen."""

import pytest

from layer_mcp import LayerError, Workspace
from layer_mcp.api.client import choose_workspace
from layer_mcp.api.fields import is_uuid

ART = Workspace(workspace_id="00000000-0000-4000-8000-00000000000a", slug="art", name="Art Team")
LAB = Workspace(workspace_id="00000000-0000-4000-8000-00000000000b", slug="lab", name="Lab")


def test_the_only_workspace_needs_no_name() -> None:
    assert choose_workspace(None, [ART]) == ART


@pytest.mark.parametrize("wanted", [ART.workspace_id, "art", "ART", " Art Team ", "art team"])
def test_a_workspace_is_found_by_id_slug_or_name(wanted: str) -> None:
    assert choose_workspace(wanted, [LAB, ART]) == ART


def test_several_workspaces_are_listed_when_none_is_named() -> None:
    with pytest.raises(LayerError, match=r"Art Team \(.*0a\); Lab \(.*0b\)") as caught:
        choose_workspace(None, [ART, LAB])
    assert caught.value.code == "WORKSPACE_REQUIRED"


def test_an_unknown_workspace_lists_the_available_ones() -> None:
    with pytest.raises(LayerError, match=r'called "nope".*Art Team') as caught:
        choose_workspace("nope", [ART])
    assert caught.value.code == "WORKSPACE_NOT_FOUND"


def test_a_name_that_two_workspaces_share_is_not_guessed() -> None:
    twin = LAB.model_copy(update={"name": "Art Team"})
    with pytest.raises(LayerError, match="More than one"):
        choose_workspace("Art Team", [ART, twin])


def test_a_slug_wins_over_another_workspaces_name() -> None:
    assert choose_workspace("lab", [ART.model_copy(update={"name": "lab"}), LAB]) == LAB


def test_an_account_without_workspaces_says_so() -> None:
    with pytest.raises(LayerError, match=r"no workspace.*Create a workspace"):
        choose_workspace(None, [])


def test_long_names_stay_short_in_the_answer() -> None:
    long = ART.model_copy(update={"name": "x" * 5000})
    with pytest.raises(LayerError) as caught:
        choose_workspace("y" * 5000, [long])
    assert len(caught.value.message) < 300


def test_only_a_uuid_needs_no_lookup() -> None:
    assert is_uuid(ART.workspace_id)
    assert not is_uuid("art")
    assert not is_uuid(ART.workspace_id + "\n")
