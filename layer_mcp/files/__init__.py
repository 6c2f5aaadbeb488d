"""Files and folders of the user's: which may be used, opened safely, and what is in them."""
