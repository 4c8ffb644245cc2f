"""Dense layers with what exporters make of activations, gates and residuals behind them."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest

from rtcompile import BuildOptions, build, runtime

torch = pytest.importorskip("torch", reason="the layers are torch's (extra: torch)")
nn = torch.nn

# What all of them share takes half a minute to compile.
pytestmark = pytest.mark.slow

ROWS = (1, 7, 100)


class Dice(nn.Module):
    """As in deepctr: alpha (1 - p) x + p x, p = sigmoid(bn(x))."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(width)
        self.alpha = nn.Parameter(torch.linspace(-0.5, 0.5, width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        p = torch.sigmoid(self.norm(x))
        return self.alpha * (1 - p) * x + p * x


def _activations(width: int) -> list[nn.Module]:
    return [
        *(nn.LeakyReLU(0.1), nn.PReLU(), nn.PReLU(width), nn.GELU(), nn.GELU("tanh"), nn.SiLU()),
        *(nn.Hardsigmoid(), nn.Hardswish(), nn.Softplus(), nn.ELU(), nn.SELU(), nn.ReLU6()),
        *(nn.Mish(), nn.Tanh(), Dice(width), nn.BatchNorm1d(width)),
    ]


class Layers(nn.Module):
    """A layer for each activation, then a residual, a gate, a cross layer and a gate of one."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.activations = nn.ModuleList(_activations(width))
        self.layers = nn.ModuleList(nn.Linear(width, width) for _ in self.activations)
        self.plain, self.other = nn.Linear(width, width), nn.Linear(width, width)
        self.one = nn.Linear(width, 1)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        found = [a(layer(x)) for a, layer in zip(self.activations, self.layers, strict=True)]
        residual = torch.relu(self.plain(x) + x)
        gated = self.plain(x) * torch.sigmoid(self.other(x))
        return (*found, residual, gated, x * self.plain(x) + x, self.plain(x) * self.one(x))


@pytest.fixture(scope="module", params=[2, 3, 20])
def built(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[nn.Module, Path, int]:
    width, folder = int(request.param), tmp_path_factory.mktemp("epilogues")
    torch.manual_seed(width)
    module = Layers(width).eval()
    for name, buffer in module.named_buffers():
        if "running" in name:
            buffer.uniform_(0.5, 1.5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module,
            (torch.randn(3, width),),
            str(folder / "m.onnx"),
            input_names=["x"],
            dynamic_axes={"x": {0: "n"}},
            dynamo=False,
        )
    build(folder / "m.onnx", BuildOptions(verify=False), output=folder / "m.rtc")
    return module, folder / "m.rtc", width


@pytest.mark.parametrize("rows", ROWS)
def test_layers_have_the_original_values(built: tuple[nn.Module, Path, int], rows: int) -> None:
    module, artifact, width = built
    x = np.random.default_rng(rows).normal(0, 3, (rows, width)).astype(np.float32)
    with torch.no_grad():
        wanted = module(torch.from_numpy(x))
    got = runtime.load(artifact).predict({"x": x})
    for index, (name, value) in enumerate(got.items()):
        error = f"output {index}, {name}"
        reference = wanted[index].numpy()
        np.testing.assert_allclose(value, reference, rtol=2e-5, atol=2e-5, err_msg=error)


def test_nothing_runs_beside_the_layers(built: tuple[nn.Module, Path, int]) -> None:
    _, artifact, _ = built
    (stage,) = runtime.load(artifact).manifest["stages"].values()
    # A layer that several read is computed once, and stays whole: three more operators.
    assert stage["calls"] <= len(_activations(2)) + 8
