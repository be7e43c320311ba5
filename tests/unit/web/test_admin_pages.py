"""The pages of projects over HTTP: who may see them, forged requests, settings, guidelines, hostile words."""

from __future__ import annotations

import pytest
from html_seen import Seen
from rating_visitors import House, Visitor

from assent.feedback.records.settings import ProjectSettings

HOSTILE = "\"><script>alert('x')</script><img src=x onerror=alert(1)>{{7*7}}${7*7}'--\u202e\u2066 ; DROP TABLE project"
PROJECT = "/admin/projects/support"
ADMIN_ONLY = (
    "/admin/people",
    "/admin/tokens",
    "/admin/webhooks",
    f"{PROJECT}/settings",
    f"{PROJECT}/guidelines",
    f"{PROJECT}/tasks",
    f"{PROJECT}/export",
    f"{PROJECT}/export/file?format=assent",
)
ADJUDICATORS_TOO = ("/admin/projects", PROJECT, f"{PROJECT}/dashboard.json", f"{PROJECT}/disagreements")
CHANGES = (
    "/admin/projects",
    f"{PROJECT}/open",
    f"{PROJECT}/settings",
    f"{PROJECT}/guidelines",
    f"{PROJECT}/tasks",
    f"{PROJECT}/rankings",
    f"{PROJECT}/priorities",
    f"{PROJECT}/gold",
    f"{PROJECT}/adjudicate",
    "/admin/people/invite",
    "/admin/invitations/1/revoke",
    "/admin/person/change",
    "/admin/person/disable",
    "/admin/person/link",
    "/admin/person/erase",
    "/admin/tokens",
    "/admin/tokens/1/revoke",
    "/admin/webhooks",
    "/admin/webhooks/1/remove",
)


@pytest.fixture
def admin(house: House) -> Visitor:
    """An admin, and the project they look after."""
    house.store.projects.save("support", ProjectSettings(title="Support"), now=house.clock())
    return house.person("admin")


def _clean(html: str) -> None:
    """Nothing in the page runs or is styled by what people wrote."""
    seen = Seen(html)
    assert [tag for tag in seen.tags if tag == "img"] == []
    for tag, name, value in seen.attributes:
        assert not name.startswith("on") and name != "style", (tag, name)
        if tag == "script" and name == "src":
            assert value.startswith("/static/")
    assert "alert(" not in "".join(_scripts(html))


def _scripts(html: str) -> list[str]:
    return [part.partition("</script>")[0].partition(">")[2] for part in html.split("<script")[1:]]


@pytest.mark.parametrize("path", ADMIN_ONLY + ADJUDICATORS_TOO)
def test_raters_and_strangers_see_none_of_it(house: House, admin: Visitor, path: str) -> None:
    house.person("rater").page(path, status=403)
    stranger = house.visitor().client.get(path, headers={"accept": "text/html"}, follow_redirects=False)
    assert stranger.status_code == 303 and stranger.headers["location"].startswith("/sign-in")


@pytest.mark.parametrize("path", ADMIN_ONLY)
def test_adjudicators_do_not_see_what_is_for_admins(house: House, admin: Visitor, path: str) -> None:
    house.person("adjudicator").page(path, status=403)


@pytest.mark.parametrize("path", ADJUDICATORS_TOO)
def test_adjudicators_see_dashboards_and_disagreements(house: House, admin: Visitor, path: str) -> None:
    house.person("adjudicator").page(path)
    admin.page(path)


@pytest.mark.parametrize("path", CHANGES)
def test_forged_requests_and_lesser_roles_change_nothing(house: House, admin: Visitor, path: str) -> None:
    before = house.store.projects.all(), house.store.accounts.all(), house.store.accounts.tokens.all()
    admin.page("/admin")
    admin.csrf = "somebody else's"
    assert admin.send_form(path, name="x", is_open="no").status_code == 403
    role = "rater" if path.endswith("/adjudicate") else "adjudicator"
    lesser = house.person(role)  # type: ignore[arg-type]
    before = before[0], house.store.accounts.all(), before[2]
    assert (
        lesser.send_form(path, name="x", is_open="no", id=str(admin.account and admin.account.rater_id)).status_code
        == 403
    )
    assert (house.store.projects.all(), house.store.accounts.all(), house.store.accounts.tokens.all()) == before


def test_a_project_is_made_and_found(house: House, admin: Visitor) -> None:
    admin.page("/admin/projects")
    response = admin.send_form("/admin/projects", name="Zweites Projekt", title="Title")
    assert response.headers["location"] == "/admin/projects/Zweites%20Projekt/settings?done=made"
    html = admin.page(response.headers["location"])
    assert "The project is made" in html and "Zweites Projekt" in admin.page("/admin/projects")
    assert house.store.projects.get("Zweites Projekt").settings.title == "Title"


@pytest.mark.parametrize("name", ["", "  ", "support", "a/b", "..", "x" * 81, "tab\there"])
def test_a_bad_project_name_is_refused_with_what_was_written_kept(house: House, admin: Visitor, name: str) -> None:
    admin.page("/admin/projects")
    response = admin.send_form("/admin/projects", name=name, title="kept title")
    assert response.status_code == 422 and 'role="alert"' in response.text and "kept title" in response.text
    assert [p.name for p in house.store.projects.all()] == ["support"]


def test_a_closed_project_gives_out_no_tasks(house: House, admin: Visitor) -> None:
    admin.page(f"{PROJECT}/settings")
    admin.send_form(f"{PROJECT}/open", is_open="no")
    assert not house.store.projects.get("support").settings.is_open
    assert "Closed" in admin.page(f"{PROJECT}/settings")
    admin.send_form(f"{PROJECT}/open", is_open="yes")
    assert house.store.projects.get("support").settings.is_open


