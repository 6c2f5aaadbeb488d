"""Save the outputs of runs, name the files, and record how they were made."""

from .record import (
    Arriving,
    FilesOnDisk,
    MeasuredFile,
    NotSaved,
    SavedFile,
    SavedOutputs,
    find_saved,
)
from .save import OnBytes, report_total, save_outputs

__all__ = [
    "Arriving",
    "FilesOnDisk",
    "MeasuredFile",
    "NotSaved",
    "OnBytes",
    "SavedFile",
    "SavedOutputs",
    "find_saved",
    "report_total",
    "save_outputs",
]
