"""A run of the sandbox that has ended."""

from layer_mcp import Inference, InferenceRequest, LayerClient, Settings

MODEL_ID = "00000000-0000-4000-8000-000000000001"
WAIT_SECONDS = 30


async def finished_run(settings: Settings, request: InferenceRequest) -> Inference:
    """Start a run and wait for its end; its files are made by then."""
    async with LayerClient.from_settings(settings) as client:
        started = await client.execute_inference(request)
        run = await client.wait(started.inference_id, WAIT_SECONDS)
    if run.status != "complete":
        raise RuntimeError(f"The run is {run.status}.")
    return run
