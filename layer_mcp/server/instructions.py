"""The instructions that an agent reads before its first call: which tool to call when."""

from collections.abc import Collection

from ..settings import Toolset

OPENING = (
    "Layer makes game assets: images, video, 3D, and audio. Generations cost Creative Units (CU)."
)
MODELS = (
    "list_models finds a model, get_model shows which arguments it uses, and list_workspaces shows "
    "the balance."
)
ESTIMATE = "estimate_price shows the price, and whether the balance covers it."
START = (
    "execute_inference starts a run and returns inference_id. Set batch_size: by default you "
    "get and pay for 4 outputs. execute_batch starts up to 50 different runs."
)
WAIT = (
    "get_status waits for the run (25 s by default) and returns the files, the price, and one "
    'small preview image. "in_progress" is a normal answer: call get_status again. Runs take 20 s '
    "to minutes. list_runs waits for several runs and shows earlier ones."
)
SAVE = "save_outputs saves a run's files to a folder on this machine."
SAVED = "get_status saves the files on this machine; save_outputs saves copies elsewhere."
LOCAL_REFERENCES = (
    "References and masks can be local files: pass path instead of file_id. Outputs have a file_id "
    "that works as a reference."
)
OUTPUT_REFERENCES = (
    "References and masks take a file_id. Outputs have a file_id that works as a reference."
)
SENT_REFERENCES = (
    "References and masks take a file_id. Outputs have one; for other files, call create_upload."
)
WORKFLOWS = (
    "Multi-step pipelines: list_workflows finds one, estimate_workflow shows the price, "
    "execute_workflow starts it, and get_workflow_status waits for its files."
)
READ_WORKFLOWS = (
    "Multi-step pipelines: list_workflows finds one, estimate_workflow shows the price, and "
    "get_workflow_status waits for the files of a run."
)
SPENDING_RULES = """\
Wait for a slow run; don't start it again. Retrying the same call returns the same run, marked \
duplicate; repeat true pays for another one. If the outcome of a call is unknown, ask the user to \
look in Layer before you try again.
Runs above {confirm_above:g} CU need the user's approval. After CONFIRMATION_REQUIRED, ask the \
user; only if they agree, pass the price as max_price_creative_units.
"""
ENDING = "Each answer ends with the next step.\n"


def instructions(
    toolsets: Collection[Toolset],
    *,
    saves_by_itself: bool,
    confirm_above: float,
    uses_disk: bool = True,
    can_change: bool = True,
) -> str:
    """Write the instructions for the tools of these toolsets.

    `saves_by_itself` says that finished runs are saved without save_outputs. A price above
    `confirm_above` Creative Units needs a person's approval. Without `uses_disk`, no tool reads or
    writes files of this machine; without `can_change`, no tool starts or saves anything.
    """
    save = [SAVED if saves_by_itself else SAVE] if uses_disk and can_change else []
    steps = [
        *([MODELS] if "models" in toolsets else []),
        *((ESTIMATE, *([START] if can_change else []), WAIT) if "generate" in toolsets else ()),
        *(save if "files" in toolsets else []),
        *([WORKFLOWS if can_change else READ_WORKFLOWS] if "workflows" in toolsets else []),
    ]
    numbered = "\n".join(f"{number}. {step}" for number, step in enumerate(steps, 1))
    remote = SENT_REFERENCES if "files" in toolsets else OUTPUT_REFERENCES
    references = LOCAL_REFERENCES if uses_disk else remote
    more = [
        f"{references}\n" if "generate" in toolsets and can_change else "",
        SPENDING_RULES.format(confirm_above=confirm_above) if can_change else "",
    ]
    return f"{OPENING}\n\n{numbered}\n\n{''.join(more)}{ENDING}"
