"""A network cut in two behind one of its parts: what is before it, made fast, and what is behind it, still trained.

The graph is PyTorch's own (`torch.fx`), so any network can be cut that it can trace and through whose cut a single
tensor passes: ours, and those of timm and torchvision.
"""

from __future__ import annotations

from torch import fx, nn

from snellen.errors import InvalidSetting
from snellen.models.fuse import FastClassifier, Tracer, optimize_for_inference
from snellen.models.normalized import Classifier


def before(model: Classifier, part: str, *, bf16: bool) -> FastClassifier:
    """Images to what `part` makes of them, batch norms folded, in bf16 where asked for; a copy, which cannot learn.

    Args:
        model: is left as it is.
        part: the path of a module, such as "net.blocks.11".
        bf16: the format of arithmetic and result.

    Raises:
        InvalidSetting: there is no such part, or the network cannot be cut behind it.
    """
    traced, cut = _traced(model, part, training=False)
    graph = traced.graph
    for node in list(graph.nodes):
        if node.op == "output":
            graph.erase_node(node)
    graph.output(cut)
    graph.eliminate_dead_code()
    return optimize_for_inference(Classifier(model.normalize, _module(traced)), bf16=bf16)


def behind(model: Classifier, part: str, *, training: bool) -> nn.Module:
    """What `part` makes of images to logits (B, K). It has the model's own parameters and buffers, not copies.

    Args:
        model: that is trained.
        part: as in `before`.
        training: whether dropout and the like are as in training, where the network asks for that in its own words.

    Raises:
        InvalidSetting: as `before`.
    """
    traced, cut = _traced(model, part, training=training)
    graph = traced.graph
    with graph.inserting_after(cut):
        given = graph.placeholder("activations")
    cut.replace_all_uses_with(given)
    graph.eliminate_dead_code()
    for node in list(graph.nodes):
        if node.op == "placeholder" and node is not given:
            if node.users:
                raise _uncut(part, "more than one tensor passes there")
            graph.erase_node(node)
    return _module(traced).train(training)


def parts_of(model: Classifier) -> list[str]:
    """Paths of all modules that the network can be asked to be cut behind, first to last."""
    return [f"net.{name}" for name, _ in model.net.named_modules() if name]


def _traced(model: Classifier, part: str, *, training: bool) -> tuple[fx.GraphModule, fx.Node]:
    """The network's graph, with its own modules, and the node whose value is what `part` gives."""
    name = part.removeprefix("net.")
    if part not in parts_of(model):
        tops = [f"net.{each}" for each, _ in model.net.named_children()]
        raise InvalidSetting(
            f"finetune.frozen={part!r} is no part of this network. Its parts begin with {', '.join(tops)}."
        )
    was = model.net.training
    try:
        model.net.train(training)
        tracer = Tracer()
        graph = tracer.trace(model.net)
    except Exception as error:  # whatever a network's own code raises when it meets a symbol instead of a tensor
        raise _uncut(part, " ".join(str(error).split())[:160]) from error
    finally:
        model.net.train(was)
    inside = [node for node in graph.nodes if any(path == name for path, _ in _stack(node))]
    if not inside:
        raise _uncut(part, "it is not used")
    return fx.GraphModule(model.net, graph), inside[-1]


def _stack(node: fx.Node) -> list[tuple[str, object]]:
    return list(node.meta.get("nn_module_stack", {}).values())


def _module(traced: fx.GraphModule) -> fx.GraphModule:
    made = fx.GraphModule(traced, traced.graph)  # with what its graph still uses, and no parameter beside
    made.graph.lint()
    return made


def _uncut(part: str, why: str) -> InvalidSetting:
    return InvalidSetting(
        f"The network cannot be cut behind finetune.frozen={part!r} ({why}). Name another part, or leave it empty to "
        "train everything: --set finetune.frozen="
    )
