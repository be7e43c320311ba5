"""Colours for code: a few classes, one per kind of word, with their rules in `static/code.css`.

Colour is never content: code in a language not listed here, too long, or too slow to read is shown plain.
"""

from __future__ import annotations

import functools
import re
import time
from html import escape

from pygments.lexer import Lexer
from pygments.lexers import get_lexer_by_name
from pygments.token import Comment, Error, Generic, Keyword, Literal, Name, Number, String, Token
from pygments.util import ClassNotFound

MAX_LENGTH = 20_000
"""Characters of one block of code."""
_COSTLY = re.compile(r"[^\n]{1000}|\s{200}")
"""Lines and stretches of white space on which some of the grammars take a time that grows with the square."""

CLASSES = {
    Comment: "hl-comment",
    Comment.Preproc: "hl-keyword",
    Keyword: "hl-keyword",
    Keyword.Constant: "hl-number",
    Keyword.Type: "hl-type",
    Literal: "hl-number",
    Number: "hl-number",
    String: "hl-string",
    Name.Builtin: "hl-builtin",
    Name.Class: "hl-type",
    Name.Exception: "hl-type",
    Name.Namespace: "hl-type",
    Name.Function: "hl-function",
    Name.Decorator: "hl-function",
    Name.Attribute: "hl-builtin",
    Name.Tag: "hl-keyword",
    Name.Entity: "hl-number",
    Generic.Heading: "hl-keyword",
    Generic.Subheading: "hl-keyword",
    Generic.Inserted: "hl-inserted",
    Generic.Deleted: "hl-deleted",
    Generic.Output: "hl-comment",
    Generic.Prompt: "hl-comment",
}
"""Class of each kind of word; a kind not named has its parent's."""
LANGUAGES = frozenset({
    "bash", "c", "clojure", "cmake", "console", "cpp", "csharp", "css", "dart", "diff", "docker", "elixir", "erlang",
    "fortran", "go", "graphql", "haskell", "html", "http", "ini", "java", "javascript", "json", "julia", "kotlin",
    "latex", "lisp", "lua", "make", "matlab", "nginx", "objective-c", "ocaml", "octave", "pascal", "perl", "php",
    "powershell", "protobuf", "python", "pycon", "r", "ruby", "rust", "scala", "scheme", "sql", "swift", "toml",
    "tsx", "typescript", "verilog", "vhdl", "vim", "xml", "yaml", "zig",
})  # fmt: skip
"""Names under which Pygments is asked, after `_ALIASES`."""
_ALIASES = {
    "c#": "csharp", "c++": "cpp", "cs": "csharp", "dockerfile": "docker", "golang": "go", "hs": "haskell",
    "js": "javascript", "jsx": "javascript", "jsonc": "json", "kt": "kotlin", "makefile": "make", "objc": "objective-c",
    "patch": "diff", "pl": "perl", "ps1": "powershell", "py": "python", "py3": "python", "python3": "python",
    "rb": "ruby", "rs": "rust", "sh": "bash", "shell": "bash", "svg": "xml", "tex": "latex", "ts": "typescript",
    "yml": "yaml", "zsh": "bash",
}  # fmt: skip


def language(info: str) -> str | None:
    """The language that a fence names, where it is one of ours."""
    word = info.strip().split(maxsplit=1)[0].lower() if info.strip() else ""
    word = _ALIASES.get(word, word)
    return word if word in LANGUAGES else None


@functools.cache
def lexer_of(name: str | None) -> Lexer | None:
    """What reads a language; loading it takes a moment the first time."""
    try:
        return get_lexer_by_name(name, stripnl=False, ensurenl=False) if name else None
    except ClassNotFound:
        return None


def highlight(code: str, lexer: Lexer | None, *, seconds: float) -> str:
    """HTML of a block of code; escaped text without colours where it has no lexer or takes longer than that."""
    until = time.thread_time() + seconds
    if lexer is None or len(code) > MAX_LENGTH or _COSTLY.search(code):
        return escape(code, quote=False)
    parts: list[str] = []
    for kind, text in lexer.get_tokens(code):
        if time.thread_time() > until:
            return escape(code, quote=False)
        name_of_class = _class(kind)
        shown = escape(text, quote=False)
        parts.append(f'<span class="{name_of_class}">{shown}</span>' if name_of_class and text.strip() else shown)
    return "".join(parts)


@functools.cache
def _class(kind: type[Token]) -> str | None:
    while kind is not Token and kind is not Error:
        if kind in CLASSES:
            return CLASSES[kind]
        kind = kind.parent
    return None
