"""`assent export --push`: an exported folder as a repository on the hub, private unless said otherwise."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from assent.core import hub
from assent.core.errors import UserError

if TYPE_CHECKING:
    from huggingface_hub import HfApi

_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_TOKEN = "set HF_TOKEN to a token of your account on the hub that may write"


@dataclass(frozen=True)
class Target:
    """Where a model goes."""

    name: str
    """OWNER/NAME."""
    is_public: bool = False

    @classmethod
    def of(cls, name: str, *, is_public: bool) -> Target:
        """Raises UserError where it names no repository."""
        if not _NAME.fullmatch(name) or "--" in name or ".." in name:
            raise UserError(f"--push {name!r} names no repository; say OWNER/NAME, such as ours/polite-model")
        return cls(name, is_public)


@dataclass(frozen=True)
class Hub:
    """The hub, with a token that it knows."""

    api: HfApi
    target: Target
    who: str
    """Whose token it is."""
    is_there: bool
    """Whether the repository exists already, as far as this token may see."""
    is_public: bool
    """What it is, or will be."""

    @classmethod
    def open(cls, target: Target) -> Hub:
        """Ask the hub who we are and what is there. Raises UserError saying what to do; nothing is changed."""
        if (away := hub.unreachable()) is not None:
            raise UserError(f"{away}; nothing was pushed: export with --to, and push when it can be reached")
        from huggingface_hub import HfApi, get_token
        from huggingface_hub.errors import RepositoryNotFoundError

        if get_token() is None:
            raise UserError(f"there is no token for the hub; {_TOKEN}")
        api = HfApi()
        with _refusals(target):
            who = str(api.whoami()["name"])
            try:
                known = api.repo_info(target.name)
            except RepositoryNotFoundError:
                return cls(api, target, who, is_there=False, is_public=target.is_public)
        if target.is_public and known.private:
            raise UserError(f"{target.name} is there and private; leave out --public, or open it in its settings")
        return cls(api, target, who, is_there=True, is_public=not known.private)

    def question(self, folder: Path) -> str:
        """What would be done, in a line."""
        sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
        seen = "public: everybody can read it" if self.is_public else "private"
        new = "which is there already: files of the same names are replaced" if self.is_there else "a new repository"
        return (
            f"push {len(sizes)} files, {sum(sizes) / 1e6:.1f} MB, as {self.who} to {self.target.name}, {new}, {seen};"
            " README.md and lineage.json tell settings and the names of data files"
        )

    def push(self, folder: Path) -> str:
        """Upload the folder and say where it is. Raises UserError where the hub refuses."""
        with _refusals(self.target):
            if not self.is_there:
                self.api.create_repo(self.target.name, private=not self.is_public, exist_ok=True)
            with _uploading():
                self.api.upload_folder(
                    repo_id=self.target.name, folder_path=folder, commit_message="Pushed by assent export"
                )
        return f"pushed to {self.api.endpoint}/{self.target.name}"


@contextlib.contextmanager
def _uploading() -> Iterator[None]:
    """What breaks amid an upload, as an OSError: each way of sending large files has errors of its own for it."""
    from huggingface_hub.errors import HfHubHTTPError

    try:
        yield
    except HfHubHTTPError:
        raise
    except (RuntimeError, ValueError) as error:
        why = error.__cause__ or error
        if isinstance(why, HfHubHTTPError):
            raise why from None
        raise OSError(f"{error} {why}" if why is not error else str(error)) from error


@contextlib.contextmanager
def _refusals(target: Target) -> Iterator[None]:
    """What the hub refuses, in a line that says what to do."""
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    try:
        yield
    except HFValidationError as error:
        raise UserError(f"--push {target.name}: {str(error).splitlines()[0]}") from None
    except HfHubHTTPError as error:
        status = None if error.response is None else error.response.status_code
        if status == 401:
            raise UserError(f"the hub does not know this token; {_TOKEN}") from None
        if status == 403:
            raise UserError(
                f"this token may not write to {target.name}; take one with write rights, or push below your own name"
            ) from None
        said = str(error).strip().splitlines()[0]
        raise UserError(f"the hub refused {target.name} ({said}); nothing is lost, push again later") from None
    except hub.faults() as error:
        said = " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"the connection to the hub broke ({said}); push again, what is there is taken up") from None
