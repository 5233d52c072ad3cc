"""Which parameters learn at which time: a recipe's freezes, and the head alone at the beginning of a fine-tuning."""

from __future__ import annotations

from torch import nn

from snellen.models.normalized import Classifier
from snellen.recipes.recipe import Recipe


def trainable_names(model: Classifier) -> frozenset[str]:
    """The parameters that the network itself means to train, asked before anything is frozen."""
    return frozenset(name for name, parameter in model.named_parameters() if parameter.requires_grad)


def apply_freezing(model: Classifier, recipe: Recipe, trainable: frozenset[str], *, done: float) -> bool:
    """Mark what learns from here on.

    Args:
        model: of the training.
        recipe: whose freezes and fine-tuning apply.
        trainable: from `trainable_names`; what is not among them never learns.
        done: fraction of all steps made.

    Returns:
        Whether that is other than before.
    """
    if not recipe.freezes and recipe.finetune is None:
        return False
    stopped = tuple(freeze.prefix for freeze in recipe.freezes if done >= freeze.after)
    head_only = recipe.finetune is not None and done < recipe.finetune.head_only
    head = parts(model)[-1][0] + "." if head_only else ""
    changed = False
    for name, parameter in model.named_parameters():
        learns = name in trainable and name.startswith(head) and not name.startswith(stopped or ("\0",))
        changed |= learns != parameter.requires_grad
        parameter.requires_grad_(learns)
    return changed


def parts(model: Classifier) -> list[tuple[str, nn.Module]]:
    """The network's top-level parts that have parameters, first to last, with their paths; the last one is the head."""
    children = model.net.named_children()
    return [(f"net.{name}", part) for name, part in children if any(True for _ in part.parameters())]
