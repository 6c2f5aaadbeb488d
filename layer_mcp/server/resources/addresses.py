"""The addresses of the resources."""

RUNS = "layer://runs"
RUNS_WITH_LIMIT = RUNS + "{?limit}"
RUN = "layer://runs/{inference_id}"
WORKSPACES = "layer://workspaces"
MODEL = "layer://models/{id}{?workspace_id}"
OUTPUT = "layer://outputs/{file_id}"


def output_uri(file_id: str) -> str:
    """The address of an output, by its file_id (a UUID)."""
    return f"layer://outputs/{file_id.lower()}"
