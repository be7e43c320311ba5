"""From votes to a published profile and its use, by the commands themselves, on random tiny models."""

from __future__ import annotations

import datetime
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml

from assent.artifacts.find import find_artifact, store_at
from assent.artifacts.jsonl import read_records, write_records
from assent.artifacts.layout import RUN_SETTINGS
from assent.artifacts.stage import LogOptions, Runner, StageContext, stage
from assent.artifacts.store import Artifact
from assent.core.errors import AwaitingJudgments, ConfigError, UserError
from assent.core.types import Comparison, Completion, Judgment, Message, Prompt, Ranking, Rater, Task
from assent.feedback.records.queue import Queue
from assent.feedback.store import Store
from assent.generation.config import Sampling
from assent.models.config import ModelConfig
from assent.models.policy import PolicyModel
from assent.models.scalar import ScalarModel
from assent.models.tiny import save_tiny
from assent.pipeline.backends import Backends
from assent.pipeline.commands import profile as commands
from assent.pipeline.commands.profile import floor_of
from assent.pipeline.config import ComputeConfig, RunConfig
from assent.pipeline.passport import Passport
from assent.pipeline.profile_line import Place
from assent.pipeline.profile_use import ProfilePolicy, export_profile
from assent.pipeline.record import write_rounds
from assent.profiles.config import FloorLine, Publication
from assent.profiles.holdout import is_held_out
from assent.profiles.tree import NotUsableError, read_tree
from assent.report.profile import write_page
from assent.service.endpoint.start import EndpointOptions, endpoint
from assent.service.serve import ServerAddress

TODAY = datetime.date(2026, 5, 1)
STORE = "sqlite:///votes.db"
RLOO = {"kind": "rloo", "steps": 1, "prompts_per_step": 2, "samples_per_prompt": 2, "sampling": {"max_new_tokens": 6}}
ASKED = {"messages": [{"role": "user", "content": "Hello"}], "temperature": 0, "max_tokens": 8, "logprobs": True}
WORDS = ("short", "please and thank you very much")


@stage(name="sft", version=1, kind="policy")
def tune(ctx: StageContext, config: RunConfig) -> dict[str, Any]:
    save_tiny(ctx.output / "policy", "llama")
    return {}


@stage(name="gather", version=1, kind="data")
def gather(ctx: StageContext, config: RunConfig) -> dict[str, Any]:
    write_records(ctx.output / "prompts.jsonl", [Prompt.of(f"train {n}") for n in range(6)])
    write_records(ctx.output / "eval.jsonl", [Prompt.of(f"held out {n}") for n in range(12)])
    return {}


@stage(name="collect", version=1, kind="judgments")
def collected(ctx: StageContext, config: RunConfig) -> dict[str, Any]:
    write_records(ctx.output / "comparisons.jsonl", [said(Prompt.of(f"seen {n}"), "old", 0) for n in range(3)])
    return {}


@stage(name="fit reward", version=1, kind="reward")
def fitted(ctx: StageContext, config: RunConfig, *, start: Artifact, judgments: Artifact) -> dict[str, Any]:
    ScalarModel.from_policy(start.file("policy"), config=ModelConfig(), seed=2).save(ctx.output / "reward")
    return {}


@stage(name="optimize", version=1, kind="policy")
def better(
    ctx: StageContext, config: RunConfig, *, start: Artifact, reward: Artifact, prompts: Artifact
) -> dict[str, Any]:
    PolicyModel.load(start.file("policy"), config=ModelConfig(), trainable=False).save(ctx.output / "policy")
    return {}


def said(prompt: Prompt, rater: str, best: int) -> Comparison:
    answers = tuple(Completion(prompt_id=prompt.id, text=f"{WORDS[i]} {prompt.text}", id=f"{i}") for i in (0, 1))
    ranking = Ranking(tiers=((str(best),), (str(1 - best),)))
    return Comparison(
        prompt=prompt, completions=answers, judgments=(Judgment(task_id="x", rater_id=rater, ranking=ranking),)
    )


