"""A trained model made ready for answering: batch normalisation folded into the convolutions, weights in bf16.

In eval mode a batch norm is a fixed scale and shift per channel, and a convolution can do both in passing. Max
pooling between the two does not hinder that where no scale is negative: the largest value stays the largest.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, fx, nn

from snellen.models.normalized import Classifier

_LINEAR = "torch", "snellen"
"""Whose convolutions are linear in their weight; those of others may standardise it in each pass."""


class FastClassifier(nn.Module):
    """Answers as the classifier it was made from, to within the rounding of its number format. It cannot be trained.

    Attributes:
        normalize: the classifier's first layer, always fp32.
        net: the network without batch norms, in `dtype`, channels_last.
        dtype: of weights and activations inside the network.
    """

    def __init__(self, normalize: nn.Module, net: nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        self.normalize, self.net, self.dtype = normalize, net, dtype

    def forward(self, images: Tensor) -> Tensor:
        """(N, C, H, W) float32 in [0, 1] -> logits (N, K) float32."""
        return self.activations(images).float()

    def activations(self, images: Tensor) -> Tensor:
        """(N, C, H, W) float32 in [0, 1] -> what comes out of the network, in `dtype`."""
        activations: Tensor = self.net(self.normalize(images).to(self.dtype))
        return activations


def optimize_for_inference(model: Classifier, *, bf16: bool) -> FastClassifier:
    """The fast form of a trained classifier: fused, channels_last, and in bf16 where asked for. `model` stays as it is.

    Weights are cast once. Under autocast each forward pass casts all of them again, which at batch 1 costs more than
    the arithmetic.
    """
    fused = fuse_batch_norm(model)
    dtype = torch.bfloat16 if bf16 else torch.float32
    net = fused.net.to(dtype).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return FastClassifier(fused.normalize, net, dtype).eval()


def made_fast(model: nn.Module) -> nn.Module:
    """A classifier as `optimize_for_inference` makes it, in fp32; what is none or cannot be traced, as it is."""
    if not isinstance(model, Classifier):
        return model
    try:
        return optimize_for_inference(model, bf16=False)
    except Exception:  # whatever a network's own code raises when it meets a symbol instead of a tensor
        return model


def fuse_batch_norm(model: Classifier) -> Classifier:
    """A copy in eval mode with `folded` batch norms."""
    return Classifier(copy.deepcopy(model.normalize), folded(model.net)).eval().requires_grad_(False)


def folded(net: nn.Module) -> fx.GraphModule:
    """A copy in eval mode whose batch norms are folded into the convolutions before them, where that is exact.

    Folded is a plain batch norm that follows a plain convolution directly, or through max pooling with positive scales.
    Others are left as they are, as are kinds of other libraries, which may do more than their name says. Values differ
    from the model's by rounding only. Hooks on what is not folded are copied too, and hear what the copy does.
    """
    net = copy.deepcopy(net).eval()
    traced = net if isinstance(net, fx.GraphModule) else fx.GraphModule(net, Tracer().trace(net))
    modules = dict(traced.named_modules())
    for node in list(traced.graph.nodes):
        norm = modules.get(str(node.target)) if node.op == "call_module" else None
        if not isinstance(norm, nn.BatchNorm2d) or not _is_plain(norm):
            continue
        conv = _convolution_before(node, norm, modules)
        if conv is None:
            continue
        _fold(conv, norm)
        node.replace_all_uses_with(node.args[0])
        traced.graph.erase_node(node)
    traced.delete_all_unused_submodules()
    traced.recompile()
    return traced.eval().requires_grad_(False)


class Tracer(fx.Tracer):
    """PyTorch's own, which follows any network down to its layers."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Every kind of batch norm and convolution stays one node: PyTorch knows only its own classes as leaves."""
        return isinstance(m, nn.BatchNorm2d | nn.Conv2d) or super().is_leaf_module(m, module_qualified_name)


def _is_plain(norm: nn.BatchNorm2d) -> bool:
    """Whether it normalises with kept statistics and does nothing else; timm's kind does an activation too."""
    return type(norm).forward is nn.BatchNorm2d.forward and norm.running_mean is not None


def _convolution_before(node: fx.Node, norm: nn.BatchNorm2d, modules: dict[str, nn.Module]) -> nn.Conv2d | None:
    """The convolution whose output is used by nothing but this norm, or None."""
    source = node.args[0]
    pooled = False
    while isinstance(source, fx.Node) and source.op == "call_module" and len(source.users) == 1:
        module = modules.get(str(source.target))
        if isinstance(module, nn.Conv2d):
            if type(module).__module__.partition(".")[0] not in _LINEAR:
                return None
            # Used twice in the network, it would be scaled for both.
            twice = sum(other.target == source.target for other in source.graph.nodes) > 1
            return None if twice or (pooled and not bool((_scale(norm) > 0).all())) else module
        if not isinstance(module, nn.MaxPool2d):
            return None
        pooled, source = True, source.args[0]
    return None


def _fold(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> None:
    scale, mean = _scale(norm), norm.running_mean
    assert mean is not None
    shift = torch.zeros_like(mean) if conv.bias is None else conv.bias.detach()
    shift = (shift - mean) * scale + (0 if norm.bias is None else norm.bias.detach())
    conv.weight = nn.Parameter(conv.weight.detach() * scale[:, None, None, None])
    conv.bias = nn.Parameter(shift)


def _scale(norm: nn.BatchNorm2d) -> Tensor:
    """(C,) float32: what each channel is multiplied by."""
    assert norm.running_var is not None
    scale = torch.rsqrt(norm.running_var + norm.eps)
    return scale if norm.weight is None else scale * norm.weight.detach()
