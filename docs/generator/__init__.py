"""Parts of the pages that are generated from the code: `python -m docs.generator`."""
