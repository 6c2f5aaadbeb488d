"""The model for reading back the JSON next to saved outputs."""

from pydantic import BaseModel

from .record import SavedFile


class Record(BaseModel):
    """A run in a record, and its files."""

    run_id: str
    files: tuple[SavedFile, ...]