def test_settings_are_saved_and_refusals_stand_at_their_field(house: House, admin: Visitor) -> None:
    admin.page(f"{PROJECT}/settings")
    good = {"title": "New", "overlap_share": "25", "overlap": "3", "newcomer_tasks": "30", "newcomer_overlap": "3"}
    good |= {"gold_share": "5", "repeat_share": "3", "repeat_after": "20", "goal": "near_ties", "random_share": "20"}
    good |= {"lease_seconds": "15", "undo_seconds": "10", "cost_per_hour": "", "currency": "EUR", "consent_text": ""}
    good |= {"criteria.0.name": "Helpful", "criteria.0.question": "?", "criteria.0.anchors": "no\nyes"}
    response = admin.send_form(f"{PROJECT}/settings", **{**good, "overlap_share": "250"})
    assert response.status_code == 422 and "at most 1" in response.text and "Helpful" in response.text
    assert house.store.projects.get("support").settings == ProjectSettings(title="Support")
    assert admin.send_form(f"{PROJECT}/settings", **good).status_code == 303
    found = house.store.projects.get("support").settings
    assert (found.overlap_share, found.goal, found.criteria[0].anchors) == (0.25, "near_ties", ("no", "yes"))
    assert found.flags == () and not found.strengths, "unchecked boxes are not sent"


def test_guidelines_are_published_as_versions_with_their_difference(house: House, admin: Visitor) -> None:
    path = f"{PROJECT}/guidelines"
    admin.page(path)
    admin.send_form(path, text="Read all.\r\nThen rank.", do="publish")
    assert "published" in admin.page(f"{path}?done=published&n=1")
    looked = admin.send_form(path, text="Read all answers.\nThen rank.", do="look")
    assert "<ins> answers</ins>" in looked.text and len(house.store.projects.guidelines("support")) == 1
    admin.send_form(path, text="Read all answers.\nThen rank.", do="publish")
    assert [g.text for g in house.store.projects.guidelines("support")] == [
        "Read all.\nThen rank.\n",
        "Read all answers.\nThen rank.\n",
    ]
    assert "<ins> answers</ins>" in admin.page(f"{path}?version=2")
    for text in ("  ", "Read all answers.\nThen rank."):
        again = admin.send_form(path, text=text, do="publish")
        assert again.status_code == 422 and len(house.store.projects.guidelines("support")) == 2


def test_hostile_words_in_every_field_stay_words(house: House, admin: Visitor) -> None:
    admin.page("/admin/projects")
    for path, fields in (
        ("/admin/projects", {"name": HOSTILE, "title": HOSTILE}),
        ("/admin/projects", {"name": "<b>bold", "title": HOSTILE}),
        (f"{PROJECT}/settings", {"title": HOSTILE, "overlap": HOSTILE, "criteria.0.name": HOSTILE, "goal": HOSTILE}),
        (f"{PROJECT}/guidelines", {"text": HOSTILE, "do": "look"}),
        (f"{PROJECT}/guidelines", {"text": HOSTILE, "do": "publish"}),
        (f"{PROJECT}/tasks", {"pasted": HOSTILE}),
        (f"{PROJECT}/rankings", {"pasted": HOSTILE}),
        (f"{PROJECT}/priorities", {"priorities": HOSTILE}),
        ("/admin/people/invite", {"role": HOSTILE, "project": HOSTILE, "uses": HOSTILE, "note": HOSTILE}),
        ("/admin/people/invite", {"role": "rater", "uses": "1", "days": "1", "note": HOSTILE}),
        ("/admin/tokens", {"name": HOSTILE, "role": HOSTILE}),
        ("/admin/tokens", {"name": HOSTILE, "role": "rater"}),
        ("/admin/webhooks", {"url": HOSTILE, "event": HOSTILE, "threshold": HOSTILE}),
        ("/admin/webhooks", {"url": "https://example.org/" + HOSTILE, "event": "erased"}),
    ):
        response = admin.send_form(path, **fields)
        assert response.status_code in (200, 303, 422), (path, response.status_code)
        _clean(response.text)
    for path in (
        "/admin/projects",
        "/admin/people",
        "/admin/tokens",
        "/admin/webhooks",
        f"{PROJECT}/guidelines?version=1",
    ):
        html = admin.page(path)
        _clean(html)
        assert "{{7*7}}" in html or path == "/admin/webhooks", "shown as it was written, 49 nowhere"
    assert len(house.store.projects.all()) == 2, "the table is still there"


@pytest.mark.parametrize("done", ["made", "nonsense", "<script>alert(1)</script>", "admin.done.made", "../made"])
def test_only_known_sentences_are_said(admin: Visitor, done: str) -> None:
    html = admin.client.get(f"{PROJECT}/settings", params={"done": done, "n": "<b>"}).text
    _clean(html)
    assert ("The project is made" in html) == (done == "made")


@pytest.mark.parametrize("path", ["tokens/{}/revoke", "webhooks/{}/remove", "invitations/{}/revoke"])
def test_numbers_that_no_database_holds_are_refused(house: House, path: str) -> None:
    admin = house.person("admin")
    assert admin.send_form("/admin/" + path.format(10**30)).status_code == 422
    assert admin.send_form("/admin/" + path.format(7)).status_code == 303, "what is not there is gone already"


def test_an_unknown_project_is_not_found(admin: Visitor) -> None:
    for page in ("", "/settings", "/tasks", "/export", "/disagreements", "/dashboard.json", "/guidelines"):
        admin.page(f"/admin/projects/nowhere{page}", status=404)
