"""The Hugging Face hub: one upload of an exported model with its card, into a private repository.

It takes no rows. It uploads the folder that `snellen export --to safetensors` makes, with the card as README.md.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from snellen.errors import StorageError, UsageError
from snellen.runs.atomic import write_text
from snellen.runs.environment import redact_paths
from snellen.runs.run import Row
from snellen.trackers.tracker import Facts, Outcome

CARD = "README.md"
_FILES = (CARD, "model.safetensors", "model.json", "parity.json")
# No licence: that of the model is its owner's to choose.
_HEAD = "---\nlibrary_name: snellen\npipeline_tag: image-classification\ntags:\n- image-classification\n---\n\n"


class Hub:
    """Uploads the files of the outcome, all of one folder.

    Args:
        repository: "OWNER/NAME".
        public: make a new repository public; without it, one that is public already is refused.
    """

    def __init__(self, repository: str, *, public: bool = False) -> None:
        self._repository, self._public = repository, public
        self._name = ""

    def start(self, facts: Facts) -> int:
        """Note the run's name; rows are not wanted."""
        self._name = facts.name
        return sys.maxsize

    def row(self, row: Row, at: float) -> None:
        """Nothing: the hub keeps models, not curves."""

    def finish(self, outcome: Outcome) -> None:
        """Make the repository where there is none, and upload in one commit.

        Raises:
            UsageError: the repository exists and is public, and that was not asked for.
        """
        os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")  # read when the library is first imported
        from huggingface_hub import HfApi
        from huggingface_hub.errors import RepositoryNotFoundError
        from huggingface_hub.utils import disable_progress_bars

        disable_progress_bars()
        api = HfApi(library_name="snellen")
        try:
            found = api.model_info(self._repository)
        except RepositoryNotFoundError:
            api.create_repo(self._repository, private=not self._public)
        else:
            if not found.private and not self._public:
                raise UsageError(
                    f"{self._repository} exists and everybody can read it; nothing was sent. Choose another name, or "
                    "say --public."
                )
        api.upload_folder(
            repo_id=self._repository,
            folder_path=str(outcome.files[0].parent),
            allow_patterns=[path.name for path in outcome.files],
            commit_message=f"{self._name}, exported by Snellen",
        )

    def where(self) -> str:
        """The repository's address."""
        endpoint = os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")
        return f"{endpoint}/{self._repository}"


def files_to_upload(folder: Path) -> tuple[Path, ...]:
    """Write the card of an exported folder as the README of a hub repository; returns the files to upload.

    Raises:
        StorageError: the card cannot be read or written.
    """
    try:
        card = (folder / "MODEL_CARD.md").read_text(encoding="utf-8")
    except OSError as error:
        raise StorageError(f"{folder} has no MODEL_CARD.md to show on the hub ({error.strerror}).") from error
    write_text(folder / CARD, _HEAD + redact_paths(card))
    return tuple(folder / name for name in _FILES if (folder / name).exists())
