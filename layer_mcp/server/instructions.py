"""The instructions that an agent reads before its first call: which tool follows which."""

from collections.abc import Collection

from ..settings import Toolset

OPENING = (
    "Layer makes game assets: images, video, 3D and audio. Generations cost Creative Units (CU)."
)
MODELS = (
    "list_models finds a model, get_model says which arguments it uses, list_workspaces shows the "
    "balance."
)
GENERATE = (
    "estimate_price tells the price and whether the balance suffices.",
    "execute_inference starts a run and returns inference_id. Set batch_size: the default makes "
    "and charges 4 outputs. execute_batch starts up to 50 different ones.",
    "get_status waits for the run (25 s by default) and returns the files, the price and one small "
    'picture. "in_progress" is a normal answer: call get_status again. Runs take 20 s to minutes. '
    "list_runs waits for several at once and shows earlier runs.",
)
SAVE = "save_outputs saves the files of a run to a folder of this machine."
SAVED = "The files are saved on this machine when get_status answers; save_outputs saves copies."
LOCAL_REFERENCES = (
    "References and masks may be local files: give path instead of file_id. Outputs have a file_id "
    "that works as a reference."
)
WORKFLOWS = (
    "Pipelines of several steps: list_workflows finds one, estimate_workflow tells the price, "
    "execute_workflow starts it, get_workflow_status waits for its files."
)
RULES = """\
Wait for a slow run, do not start it again. The same call again is answered with the same run, \
marked duplicate; repeat true pays for another. If an error says that the outcome is unknown, ask \
the user to look in Layer first.
Above {confirm_above:g} CU a person has to agree. After CONFIRMATION_REQUIRED ask the user; only \
after a yes pass the price as max_price_creative_units.
Each answer ends with the next step.
"""


def instructions(
    toolsets: Collection[Toolset], *, saves_by_itself: bool, confirm_above: float
) -> str:
    """Write the instructions for the tools of these toolsets.

    `saves_by_itself` says that finished runs are saved without save_outputs. Above `confirm_above`
    Creative Units, a person has to agree.
    """
    steps = [
        *([MODELS] if "models" in toolsets else []),
        *(GENERATE if "generate" in toolsets else ()),
        *([SAVED if saves_by_itself else SAVE] if "files" in toolsets else []),
        *([WORKFLOWS] if "workflows" in toolsets else []),
    ]
    numbered = "\n".join(f"{number}. {step}" for number, step in enumerate(steps, 1))
    rules = RULES.format(confirm_above=confirm_above)
    local = f"{LOCAL_REFERENCES}\n" if "generate" in toolsets else ""
    return f"{OPENING}\n\n{numbered}\n\n{local}{rules}"
