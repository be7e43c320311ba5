"""Files of tasks: what becomes of good lines, and the line, the value and the remedy of the first bad one."""

from __future__ import annotations

import json

import pytest
from board_samples import lettered_task

from assent.core.errors import DataError
from assent.core.types import Ranking
from assent.feedback.queue.task_files import TaskFile, parse_tasks


def _read(*lines: object) -> TaskFile:
    content = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
    return parse_tasks(content.encode("utf-8", "surrogatepass"), name="tasks.jsonl", project="p")


def test_the_shortest_line_is_a_task() -> None:
    task = _read({"prompt": "Why?", "answers": ["So.", "Thus."]}).tasks[0]
    assert (task.prompt.text, [c.text for c in task.completions]) == ("Why?", ["So.", "Thus."])
    assert (task.project, task.purpose, task.kind) == ("p", "reward", "rank")


def test_the_same_file_gives_the_same_ids_and_repeats_are_counted() -> None:
    line = {"prompt": "Why?", "answers": ["So.", "Thus."]}
    assert _read(line).tasks == _read(line).tasks
    turned = {"prompt": "Why?", "answers": ["Thus.", "So."]}
    assert _read(line).tasks[0].id == _read(turned).tasks[0].id, "the order in a file means nothing"
    assert _read(line, "", line).repeated == 1


def test_short_columns_become_meta_and_answers_keep_their_source() -> None:
    task = _read(
        {
            "prompt": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Warum?"}],
            "answers": [{"text": "Darum.", "source": "model a", "seed": 3}, {"text": "So.", "id": "x"}],
            "language": "de",
        }
    ).tasks[0]
    assert task.prompt.meta == {"language": "de"} and len(task.prompt.messages) == 2
    assert (task.completions[0].source, task.completions[0].meta, task.completions[1].id) == (
        "model a",
        {"seed": 3},
        "x",
    )


def test_gold_is_an_order_of_numbers() -> None:
    found = _read({"prompt": "Why?", "answers": ["a", "b", "c"], "gold": "2 > 1 = 3"})
    a, b, c = (completion.id for completion in found.tasks[0].completions)
    assert found.gold == {found.tasks[0].id: Ranking(tiers=((b,), (a, c)))}


def test_tasks_of_a_run_keep_their_ids() -> None:
    task = lettered_task("t-1", "abc")
    found = parse_tasks(task.model_dump_json().encode(), name="tasks.jsonl", project="p").tasks[0]
    assert found == task.model_copy(update={"project": "p"})


def test_one_answer_is_rated() -> None:
    assert _read({"prompt": "Why?", "answers": ["So."]}).tasks[0].kind == "rate"


GOOD = {"prompt": "Why?", "answers": ["So.", "Thus."]}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"prompt": "Why?", "answers": [', "tasks.jsonl:2: not valid JSON"),
        ("[1, 2]", "tasks.jsonl:2: expected an object with 'prompt' and 'answers', got list"),
        ({"prompt": "Why?"}, "tasks.jsonl:2: column 'answers' is missing"),
        ({"prompt": "Why?", "answer": ["a", "b"]}, "did you mean 'answer'?"),
        ({"prompt": "", "answers": ["a", "b"]}, "tasks.jsonl:2: 'prompt' is empty"),
        ({"prompt": "Why?", "answers": ["a", 7]}, "'answers[2]' should be text, got int"),
        ({"prompt": "Why?", "answers": ["a", "a"]}, "answers 1 and 2 are the same text"),
        ({"prompt": "Why?", "answers": [str(i) for i in range(10)]}, "10 answers; a task shows 1 to 9"),
        ({"prompt": "Why?", "answers": ["a", "b"], "gold": "3 > 1"}, "'gold' names answer '3'"),
        ({"prompt": "Why?", "answers": ["a", "b"], "gold": "2"}, "'gold' places 1 of 2 answers"),
        ({"prompt": "Why?", "answers": ["a", "b"], "gold": "2 > 2"}, "'gold'"),
        ({"prompt": "Why?", "answers": ["a", "b\x00"]}, "NUL character"),
        ('{"prompt": "Why?", "answers": ["a", "\\ud800"]}', "half a character"),
        ({"prompt": [{"role": "assistant", "content": "Hi."}], "answers": ["a", "b"]}, "ends in an assistant turn"),
        ({"id": "t", "prompt": {"messages": []}, "completions": []}, "tasks.jsonl:2: "),
        ("[" * 100_000, "tasks.jsonl:2: "),
    ],
)
def test_the_first_bad_line_is_named(line: object, said: str) -> None:
    with pytest.raises(DataError) as caught:
        _read(GOOD, line)
    assert said in str(caught.value)


def test_one_id_for_two_tasks_is_refused() -> None:
    with pytest.raises(DataError, match="line 1 with other content"):
        _read({**GOOD, "id": "x"}, {"prompt": "How?", "answers": ["a", "b"], "id": "x"})


def test_an_empty_file_is_no_import() -> None:
    with pytest.raises(DataError, match="holds no task"):
        _read("", "  ")


def test_tasks_come_from_a_table() -> None:
    table = 'id,prompt,answer 1,answer 2,language\r\nq1,"Why, and how?","\'=1+1",two,de\r\nq2,What?,"a\nb",c,\r\n'
    found = parse_tasks(("\ufeff" + table).encode(), name="tasks.csv", project="p", purpose="reward")
    assert [task.prompt.text for task in found.tasks] == ["Why, and how?", "What?"]
    assert [[c.text for c in task.completions] for task in found.tasks] == [["=1+1", "two"], ["a\nb", "c"]]
    assert found.tasks[0].prompt.meta == {"language": "de"}
    with pytest.raises(DataError, match="answers"):
        parse_tasks(b"prompt,said\nWhy?,x\n", name="tasks.csv", project="p", purpose="reward")


def test_a_file_of_rankings_gives_its_answers_to_be_ranked_anew() -> None:
    row = {"prompt": "Why?", "answers": {"a": "So.", "b": "Therefore."}, "ranking": "a > b", "rater": "ann"}
    found = parse_tasks(json.dumps(row).encode(), name="ratings.jsonl", project="p")
    assert [answer.text for answer in found.tasks[0].completions] == ["So.", "Therefore."]
    assert found.judged == 1 and not found.gold
    assert not {"ranking", "rater"} & set(found.tasks[0].prompt.meta)
