import pytest
import torch
from torch import nn

from snellen.errors import DataError
from snellen.models.normalized import Classifier, Normalized


def test_each_channel_is_shifted_and_scaled_by_its_own_numbers():
    images = torch.tensor([0.5, 0.2]).view(1, 2, 1, 1).expand(3, 2, 4, 5)
    out = Normalized([0.4, 0.3], [0.1, 0.2])(images)
    assert out.shape == images.shape
    torch.testing.assert_close(out[0, :, 0, 0], torch.tensor([1.0, -0.5]))


def test_images_with_the_measured_statistics_come_out_with_mean_0_and_deviation_1():
    images = torch.rand(50, 3, 8, 8, generator=torch.Generator().manual_seed(0)) ** 2
    by_channel = images.transpose(0, 1).flatten(1)
    out = Normalized(by_channel.mean(1).tolist(), by_channel.std(1).tolist())(images).transpose(0, 1).flatten(1)
    torch.testing.assert_close(out.mean(1), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(out.std(1), torch.ones(3), atol=1e-5, rtol=0)


def test_the_statistics_are_saved_with_the_weights_but_never_trained():
    layer = Normalized([0.4], [0.1])
    assert {name: tuple(value.shape) for name, value in layer.state_dict().items()} == {"mean": (1,), "std": (1,)}
    assert list(layer.parameters()) == []


def test_a_classifier_is_its_network_on_normalised_images():
    net = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    model, images = Classifier(Normalized([0.4], [0.1]), net), torch.rand(3, 1, 2, 2)
    torch.testing.assert_close(model(images), net((images - 0.4) / 0.1))
    assert set(model.state_dict()) == {"normalize.mean", "normalize.std", "net.1.weight", "net.1.bias"}


@pytest.mark.parametrize("deviation", [0.0, -1.0, float("nan")])
def test_a_channel_without_spread_is_refused_by_number(deviation):
    with pytest.raises(DataError, match="Channel 1 "):
        Normalized([0.4, 0.5], [0.1, deviation])


def test_means_and_deviations_of_different_length_are_refused():
    with pytest.raises(DataError, match="2 channel means but 1"):
        Normalized([0.4, 0.5], [0.1])
