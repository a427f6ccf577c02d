"""How often a rule is right, on courses whose truth is known: `manage.py evaluate_detection`.

Nothing here serves a page. `populations` invents clients by the simulator, `comparators` and
`particles` hold what the rule is measured against, `judge` counts openings and ruptures, `study`
puts them together and `report` writes what docs/detection.md shows.
"""
