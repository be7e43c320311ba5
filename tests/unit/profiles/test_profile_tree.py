"""The tree of profiles: what is refused by file and key, what is inherited, and what ends a publication."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest

from assent.core.errors import ConfigError
from assent.profiles.config import FloorLine, Profile, Publication, level_of
from assent.profiles.tree import MARK, NotUsableError, Tree, new_profile, read_tree

TODAY = datetime.date(2026, 5, 1)


def tree_of(folder: Path, **texts: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name, text in texts.items():
        (folder / f"{name}.yaml").write_text(f"id: {name}\n{text}", encoding="utf-8")
    return folder


ROOT = "safety: [{measure: lab.harm, margin: 0.03}, {measure: lab.helpful, at_least: 0.5}]\nprinciples: [Be honest.]\n"
ASIA = "parent: everyone\naudience: {region: [japan, korea]}\nprinciples: [Be polite.]\ntone: {polite: 0.5}\n"


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("ja", "parent: asia\naudience: {region: japan}\nsaftey: []", "ja.yaml: unknown key 'saftey'; did you mean"),
        ("ja", "parent: asien\naudience: {region: japan}", "ja.yaml: parent 'asien' is no profile of"),
        ("ja", "parent: asia\naudience: {region: france}", "ja.yaml: audience.region names 'france', no part of"),
        ("ja", "parent: asia", "ja.yaml: a profile with a parent wants an audience"),
        ("ja", "parent: ja\naudience: {region: japan}", "ja.yaml: it is its own parent"),
        ("ja", "parent: asia\naudience: {region: japan}\ntone: {polite: 2}", "ja.yaml: tone runs from -1 to 1"),
        ("ja", "parent: asia\naudience: {region: []}", "ja.yaml: audience.region names no value"),
        (
            "ja",
            "parent: asia\naudience: {region: japan}\nsafety: [{measure: lab.harm, margin: 0.05}]",
            "ja.yaml: safety: lab.harm margin 0.05 is weaker than 0.03 of 'asia'",
        ),
        (
            "ja",
            "parent: asia\naudience: {region: japan}\nsafety: [{measure: lab.helpful, at_least: 0.4}]",
            "ja.yaml: safety: lab.helpful at_least 0.4 is weaker than 0.5 of 'asia'",
        ),
        (
            "ja",
            "parent: asia\naudience: {region: japan}\nsafety: [{measure: lab.harm, margin: 0.1, at_most: 0.1}]",
            "ja.yaml: safety.0: lab.harm wants exactly one of margin, at_most, at_least; it has 2",
        ),
        (
            "ja",
            "parent: asia\naudience: {region: japan}\n"
            "safety: [{measure: lab.harm, margin: 0.005}, {measure: lab.harm, margin: 0.009}]",
            "ja.yaml: safety has two lines on lab.harm margin; leave the weaker one out",
        ),
        (
            "root",
            "safety: [{measure: lab.harm, margin: 0.01}, {measure: lab.harm, margin: 0.5}]",
            "root.yaml: safety has two lines on lab.harm margin; leave the weaker one out",
        ),
        (
            "ja",
            "parent: asia\naudience: {region: japan}\nsafety: [{measure: lab.rude, at_most: .nan}]",
            "ja.yaml: safety.0.at_most: should be a finite number, got nan",
        ),
        (
            "ja",
            "parent: asia\naudience: {region: japan}\nsafety: [{measure: lab.rude, at_least: -.inf}]",
            "ja.yaml: safety.0.at_least: should be a finite number, got -inf",
        ),
        (
            "ja",
            "parent: asia\naudience: {region: japan}\nexpires: 2020-02-30",
            "ja.yaml:4: not valid YAML: '2020-02-30' is no timestamp: day is out of range for month",
        ),
    ],
)
def test_what_cannot_be_right_is_said_in_a_line_with_its_file(tmp_path: Path, name: str, text: str, said: str) -> None:
    tree_of(tmp_path, everyone=ROOT, asia=ASIA, **{name: text})
    with pytest.raises(ConfigError) as caught:
        read_tree(tmp_path)
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_a_circle_of_parents_is_named(tmp_path: Path) -> None:
    tree_of(tmp_path, a="parent: b\naudience: {x: y}", b="parent: c\naudience: {x: y}", c="parent: a\naudience: {x: y}")
    with pytest.raises(ConfigError, match=r"a\.yaml: its parents go round in a circle \(a → b → c → a\)"):
        read_tree(tmp_path)


def test_a_file_has_the_name_of_its_profile(tmp_path: Path) -> None:
    tree_of(tmp_path, everyone=ROOT)
    (tmp_path / "ja.yaml").write_text("id: jp\nparent: everyone\naudience: {region: japan}")
    with pytest.raises(ConfigError, match=r"ja\.yaml: id is 'jp'; name the file jp\.yaml"):
        read_tree(tmp_path)


def test_a_child_inherits_and_may_only_tighten(tmp_path: Path) -> None:
    ja = "parent: asia\naudience: {region: japan, age: 20-30}\ntone: {direct: -0.3}\nprinciples: [Use keigo.]\n"
    tree_of(tmp_path, everyone=ROOT, asia=ASIA, ja=ja + "safety: [{measure: lab.harm, margin: 0.01}]")
    tree = read_tree(tmp_path)
    assert tree.audience("ja") == {"region": ("japan",), "age": ("20-30",)}
    assert tree.principles("ja") == ("Be honest.", "Be polite.", "Use keigo.")
    assert tree.tone("ja") == {"polite": 0.5, "direct": -0.3}
    assert [(line.measure, line.limit) for line in tree.floor("ja")] == [
        ("lab.harm", ("margin", 0.01)),
        ("lab.helpful", ("at_least", 0.5)),
    ]


def test_the_floor_is_the_strictest_line_of_each_measure_and_limit_wherever_it_stands() -> None:
    strict = [
        FloorLine(measure="lab.harm", margin=0.01),
        FloorLine(measure="lab.harm", at_most=0.05),
        FloorLine(measure="lab.helpful", at_least=0.5),
    ]
    weak = [
        FloorLine(measure="lab.harm", margin=0.5),
        FloorLine(measure="lab.harm", at_most=0.2),
        FloorLine(measure="lab.helpful", at_least=0.4),
    ]
    for above, below in ((strict, weak), (weak, strict)):
        root = Profile(id="everyone", safety=tuple(above))
        child = Profile(id="ja", parent="everyone", audience={"region": ("japan",)}, safety=tuple(below))
        assert list(Tree(Path("profiles"), {"everyone": root, "ja": child}).floor("ja")) == strict


def test_a_name_that_looks_like_a_date_or_a_truth_value_is_a_name(tmp_path: Path) -> None:
    new_profile(tmp_path, "2020-02-30", parent=None, audience={"since": "2020-02-30"})
    new_profile(tmp_path, "null", parent="2020-02-30", audience={"since": "2020-02-30", "age": "30"})
    tree = read_tree(tmp_path)
    assert [one.id for one in tree.descent("null")] == ["everyone", "2020-02-30", "null"]
    assert tree.audience("null") == {"since": ("2020-02-30",), "age": ("30",)}


def test_a_profile_is_used_while_it_is_published_unchanged_and_not_expired(tmp_path: Path) -> None:
    tree_of(tmp_path, everyone=ROOT, asia=ASIA + "expires: 2026-05-01\n")
    tree = read_tree(tmp_path)
    with pytest.raises(NotUsableError, match=r"asia\.yaml: not published"):
        tree.usable("asia", TODAY)
    tree = tree.write("asia", published=Publication(on=TODAY, of=tree.hash("asia")))
    assert tree.usable("asia", TODAY).id == "asia" and tree.state("asia", TODAY) == "published"
    with pytest.raises(NotUsableError, match="expired on 2026-05-01"):
        tree.usable("asia", TODAY + datetime.timedelta(days=1))
    root = tmp_path / "everyone.yaml"
    root.write_text(root.read_text().replace("Be honest.", "Be quick."))
    with pytest.raises(NotUsableError, match=r"asia\.yaml: changed since it was published, or a parent was"):
        read_tree(tmp_path).usable("asia", TODAY)


def test_what_people_wrote_stays_to_the_letter_where_the_program_writes(tmp_path: Path) -> None:
    path = new_profile(tmp_path / "profiles", "ja", parent=None, audience={"region": "japan"})
    before = path.read_text() + "# a thought of ours: ✓\n"
    path.write_text(before)
    tree = read_tree(path.parent).write("ja", reward="runs/x/artifacts/reward-1")
    tree = tree.write("ja", policy="runs/x/artifacts/policy-1")
    text = path.read_text()
    assert text.startswith(before) and text.count(MARK) == 1
    assert (tree.get("ja").reward, tree.get("ja").policy) == ("runs/x/artifacts/reward-1", "runs/x/artifacts/policy-1")
    assert (path.parent / "everyone.yaml").is_file()
    with pytest.raises(ConfigError, match="is there already"):
        new_profile(path.parent, "ja", parent=None, audience={"region": "japan"})


def test_labels_decide_what_a_profile_may_have() -> None:
    assert [level_of(n, 20) for n in (0, 99, 100, 1000, 1001)] == ["principles"] * 2 + ["shared"] * 2 + ["own"]
    assert level_of(5000, 4) == "principles", "four raters are persons, not an audience"
