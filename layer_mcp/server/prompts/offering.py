"""Which jobs a server offers, and how clients see them."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from mcp.types import GetPromptResult, Prompt, PromptArgument, PromptMessage, TextContent

from .job import Job, Step
from .jobs import jobs
from .rendering import finding, steps_of, text_of


@dataclass(frozen=True)
class Offer:
    """A job on a server that has the tools for it."""

    job: Job
    steps: tuple[Step, ...]

    @property
    def tools(self) -> frozenset[str]:
        """The tools that it may lead to."""
        steps = (finding(self.job, has_model=False), *self.steps)
        return frozenset(tool for step in steps for tool in step.tools)

    def listed(self) -> Prompt:
        """The row of the list."""
        return Prompt(
            name=self.job.name,
            title=self.job.title,
            description=self.job.description,
            arguments=[
                PromptArgument(
                    name=argument.name,
                    description=argument.description,
                    required=argument.is_required,
                )
                for argument in self.job.arguments
            ],
        )

    def prompt(self, given: Mapping[str, str]) -> GetPromptResult:
        """The message that starts the job.

        Raises:
            LayerError: INVALID_ARGUMENTS.
        """
        content = TextContent(type="text", text=text_of(self.job, self.steps, given))
        message = PromptMessage(role="user", content=content)
        return GetPromptResult(description=self.job.description, messages=[message])


def offers(tools: Collection[str], *, saves_by_itself: bool) -> dict[str, Offer]:
    """The jobs that can be done with these tools, by name, in the order of the list.

    `saves_by_itself` says that finished runs are saved without save_outputs.
    """
    all_jobs = (Offer(job, steps_of(job, tools, saves_by_itself=saves_by_itself)) for job in jobs())
    return {offer.job.name: offer for offer in all_jobs if offer.tools <= set(tools)}
