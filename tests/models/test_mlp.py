import pytest
import torch
from tests.models.parameters import parameter_count

from snellen.models.small_networks import MLP


@pytest.mark.parametrize(
    ("widths", "expected"),
    [((512,), 3072 * 512 + 512 + 512 * 10 + 10), ((8,), 3072 * 8 + 8 + 8 * 10 + 10)],
)
def test_it_has_two_linear_layers_with_biases_and_nothing_else(widths, expected):
    assert parameter_count(MLP((32, 32, 3), 10, widths=widths)) == expected


def test_its_default_has_512_units():
    assert parameter_count(MLP((32, 32, 3), 10)) == 1_578_506


def test_it_does_not_know_which_pixels_are_neighbours():
    net, images = MLP((16, 16, 1), 3), torch.rand(4, 1, 16, 16)
    order = torch.randperm(256, generator=torch.Generator().manual_seed(0))
    shuffled_images = images.flatten(1)[:, order].view(4, 1, 16, 16)
    expected = net(images)
    with torch.no_grad():
        net.hidden.weight.copy_(net.hidden.weight[:, order])
    torch.testing.assert_close(net(shuffled_images), expected)
