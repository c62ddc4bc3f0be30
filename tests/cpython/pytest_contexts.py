"""A plugin of pytest: the body of each test function runs in a context.

    python -m pytest -p pytest_contexts ...

Fixtures are made on the main side; what of them a test changes is refused.
"""
import parallel
import pytest


def run_in_context(func, kwargs):
    assert parallel.is_parallel_thread()
    func(**kwargs)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    names = pyfuncitem._fixtureinfo.argnames
    kwargs = {name: pyfuncitem.funcargs[name] for name in names}
    with parallel.Executor() as executor:
        executor.submit(run_in_context, pyfuncitem.obj, kwargs).result()
    return True
