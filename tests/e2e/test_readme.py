"""The README's commands run, against a real set of processes."""

import os
import re
import shutil
import subprocess

import pytest

from local.settings import ROOT
from tests.e2e.stack import Stack

BLOCKS = re.findall(r"^```sh\n(.*?)^```", (ROOT / "README.md").read_text(), re.DOTALL | re.MULTILINE)
TOOLS = ("curl", "grpcurl")


def tour(tool: str) -> str:
    """Returns the README's commands that call a tool, as one script."""
    return "\n".join(block for block in BLOCKS if re.search(rf"\b{tool} ", block))


@pytest.mark.parametrize("tool", TOOLS)
def test_the_tour_works(stack: Stack, tool: str) -> None:
    if not shutil.which(tool):
        pytest.skip(f"{tool} is not on this machine")
    script = tour(tool)
    # The set of the tests listens elsewhere than the one of `make run`.
    for default, here in (
        ("127.0.0.1:50051", stack.player),
        ("127.0.0.1:50052", stack.battle),
        ("127.0.0.1:50053", stack.leaderboard),
        ("127.0.0.1:8080", stack.gateway),
    ):
        script = script.replace(default, here)
    for other in TOOLS:
        if other != tool and not shutil.which(other):
            script = re.sub(rf"^{other} .*$", ":", script, flags=re.MULTILINE)
    ran = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    if tool == "curl":
        assert '"status":"SERVING"' in ran.stdout
        assert '"battles":[{"battle_id"' in ran.stdout
        assert '"field":"board"' in ran.stdout
    else:
        assert "skirmish.battle.v1.BattleService" in ran.stdout
        assert '"status": "SERVING"' in ran.stdout


def test_every_file_that_the_readme_names_is_there() -> None:
    text = (ROOT / "README.md").read_text()
    for path in re.findall(r"\]\((?!http)([^)#]+)\)", text):
        assert (ROOT / path).exists(), path
    for path, name in re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", text):
        assert f"def {name}(" in (ROOT / path).read_text(), f"{path}::{name}"


@pytest.mark.parametrize("package", ["services.player", "services.battle", "services.leaderboard", "gateway"])
def test_help_tells_what_there_is(stack: Stack, package: str) -> None:
    ran = stack.command(package, "--help")
    assert ran.returncode == 0
    assert "serve" in ran.stdout


def test_make_help_lists_the_targets() -> None:
    if not shutil.which("make"):
        pytest.skip("make is not on this machine")
    ran = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True, env=os.environ)
    for target in ("run", "demo", "test", "lint", "protos", "clean"):
        assert f"make {target} " in ran.stdout
