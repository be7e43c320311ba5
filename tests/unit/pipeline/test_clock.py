"""A template that reads the clock is told one day in a run, which its settings keep and its keys hold."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest
import yaml

from assent.core.types import Message
from assent.data.render import Renderer
from assent.models.tiny import save_tiny, tiny_model, tiny_tokenizer
from assent.pipeline.clock import date_identity, with_date
from assent.pipeline.config import RunConfig
from assent.pipeline.plan import plan_project
from assent.pipeline.run import run_project

DATED = (
    "Today Date: {{ strftime_now('%d %b %Y') }}\n{% for m in messages %}<{{ m.role }}>{{ m.content }}{{ eos_token }}\n"
    "{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"
)
DAY = datetime.date(2024, 7, 26)
BASICS = {
    "base": {"kind": "pretrained", "path": "x"},
    "data": {"kind": "lab"},
    "collect": {"raters": {"kind": "people"}},
}


def shown(**settings: object) -> str:
    tokenizer = tiny_tokenizer()
    renderer = Renderer(tokenizer, template=DATED, **settings)
    return tokenizer.decode(renderer.prompt((Message(role="user", content="Hi"),)))


def test_the_template_is_told_the_date_that_is_set_and_says_so() -> None:
    assert "Today Date: 26 Jul 2024" in shown(date=DAY)
    assert f"Today Date: {datetime.date.today():%d %b %Y}" in shown()
    assert "told 2024-07-26" in Renderer(tiny_tokenizer(), template=DATED, date=DAY).describe()
    assert Renderer(tiny_tokenizer(), date=DAY).date is None


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("{{ strftime_now('%d %b %Y') }}", "26 Jul 2024"),
        ('{% if strftime_now is defined %}{% set day = strftime_now("%Y-%m-%d") %}{{ day }}{% endif %}', "2024-07-26"),
        ("{{ strftime_now( '%A' ) }} {{ strftime_now(format='%-d. %B') }}", "Friday 26. July"),
        ("\n  {%- set how = '%H:%M' %}{{ strftime_now(how) }}", "00:00"),
        ("no clock", "no clock"),
    ],
)
def test_every_way_to_ask_for_the_day_is_answered(written: str, told: str) -> None:
    template = written + "{% for m in messages %}<{{ m.content }}>{{ eos_token }}{% endfor %}"
    tokenizer = tiny_tokenizer()
    [ids] = [Renderer(tokenizer, template=template, date=DAY).prompt((Message(role="user", content="Hi"),))]
    assert tokenizer.decode(ids).strip().startswith(f"{told}<Hi>")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    tokenizer = tiny_tokenizer()
    tiny_model("llama", tokenizer=tokenizer).save_pretrained("dated")
    tokenizer.chat_template = DATED
    tokenizer.save_pretrained("dated")
    save_tiny(Path("plain"), "llama")
    rows = "".join(f'{{"prompt": "Where is order {n}?", "completion": "Order {n} is sent."}}\n' for n in range(60))
    Path("demos.jsonl").write_text(rows)
    Path("pairs.jsonl").write_text(
        "".join(f'{{"prompt": "Is {n} here?", "chosen": "Yes, {n}.", "rejected": "No."}}\n' for n in range(60))
    )
    fast = {"learning_rate": 0.001}
    settings = {
        "name": "first",
        "base": {"kind": "pretrained", "path": "dated"},
        "data": {
            "kind": "files",
            "demonstrations": [{"path": "demos.jsonl"}],
            "comparisons": [{"path": "pairs.jsonl"}],
        },
        "sft": {"epochs": 1, "batch_size": 8, "optimizer": fast},
        "reward": {"epochs": 1, "batch_size": 8, "optimizer": fast},
        "optimize": {"kind": "dpo", "epochs": 1, "batch_size": 8, "optimizer": fast},
        "evaluate": {"prompts": 2, "sampling": {"max_new_tokens": 4}, "bootstrap_draws": 200},
        "compute": {"threads": 1, "device": "cpu"},
        "log": {"tensorboard": False},
    }
    Path("assent.yaml").write_text(yaml.safe_dump(settings))
    return tmp_path


def states(*settings: str) -> list[str]:
    return ["done" if " done " in line else "not" for line in plan_project(Path("assent.yaml"), (), settings)[:-1]]


def test_a_run_keeps_the_day_it_was_first_started(project: Path) -> None:
    with pytest.MonkeyPatch.context() as on_another_day:
        on_another_day.setattr("assent.pipeline.clock._today", lambda: DAY)
        list(run_project(Path("assent.yaml"), quiet=True))
    kept = yaml.safe_load(Path("runs/first/run.yaml").read_text())["model"]["date"]
    assert str(kept) == "2024-07-26"
    assert set(states()) == {"done"}, "a run that is resumed later keeps its day"
    changed = states("model.date=2025-01-01")
    assert changed.count("done") == 4, "only what was gathered, and the copy of the base, hold on no date"
    assert len(changed) - changed.count("done") == 5


def test_a_run_whose_templates_read_no_clock_has_the_same_keys_on_every_day(project: Path) -> None:
    plain = "base={kind: pretrained, path: plain}"
    one, other = (plan_project(Path("assent.yaml"), (), (plain, f"model.date={day}")) for day in (DAY, "2025-01-01"))
    assert one == other
    dated = [plan_project(Path("assent.yaml"), (), (f"model.date={day}",)) for day in (DAY, "2025-01-01")]
    assert dated[0] != dated[1]


def test_a_template_in_the_settings_decides_alone(project: Path) -> None:
    def plans(template: str) -> list[list[str]]:
        sets = [(f"model.template={template}", f"model.date={day}") for day in (DAY, "2025-01-01")]
        return [plan_project(Path("assent.yaml"), (), one) for one in sets]

    Path("own.jinja").write_text(DATED.replace("strftime_now('%d %b %Y')", "'some day'"))
    first, second = plans("own.jinja")
    assert first == second
    Path("own.jinja").write_text(DATED)
    first, second = plans("own.jinja")
    assert first != second


def test_settings_come_before_what_was_kept_and_that_before_today(tmp_path: Path) -> None:
    config = RunConfig.parse(BASICS)
    assert with_date(config, tmp_path).model.date == datetime.date.today()
    (tmp_path / "run.yaml").write_text("model: {date: '2024-07-26'}\n")
    assert with_date(config, tmp_path).model.date == DAY
    later = config.model_copy(update={"model": config.model.model_copy(update={"date": datetime.date(2025, 1, 1)})})
    assert with_date(later, tmp_path).model.date == datetime.date(2025, 1, 1)
    (tmp_path / "run.yaml").write_text("model: {date: yesterday}\n")
    assert with_date(config, tmp_path).model.date == datetime.date.today()
    assert date_identity(config, config, {}) == {}
