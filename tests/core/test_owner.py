"""`manage.py` where the schema's owner is not at hand, as in the container of the web server."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MEMBER = ["--practice=Fernbank", "--name=Sam", "--email=sam@x.example", "--password-stdin"]
PRACTICE = [
    *("--name=Fernbank", "--sender-name=Fernbank", "--country=GB", "--time-zone=Europe/London"),
    *("--contact-name=Ruth Adeyemi", "--contact-phone=020 7946 0018", "--member-name=Ann"),
    *("--member-email=ann@x.example", "--password-stdin"),
]
COMMANDS = {
    "add_member": MEMBER,
    "check_encryption": [],
    "create_practice": PRACTICE,
    "import_ratings": ["README.md", "--practice=Fernbank", "--questionnaire=README.md"],
    "migrate": ["--no-input"],
    "pause_sending": ["--why=a move"],
    "release_sending": ["--drop"],
    "replay": ["--practice=Fernbank", "--parameters=README.md"],
    "reset_second_step": ["ann@x.example", "--practice=Fernbank"],
    "revoke_links": ["--practice=Fernbank", "--client=FE-0001", "--by=Ann"],
    "rotate_keys": ["--root"],
    "verify_audit": [],
}
NEED_NONE = {"evaluate_detection", "screen", "seed_demo", "show_locale"}
RUN_ALL = """
import json, sys, django
django.setup()
from django.core.management import CommandError, call_command
said = {}
for name, arguments in json.load(sys.stdin).items():
    try:
        call_command(name, *arguments)
        said[name] = "ran"
    except CommandError as error:
        said[name] = str(error)
print(json.dumps(said))
"""


def test_each_command_is_tried() -> None:
    found = {path.stem for path in ROOT.glob("apps/*/management/commands/[!_]*.py")}
    assert found == COMMANDS.keys() - {"migrate"} | NEED_NONE


@pytest.mark.parametrize("kind", ["production", "development"])
@pytest.mark.parametrize("owner", ["nobody", "app"])
def test_no_command_says_that_all_is_well_where_it_sees_no_rows(kind: str, owner: str) -> None:
    """As role `app`, outside of any practice, row-level security shows it none."""
    environment = os.environ | {
        "RAPPORT_DATABASE_ROLE": "migrator",
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "RAPPORT_ENVIRONMENT": kind,
        "DEBUG": "false",
        "ALLOWED_HOSTS": "x.example",
        "BASE_URL": "https://x.example",
        "EMAIL_URL": "smtp://127.0.0.1:9",
        "SECRET_KEY": "s" * 50,
        "DEFAULT_FROM_EMAIL": "forms@x.example",
        "ENCRYPTION_KEYS": "A" * 43 + "=",
        "MIGRATOR_DATABASE_URL": os.environ["DATABASE_URL"] if owner == "app" else "",
    }
    done = subprocess.run(
        [sys.executable, "-c", RUN_ALL],
        cwd=ROOT,
        env=environment,
        input=json.dumps(COMMANDS),
        capture_output=True,
        text=True,
        check=False,
    )
    assert not done.returncode, done.stderr[-2000:]
    said = json.loads(done.stdout)
    assert said.keys() == COMMANDS.keys()
    for name, error in said.items():
        assert ("bound by row-level security" in error) is (owner == "app"), (name, error)
        assert "docker compose run --rm migrate python manage.py" in error, name
