"""The files of the page, without a browser: what its own policy forbids, what makes it fast, what makes it readable."""

import re
from itertools import product
from pathlib import Path

import pytest

from gateway.static import PAGE, TYPES

ASSETS = PAGE / "assets"
MODULES = sorted(ASSETS.glob("*.js"))
INDEX = (PAGE / "index.html").read_text()

READABLE = 4.5
"""The contrast of text with its ground that WCAG 2 asks for at level AA."""
TEXTS = ("ink", "muted", "gules", "azure", "gold", "silver", "good", "bad")
GROUNDS = ("paper", "card", "sunken")
PAIRS = [
    *product(TEXTS, GROUNDS),
    ("on-accent", "accent"),
    ("on-accent", "accent-deep"),
    ("warn", "warn-soft"),
    ("good", "good-soft"),
    ("bad", "bad-soft"),
    ("ink", "raised"),
    ("azure", "azure-soft"),
    *product(("ink", "muted", "bad", "gules"), ("gules-soft",)),
    *product(("ink", "muted", "bad", "azure"), ("azure-soft",)),
    *(("on-coin", f"{metal}-coin") for metal in ("gold", "silver", "bronze")),
]
"""What is written on what."""


def tokens() -> dict[str, dict[str, str]]:
    """Returns the colors by name, in light and in dark."""
    light, dark = (ASSETS / "tokens.css").read_text().split("@media (prefers-color-scheme: dark)")
    colors = [dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", text)) for text in (light, dark)]
    return {"light": colors[0], "dark": colors[0] | colors[1]}


def luminance(color: str) -> float:
    """Returns the relative luminance of a color, as WCAG 2 defines it."""
    channels = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_is_readable_on_its_ground(scheme: str) -> None:
    colors = tokens()[scheme]
    poor = {}
    for text, ground in PAIRS:
        lighter, darker = sorted((luminance(colors[text]), luminance(colors[ground])), reverse=True)
        contrast = (lighter + 0.05) / (darker + 0.05)
        if contrast < READABLE:
            poor[text, ground] = round(contrast, 2)
    assert not poor


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_a_module_makes_no_markup_out_of_text_and_is_short_and_says_what_it_is(path: Path) -> None:
    code = path.read_text()
    assert not re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|srcdoc", code)
    assert not re.findall(r"""["']style["']""", code)
    assert code.startswith("// ")
    lines = code.splitlines()
    assert len(lines) < 250
    assert [line for line in lines if len(line) > 120] == []


def test_every_import_is_used_and_every_export_imported() -> None:
    codes = {path.name: path.read_text() for path in MODULES}
    exported, imported = set(), set()
    for module, code in codes.items():
        exported |= {
            (module, name) for name in re.findall(r"^export (?:async )?(?:function|class|const) (\w+)", code, re.M)
        }
        for names, source in re.findall(r'^import \{([^}]*)\} from "\./([^"]+)";', code, re.MULTILINE):
            for name in re.findall(r"\w+", names):
                imported.add((source, name))
                assert len(re.findall(rf"\b{name}\b", code)) > 1, f"{module} imports {name} for nothing"
    assert exported == imported


def test_the_index_has_no_script_or_style_of_its_own() -> None:
    assert not re.findall(r"<style|\sstyle=|\son[a-z]+=|javascript:", INDEX)
    assert re.findall(r"<script\b[^>]*>(.*?)</script>", INDEX, re.DOTALL) == [""]


def test_the_index_names_every_module_and_style_and_nothing_else() -> None:
    named = re.findall(r'(?:href|src)="/assets/([^"]+)"', INDEX)
    assert set(named) == {path.name for path in ASSETS.iterdir()}


def test_nothing_comes_from_elsewhere() -> None:
    for path in PAGE.rglob("*.*"):
        assert path.suffix in TYPES
        addresses = set(re.findall(r"https?://[^\s\"'`)]+", path.read_text()))
        assert addresses <= {"http://www.w3.org/2000/svg"}
