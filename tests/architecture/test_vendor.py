"""What others made is kept as it came, with its licence."""

import hashlib
from pathlib import Path

VENDOR = Path(__file__).resolve().parents[2] / "static" / "vendor"
MANIFEST = VENDOR / "MANIFEST.sha256"
RENEW = (
    "Look at the change, then: cd static/vendor && find . -type f ! -name MANIFEST.sha256 "
    "| LC_ALL=C sort | xargs sha256sum > MANIFEST.sha256"
)


def listed() -> dict[str, str]:
    rows = (line.split(maxsplit=1) for line in MANIFEST.read_text(encoding="utf-8").splitlines())
    return {name.removeprefix("./"): digest for digest, name in rows}


def present() -> dict[str, str]:
    return {
        path.relative_to(VENDOR).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in VENDOR.rglob("*")
        if path.is_file() and path != MANIFEST
    }


def test_every_vendored_file_is_listed_and_unchanged() -> None:
    assert present() == listed(), RENEW


def test_every_vendored_package_brings_its_licence() -> None:
    without = [
        package.name
        for package in VENDOR.iterdir()
        if package.is_dir() and not (package / "LICENSE").is_file()
    ]
    assert without == []


def test_no_vendored_file_points_to_a_source_map_or_another_host() -> None:
    sheets = [*VENDOR.rglob("*.css"), *VENDOR.rglob("*.js")]
    assert sheets
    for sheet in sheets:
        text = sheet.read_text(encoding="utf-8")
        assert "sourceMappingURL" not in text, sheet.name
        assert "url(http" not in text, sheet.name
        assert "@import" not in text, sheet.name
