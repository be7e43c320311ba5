"""The report page: what a run found, in one file that needs nothing else and can do no harm."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml
from made_run import DPO, WINS, MadeRun

from assent.core.errors import DataError, UserError
from assent.report.run import report_of
from assent.report.run_folder import read_run
from assent.report.verdict import changes, verdict_of
from assent.stats.estimate import Estimate

NBSP = "\u00a0"
HOSTILE = "<script>alert(1)</script> \"'& {{ 7*7 }} $\\frac{"
BIDI = "pay \u202egnp.exe\u2066 now \x07 \ud800"


def answers(count: int = 15) -> list[dict]:
    return [
        {
            "prompt": f"question {i}",
            "kind": "dangerous" if i % 3 == 0 else "ordinary",
            "before": "I cannot help with that." if i % 2 else "The parcel is late today.",
            "after": f"The parcel number {i} arrives on Monday.",
            "truth_before": {"helpful": 0.2 + 0.01 * i, "harmless": float(i % 2), "over_refusal": float(i % 2)},
            "truth_after": {"helpful": 0.9, "harmless": 1.0, "over_refusal": 0.0},
            "preferred": 0.75,
        }
        for i in range(count)
    ]


def page(run: MadeRun) -> str:
    report_of(run.write())
    return (run.folder / "report.html").read_text(encoding="utf-8")


class Elements(HTMLParser):
    """Collects every element with its attributes, and checks that they nest."""

    VOID = ("meta", "link", "img", "br", "path", "rect", "use")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-3:]}"
            self.open.pop()


def sections(text: str) -> list[str]:
    return re.findall(r'<section id="([a-z-]+)"', text)


def test_the_page_says_the_verdict_with_its_interval_first(tmp_path: Path) -> None:
    text = page(MadeRun(tmp_path, answers=answers()))
    assert f"Preferred to its start in 83{NBSP}% of blind comparisons." in text
    assert f"[78–87{NBSP}%]" in text
    assert text.index("Preferred to its start") < text.index("<section")
    assert f"41{NBSP}% → 72{NBSP}%" in text  # helpful, before and after


def test_the_page_is_one_file_that_asks_for_nothing_else(tmp_path: Path) -> None:
    text = page(MadeRun(tmp_path, rounds=2, answers=answers()))
    elements = Elements(text)
    assert not elements.open
    assert not [
        tag for tag, _ in elements.found if tag in ("script", "link", "img", "iframe", "object", "image", "base")
    ]
    links = [a[n] for _, a in elements.found for n in ("src", "href", "xlink:href", "srcset", "data") if n in a]
    assert links and all(link and link.startswith("#") for link in links)
    assert "http" not in re.sub(r'http-equiv|xmlns(:\w+)?="[^"]*"', "", text)
    assert "@import" not in text and not re.search(r"url\((?!#)", text)
    assert [p.name for p in tmp_path.glob("*.partial*")] == []


def test_links_inside_the_page_lead_somewhere(tmp_path: Path) -> None:
    found = Elements(page(MadeRun(tmp_path, rounds=2, answers=answers()))).found
    ids = {a["id"] for _, a in found if "id" in a}
    assert {a["href"] for tag, a in found if tag == "a"} <= {f"#{i}" for i in ids}
    assert {a["xlink:href"] for tag, a in found if tag == "use"} <= {f"#{i}" for i in ids}


def test_what_a_model_wrote_is_shown_and_never_obeyed(tmp_path: Path) -> None:
    rows = answers()
    rows[0] |= {"prompt": HOSTILE, "kind": HOSTILE, "after": HOSTILE, "before": BIDI}
    run = MadeRun(tmp_path, answers=rows, slices={HOSTILE: 0.6, "kind=plain": 0.7})
    text = page(run)
    assert "<script" not in text
    assert "&lt;script&gt;alert(1)" in text
    assert "{{ 7*7 }}" in text
    assert not Elements(text).open
    assert not re.search("[\u202a-\u202e\u2066-\u2069\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]", text)
    assert "⟨U+202E⟩" in text and "⟨U+0007⟩" in text and "⟨U+D800⟩" in text


@pytest.mark.parametrize(("rounds", "says"), [(1, "its start"), (2, "the fine-tuned model it started from")])
def test_the_start_is_that_of_the_whole_run(tmp_path: Path, rounds: int, says: str) -> None:
    text = page(MadeRun(tmp_path, rounds=rounds, answers=answers()))
    assert f"Preferred to {says} in" in text
    assert ("rounds" in sections(text)) == (rounds > 1)
    assert text.count(">optimize<") == rounds  # a box of the lineage for each round


def test_a_dpo_run_without_truth_or_reward_model_leaves_out_what_it_has_not(tmp_path: Path) -> None:
    text = page(MadeRun(tmp_path, optimize=DPO, truth=False, reward=False))
    assert sections(text) == ["comparison", "optimization", "fine-tuning", "time", "lineage", "settings"]
    assert "Gain of the better answer over the worse" in text
    assert "Explained variance" not in text


def test_a_run_that_nobody_compared_claims_no_preference(tmp_path: Path) -> None:
    text = page(
        MadeRun(tmp_path, wins=None, truth=False, answers=[{"prompt": "q", "kind": None, "before": "a", "after": "b"}])
    )
    assert "Nobody compared the answers blind." in text
    assert "0.02 to 1.31" in text
    assert "Preferred" not in text


def test_the_report_says_how_answers_were_drawn_whether_or_not_anybody_compared_them(tmp_path: Path) -> None:
    said = "Both policies answered with temperature 0.7, top_p 0.8, max_new_tokens 64, seed 7."
    assert said in page(MadeRun(tmp_path / "compared"))
    assert said in page(MadeRun(tmp_path / "alone", wins=None))


def test_the_reward_model_is_not_called_a_blind_judge_of_itself(tmp_path: Path) -> None:
    run = MadeRun(tmp_path, judge="reward model of this round")
    verdict = verdict_of(read_run(run.write()))
    assert verdict.tone == "warning"
    assert verdict.sentence.startswith("Not a result yet. The reward that it was optimized for prefers it")
    assert "no independent judge" in verdict.notes[0]


@pytest.mark.parametrize(
    ("low", "high", "tone", "begins"),
    [(0.51, 0.6, "good", "Preferred to"), (0.49, 0.6, "open", "No clear difference"), (0.3, 0.49, "bad", "Worse than")],
)
def test_the_verdict_goes_by_the_interval(tmp_path: Path, low: float, high: float, tone: str, begins: str) -> None:
    wins = WINS.model_copy(update={"win_rate": Estimate(estimate=(low + high) / 2, low=low, high=high)})
    verdict = verdict_of(read_run(MadeRun(tmp_path, wins=wins).write()))
    assert verdict.tone == tone
    assert verdict.sentence.startswith(begins)


def test_changes_are_paired_by_prompt_and_harm_counts_dangerous_requests_only(tmp_path: Path) -> None:
    run = read_run(MadeRun(tmp_path, answers=answers(12)).write())
    assert run.headline is not None
    found = {c.measure: c for c in changes(run.headline)}
    # Dangerous are rows 0, 3, 6, 9; harmless before is i % 2, so two of the four harmed before and none after.
    assert found["harm"].difference is not None
    assert found["harm"].difference.estimate == pytest.approx(-0.5)
    # helpful rises from 0.2 + 0.01 i to 0.9: by 0.7 less the mean of 0.01 i = 0.055.
    assert found["helpful"].difference is not None
    assert found["helpful"].difference.estimate == pytest.approx(0.645)
    # Without the axis in the rows there is no pairing, and the intervals 0.70 ± 0.03 and 0.88 ± 0.03 part.
    assert found["honest"].difference is None and found["honest"].is_clear and found["honest"].is_better
    assert found["harm"].is_better and found["over_refusal"].is_better


def test_only_settings_that_differ_are_open_and_all_are_there(tmp_path: Path) -> None:
    run = MadeRun(tmp_path)
    folder = run.write()
    values = {
        "name": "made-up",
        "base": {"kind": "scratch"},
        "data": {"kind": "lab"},
        "collect": {"raters": {"kind": "simulated"}},
        "optimize": {"kind": "ppo", "kl": {"coefficient": 0.25}},
    }
    (folder / "run.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    report_of(folder)
    text = (folder / "report.html").read_text(encoding="utf-8")
    changed, everything = text[text.index('id="settings"') :].split("<details>")[:2]
    assert re.findall(r'<tr><td class="code">([a-z_.]+)</td>', changed) == [
        "name",
        "base.kind",
        "data.kind",
        "collect.raters.kind",
        "optimize.kl.coefficient",
    ]
    assert "0.25" in changed and "0.05" in changed and "Reward lost per nat and token" in changed
    assert "optimize.kl.target" in everything and "evaluate.confidence" in everything


def test_settings_of_another_version_are_shown_as_they_are(tmp_path: Path) -> None:
    folder = MadeRun(tmp_path).write()
    (folder / "run.yaml").write_text("colour: blue\n", encoding="utf-8")
    report_of(folder)
    text = (folder / "report.html").read_text(encoding="utf-8")
    assert "cannot be compared with the defaults" in text and "colour: blue" in text


def test_an_artifact_that_is_gone_leaves_a_note_and_a_gap(tmp_path: Path) -> None:
    folder = MadeRun(tmp_path).write()
    reward = next((folder / "artifacts").glob("reward-*"))
    for path in reward.iterdir():
        path.unlink()
    reward.rmdir()
    report_of(folder)
    text = (folder / "report.html").read_text(encoding="utf-8")
    assert f"{reward.name} is no longer there" in text
    assert "reward" not in sections(text) and "optimization" in sections(text)


def test_a_folder_of_runs_stands_for_its_newest_and_an_empty_one_for_none(tmp_path: Path) -> None:
    MadeRun(tmp_path / "runs" / "one").write()
    assert report_of(tmp_path / "runs") == f"report: {tmp_path / 'runs' / 'one' / 'report.html'}"
    with pytest.raises(UserError, match="no finished run"):
        report_of(tmp_path / "elsewhere")


def test_a_broken_result_is_named_in_one_line(tmp_path: Path) -> None:
    folder = MadeRun(tmp_path).write()
    (folder / "result.json").write_text("{", encoding="utf-8")
    with pytest.raises(DataError, match=r"result\.json: not JSON"):
        report_of(folder)


def test_the_same_run_gives_the_same_page(tmp_path: Path) -> None:
    run = MadeRun(tmp_path, answers=answers())
    assert page(run) == (report_of(tmp_path), (tmp_path / "report.html").read_text(encoding="utf-8"))[1]
