"""What a sweep on the command line lets Optuna draw from."""

import re

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from hydra_plugins.sprig_optuna import _distribution


def drawn_from(override: str) -> object:
    import optuna

    return _distribution(OverridesParser.create().parse_override(override), optuna.distributions)


@pytest.mark.parametrize(
    ("override", "distribution"),
    [
        ("model=tiny,small", CategoricalDistribution(["tiny", "small"])),
        ("a=choice(1,2)", CategoricalDistribution(["1", "2"])),
        ("a=range(2,9,3)", IntDistribution(2, 8, step=3)),
        ("a=tag(log,range(1,9))", IntDistribution(1, 8, log=True)),
        ("a=range(0.5,2,0.5)", FloatDistribution(0.5, 1.5, step=0.5)),
        ("a=range(0.1,0.2,0.5)", CategoricalDistribution(["0.1"])),
        ("a=range(3,4)", CategoricalDistribution(["3"])),
        ("a=interval(0.1,2)", FloatDistribution(0.1, 2.0)),
        ("a=tag(log,interval(0.1,2))", FloatDistribution(0.1, 2.0, log=True)),
    ],
)
def test_what_optuna_draws_from(override: str, distribution: object) -> None:
    assert drawn_from(override) == distribution


@pytest.mark.parametrize(
    ("override", "ends"),
    [("optim.lr=tag(log,range(0.001,0.1,0.001))", "0.001, 0.1"), ("a=tag(log,range(8,129,8))", "8, 129")],
)
def test_a_range_with_steps_is_not_searched_as_if_log_had_not_been_said(override: str, ends: str) -> None:
    with pytest.raises(ValueError, match=re.escape(f"has steps, and log has none: tag(log, interval({ends}))")):
        drawn_from(override)
