"""Tells people and machines what was measured."""

import json
import statistics
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from bench.figures import Figure

RESULTS = Path(__file__).resolve().parent / "results" / "latest.json"
BUSY = 0.1
"""Above this part of the machine used by others, figures can't be trusted."""


def save(
    machine: dict[str, Any], arguments: dict[str, Any], figures: list[Figure], others: list[float], path: Path = RESULTS
) -> None:
    """Writes the results as JSON.

    Args:
        others: For each leg, which part of the machine other programs used.
    """
    path.parent.mkdir(exist_ok=True)
    content = {
        "taken": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine,
        "used_by_others": _spread(others),
        "arguments": arguments,
        "figures": [figure.to_json() for figure in figures],
    }
    path.write_text(json.dumps(content, indent=1) + "\n")


def show(console: Console, machine: dict[str, Any], figures: list[Figure], others: list[float]) -> None:
    """Prints the table, the machine and what was in the way."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("", "median", "lowest", "highest", "target", ""):
        table.add_column(column, justify="left" if not table.columns else "right", no_wrap=True)
    group = ""
    for figure in figures:
        if figure.group != group:
            group = figure.group
            table.add_section()
            table.add_row(f"[bold]{group}")
        unit = f" {figure.unit}" if figure.unit else ""
        bound = figure.target and f"{'≤' if figure.target.at_most else '≥'} {_number(figure.target.value)}"
        met = {None: "", True: "[green]met", False: "[red]missed"}[figure.met]
        numbers = (_number(value) for value in (figure.median, min(figure.samples), max(figure.samples)))
        table.add_row(f"  {figure.name}{unit and f' ({figure.unit})'}", *numbers, bound or "", met)
    console.print(table)
    console.print(to_sentences(machine, others), soft_wrap=True)


def to_sentences(machine: dict[str, Any], others: list[float]) -> str:
    """Returns the machine, and what was in the way, in sentences."""
    packages = ", ".join(f"{name} {version}" for name, version in machine["packages"].items())
    spread = _spread(others)
    sentences = [
        f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gib']} GiB, {machine['system']}.",
        f"Data on {machine['file_system']}; 4 KiB are durable after {machine['fsync_ms']['median']:.2f} ms "
        f"(p99 {machine['fsync_ms']['p99']:.2f} ms).",
        f"Python {machine['python']}, SQLite {machine['sqlite']}, {packages}; revision {machine['revision']}.",
        f"Other programs used {spread['median']:.0%} of the machine meanwhile, at most {spread['max']:.0%}.",
    ]
    if spread["median"] > BUSY:
        sentences.append("[bold]That is too much: take these figures as preliminary.[/bold]")
    return "\n".join(sentences)


def _spread(values: list[float]) -> dict[str, float]:
    return {"median": statistics.median(values), "max": max(values)} if values else {"median": 0.0, "max": 0.0}


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:,.1f}" if abs(value) >= 10 else f"{value:,.2f}"
