"""FastMCP's client with its tasks extension, which follows a paid call until its run ends."""

import asyncio
from importlib.metadata import version

from fastmcp_tasks.client import call_tool_task

from interop.fastmcp.client import FastMcp
from interop.job import RUN, Job, do_job, outcome, print_report, read_job


class FastMcpTasks(FastMcp):
    """One session that declares tasks."""

    name = "fastmcp, fastmcp-tasks"
    version = f"{version('fastmcp')}, {version('fastmcp-tasks')}"
    gives_up = False

    async def task(self, job: Job) -> None:
        """Repeating the first call returns a task for the first run."""
        models = await self.call("list_models", {"search": job.search})
        model_id = models.text.split()[0]
        arguments = {"model_id": model_id} | job.requests["generate"]
        task = await call_tool_task(self.client, name="execute_inference", arguments=arguments)
        result = await task.result()
        found = RUN.search(result.content[0].text)
        assert found is not None, result
        assert found[1] == task.task_id, f"the task is {task.task_id}, the run {found[1]}"


async def main() -> None:
    job = read_job()
    connection = FastMcpTasks(job)
    async with connection.client:
        connection.protocol = connection.client.protocol_version
        steps = await do_job(job, connection)
        steps["task"] = await outcome(lambda: connection.task(job))
        print_report(job, connection, steps)


if __name__ == "__main__":
    asyncio.run(main())
