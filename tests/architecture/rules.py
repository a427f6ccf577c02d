"""tools/rules.yml and the semgrep that reads it, for tests."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
OWN = ROOT / ".venv" / "semgrep"
FILE = ROOT / "tools" / "rules.yml"
RULES: dict[str, dict[str, Any]] = {
    rule["id"]: rule for rule in yaml.safe_load(FILE.read_text())["rules"]
}
# The scopes by which a view may reach a model.
SCOPES = {
    way["pattern-not-inside"].rpartition(".")[2]
    for way in RULES["unscoped"]["pattern-either"][0]["patterns"]
    if "pattern-not-inside" in way
}


def excluded() -> set[tuple[str, str]]:
    """Rule and path of every place where a rule is set aside."""
    return {
        (name, path)
        for name, rule in RULES.items()
        for path in rule.get("paths", {}).get("exclude", [])
    }


def semgrep(*arguments: str, cwd: Path) -> "subprocess.CompletedProcess[str]":
    """Run it as `make check` does."""
    return subprocess.run(
        [f"{OWN}/bin/semgrep", "scan", "--strict", "--error", "--disable-nosem",
         "--quiet", "--metrics=off", "--disable-version-check", *arguments],
        cwd=cwd,
        env=os.environ | {f"SEMGREP_{name}_FILE": f"{OWN}/{name}" for name in ("SETTINGS", "LOG")},
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip


def findings(folder: Path, config: Path, *targets: str) -> set[tuple[str, str]]:
    """Rule and path, relative to `folder`, of all that is found below it."""
    done = semgrep("--json", "--config", str(config), *targets, cwd=folder)
    said = json.loads(done.stdout)
    assert said["errors"] == []
    return {(each["check_id"].rpartition(".")[2], each["path"]) for each in said["results"]}
