"""Fixtures that several tests share."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

import rtcompile
from rtcompile import runtime
from tests.emulation.forced import force_target, why_not
from tests.onnx_models import two_input_model

# Times differ between machines; no test is decided by one.
settings.register_profile("default", deadline=None, max_examples=50)
settings.load_profile("default")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--target", help="compile for this target, and emulate it if it is AArch64")


def pytest_configure() -> None:
    """A background job ignores interrupts, and so would the processes that tests interrupt."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the tests marked `long` out, unless `-m` names the mark: they have no time limit."""
    if "long" in config.option.markexpr:
        for item in items:
            item.add_marker(pytest.mark.timeout(0))
        return
    chosen = [item for item in items if item.get_closest_marker("long") is None]
    config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
    items[:] = chosen


@pytest.fixture(scope="session", autouse=True)
def _target(request: pytest.FixtureRequest) -> Iterator[None]:
    name = request.config.getoption("--target")
    with pytest.MonkeyPatch.context() as patch:
        if name:
            reason = why_not(name)
            assert reason is None, reason
            force_target(patch, name)
        yield


@pytest.fixture(scope="session")
def model_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return two_input_model(tmp_path_factory.mktemp("model") / "two_input.onnx")


@pytest.fixture(scope="session")
def artifact_path(model_path: Path) -> Path:
    path = model_path.with_suffix(".rtc")
    rtcompile.build(model_path, output=path)
    return path


@pytest.fixture
def ranker(artifact_path: Path) -> runtime.Ranker:
    return runtime.load(artifact_path)
