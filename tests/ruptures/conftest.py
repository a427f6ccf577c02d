"""Property tests here try the same examples on every machine, and none is judged by a clock."""

from hypothesis import settings

settings.register_profile("same-everywhere", derandomize=True, deadline=None)
settings.load_profile("same-everywhere")
