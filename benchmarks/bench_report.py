"""What `bench` measured as a table, two pictures, and lines for people."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench_cells import CELLS, Variant
from bench_floor import Shape, floor_seconds

OURS, THEIRS = "#0072b2", "#d55e00"
Record = Mapping[str, Any]


def runs_of(record: Record, side: str) -> list[Mapping[str, Any]]:
    return [run for run in record["runs"] if run["side"] == side]


def ratios(record: Record) -> list[float]:
    """The other side's seconds by ours, of runs that followed each other."""
    pairs = zip(runs_of(record, "trl"), runs_of(record, "assent"), strict=False)
    return [theirs["seconds"] / ours["seconds"] for theirs, ours in pairs]


def spread(values: Sequence[float], digits: int = 1) -> str:
    """Median, and the range where there are several."""
    if not values:
        return "–"
    middle = f"{statistics.median(values):,.{digits}f}"
    return middle if len(values) == 1 else f"{middle} ({min(values):,.{digits}f}–{max(values):,.{digits}f})"


def line(record: Record) -> str:
    """One cell in words."""
    ours, theirs = ([r["seconds"] for r in runs_of(record, side)] for side in ("assent", "trl"))
    said = f"{record['name']}: Assent {spread(ours)} s"
    if theirs:
        said += f", TRL {spread(theirs)} s, ratio {spread(ratios(record))}"
    return said + (f"; VOID: {'; '.join(record['void'])}" if record["void"] else "")


def newest(records: Sequence[Record]) -> list[Record]:
    """Of each cell, in their order, the last record that is done, else the last with a run of each side."""
    found = []
    for name in dict.fromkeys([*CELLS, *(r["name"] for r in records)]):
        own = [r for r in records if r["name"] == name and r["runs"]]
        done = [r for r in own if r["done"]]
        partly = [r for r in own if ratios(r)]
        if done or partly:
            found.append((done or partly)[-1])
    return found


def floor_of(record: Record, config: Mapping[str, Any]) -> float | None:
    """The floor in seconds, where the machine was measured."""
    ours = runs_of(record, "assent")
    if not record["rates"] or not ours:
        return None
    return floor_seconds(record["cell"], Shape.of(config), ours[0]["tokens"], record["rates"])


def table(records: Sequence[Record], configs: Mapping[str, Mapping[str, Any]]) -> str:
    """One row a cell."""
    head = (
        "cell", "shape", "TRL, s", "TRL's best way", "Assent, s", "ratio", "aim", "tokens/s TRL, Assent",
        "peak MiB TRL, Assent", "TRL, Assent by floor", "commit",
    )  # fmt: skip
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for record in records:
        cell = record["cell"]
        ours, theirs = runs_of(record, "assent"), runs_of(record, "trl")
        floor = floor_of(record, configs[cell["shape"]]) if cell["shape"] in configs else None
        ratio = "–" if not theirs else f"**{spread(ratios(record))}**"
        if record["void"]:
            ratio = f"void: {'; '.join(record['void'])}"
        way = Variant(**record["best"]).title if record["best"] else "–"
        said = "" if record["done"] else f", {len(ratios(record))} of {record['repeats']} pairs"
        cells = (
            f"{cell['title']} (`{cell['name']}`)", cell["shape"], spread([r["seconds"] for r in theirs]),
            "–" if cell["stage"] == "sample" and way == "accumulation 1" else way,
            spread([r["seconds"] for r in ours]), ratio, f"{cell['target']:g}" if cell["target"] else "–",
            f"{_speed(theirs, ours)}, {_speed(ours, ours)}", f"{_peak(theirs)}, {_peak(ours)}",
            "–" if floor is None else f"{_by(floor, theirs)}, {_by(floor, ours)}",
            f"{record['commit']} ({record['date']}{said})",
        )  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _by(floor: float, runs: Sequence[Mapping[str, Any]]) -> str:
    """Median seconds by those of the floor."""
    return f"{statistics.median(run['seconds'] for run in runs) / floor:.1f}" if runs else "–"


def _speed(runs: Sequence[Mapping[str, Any]], ours: Sequence[Mapping[str, Any]]) -> str:
    """Real tokens a second, a prompt counted once for its answers; new ones where the stage samples."""
    if not runs:
        return "–"
    found = [run.get("tokens") or ours[0]["tokens"] for run in runs]
    counts = [t.get("new", t["real"]) for t in found]
    return f"{statistics.median(n / r['seconds'] for n, r in zip(counts, runs, strict=True)):,.0f}"


def _peak(runs: Sequence[Mapping[str, Any]]) -> str:
    return f"{statistics.median(run['peak_mib'] for run in runs):,.0f}" if runs else "–"


def notes(records: Sequence[Record]) -> str:
    """What a reader of the table must know of these very runs."""
    lines = []
    loads = [run["load"] for record in records for run in record["runs"]]
    if loads:
        lines.append(
            f"- Load average when a command began: {spread(loads)} on {records[0]['machine']['cores']} cores; a load"
            " well above 0 before a run means that others worked on the machine too."
        )
    for record in records:
        left = [f"{title} ({one['failed']})" for title, one in record["trials"].items() if "failed" in one]
        if left:
            lines.append(f"- `{record['name']}`, ways of TRL that gave no result: {'; '.join(left)}.")
        if record["cell"]["note"]:
            lines.append(f"- `{record['name']}`: {record['cell']['note']}.")
    machines = dict.fromkeys(rates_line(record) for record in records if record["rates"])
    return "\n".join([*lines, *machines])


def rates_line(record: Record) -> str:
    """The machine as measured beside a cell."""
    rates = record["rates"]
    said = [f"{name} {rate / 1e9:.0f}" for name, rate in rates.items() if name != "copy"]
    return f"- `{record['name']}`, GFLOP/s: {', '.join(said)}; copy {rates['copy'] / 1e9:.0f} GB/s (read and written)."


