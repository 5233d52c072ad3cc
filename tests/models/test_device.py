"""What a processor says about itself, through whichever of PyTorch's two ways is there."""

import pytest
import torch

from snellen.models.device import has_instructions


@pytest.mark.parametrize("name", ["avx512_bf16", "amx_bf16"])
def test_older_pytorch_says_the_same_of_this_processor(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    here = has_instructions(name)
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert has_instructions(name) is here


def test_each_kind_is_asked_for_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True}, raising=False)
    assert (has_instructions("avx512_bf16"), has_instructions("amx_bf16")) == (True, False)
    monkeypatch.delattr(torch.cpu, "get_capabilities")
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: True)
    assert (has_instructions("avx512_bf16"), has_instructions("amx_bf16")) == (False, True)
