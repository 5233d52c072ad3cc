"""What a processor says about itself, through whichever of PyTorch's two ways is there."""

import pytest
import torch

from snellen.models.device import has_instructions, threads


def test_older_pytorch_says_the_same_of_this_processor() -> None:
    assert has_instructions("avx512_bf16") is torch.cpu._is_avx512_bf16_supported()
    assert has_instructions("amx_bf16") is torch.cpu._is_amx_tile_supported()


def test_each_kind_is_asked_for_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True}, raising=False)
    assert (has_instructions("avx512_bf16"), has_instructions("amx_bf16")) == (True, False)
    monkeypatch.delattr(torch.cpu, "get_capabilities")
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: True)
    assert (has_instructions("avx512_bf16"), has_instructions("amx_bf16")) == (False, True)


@pytest.mark.parametrize("count", [None, 3])
def test_threads_are_those_asked_for_inside_and_those_of_before_afterwards(count):
    before = torch.get_num_threads()
    with pytest.raises(ValueError, match="inside"), threads(count):
        assert torch.get_num_threads() == (count or before)
        torch.set_num_threads(before + 1)  # as another library may
        raise ValueError("inside")
    assert torch.get_num_threads() == before
