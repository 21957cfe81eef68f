"""What in an answer could forge a verdict: reported for a person to look at, never a failure.

A check shares its process with the answer that it checks. Who reaches for the interpreter itself
can forge what no test from outside can tell; but reaching for it takes names, and these are here.
"""

import ast
import re
from collections.abc import Iterator

# Modules that an answer may import without a question.
USUAL = """
abc collections contextlib copy dataclasses decimal enum fractions functools heapq itertools json
math matplotlib numpy pandas PIL random re scipy skimage sklearn statistics string time torch
torchvision tqdm transferlab typing warnings
"""
# Words that lead out of the answer: functions of Python, which are methods elsewhere (model.eval),
FUNCTIONS = """
breakpoint compile delattr eval exec getattr get_ipython globals input locals open setattr vars
"""
# and what does so as an attribute, too (torch.os).
REACHING = """
atexit attrgetter builtins ctypes ctypeslib faulthandler fromfile from_file gc importlib inspect io
linecache load_library marshal memmap mmap modules multiprocessing os pickle psutil resource
settrace setprofile shutil signal socket subprocess sys threading _getframe ag_frame cr_frame f_back
f_builtins f_globals f_locals gi_frame tb_frame tb_next
"""
DUNDER = re.compile(r"__\w+__")
HARMLESS = """
__init__ __post_init__ __len__ __getitem__ __iter__ __next__ __call__ __contains__ __repr__ __str__
__enter__ __exit__ __name__ __class__ __doc__
"""
usual, reaching, harmless = (set(words.split()) for words in (USUAL, REACHING, HARMLESS))
functions = set(FUNCTIONS.split())


def suspects(source: str) -> Iterator[str]:
    """Yield what a person should look at, such as "uses `sys`", each once."""
    try:
        tree = ast.parse(source)
    except Exception:  # it will not run either; the check says why
        return
    yield from dict.fromkeys(found for node in ast.walk(tree) for found in _in(node))


def _in(node: ast.AST) -> Iterator[str]:
    words: list[object] = [getattr(node, field, None) for field in ("id", "attr", "name", "arg")]
    if isinstance(node, ast.Import | ast.ImportFrom):
        module, names = getattr(node, "module", None), [alias.name for alias in node.names]
        for name in [module] if module else names:
            if name.partition(".")[0] not in usual or ".kit" in name:
                yield f"imports `{name}`"
        words = [word for name in names for word in name.split(".")]
    elif isinstance(node, ast.Constant):
        words = [node.value]
    elif isinstance(node, ast.Name) and node.id in functions:
        yield f"uses `{node.id}`"
    for word in words:
        is_special = isinstance(word, str) and DUNDER.fullmatch(word) and word not in harmless
        if is_special or (isinstance(word, str) and word in reaching):
            yield f"uses `{word}`"
