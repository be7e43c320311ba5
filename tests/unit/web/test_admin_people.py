"""People, programs, files out: invitations, one-time links, disabling, erasing with all it touched, tokens, exports."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from rating_visitors import PAGE, House, Visitor, ranking

from assent.artifacts.store import Manifest, write_manifest
from assent.feedback.records.queue import Queue
from assent.feedback.records.settings import ProjectSettings

EXPORT = "/admin/projects/default/export"


@pytest.fixture
def admin(house: House) -> Visitor:
    """An admin of a project with three tasks."""
    house.add_tasks(3)
    house.store.projects.save("default", ProjectSettings(gold_share=0, repeat_share=0), now=house.clock())
    visitor = house.person("admin", login="olga")
    visitor.page("/admin/people")
    return visitor


def _judged(house: House) -> Visitor:
    """A rater who has judged everything."""
    rater = house.person("rater", login="ann")
    for item in rater.next(limit=3):
        assert rater.post("/rating/submit", ranking(item)).status_code == 200
    return rater


def _secret(html: str) -> str:
    found = re.search(r'id="secret"[^>]*value="([^"]+)"', html)
    assert found is not None, html
    return found[1]


def test_an_invitation_is_a_link_that_is_shown_once(house: House, admin: Visitor) -> None:
    shown = admin.send_form(
        "/admin/people/invite", role="adjudicator", project="default", uses="2", days="3", note="for ben"
    )
    link = _secret(shown.text)
    assert re.fullmatch(r".*/join/[\w-]{20,}", link)
    token = link.rpartition("/")[2]
    assert token not in admin.page("/admin/people") and "for ben" in admin.page("/admin/people")
    guest = house.visitor()
    assert "default" in guest.page(f"/join/{token}")
    (invitation,) = house.store.accounts.invitations.all()
    assert (invitation.role, invitation.project, invitation.max_uses) == ("adjudicator", "default", 2)
    assert invitation.expires_at == house.clock() + 3 * 86_400
    admin.send_form(f"/admin/invitations/{invitation.id}/revoke")
    guest.page(f"/join/{token}", status=404)


@pytest.mark.parametrize(
    "bad",
    [{"role": "owner"}, {"project": "nowhere"}, {"uses": "0"}, {"uses": "-1"}, {"uses": "1e9"}, {"days": "forever"}],
)
def test_bad_invitations_are_refused_and_none_is_made(house: House, admin: Visitor, bad: dict[str, str]) -> None:
    good = {"role": "rater", "project": "", "uses": "1", "days": "14", "note": "kept"}
    response = admin.send_form("/admin/people/invite", **{**good, **bad})
    assert response.status_code == 422 and 'role="alert"' in response.text and 'value="kept"' in response.text
    assert house.store.accounts.invitations.all() == []


def test_people_are_listed_with_what_they_did(house: House, admin: Visitor) -> None:
    _judged(house)
    row = admin.page("/admin/people?find=ANN").partition("<tbody>")[2].partition("</tbody>")[0]
    assert "ann" in row and '<td class="number">3</td>' in row and "olga" not in row


def test_role_and_projects_are_changed_but_never_those_of_the_last_admin(house: House, admin: Visitor) -> None:
    rater = _judged(house)
    assert rater.account is not None and admin.account is not None
    admin.send_form(
        "/admin/person/change", **{"id": rater.account.rater_id, "role": "adjudicator", "project.default": "yes"}
    )
    changed = house.store.accounts.get(rater.account.rater_id)
    assert changed is not None and (changed.role, changed.projects) == ("adjudicator", ("default",))
    refused = admin.send_form("/admin/person/change", id=admin.account.rater_id, role="rater", all="yes")
    assert refused.status_code == 422
    unchanged = house.store.accounts.get(admin.account.rater_id)
    assert unchanged is not None and unchanged.role == "admin"


def test_disabling_signs_out_and_a_link_signs_in_once(house: House, admin: Visitor) -> None:
    rater = _judged(house)
    assert rater.account is not None
    rater_id = rater.account.rater_id
    admin.send_form("/admin/person/disable", id=rater_id, disabled="yes")
    assert rater.client.get("/rating/next?project=default").status_code == 401
    admin.send_form("/admin/person/disable", id=rater_id, disabled="no")
    link = _secret(admin.send_form("/admin/person/link", id=rater_id).text)
    guest = house.visitor()
    assert guest.enter(link.rpartition("/")[2]).status_code == 303
    assert guest.get("/rating/next", project="default").status_code == 200
    assert house.visitor().client.get(f"/enter/{link.rpartition('/')[2]}", headers=PAGE).status_code == 404


def test_a_person_page_shows_quality_with_intervals(house: House, admin: Visitor) -> None:
    rater = _judged(house)
    assert rater.account is not None
    html = admin.page(f"/admin/person?id={rater.account.rater_id}")
    assert "Ties" in html and re.search(r"17\u202f% \(\d+\u2009–\u2009\d+\)", html), "one pair of six is tied"


def test_erasing_lists_snapshots_and_models(house: House, admin: Visitor, tmp_path: Path) -> None:
    rater = _judged(house)
    assert rater.account is not None
    rater_id = rater.account.rater_id
    snapshot = house.store.snapshot("round-1", Queue(), now=house.clock())
    _artifact(tmp_path, "judgments", {}, snapshot=snapshot.hash)
    _artifact(tmp_path, "reward", {"judgments": "judgments"})
    _artifact(tmp_path, "policy", {"reward": "reward"})
    _artifact(tmp_path, "untouched", {})
    for again in ("", "somebody else"):
        assert admin.send_form("/admin/person/erase", id=rater_id, again=again).status_code == 422
    assert len(house.store.judgments(Queue())) == 3
    html = admin.send_form("/admin/person/erase", id=rater_id, again=rater_id).text
    assert "round-1" in html and snapshot.hash[:12] in html and "Judgments forgotten: 3" in html
    assert all(f"artifacts/{kind}" in html for kind in ("judgments", "reward", "policy")) and "untouched" not in html
    assert house.store.judgments(Queue()) == [] and house.store.accounts.get(rater_id) is None
    assert rater_id not in html
    admin.page(f"/admin/person?id={rater_id}", status=404)


def _artifact(folder: Path, kind: str, inputs: dict[str, str], **notes: Any) -> None:
    place = folder / "artifacts" / f"{kind}-{kind}"
    place.mkdir(parents=True)
    manifest = Manifest(
        kind=kind, key=kind, stage=kind, version=1, config={}, created="2026", inputs=inputs, notes=notes
    )
    write_manifest(place, manifest)


def test_nobody_erases_themselves_by_mistake(house: House, admin: Visitor) -> None:
    assert admin.account is not None
    mine = admin.account.rater_id
    assert admin.send_form("/admin/person/erase", id=mine, again=mine).status_code == 422
    assert house.store.accounts.get(mine) is not None


@pytest.mark.parametrize("path", ["change", "disable", "link", "erase"])
@pytest.mark.parametrize("rater_id", ["", "nobody", "' OR 1=1 --", "../admin"])
def test_unknown_people_are_not_found(admin: Visitor, path: str, rater_id: str) -> None:
    assert admin.send_form(f"/admin/person/{path}", id=rater_id, again=rater_id, role="rater").status_code == 404


def test_a_token_is_shown_once_works_and_is_ended(house: House, admin: Visitor) -> None:
    admin.page("/admin/tokens")
    shown = admin.send_form("/admin/tokens", name="notebook", role="rater", days="30")
    secret = _secret(shown.text)
    headers = {"authorization": f"Bearer {secret}"}
    program = house.visitor().client
    assert program.get("/rating/next?project=default", headers=headers).status_code == 200
    assert program.get("/admin/people", headers=headers).status_code == 403, "a rater's token of an admin"
    assert secret not in admin.page("/admin/tokens") and "notebook" in admin.page("/admin/tokens")
    (token,) = house.store.accounts.tokens.all()
    admin.send_form(f"/admin/tokens/{token.id}/revoke")
    assert program.get("/rating/next?project=default", headers=headers).status_code == 401


@pytest.mark.parametrize("bad", [{"name": " "}, {"role": "owner"}, {"days": "-3"}, {"account": "nobody"}])
def test_bad_tokens_are_refused(house: House, admin: Visitor, bad: dict[str, str]) -> None:
    admin.page("/admin/tokens")
    response = admin.send_form("/admin/tokens", **{"name": "n", "role": "rater", "days": "1", **bad})
    assert response.status_code == 422 and house.store.accounts.tokens.all() == []


def test_webhooks_are_made_listed_and_removed(house: House, admin: Visitor) -> None:
    admin.page("/admin/webhooks")
    good = {"url": "https://example.org/hook", "event": "judgments", "project": "default", "threshold": "2"}
    assert _secret(admin.send_form("/admin/webhooks", **good).text).startswith("whsec_")
    for bad in (
        {"url": "ftp://x"},
        {"url": "javascript:alert(1)"},
        {"threshold": ""},
        {"threshold": "x"},
        {"project": ""},
    ):
        assert admin.send_form("/admin/webhooks", **{**good, **bad}).status_code == 422
    (hook,) = house.store.webhooks.all()
    assert hook.hook.url in admin.page("/admin/webhooks")
    admin.send_form(f"/admin/webhooks/{hook.id}/remove")
    assert house.store.webhooks.all() == []


def test_losses_are_said_before_the_download(house: House, admin: Visitor) -> None:
    _judged(house)
    html = admin.page(f"{EXPORT}?format=trl")
    assert "15 pairs" in html and "3 ties dropped" in html, "five of the six pairs of each task, one tied"
    response = admin.client.get(f"{EXPORT}/file?format=trl&ending=.jsonl")
    assert len(response.text.splitlines()) == 15 and set(json.loads(response.text.splitlines()[0])) >= {"chosen"}
    assert response.headers["content-disposition"].startswith('attachment; filename="default-reward-trl.jsonl"')
    kept = admin.page(f"{EXPORT}?format=assent")
    assert "3 tasks" in kept and "dropped" not in kept, "our own format loses nothing"


@pytest.mark.parametrize("format", ["../../etc/passwd", "x" * 30, "<script>"])
def test_an_unknown_format_is_refused(admin: Visitor, format: str) -> None:
    response = admin.client.get(EXPORT, params={"format": format}, headers=PAGE)
    assert response.status_code == 422 and "<script>" not in response.text.replace("<script type", "").replace(
        "<script src", ""
    )
    assert admin.client.get(f"{EXPORT}/file", params={"format": format}).status_code == 422


def test_a_files_name_is_no_path(house: House, admin: Visitor) -> None:
    name = '..\\..\\"; x="evil'
    house.store.projects.save(name, ProjectSettings(gold_share=0, repeat_share=0), now=house.clock())
    house.add_tasks(1, project=name)
    rater = house.person("rater")
    (item,) = rater.next(project=name)
    assert rater.post("/rating/submit", ranking(item)).status_code == 200
    path = f"/admin/projects/{quote(name, safe='')}/export/file"
    for ending in ("../../x", "/etc/passwd", ".exe"):
        response = admin.client.get(path, params={"format": "assent", "ending": ending})
        said = response.headers["content-disposition"]
        assert said.startswith('attachment; filename="x-evil-reward-assent.jsonl"; '), said


def test_an_empty_project_has_nothing_to_export(admin: Visitor) -> None:
    response = admin.client.get(EXPORT, params={"format": "trl"}, headers=PAGE)
    assert response.status_code == 422 and "that nobody judged" in response.text
