"""layer-mcp workspaces."""

from layer_mcp.sandbox import RunningSandbox

from ..support.terminal import Person


def test_workspaces_are_listed_with_their_balances(person: Person, sandbox: RunningSandbox) -> None:
    sandbox.state.workspaces[0].name = "Potions"
    header, row = person.done("workspaces").splitlines()
    assert header.split() == ["name", "CU", "slug", "id"]
    assert row.split() == ["Potions", "1000", "sandbox", sandbox.workspace_id]


def test_workspaces_are_an_object_for_programs(person: Person, sandbox: RunningSandbox) -> None:
    [workspace] = person.json("workspaces")["workspaces"]
    assert workspace["workspace_id"] == sandbox.workspace_id
    assert workspace["balance_creative_units"] == 1000
