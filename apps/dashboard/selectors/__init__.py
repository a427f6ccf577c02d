"""What each page shows, composed in a constant number of queries into frozen dataclasses."""
