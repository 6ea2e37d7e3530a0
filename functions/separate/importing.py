"""PyTorch imported in less time: what a start waits for, and has no use for, is left for later.

docs/decisions/2026-11-27-importing-pytorch.md says what that saves, and what else was tried.
"""

import gc
import inspect
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

METAS = "torch._meta_registrations"  # which shapes operators give, in Python: only compilers ask for them

_getmodule = inspect.getmodule


@contextmanager
def quickly() -> Iterator[None]:
    """Where PyTorch is imported for the first time. Nothing looks for garbage meanwhile: what is loaded stays.

    And `inspect`, which PyTorch asks for the modules that declare some of its operators, looks at no files for them.
    """
    finder, collects = Deferred(), gc.isenabled()
    sys.meta_path.insert(0, finder)
    inspect.getmodule = _module_of  # type: ignore[assignment]
    gc.disable()
    try:
        yield
    finally:
        inspect.getmodule = _getmodule
        sys.meta_path.remove(finder)
        if collects:
            gc.enable()


def _module_of(object_: Any, filename: str | None = None) -> ModuleType | None:
    """`inspect.getmodule`, which resolves the paths of all modules to find a frame's; the frame knows its name."""
    if inspect.isframe(object_):
        return sys.modules.get(object_.f_globals.get("__name__", ""))
    return _getmodule(object_, filename)


def complete() -> None:
    """For code that may compile or trace: it finds PyTorch as an ordinary import makes it."""
    getattr(sys.modules.get(METAS), "anything", None)


class Deferred(MetaPathFinder):
    """Finds METAS with a loader that leaves it for later."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        spec = PathFinder.find_spec(fullname, path, target) if fullname == METAS else None
        if spec and spec.loader:
            spec.loader = Later(spec.loader)
        return spec


class Later(Loader):
    """Loads a module when the first of its names is looked up.

    Not `importlib.util.LazyLoader`: that loads it as soon as `inspect` asks which file it is of, as PyTorch has it do.
    """

    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        def look(name: str) -> Any:
            del module.__getattr__
            self._loader.exec_module(module)
            return getattr(module, name)

        module.__getattr__ = look  # type: ignore[method-assign]
