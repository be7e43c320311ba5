"""Prompts with tools, calls and results on the pages and in the API: all of it is shown, as text, and nothing runs."""

from __future__ import annotations

import html
import json
from typing import Any

from rating_visitors import House

from assent.core.types import Task

API = "/api/v1"
HOSTILE = "<img src=x onerror=alert(1)> **3 C**"
TOOLS = [{"name": "weather", "description": "<b>Looks</b> outside."}]
TURNS: list[dict[str, Any]] = [
    {"role": "user", "content": "Weather in Oslo?"},
    {
        "role": "assistant",
        "content": "",
        "tool_calls": [{"name": "weather", "arguments": {"city": "<i>Oslo</i>"}, "id": "c1"}],
        "reasoning": "I have to *look*.",
    },
    {"role": "tool", "content": HOSTILE, "tool_call_id": "c1"},
]
TASK = {"prompt": TURNS, "tools": TOOLS, "answers": ["3 degrees.", "Cold."], "id": "t-1"}


def _house_with_task(house: House) -> Any:
    admin = house.program("admin")
    assert admin.put(f"{API}/projects/p", json={"title": "P"}).status_code == 200
    added = admin.post(f"{API}/projects/p/tasks", json={"tasks": [TASK]})
    assert added.status_code == 200, added.text
    return admin


def test_a_task_keeps_its_tools_and_calls_in_the_store_and_the_api(house: House) -> None:
    admin = _house_with_task(house)
    given = admin.get(f"{API}/tasks/t-1").json()["prompt"]
    assert given["messages"] == TURNS and given["tools"] == TOOLS
    task = house.store.tasks(["t-1"])["t-1"]
    assert task == Task.model_validate(task.model_dump()) and task.prompt.messages[1].tool_calls[0].name == "weather"
    assert admin.post(f"{API}/projects/p/tasks", json={"tasks": [TASK]}).json()["added"] == 0
    claimed = house.program("rater").post(f"{API}/projects/p/claim", json={}).json()["items"][0]
    assert claimed["prompt"] == TURNS and claimed["tools"] == TOOLS


def test_a_result_without_its_call_is_refused(house: House) -> None:
    admin = _house_with_task(house)
    stray = {**TASK, "id": "t-2", "prompt": [TURNS[0], TURNS[2]]}
    refused = admin.post(f"{API}/projects/p/tasks", json={"tasks": [stray]})
    assert refused.status_code == 422 and "turn 2 (role tool): tool_call_id is 'c1'" in refused.text


def test_raters_see_calls_and_results_as_text_under_their_names(house: House) -> None:
    _house_with_task(house)
    [item] = house.person().next(project="p")
    shown = {turn["role"]: turn["html"] for turn in item["prompt"]}
    assert list(shown) == ["tools", "user", "reasoning", "function_call", "tool"]
    assert "<em>look</em>" in shown["reasoning"]
    assert (
        html.unescape(shown["tool"]).count(HOSTILE) == 1
        and "<img" not in shown["tool"]
        and "<strong" not in shown["tool"]
    )
    assert '"city": "&lt;i&gt;Oslo&lt;/i&gt;"' in shown["function_call"] and "&lt;b&gt;Looks" in shown["tools"]


def test_admins_see_and_find_them(house: House) -> None:
    _house_with_task(house)
    admin = house.person("admin")
    page = admin.page("/admin/projects/p/task?id=t-1")
    for name in ("Tools it may call", "Reasoning", "Call of a tool", "Result of a tool"):
        assert name in page
    assert "<img src=x" not in page and "&lt;img src=x" in page
    for words, is_found in (("oslo", True), ("3 c", True), ("outside", True), ("weather", True), ("bergen", False)):
        assert ("Weather in Oslo?" in admin.page(f"/admin/projects/p/tasks?find={words}")) is is_found, words


def test_files_of_tasks_hold_tools(house: House) -> None:
    _house_with_task(house)
    turns = [*TURNS[:2], {"role": "tool", "content": "4 C"}]
    row = {"prompt": turns, "tools": json.dumps(TOOLS), "answers": ["a", "b"], "id": "t-2", "language": "no"}
    admin = house.person("admin")
    admin.page("/admin/projects/p/tasks")
    admin.send_form("/admin/projects/p/tasks", pasted=json.dumps(row), purpose="reward")
    prompt = house.store.tasks(["t-2"])["t-2"].prompt
    assert prompt.tools == tuple(TOOLS) and prompt.meta == {"language": "no"}
    assert prompt.messages[1].tool_calls[0].arguments == {"city": "<i>Oslo</i>"}
