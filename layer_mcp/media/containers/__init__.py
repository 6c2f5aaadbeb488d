"""Read the containers of videos and sounds."""
