"""The matrix that nothing escapes: every route × person × object × method, and what each may see.

`routes` declares, `world` builds two practices whose every text carries a canary, `cells` asks and
judges, `python -m tests.architecture.matrix` prints it for people (`make access-report`).
"""
