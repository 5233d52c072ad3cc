"""What every model in the catalog must do, and what asking for the wrong one says."""

import pytest
import torch
from tests.models.parameters import parameter_count
from torch import nn

from snellen.errors import InvalidSetting, UnknownName
from snellen.models.catalog import MODELS, ModelSpec, build, options_of

NAMES = sorted(MODELS)
OF_ANY_WIDTH = [name for name in NAMES if "widths" in options_of(name)]  # a published network has its own


def built(name, image_shape=(16, 16, 3), num_classes=4, seed=0, **options):
    """A model at a quarter of its own widths, which is quicker; the files of the models test the full ones."""
    channels = image_shape[2]
    if name in OF_ANY_WIDTH and not options:
        options["widths"] = tuple(width // 4 for width in options_of(name)["widths"])
    return build(ModelSpec(name, image_shape, num_classes, [0.5] * channels, [0.25] * channels, options), seed=seed)


def images_of(image_shape, count=6):
    height, width, channels = image_shape
    return torch.rand(count, channels, height, width, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("image_shape", "num_classes"), [((16, 16, 1), 2), ((16, 16, 3), 100), ((28, 28, 1), 10), ((17, 40, 3), 3)]
)
def test_logits_are_one_row_per_image_and_one_column_per_class(name, image_shape, num_classes):
    logits = built(name, image_shape, num_classes)(images_of(image_shape))
    assert logits.shape == (6, num_classes)
    assert logits.dtype == torch.float32
    assert torch.isfinite(logits).all()


@pytest.mark.parametrize("name", NAMES)
def test_evaluation_repeats_itself_and_no_image_depends_on_its_neighbours(name):
    model, images = built(name).eval(), images_of((16, 16, 3))
    with torch.no_grad():
        logits = model(images)
        assert torch.equal(logits, model(images))
        torch.testing.assert_close(model(images[2:3]), logits[2:3], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_the_gradient_reaches_every_parameter_that_is_trained(name):
    model = built(name, num_classes=4)
    nn.functional.cross_entropy(model(images_of((16, 16, 3), 16)), torch.arange(16) % 4).backward()
    untouched = [
        name
        for name, parameter in model.named_parameters()
        if parameter.requires_grad and (parameter.grad is None or not parameter.grad.any())
    ]
    assert untouched == []


@pytest.mark.parametrize("name", NAMES)
def test_channels_last_memory_gives_the_same_logits(name):
    model, images = built(name).eval(), images_of((16, 16, 3))
    with torch.no_grad():
        expected = model(images)
        model = model.to(memory_format=torch.channels_last)
        found = model(images.contiguous(memory_format=torch.channels_last))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_the_seed_decides_the_weights_and_nothing_else_does(name):
    first = built(name, seed=3).state_dict()
    torch.rand(7)  # moves the global generator
    again, other = built(name, seed=3).state_dict(), built(name, seed=4).state_dict()
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert any(not torch.equal(first[key], other[key]) for key in first)


@pytest.mark.parametrize("name", NAMES)
def test_building_leaves_the_global_generator_as_it_was(name):
    before = torch.random.get_rng_state()
    built(name)
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize("name", NAMES)
def test_weights_survive_a_state_dict(name):
    source, target, images = built(name, seed=1).eval(), built(name, seed=2).eval(), images_of((16, 16, 3))
    target.load_state_dict(source.state_dict())
    with torch.no_grad():
        assert torch.equal(source(images), target(images))


@pytest.mark.parametrize("name", OF_ANY_WIDTH)
def test_every_model_can_be_made_wider_or_narrower(name):
    own = options_of(name)["widths"]
    narrow, full = built(name, widths=tuple(width // 2 for width in own)), built(name, widths=own)
    assert narrow.state_dict().keys() == full.state_dict().keys()
    assert parameter_count(narrow) < parameter_count(full)


@pytest.mark.parametrize("name", OF_ANY_WIDTH)
def test_every_width_may_be_another_and_the_layers_still_fit(name):
    widths = tuple(4 * (place + 1) for place in range(len(options_of(name)["widths"])))
    assert built(name, widths=widths)(images_of((16, 16, 3), 2)).shape == (2, 4)


@pytest.mark.parametrize("name", OF_ANY_WIDTH)
def test_no_widths_means_the_models_own(name):
    own = built(name, widths=options_of(name)["widths"])
    assert parameter_count(built(name, widths=())) == parameter_count(own)


def test_options_reach_the_builder():
    assert "net.layer2.0.downsample.0.weight" in built("resnet18").state_dict()
    plain = built("resnet18", residual=False)
    assert "net.layer2.0.downsample.0.weight" not in plain.state_dict()


def test_an_unknown_model_is_answered_with_the_nearest_name():
    with pytest.raises(UnknownName, match=r"'resnet-18'\. Did you mean 'resnet18'"):
        built("resnet-18")


def test_an_unknown_option_is_answered_with_the_nearest_name():
    with pytest.raises(UnknownName, match=r"'residuals'\. Did you mean 'residual'"):
        built("resnet18", residuals=False)


@pytest.mark.parametrize("widths", [(16, 16), (16, 16, 32, 0)])
def test_widths_of_the_wrong_number_or_size_are_refused_with_the_models_own(widths):
    with pytest.raises(InvalidSetting, match=r"4 numbers of at least 1, such as its own \(64, 64, 128, 128\)"):
        built("small_cnn", widths=widths)


@pytest.mark.parametrize(
    ("image_shape", "num_classes", "sentence"),
    [
        ((16, 16, 4), 10, "4 channels"),
        ((15, 40, 3), 10, "15x40 px are too small"),
        ((16, 16, 3), 1, "at least 2 classes"),
    ],
)
def test_images_and_classes_that_no_model_can_take_are_refused_with_their_value(image_shape, num_classes, sentence):
    with pytest.raises(InvalidSetting, match=sentence):
        built("mlp", image_shape, num_classes)


def test_statistics_of_another_number_of_channels_are_refused():
    with pytest.raises(InvalidSetting, match="1 channels but 3 channel means"):
        build(ModelSpec("mlp", image_shape=(16, 16, 1), num_classes=2, mean=[0.5] * 3, std=[0.2] * 3), seed=0)
