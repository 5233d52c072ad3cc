"""A network trained in a blink, with all that a transfer meets: norms, dropout, an activation that writes in place."""

from __future__ import annotations

from torch import Tensor, nn

from snellen.recipes.recipe import AdamW, Augment, Finetune, Recipe


class Thin(nn.Module):
    """Three thin convolutions, an activation that writes into what it is given, and dropout."""

    def __init__(self, image_shape: tuple[int, int, int], num_classes: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(image_shape[2], 4, 3, 2, 1, bias=False)
        self.norm = nn.BatchNorm2d(4)
        self.act = nn.Hardswish(inplace=True)
        self.second = nn.Sequential(nn.Conv2d(4, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU())
        self.third = nn.Sequential(nn.Conv2d(8, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU())
        self.drop = nn.Dropout(0.2)
        self.fc = nn.Linear(8, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.third(self.second(self.act(self.norm(self.first(x)))))
        logits: Tensor = self.fc(self.drop(x.mean((2, 3))))
        return logits


FINETUNE = Finetune(frozen="net.second", versions=2, fixed_norms=True, head_penalty=1.0)


def transfer_of(tiny_recipe: Recipe) -> Recipe:
    """For `Thin` under the name "thin": 4 steps an epoch of the tiny data set, 10 in all."""
    return tiny_recipe.replace(
        model="thin",
        widths=(),
        epochs=2.5,
        batch_size=64,
        optimizer=AdamW(lr=1e-2, weight_decay=0.05),
        augment=Augment(resized_crop=0.25, resized_crop_side=0.75, flip="random"),
        finetune=FINETUNE,
    )
