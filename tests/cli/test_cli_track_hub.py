"""The real client uploads to a small server on this machine: what is sent, where to, and only when it was asked for."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.trackers.hub_server import HubServer

from snellen.export.safetensors_file import load_folder
from snellen.runs.run import Run

pytest.importorskip("huggingface_hub", reason="huggingface_hub is not installed: pip install 'snellen[hub]'")

Snellen = Callable[..., Any]
SENT = {"README.md", "model.safetensors", "model.json", "parity.json"}


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Any]:
    """A hub with these repositories (name: private), which the client takes for the real one."""
    from huggingface_hub import constants

    monkeypatch.setenv("HF_TOKEN", "hf_test")
    monkeypatch.setattr(constants, "HF_XET_CACHE", str(tmp_path / "xet"))

    @contextmanager
    def serve(**repositories: bool) -> Iterator[HubServer]:
        with HubServer({name.replace("__", "/"): private for name, private in repositories.items()}) as server:
            monkeypatch.setenv("HF_ENDPOINT", server.url)
            monkeypatch.setattr(constants, "ENDPOINT", server.url)  # it was read when the library was imported
            thread = threading.Thread(target=server.serve_forever)
            thread.start()
            try:
                yield server
            finally:
                server.shutdown()
                thread.join()

    return serve


def test_without_yes_everything_is_prepared_and_nothing_is_sent(snellen: Snellen, own_run: Run, hub: Any) -> None:
    with hub() as server:
        answer = snellen("track", own_run.folder, "--to", "hub:ada/eye")
        assert answer.code == 1
        assert f"nothing was sent. To {server.url}/ada/eye (private if it is new): the same command with --yes" in (
            answer.out
        )
        assert server.requests == []
    for name in SENT:
        assert name in answer.out
        assert (own_run.folder / "hub" / name).is_file()


def test_with_yes_the_export_and_its_card_are_in_a_new_private_repository(
    snellen: Snellen, own_run: Run, hub: Any, tmp_path: Path
) -> None:
    with hub() as server:
        answer = snellen("track", own_run.folder, "--to", "hub:ada/eye", "--yes", "--json")
        assert (answer.code, answer.err) == (0, "")
        assert server.repositories == {"ada/eye": True}
        assert "Bearer hf_test" in server.tokens
        assert server.messages == ["tiny, exported by Snellen"]
    assert answer.json[0]["sent"] is True
    assert set(server.files) == SENT
    (tmp_path / "down").mkdir()
    for name, content in server.files.items():
        assert content == (own_run.folder / "hub" / name).read_bytes()
        (tmp_path / "down" / name).write_bytes(content)
    assert server.files["model.safetensors"] == (own_run.folder / "weights.safetensors").read_bytes()
    assert load_folder(tmp_path / "down") is not None


def test_the_card_is_the_runs_and_names_no_folder_of_this_machine(snellen: Snellen, own_run: Run, hub: Any) -> None:
    environment = own_run.read("environment.json")
    own_run.write("environment.json", environment | {"command": "snellen train /mnt/patients/eyes --seed 3"})
    with hub() as server:
        snellen("track", own_run.folder, "--to", "hub:ada/eye", "--yes")
    card = server.files["README.md"].decode()
    assert card.startswith("---\nlibrary_name: snellen\npipeline_tag: image-classification\n")
    assert "# tiny" in card
    assert "n=30" in card
    assert "`snellen train eyes --seed 3`" in card
    for name, content in server.files.items():
        for private in (str(own_run.folder.parent), "/mnt/patients"):
            assert private.encode() not in content, name
    assert json.loads(server.files["model.json"])["weights"] == "model.safetensors"


def test_a_repository_that_everybody_reads_is_refused_unless_public_is_said(
    snellen: Snellen, own_run: Run, hub: Any
) -> None:
    with hub(ada__open=False) as server:
        answer = snellen("track", own_run.folder, "--to", "hub:ada/open", "--yes")
        assert answer.code == 2
        assert "ada/open exists and everybody can read it; nothing was sent." in answer.err
        assert (server.files, [line for line in server.requests if line.startswith("POST")]) == ({}, [])
        assert snellen("track", own_run.folder, "--to", "hub:ada/open", "--yes", "--public").code == 0
        assert set(server.files) == SENT


def test_public_makes_a_new_repository_public(snellen: Snellen, own_run: Run, hub: Any) -> None:
    with hub() as server:
        assert snellen("track", own_run.folder, "--to", "hub:ada/eye", "--yes", "--public").code == 0
        assert server.repositories == {"ada/eye": False}


def test_a_hub_that_refuses_is_one_sentence(snellen: Snellen, own_run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("HF_TOKEN", "hf_test")
    answer = snellen("track", own_run.folder, "--to", "hub:ada/eye", "--yes", "--json")
    assert answer.code == 1
    assert answer.json["error"].startswith("hub:ada/eye did not take tiny:")


def test_a_run_that_is_not_finished_is_not_uploaded(snellen: Snellen, own_run: Run, hub: Any) -> None:
    own_run.update_info(status="interrupted")
    with hub() as server:
        answer = snellen("track", own_run.folder, "--to", "hub:ada/eye", "--yes")
        assert (answer.code, server.requests) == (1, [])
    assert "is not finished" in answer.err
