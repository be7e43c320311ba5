"""A rater's own page: consent for each thing, withdrawal, own consistency, language, erasure."""

from __future__ import annotations

import re
import uuid

from rating_visitors import PAGE, House, Visitor, ranking

from assent.feedback.records.queue import Queue
from assent.feedback.records.settings import AttributeQuestion, ProjectSettings

REGION = AttributeQuestion(
    name="region", question="Where do you live?", choices=("north", "south"), purpose="Fairness."
)
WORK = AttributeQuestion(name="work", question="What do you do?")


def _ask(house: House, *questions: AttributeQuestion, project: str = "default", consent_text: str = "") -> None:
    house.add_tasks(1, project=project)
    settings = ProjectSettings(attributes=questions, consent_text=consent_text)
    house.store.projects.save(project, settings, now=house.clock())


def _consent(page: str, name: str) -> str:
    return re.findall(rf'name="consent:{name}" value="(\w+)"', page)[0]


def _known(house: House, visitor: Visitor) -> dict[str, str]:
    assert visitor.account is not None
    return next(r.attributes for r in house.store.raters() if r.id == visitor.account.rater_id)


def test_only_what_is_ticked_is_kept_and_unticking_withdraws_it(house: House) -> None:
    _ask(house, REGION, WORK)
    rater = house.person()
    page = rater.page("/me")
    assert "Fairness." in page
    region, work = (_consent(page, name) for name in ("region", "work"))
    said = {"value:region": "north", "value:work": "<b>baker</b>"}
    assert rater.send_form("/me/profile", **said).status_code == 303
    assert _known(house, rater) == {}
    rater.send_form("/me/profile", **said, **{"consent:region": region})
    assert _known(house, rater) == {"region": "north"}
    rater.send_form("/me/profile", **said, **{"consent:region": region, "consent:work": work})
    assert _known(house, rater) == {"region": "north", "work": "<b>baker</b>"}
    assert "<b>baker" not in rater.page("/me")
    rater.send_form("/me/profile", **said, **{"consent:work": work})
    assert _known(house, rater) == {"work": "<b>baker</b>"}


def test_consent_is_to_a_text_and_another_text_has_to_be_agreed_to_anew(house: House) -> None:
    _ask(house, REGION, consent_text="For research only.")
    rater = house.person()
    old = _consent(rater.page("/me"), "region")
    rater.send_form("/me/profile", **{"value:region": "north", "consent:region": old})
    changed = ProjectSettings(attributes=(REGION,), consent_text="For anything.")
    house.store.projects.save("default", changed, now=house.clock())
    page = rater.page("/me")
    assert "has changed since you agreed" in page
    assert not re.search(r'name="consent:region"[^>]*checked', page)
    rater.send_form("/me/profile", **{"value:region": "north", "consent:region": old})
    assert _known(house, rater) == {}


def test_answers_outside_the_choices_or_too_long_are_refused(house: House) -> None:
    _ask(house, REGION, WORK)
    rater = house.person()
    page = rater.page("/me")
    forged = {"value:region": "moon", "consent:region": _consent(page, "region")}
    assert rater.send_form("/me/profile", **forged).status_code == 422
    long = {"value:work": "x" * 201, "consent:work": _consent(page, "work")}
    assert rater.send_form("/me/profile", **long).status_code == 422
    assert _known(house, rater) == {}


def test_what_another_project_asked_stays_as_it_is(house: House) -> None:
    _ask(house, REGION)
    _ask(house, WORK, project="other")
    rater = house.person()
    page = rater.page("/me")
    tick = {f"consent:{name}": _consent(page, name) for name in ("region", "work")}
    rater.send_form("/me/profile", **{"value:region": "south", "value:work": "baker"}, **tick)
    assert rater.account is not None
    house.store.accounts.set_projects(rater.account.rater_id, ("default",))
    page = rater.page("/me")
    assert "What do you do?" not in page
    rater.send_form("/me/profile", **{"value:region": "north", "consent:region": _consent(page, "region")})
    assert _known(house, rater) == {"region": "north", "work": "baker"}


def test_own_consistency_counts_the_pairs_of_tasks_that_came_again(house: House) -> None:
    house.add_tasks(6)
    everything = {"repeat_share": 0.5, "repeat_after": 1, "gold_share": 0.0, "newcomer_tasks": 0}
    house.store.projects.save("default", ProjectSettings(**everything), now=house.clock())
    rater = house.person()
    assert "So far none did" in rater.page("/me")
    said: dict[str, list[str]] = {}
    repeats = 0
    while items := rater.next():
        [item] = items
        task, ids = item["task_id"], sorted(a["id"] for a in item["answers"])
        repeats += ids in said.values()
        said[task] = ids
        body = {
            "id": str(uuid.uuid4()),
            "task_id": task,
            "token": item["token"],
            "ranking": {"tiers": [[i] for i in ids]},
        }
        assert rater.post("/rating/submit", body | {"seconds": 30}).status_code == 200
        house.clock.now += 60
    page = rater.page("/me")
    assert f"<dd>{len(said)}</dd>" in page and "30 s" in page
    assert ("you ordered 100 %" in page) is (repeats > 0)


def test_erasing_oneself_wants_the_word_and_says_what_was_touched(house: House) -> None:
    house.add_tasks(2)
    house.person("admin")
    rater, other = house.person(login="anna"), house.person()
    for visitor in (rater, other):
        [item] = visitor.next()
        visitor.post("/rating/submit", ranking(item))
    house.store.snapshot("round-1", Queue(), now=house.clock())
    assert rater.send_form("/me/erase", confirmation="yes").status_code == 422
    assert rater.page("/me")
    response = rater.send_form("/me/erase", confirmation=" Erase ")
    assert response.status_code == 200
    assert "Your account and 1 judgment are gone." in response.text and "round-1" in response.text
    assert rater.get("/rating/next", project="default").status_code == 401
    assert house.store.accounts.by_login("anna") is None
    assert len(house.store.judgments(Queue())) == 1
    assert rater.account is not None
    assert rater.account.rater_id not in {r.id for r in house.store.raters()}


def test_the_last_admin_cannot_erase_themselves(house: House) -> None:
    admin = house.person("admin")
    assert admin.send_form("/me/erase", confirmation="erase").status_code == 409
    house.person("admin")
    assert admin.send_form("/me/erase", confirmation="erase").status_code == 200


def test_the_language_is_that_of_the_browser_until_somebody_chooses(house: House) -> None:
    languages = house.app.state.context.catalogs.languages
    other = next((code for code in languages if code != "en"), None)
    if other is None:
        return
    visitor = house.visitor()
    page = visitor.client.get("/sign-in", headers=PAGE | {"accept-language": f"xx, {other};q=0.9, en;q=0.5"}).text
    assert f'<html lang="{other}"' in page
    visitor.page("/sign-in")
    response = visitor.send_form("/language", language=other, next="/sign-in?next=/me")
    assert (response.status_code, response.headers["location"]) == (303, "/sign-in?next=/me")
    assert f'<html lang="{other}"' in visitor.page("/sign-in")
    assert visitor.send_form("/language", language="../../etc").status_code == 422


def test_a_chosen_language_follows_the_account_to_another_browser(house: House) -> None:
    languages = house.app.state.context.catalogs.languages
    other = next((code for code in languages if code != "en"), None)
    if other is None:
        return
    rater = house.person()
    rater.send_form("/language", language=other)
    assert rater.account is not None
    elsewhere = house.visitor()
    elsewhere.enter(house.store.accounts.new_link(rater.account.rater_id, now=house.clock()))
    assert f'<html lang="{other}"' in elsewhere.page("/me")
