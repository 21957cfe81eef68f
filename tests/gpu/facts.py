"""Say what this machine is, and whether it has what the GPU's checks need.

    python tests/gpu/facts.py cuda

The exit code is 1 when the device or a package is missing.
"""

import datetime
import importlib
import platform
import shutil
import subprocess
import sys

# torch and torchvision bring numpy and pillow with them; the others may come as wheels.
NEEDED = (
    *("torch", "torchvision", "numpy", "PIL", "scipy", "sklearn", "skimage", "matplotlib"),
    *("safetensors", "tqdm", "rich", "pytest", "pytest_timeout"),
)


def packages() -> list[str]:
    """Print the version and the folder of each package; return those that cannot be imported."""
    missing = []
    for name in NEEDED:
        try:
            module = importlib.import_module(name)
        except Exception as error:  # a wheel for another Python can raise anything
            missing.append(name)
            print(f"{name:15}MISSING: {type(error).__name__}: {error}")
        else:
            print(f"{name:15}{getattr(module, '__version__', ''):15}{module.__file__}")
    return missing


def main(device: str) -> str:
    """Print the facts; return what is missing, or an empty string."""
    print(f"date: {datetime.datetime.now(datetime.UTC):%Y-%m-%d %H:%M} UTC")
    print(f"python: {platform.python_version()}, {platform.platform()}")
    if shutil.which("nvidia-smi"):
        subprocess.run(["nvidia-smi"], check=False)
    missing = packages()
    if "torch" in missing:
        return "torch cannot be imported."
    import torch

    print(f"torch: {torch.__version__}, CUDA {torch.version.cuda}")
    if torch.cuda.is_available():
        print(f"card: {torch.cuda.get_device_name()}")  # gpu_check.sh looks for this line
    elif device == "cuda":
        return "There is no GPU here (torch.cuda.is_available() is False)."
    return f"missing: {', '.join(missing)}" if missing else ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]) or 0)
