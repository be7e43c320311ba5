"""A Python client of the rating service.

Bring tasks in, let people (or your own program) rank the answers, take the judgments out:

    >>> from assent.client import Client
    >>> client = Client(url, token)                     # "https://rate.example.org", "assent_…" from /admin
    >>> client.save_project("support", {"title": "Support answers"}).settings.title
    'Support answers'
    >>> added = client.add_tasks("support", [{"prompt": "Where is my parcel?", "answers": ["Soon.", "On its way."]}])
    >>> added.added
    1
    >>> (task,) = client.claim("support")
    >>> best = max(task.answers, key=lambda answer: len(answer.text))
    >>> others = [answer.id for answer in task.answers if answer.id != best.id]
    >>> client.submit(task, [[best.id], others]).status
    'stored'
    >>> [judgment.ranking.tiers[0] == (best.id,) for judgment in client.judgments("support")]
    [True]
    >>> print("\\n".join(client.export("support", "trl", folder / "pairs.jsonl").lines))
    wrote 1 pair as trl
    1 kind, date and state of a task dropped
    1 time of a judgment dropped
    1 propensity dropped
    1 account of how a task was seen dropped
    1 order of display dropped
    1 rater dropped

Every request that may safely be repeated is: when the connection breaks, the same judgment goes out again under the
same UUID, and the service keeps it once. Errors of the service are `ApiError`, with what is wrong and what to do.
"""

from assent.client.calls import Client
from assent.client.hooks import verify
from assent.client.wire import ApiError

__all__ = ["ApiError", "Client", "verify"]
