"""Muon: updates of even strength in every direction, filters of fixed length."""

from __future__ import annotations

import math

import pytest
import torch

from snellen.train.optimizers import Muon, orthogonalise


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("shape", [(16, 16), (16, 72), (72, 16), (8, 400)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_all_singular_values_end_near_one(shape: tuple[int, int], dtype: torch.dtype) -> None:
    flat = orthogonalise(random(3, *shape), dtype=dtype)
    assert flat.shape == (3, *shape)
    values = torch.linalg.svdvals(flat.float())
    if shape[0] == shape[1]:  # a random square matrix has singular values near 0, which three steps cannot lift
        values = values[:, : shape[0] * 3 // 4]
    assert values.min() > 0.5
    assert values.max() < 1.5


def test_the_directions_are_those_of_the_nearest_orthogonal_matrix() -> None:
    matrix = random(1, 16, 72)
    u, _, v = torch.linalg.svd(matrix[0], full_matrices=False)
    flat = orthogonalise(matrix, dtype=torch.float32)[0]
    between = u.T @ flat @ v.T  # diagonal if and only if the singular vectors are kept
    assert (between - torch.diag(between.diagonal())).abs().max() < 1e-4


def test_the_length_of_the_gradient_does_not_matter() -> None:
    matrix = random(2, 8, 72)
    small, large = (orthogonalise(matrix * scale, dtype=torch.float32) for scale in (1.0, 1000.0))
    torch.testing.assert_close(small, large, rtol=1e-4, atol=1e-5)


def test_a_zero_gradient_is_a_zero_update_and_no_nan() -> None:
    assert torch.equal(orthogonalise(torch.zeros(1, 8, 72)), torch.zeros(1, 8, 72, dtype=torch.bfloat16))


def test_one_step_is_the_one_written_by_hand() -> None:
    weight, gradient = random(8, 3, 3, 3), random(8, 3, 3, 3, seed=1)
    parameter = torch.nn.Parameter(weight.clone())
    optimizer = Muon([parameter], lr=0.2, momentum=0.6, weight_decay=0.1)
    buffer = torch.zeros_like(weight)
    expected = weight.clone()
    for _ in range(3):
        parameter.grad = gradient.clone()
        optimizer.step()
        buffer = 0.6 * buffer + gradient
        direction = gradient + 0.6 * buffer
        expected = expected * (math.sqrt(8) / expected.norm())
        expected = expected - 0.2 * orthogonalise(direction.reshape(1, 8, 27))[0].reshape(8, 3, 3, 3).float()
        expected = expected * (1 - 0.2 * 0.1)
    torch.testing.assert_close(parameter.detach(), expected)


def test_a_frozen_filter_is_left_as_it_is() -> None:
    moving, frozen = (torch.nn.Parameter(random(4, 3, 3, 3, seed=seed)) for seed in (0, 1))
    before = frozen.detach().clone()
    optimizer = Muon([moving, frozen])
    for _ in range(2):
        moving.grad = random(4, 3, 3, 3, seed=2)
        optimizer.step()
    assert torch.equal(frozen, before)
    assert not torch.equal(moving, random(4, 3, 3, 3))


def test_filters_of_one_shape_do_not_disturb_each_other() -> None:
    def after(*seeds: int) -> list[torch.Tensor]:
        filters = [torch.nn.Parameter(random(4, 3, 3, 3, seed=seed)) for seed in seeds]
        for number, each in enumerate(filters):
            each.grad = random(4, 3, 3, 3, seed=10 + seeds[number])
        Muon(filters).step()
        return [each.detach() for each in filters]

    together, alone = after(0, 1), [after(0)[0], after(1)[0]]
    for one, other in zip(together, alone, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("setting", [{"lr": -1.0}, {"momentum": 1.0}, {"momentum": -0.1}, {"weight_decay": -0.1}])
def test_impossible_settings_are_refused(setting: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="bad setting"):
        Muon([torch.nn.Parameter(random(4, 3, 3, 3))], **setting)  # type: ignore[arg-type]


def test_what_is_no_filter_is_refused() -> None:
    with pytest.raises(ValueError, match="4-D"):
        Muon([torch.nn.Parameter(random(4, 3, 3, 3)), torch.nn.Parameter(random(4, 3))])


def test_nothing_of_a_setting_is_a_setting() -> None:
    filters = torch.nn.Parameter(random(4, 3, 3, 3))
    filters.grad = random(4, 3, 3, 3, seed=1)
    Muon([filters], lr=0.0, momentum=0.0, weight_decay=0.0).step()
    torch.testing.assert_close(filters.detach(), random(4, 3, 3, 3) * 2 / random(4, 3, 3, 3).norm())