def draw_ratios(records: Sequence[Record], configs: Mapping[str, Mapping[str, Any]], path: Path) -> None:
    """A point and its range for each cell that counts, the aim as a bar, and what the floor would reach."""
    shown = [r for r in records if ratios(r) and not r["void"]]
    if not shown:
        return
    plt = _pyplot()
    figure, panel = plt.subplots(figsize=(7.5, 1.2 + 0.34 * len(shown)), layout="constrained")
    for place, record in enumerate(reversed(shown)):
        found, target = ratios(record), record["cell"]["target"]
        panel.plot([min(found), max(found)], [place, place], color=OURS, linewidth=3, alpha=0.45)
        panel.plot(
            statistics.median(found), place, "o", color=OURS, label="TRL's best by Assent" if not place else None
        )
        floor = floor_of(record, configs[record["cell"]["shape"]]) if record["cell"]["shape"] in configs else None
        if floor is not None:
            most = statistics.median(run["seconds"] for run in runs_of(record, "trl")) / floor
            panel.plot(most, place, "x", color="grey", markersize=6)
        if target:
            panel.plot(target, place, "|", color=THEIRS, markersize=14, markeredgewidth=2)
    panel.plot([], [], "|", color=THEIRS, markersize=12, markeredgewidth=2, label="aim")
    panel.plot([], [], "x", color="grey", markersize=6, label="nothing but the products that the work needs")
    panel.axvline(1, color="grey", linewidth=0.8)
    panel.set_yticks(
        range(len(shown)), [f"{r['cell']['title']}, {r['cell']['shape']}" for r in reversed(shown)], fontsize=8
    )
    panel.set_xlim(left=0)
    panel.set_xlabel("seconds of TRL at its best by seconds of Assent: median and range of pairs of runs", fontsize=8)
    panel.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside upper center", ncols=3, frameon=False, fontsize=8)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def draw_growth(records: Sequence[Record], path: Path) -> None:
    """Seconds against real tokens, a panel for each cell that others have grown from."""
    by_name = {record["name"]: record for record in records}
    bases = dict.fromkeys(r["cell"]["growth"] for r in records if r["cell"]["growth"] in by_name)
    if not bases:
        return
    plt = _pyplot()
    figure, panels = plt.subplots(1, len(bases), figsize=(4.4 * len(bases), 3.4), layout="constrained", squeeze=False)
    for panel, base in zip(panels[0], bases, strict=True):
        own = [by_name[base], *(r for r in records if r["cell"]["growth"] == base)]
        for side, color, name in (("assent", OURS, "Assent"), ("trl", THEIRS, "TRL at its best")):
            points = sorted(
                (runs_of(r, "assent")[0]["tokens"]["real"], statistics.median(x["seconds"] for x in runs_of(r, side)))
                for r in own
                if runs_of(r, side)
            )
            panel.plot(*zip(*points, strict=True), "o-", color=color, label=name)
        panel.set(
            xlim=(0, None), ylim=(0, None), xlabel="real tokens, prompts once", title=by_name[base]["cell"]["title"]
        )
        panel.spines[["top", "right"]].set_visible(False)
    panels[0][0].set_ylabel("seconds")
    panels[0][0].legend(frameon=False, fontsize=8)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def _pyplot() -> Any:
    """matplotlib without a screen, loaded where something is drawn."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    return plt


def section_of(record: Record) -> str:
    """Where a cell is reported: beside those of its shape, or among those that grow."""
    return "growth" if record["name"].startswith("grow") else str(record["cell"]["shape"])


def picture_of(section: str) -> tuple[str, str]:
    """The file of a section's picture, and what it shows."""
    if section == "growth":
        return "performance-growth.svg", "Seconds against real tokens"
    return f"performance-ratios-{section}.svg", f"TRL's seconds by Assent's, cell by cell, {section}"


def write(records: Sequence[Record], out: Path, *, docs: Path | None) -> None:
    """Tables and pictures into `out`, and where given into the documentation: sections that were not measured stay."""
    shown = newest(records)
    configs = {}
    for shape in {record["cell"]["shape"] for record in shown}:
        path = out / "prepared" / shape / "model" / "config.json"
        if path.is_file():
            configs[shape] = json.loads(path.read_text())
    texts = {}
    for section in dict.fromkeys(map(section_of, shown)):
        own = [record for record in shown if section_of(record) == section]
        name, said = picture_of(section)
        for place in [out] if docs is None else [out, docs / "images"]:
            if section == "growth":
                draw_growth(own, place / name)
            else:
                draw_ratios(own, configs, place / name)
        drawn = [f"![{said}](images/{name})"] if docs is not None and (docs / "images" / name).is_file() else []
        texts[section] = "\n\n".join([table(own, configs), notes(own), *drawn])
    if texts:
        (out / "bench.md").write_text("\n\n".join(texts.values()) + "\n")
    if docs is not None:
        page = docs / "performance.md"
        page.write_text(placed(page.read_text(), texts))


def placed(page: str, texts: Mapping[str, str]) -> str:
    """A page with each section's text between its marks. Raises SystemExit where a section has no marks in it."""
    for section, text in texts.items():
        begin, end = f"<!-- written by benchmarks/bench.py: {section} -->", f"<!-- end of {section} -->"
        before, found, rest = page.partition(begin)
        _, ended, after = rest.partition(end)
        if not found or not ended:
            raise SystemExit(f"the page has no {begin} with {end} after it, where {section} would stand; add both")
        page = f"{before}{begin}\n\n{text}\n\n{end}{after}"
    return page


if __name__ == "__main__":
    raise SystemExit("run benchmarks/bench.py --report")
