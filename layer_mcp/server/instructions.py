"""The instructions that an agent reads before its first call: which tool follows which."""

from collections.abc import Collection

from ..settings import Toolset

OPENING = (
    "Layer makes game assets: images, video, 3D and audio. Generations cost Creative Units (CU)."
)
MODELS = (
    "list_models finds a model, get_model shows which arguments it uses, and list_workspaces shows "
    "the balance."
)
GENERATE = (
    "estimate_price shows the price and whether the balance is enough.",
    "execute_inference starts a run and returns inference_id. Set batch_size: by default you "
    "get and pay for 4 outputs. execute_batch starts up to 50 different runs.",
    "get_status waits for the run (25 s by default) and returns the files, the price, and one "
    'small preview image. "in_progress" is a normal answer: call get_status again. Runs take 20 s '
    "to minutes. list_runs waits for several runs and shows earlier ones.",
)
SAVE = "save_outputs saves a run's files to a folder on this machine."
SAVED = "The files are saved on this machine when get_status answers; save_outputs saves copies."
LOCAL_REFERENCES = (
    "References and masks can be local files: pass path instead of file_id. Outputs have a file_id "
    "that works as a reference."
)
WORKFLOWS = (
    "Multi-step pipelines: list_workflows finds one, estimate_workflow shows the price, "
    "execute_workflow starts it, and get_workflow_status waits for its files."
)
RULES = """\
Wait for a slow run; don't start it again. Retrying the same call returns the same run, marked \
duplicate; repeat true pays for another one. If an error says that the outcome is unknown, ask \
the user to look in Layer first.
Runs above {confirm_above:g} CU need the user's approval. After CONFIRMATION_REQUIRED, ask the \
user; only if they agree, pass the price as max_price_creative_units.
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
