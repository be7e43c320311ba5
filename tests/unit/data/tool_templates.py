"""Chat templates that know tools, in the style of well-known families, written by hand, and turns to render."""

from __future__ import annotations

from typing import Any

from assent.core.types import Conversation, Message, ToolCall

_CALLS = (
    '{% for c in m.tool_calls %}{{ \'\n<tool_call>\n{"name": "\' + c.function.name + \'", "arguments": \' }}'
    "{{ c.function.arguments | tojson }}{{ '}\n</tool_call>' }}{% endfor %}"
)
_RESULT = (
    "{% if loop.index0 == 0 or messages[loop.index0 - 1].role != 'tool' %}{{ '<|im_start|>user' }}{% endif %}"
    "{{ '\n<tool_response>\n' + m.content + '\n</tool_response>' }}"
    "{% if loop.last or messages[loop.index0 + 1].role != 'tool' %}{{ '<|im_end|>\n' }}{% endif %}"
)
_TOOLS = (
    "{% if tools %}{{ '<|im_start|>system\n# Tools' }}{% for t in tools %}{{ '\n' }}{{ t | tojson }}{% endfor %}"
    "{{ '<|im_end|>\n' }}{% endif %}"
)
_ASK = "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
HERMES = (
    _TOOLS + "{% for m in messages %}{% if m.role == 'tool' %}" + _RESULT + "{% elif m.tool_calls %}"
    "{{ '<|im_start|>assistant' }}{% if m.content %}{{ '\n' + m.content }}{% endif %}" + _CALLS + "{{ '<|im_end|>\n' }}"
    "{% else %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endif %}{% endfor %}" + _ASK
)
"""ChatML with calls in tags and results as user turns, as Hermes and Qwen 2.5 have it. It leaves reasoning out."""
LLAMA_TOOLS = (
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'tool' %}"
    "{{ '<|start|>ipython<|stop|>\n\n' }}{{ m.content | tojson }}{{ '<|eot|>' }}{% elif m.tool_calls %}"
    "{% if m.tool_calls | length != 1 %}{{ raise_exception('only single calls') }}{% endif %}"
    "{% set f = m.tool_calls[0].function %}{{ '<|start|>assistant<|stop|>\n\n{\"name\": \"' + f.name + '\", ' }}"
    "{{ '\"parameters\": ' }}{{ f.arguments | tojson }}{{ '}<|eot|>' }}{% else %}"
    "{{ '<|start|>' + m.role + '<|stop|>\n\n' }}{% if loop.first and tools %}{{ 'You may call:' }}"
    "{% for t in tools %}{{ '\n' }}{{ t | tojson }}{% endfor %}{{ '\n\n' }}{% endif %}"
    "{{ m.content | trim + '<|eot|>' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start|>assistant<|stop|>\n\n' }}{% endif %}"
)
"""The role ipython, one call as JSON, as Llama 3 has it. It leaves out what a calling turn says."""
QWEN3_TOOLS = (
    "{% set ns = namespace(last=0) %}{% for m in messages %}{% if m.role == 'user' %}{% set ns.last = loop.index0 %}"
    "{% endif %}{% endfor %}" + _TOOLS + "{% for m in messages %}{% if m.role == 'tool' %}" + _RESULT + ""
    "{% elif m.role == 'assistant' %}{{ '<|im_start|>assistant\n' }}{% if loop.index0 > ns.last %}"
    "{{ '<think>\n' + (m.reasoning_content or '') + '\n</think>\n\n' }}{% endif %}{{ m.content }}" + _CALLS + ""
    "{{ '<|im_end|>\n' }}{% else %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endif %}"
    "{% endfor %}" + _ASK
)
"""Reasoning stands in the turns after the last question and is dropped from those before it, as Qwen 3 has it."""

WEATHER: dict[str, Any] = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
CALL = ToolCall(name="weather", arguments={"city": "Oslo", "days": 2}, id="c1")


def asked(text: str = "Weather in Oslo?") -> Message:
    """A user's turn."""
    return Message(role="user", content=text)


def calling(content: str = "", *calls: ToolCall, reasoning: str = "") -> Message:
    """A turn that calls tools."""
    return Message(role="assistant", content=content, tool_calls=calls or (CALL,), reasoning=reasoning)


def result(text: str = "3 C") -> Message:
    """What a tool gave."""
    return Message(role="tool", content=text, tool_call_id="c1")


def said(text: str = "3 degrees.", reasoning: str = "") -> Message:
    """An answer."""
    return Message(role="assistant", content=text, reasoning=reasoning)


def talk(*turns: Message, tools: tuple[dict[str, Any], ...] = (WEATHER,), **meta: Any) -> Conversation:
    """A demonstration."""
    return Conversation(messages=turns, tools=tools, meta=meta)
