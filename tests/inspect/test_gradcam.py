"""Grad-CAM worked by hand on a network of one convolution and a mean."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from snellen.inspect.gradcam import grad_cam
from snellen.inspect.layers import Layer
from snellen.models.normalized import Classifier, Normalized

_LAYER = Layer("late", "net.0")


def colour_counter() -> Classifier:
    """Class 0 is "red minus green", class 1 the opposite, each averaged over the picture."""
    pick = nn.Conv2d(3, 2, 1, bias=False)
    head = nn.Linear(2, 2, bias=False)
    with torch.no_grad():
        pick.weight.copy_(torch.tensor([[1.0, 0, 0], [0, 1.0, 0]])[:, :, None, None])
        head.weight.copy_(torch.tensor([[1.0, -1.0], [-1.0, 1.0]]))
    net = nn.Sequential(pick, nn.AdaptiveAvgPool2d(1), nn.Flatten(), head)
    return Classifier(Normalized((0.0,) * 3, (1.0,) * 3), net).eval()


def red_left_green_right() -> torch.Tensor:
    picture = torch.zeros(1, 3, 4, 4)
    picture[0, 0, :, :2] = 1.0
    picture[0, 1, :, 2:] = 1.0
    return picture


def test_what_speaks_for_red_lies_where_red_is_and_nowhere_else() -> None:
    cam = grad_cam(colour_counter(), red_left_green_right(), torch.tensor([0]), (_LAYER,))["late"]
    # d logit / d map entry is 1/16 for red and -1/16 for green; the mean of it weighs the maps.
    expected = np.zeros((1, 4, 4))
    expected[0, :, :2] = 1 / 16
    np.testing.assert_allclose(cam, expected, atol=1e-7)


def test_the_other_class_gets_the_other_half() -> None:
    cam = grad_cam(colour_counter(), red_left_green_right(), torch.tensor([1]), (_LAYER,))["late"]
    assert (cam[0, :, 2:] > 0).all()
    assert (cam[0, :, :2] == 0).all()


def test_each_picture_of_a_batch_has_its_own_map() -> None:
    model, picture = colour_counter(), red_left_green_right()
    mirrored = picture.flip(-1)
    both = grad_cam(model, torch.cat([picture, mirrored]), torch.tensor([0, 0]), (_LAYER,))["late"]
    np.testing.assert_allclose(both[0], both[1][:, ::-1])


def test_frozen_weights_and_a_caller_without_gradients_are_no_hindrance() -> None:
    model = colour_counter().requires_grad_(False)
    with torch.no_grad():
        cam = grad_cam(model, red_left_green_right(), torch.tensor([0]), (_LAYER,))["late"]
    assert cam.max() > 0
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_network_without_maps_has_none() -> None:
    assert grad_cam(colour_counter(), red_left_green_right(), torch.tensor([0]), ()) == {}
