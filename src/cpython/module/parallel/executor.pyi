from collections.abc import Callable
from concurrent import futures
from typing import Any, Literal, ParamSpec, TypeVar

_P = ParamSpec("_P")
_R = TypeVar("_R")

class Executor(futures.Executor):
    def __init__(
        self, *, memory: Literal["auto", "arena", "counted"] = "auto"
    ) -> None: ...
    def submit(
        self, fn: Callable[_P, _R], /, *args: _P.args, **kwargs: _P.kwargs
    ) -> futures.Future[_R]: ...
    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None: ...
