"""Speed as ratios, each against a named baseline measured in the same run: `make bench`."""
