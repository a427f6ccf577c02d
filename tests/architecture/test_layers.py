"""One way down: imports and foreign keys."""

import tomllib
from pathlib import Path

import pytest
from django.apps import apps
from django.db import models
from importlinter.cli import EXIT_STATUS_SUCCESS, lint_imports

ROOT = Path(__file__).resolve().parents[2]


def heights() -> dict[str, int]:
    """Height of each app by the same list that import-linter reads; 0 is the lowest."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        contracts = tomllib.load(file)["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    return {
        app.strip(): height
        for height, layer in enumerate(reversed(layers))
        for app in layer.split("|")
    }


def test_imports_point_down() -> None:
    assert lint_imports(config_filename=str(ROOT / "pyproject.toml")) == EXIT_STATUS_SUCCESS


def our_models() -> list[type[models.Model]]:
    return [model for model in apps.get_models() if model.__module__.startswith("apps.")]


@pytest.mark.parametrize("model", our_models(), ids=lambda model: model._meta.label)
def test_foreign_keys_point_down(model: type[models.Model]) -> None:
    height = heights()
    for field in model._meta.get_fields():
        if isinstance(field, models.ForeignKey) and field.related_model in our_models():
            target = field.related_model._meta.app_label
            assert height[target] <= height[model._meta.app_label], field
