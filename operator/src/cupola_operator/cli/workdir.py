"""What lies in a work directory of `cupola run`, for the commands that only look at it.

Objects are replaced atomically there, so they may be read while a run goes on.
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Annotated
from urllib.parse import unquote

import typer

from cupola_api.kinds import KINDS
from cupola_operator.cluster import Object, key_of
from cupola_operator.local.mirror import Mirror, MirrorBroken

DEFAULT = Path(".cupola")

Option = Annotated[
    Path,
    typer.Option("--workdir", envvar="CUPOLA_WORKDIR", help="The work directory of `cupola run`."),
]
Namespace = Annotated[str, typer.Option("--namespace", "-n", help="The namespace of the resource.")]


class NotThere(Exception):
    """What was asked for is not there; a sentence says what is."""


class Workdir:
    """The objects and files of one work directory."""

    def __init__(self, folder: Path) -> None:
        """Raises NotThere if `cupola run` never worked in the folder."""
        self.folder = folder
        if not (folder / "objects").is_dir():
            there = "holds no objects of cupola run" if folder.is_dir() else "is no folder"
            what = there if folder.exists() else "does not exist"
            raise NotThere(
                f"{folder} {what}; name the folder that cupola run was given with --workdir, or set "
                "CUPOLA_WORKDIR"
            )

    @cached_property
    def _objects(self) -> list[Object]:
        return Mirror(self.folder).read()

    def everything(self) -> list[Object]:
        """All objects, of all kinds and namespaces. Raises MirrorBroken."""
        return list(self._objects)

    def objects(
        self, kind: str, namespace: str | None, labels: Mapping[str, str] | None = None
    ) -> list[Object]:
        """Objects of a kind whose labels include `labels`, sorted by name; None: of all namespaces."""
        found = [
            value
            for value in self._objects
            if value["kind"] == kind
            and namespace in (None, key_of(value).namespace)
            and (labels or {}).items() <= (value["metadata"].get("labels") or {}).items()
        ]
        return sorted(found, key=lambda value: str(value["metadata"]["name"]))

    def get(self, kind: str, namespace: str, name: str) -> Object | None:
        """The object of that name, or None."""
        found = self.objects(kind, namespace)
        return next((value for value in found if value["metadata"]["name"] == name), None)

    def events(self, value: Object) -> list[Object]:
        """The kept Events of a resource, oldest first; not those of an earlier one of its name."""
        key = key_of(value)
        subject = {**key._asdict(), "uid": value["metadata"].get("uid")}
        return [
            event
            for event in Mirror(self.folder).read_events()
            if isinstance(event, dict) and event.get("involvedObject") == subject
        ]

    def resolve(self, text: str, namespace: str, kinds: Sequence[str] = tuple(KINDS)) -> Object:
        """The resource that `NAME` or `KIND/NAME` means. Raises NotThere, also if several are meant."""
        found = self.candidates(text, namespace, kinds)
        if len(found) > 1:
            choices = " or ".join(str(key_of(value)) for value in found)
            raise NotThere(f"{text} may mean several resources; write {choices}")
        return found[0]

    def candidates(
        self, text: str, namespace: str, kinds: Sequence[str] = tuple(KINDS)
    ) -> list[Object]:
        """The resources, one or more, that `NAME` or `KIND/NAME` may mean. Raises NotThere."""
        prefix, slash, name = text.rpartition("/")
        if slash:
            kinds = [kind_of(prefix, kinds)]
        there = [value for kind in kinds for value in self.objects(kind, namespace)]
        found = [value for value in there if value["metadata"]["name"] == name]
        if found:
            return found
        what = kinds[0] if len(kinds) == 1 else "resource"
        where = f"in namespace {namespace} of {self.folder}"
        names = [str(value["metadata"]["name"]) for value in there]
        near = set(difflib.get_close_matches(name, names, n=3))
        shown = [str(key_of(v)) for v in there if v["metadata"]["name"] in near or not near]
        if not shown:
            raise NotThere(f"there is no {what} {name} {where}, nor any other")
        if near:
            raise NotThere(f"there is no {what} {name} {where}; did you mean {' or '.join(shown)}?")
        raise NotThere(f"there is no {what} {name} {where}; there is {', '.join(shown[:_SHOWN])}")


_SHOWN = 8


def kind_of(word: str, kinds: Sequence[str] = tuple(KINDS)) -> str:
    """The kind that a word names: by kind, singular, plural or short name, in any case.

    Raises NotThere for a word that names none of `kinds`.
    """
    words = {
        known: kind
        for kind in kinds
        for known in (kind.lower(), KINDS[kind].plural, KINDS[kind].short)
    }
    word = word.lower().removesuffix(".cupola.dev")
    if word in words:
        return words[word]
    near = difflib.get_close_matches(word, words, n=1)
    guess = f"did you mean {words[near[0]]}?" if near else f"write one of {', '.join(kinds)}"
    raise NotThere(f"{word!r} is no kind here; {guess}")


def local_folder(uri: str) -> Path:
    """The folder of an artifact. Raises NotThere for one that is not on this machine."""
    folder = Path(unquote(uri.removeprefix("file://")))
    if not uri.startswith("file:///"):
        raise NotThere(f"{uri} is not on this machine; copy it to a folder")
    if not folder.is_dir():
        raise NotThere(f"{folder} is gone; raise spec.revision to make it again")
    return folder


@contextmanager
def sentences() -> Iterator[None]:
    """Say in one sentence what is not there or cannot be read, and end with exit code 1."""
    try:
        yield
    except (NotThere, MirrorBroken) as error:
        print(error, file=sys.stderr)
    except BrokenPipeError:
        raise  # the reader of a pipe (`| head`) has seen enough; click ends quietly
    except OSError as error:
        print(f"{error.filename or 'a file'}: {error.strerror}", file=sys.stderr)
    else:
        return
    raise typer.Exit(1)