def vote(labels: int, raters: int) -> None:
    """People of Japan like the long answer, the others the short one; each answers different prompts."""
    tasks, judgments = [], []
    with Store.open(STORE) as store:
        for i in range(raters):
            region = "japan" if i % 2 else "france"
            who = Rater(id=f"rater {i}", kind="person", attributes={"region": region})
            store.register_rater(who, consent="v1", now=time.time())
            for n in range(labels // raters):
                prompt = Prompt.of(f"question {(7 * i + n) % 60}")
                both = tuple(Completion(prompt_id=prompt.id, text=f"{one} {prompt.text}") for one in WORDS)
                tasks.append(Task(id=f"t {i} {n}", prompt=prompt, completions=both, project="votes"))
                order = both[::-1] if i % 2 else both
                ranking = Ranking(tiers=((order[0].id,), (order[1].id,)))
                judgments.append(Judgment(task_id=f"t {i} {n}", rater_id=who.id, ranking=ranking, id=f"j {i} {n}"))
        store.add_tasks(tasks, now=time.time())
        store.submit_all([(one, None) for one in judgments], now=time.time())


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A finished run with votes of two regions, as the current folder."""
    folder = tmp_path_factory.mktemp("project")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        vote(720, 24)
        values = {
            "name": "x",
            "base": {"kind": "pretrained", "path": "model"},
            "data": {"kind": "files", "demonstrations": [{"path": "d.jsonl"}]},
            "optimize": RLOO,
            "evaluate": {"prompts": 4, "sampling": {"max_new_tokens": 6}},
            "compute": {"threads": 1},
            "store": {"url": f"sqlite:///{folder}/votes.db"},
        }
        config = RunConfig.parse(values)
        with Runner(Path("runs/x"), seed=0, logs=LogOptions(quiet=True, tensorboard=False)) as runner:
            start, prompts, judgments = runner(tune, config), runner(gather, config), runner(collected, config)
            with runner.within("round", 1):
                reward = runner(fitted, config, start=start, judgments=judgments)
                runner(better, config, start=start, reward=reward, prompts=prompts)
            write_rounds(Path("runs/x"), runner.steps)
        Path("runs/x", RUN_SETTINGS).write_text(yaml.safe_dump(config.model_dump(mode="json")))
        yield folder


def people_compare(profile: str) -> None:
    """People of Japan, and one of France, put the answer that they were shown first above the other."""
    with Store.open(STORE) as store:
        [project] = [one.name for one in store.projects.all() if one.name.startswith(f"profile {profile}")]
        for number in (*range(1, 24, 2), 0):
            who = f"rater {number}"
            for claim in store.claim(who, Queue(project, "evaluation"), limit=1, now=time.time()):
                first, second = claim.task.completions
                ranking = Ranking(tiers=((first.id,), (second.id,)))
                judgment = Judgment(task_id=claim.task.id, rater_id=who, ranking=ranking, id=f"compared {claim.token}")
                store.submit(judgment, token=claim.token, now=time.time())


def test_a_profile_goes_from_votes_to_a_passport(run: Path) -> None:
    place = Place(store=STORE)
    [*_] = commands.new(place, "ja", parent=None, audience={"region": "japan"})
    lines = [*commands.listed(place, today=TODAY)]
    assert lines[1].startswith("  ja: not published; 360 labels of 12 raters on 60 prompts: the shared reward")
    with pytest.raises(UserError, match="say which policy it starts from"):
        [*commands.fit(place, "ja", start=None, today=TODAY)]
    told = [*commands.fit(place, "ja", start="runs/x/round-1", today=TODAY)]
    profile = read_tree(place.folder).get("ja")
    assert profile.evidence is not None and (profile.evidence.labels, profile.evidence.level) == (360, "shared")
    assert profile.policy is not None and profile.published is None, told
    policy = find_artifact(profile.policy)
    assert (policy.file("policy") / "adapter_config.json").is_file()
    with pytest.raises(NotUsableError, match="not published"):
        ProfilePolicy.of(place.folder, "ja", today=TODAY)

    with pytest.raises(AwaitingJudgments, match="assent rate --store"):
        [*commands.publish(place, "ja", start=None, today=TODAY)]
    people_compare("ja")
    *said_lines, verdict = commands.publish(place, "ja", start=None, today=TODAY)
    assert verdict == "not published" and "must lie above 0.5" in " ".join(said_lines)
    passport = Passport.read(place.folder, "ja")
    assert passport is not None and passport.wins is not None and passport.trial is not None
    judged = passport.wins.verdicts + passport.left_out
    outside = [n for n in range(24) if n % 2 == 0 or not is_held_out("rater", f"rater {n}")]
    assert judged == 8 and passport.wins.raters <= 24 - len(outside)
    assert write_page(place.folder, "ja") == "page: profiles/passports/ja.html"
    page = Path("profiles/passports/ja.html").read_text(encoding="utf-8")
    for word in ("Not published", "region: japan", "p = 0.0", "parent&#39;s whole audience would lose", "360"):
        assert word in page


def test_a_method_on_rankings_learns_what_the_audience_ranked_itself_and_nothing_that_is_held_out(run: Path) -> None:
    place = Place(Path("ranked"), STORE, (), ("optimize={kind: dpo, epochs: 1, batch_size: 4}",))
    [*_] = commands.new(place, "ja", parent=None, audience={"region": "japan"})
    path = read_tree(place.folder).path("ja")
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text(encoding="utf-8")), "principles": ["Be polite."]}))
    [*_] = commands.fit(place, "ja", start="runs/x/round-1", today=TODAY)
    policy = find_artifact(str(read_tree(place.folder).get("ja").policy))
    assert (policy.file("policy") / "adapter_config.json").is_file()
    assert policy.manifest.parents.keys() == {"start", "judgments"}

    judgments = store_at(policy.folder.parent).find(policy.manifest.parents["judgments"])
    assert judgments is not None
    learned = read_records(judgments.file("comparisons.jsonl"), Comparison)
    assert all(one.prompt.messages[0] == Message(role="system", content="Be polite.") for one in learned)
    found = {(one.prompt.id, j.rater_id) for one in learned for j in one.judgments}
    asked = {n: Prompt.of(f"question {n}").id for n in range(60)}
    japan = [(asked[(7 * i + n) % 60], f"rater {i}") for i in range(1, 24, 2) for n in range(30)]
    kept = {(p, r) for p, r in japan if not is_held_out("prompt", p) and not is_held_out("rater", r)}
    assert found == kept and 0 < len(kept) < len(japan)

    for lacking in ("optimize={kind: ppo, ptx: {coefficient: 0.1}}", "optimize=null"):
        with pytest.raises(ConfigError, match=r"a profile has none: --set optimize\.kind=rloo|optimize is null"):
            [*commands.fit(replace(place, settings=(lacking,)), "ja", start="runs/x/round-1", today=TODAY)]


def test_a_published_profile_is_served_on_its_base_and_refused_once_it_may_not_be_used(run: Path) -> None:
    folder = Path("profiles")
    tree = read_tree(folder)
    tree = tree.write("ja", published=Publication(on=TODAY, of=tree.hash("ja")))
    policy = find_artifact(str(tree.get("ja").policy))
    at = ServerAddress(port=0)
    with endpoint(EndpointOptions(("policy=runs/x/round-1",), at=at, profiles=folder)) as url:
        models = [one["id"] for one in httpx2.get(f"{url}/v1/models").json()["data"]]
        assert models == ["policy", "policy:ja"]

        def ask(model: str) -> Any:
            return httpx2.post(f"{url}/v1/chat/completions", json={**ASKED, "model": model}, timeout=60)

        base, own = ask("policy").json(), ask("policy:ja").json()
        assert ask("policy").json()["choices"] == base["choices"], "the base stays itself after an adapter was used"
        merged = logps_of(policy.file("policy"))
        assert first_logps(own) == pytest.approx(merged, abs=2e-4)
        assert first_logps(base) == pytest.approx(logps_of(find_artifact("runs/x/round-1").file("policy")), abs=2e-4)
        read_tree(folder).write("ja", published=None)
        refused = ask("policy:ja")
        assert (
            refused.status_code == 403 and "'ja' may not be used: not published" in refused.json()["error"]["message"]
        )
        assert "/" not in refused.json()["error"]["message"], "no path of the server is told"
        assert [one["id"] for one in httpx2.get(f"{url}/v1/models").json()["data"]] == ["policy"]
        assert ask("policy:fr").status_code == 404


def logps_of(folder: Path) -> list[float]:
    """Greedy log-probabilities of a whole model, asked as a server of its own asks it."""
    with endpoint(EndpointOptions((f"m={folder}",), at=ServerAddress(port=0))) as url:
        asked = {
            "messages": [{"role": "user", "content": "Hello"}],
            "temperature": 0,
            "max_tokens": 8,
            "logprobs": True,
        }
        return first_logps(httpx2.post(f"{url}/v1/chat/completions", json=asked, timeout=60).json())


def first_logps(reply: Any) -> list[float]:
    return [one["logprob"] for one in reply["choices"][0]["logprobs"]["content"]]


def test_a_published_profile_is_exported_merged_and_as_an_adapter(run: Path, tmp_path: Path) -> None:
    tree = read_tree(Path("profiles"))
    tree.write("ja", published=Publication(on=TODAY, of=tree.hash("ja")))
    [*_] = export_profile(Path("profiles"), "ja", tmp_path / "whole", today=TODAY)
    [*_] = export_profile(Path("profiles"), "ja", tmp_path / "thin", adapter=True, today=TODAY)
    assert yaml.safe_load((tmp_path / "whole" / "profile.yaml").read_text())["id"] == "ja"
    assert json.loads((tmp_path / "thin" / "adapter_config.json").read_text())["base_model_name_or_path"] == "base"
    prompts = [Prompt.of("Hello")]
    answers = []
    for name in ("whole", "thin"):
        writer = Backends(ModelConfig(), ComputeConfig(threads=1)).writer_named(str(tmp_path / name))
        answers.append(
            writer.write(prompts, num_samples=1, sampling=Sampling(temperature=0, max_new_tokens=8), seed=0)[0][0]
        )
    assert answers[0].text == answers[1].text
    assert answers[0].logps == pytest.approx(answers[1].logps, abs=2e-4)


def test_few_labels_allow_principles_only_and_these_are_told(run: Path) -> None:
    place = Place(store=STORE, projects=("few",))
    with Store.open(STORE) as store:
        prompt = Prompt.of("one question")
        both = tuple(Completion(prompt_id=prompt.id, text=one) for one in WORDS)
        store.add_tasks([Task(id="few", prompt=prompt, completions=both, project="few")], now=time.time())
        ranking = Ranking(tiers=((both[0].id,), (both[1].id,)))
        store.submit(Judgment(task_id="few", rater_id="rater 1", ranking=ranking, id="few"), now=time.time())
    [*_] = commands.new(place, "kyoto", parent="ja", audience={"region": "japan"})
    path = Path("profiles/kyoto.yaml")
    path.write_text(
        path.read_text().replace("parent: ja", "parent: everyone").replace("principles: []", "principles: [Be calm.]")
    )
    told = [*commands.fit(place, "kyoto", start="runs/x/round-1", today=TODAY)]
    assert told[0] == "kyoto: 1 labels of 1 raters on 1 prompts: principles only"
    assert read_tree(place.folder).get("kyoto").policy == str(find_artifact("runs/x/round-1").folder)
    with pytest.raises(AwaitingJudgments):
        [*commands.publish(place, "kyoto", start=None, today=TODAY)]
    people_compare("kyoto")
    assert [*commands.publish(place, "kyoto", start=None, today=TODAY)][-1] == "published"
    passport = Passport.read(place.folder, "kyoto")
    assert passport is not None and passport.wins is not None
    assert passport.wins.headline.low < 0.5, "principles alone do not have to win"
    writer = ProfilePolicy.of(place.folder, "kyoto", today=TODAY).writer(ModelConfig(), name="kyoto")
    assert writer.room(prompt) < writer.writer.room(prompt), "the principles take room"
    with pytest.raises(UserError, match="kyoto has principles only"):
        [*export_profile(place.folder, "kyoto", Path("out"), adapter=True, today=TODAY)]


def test_the_root_is_everybody_and_is_not_fitted(run: Path) -> None:
    with pytest.raises(ConfigError, match="the root is everybody"):
        [*commands.fit(Place(store=STORE), "everyone", start="runs/x/round-1", today=TODAY)]


def test_a_floor_that_was_not_measured_fails(run: Path) -> None:
    evaluation = min(Path("runs/artifacts").glob("evaluation-*"))
    policy = find_artifact(str(read_tree(Path("profiles")).get("ja").policy))
    floor = (FloorLine(measure="xstest.over_refusal", margin=0.05), FloorLine(measure="answers.empty", margin=1.0))
    held = floor_of(floor, find_artifact(str(evaluation)), policy, find_artifact("runs/x/round-1"))
    assert held is not None and held.verdict == "fail"
    assert [one.reason.startswith("it was not measured") for one in held.lines] == [True, False]
