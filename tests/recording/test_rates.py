"""Learning rates: each parameter group's is told, whatever the others do."""

import torch

from harness.recording.rates import LearningRates


def optimizer(*rates):
    return torch.optim.SGD([{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": rate} for rate in rates], lr=1.0)


def set_rates(of, *rates):
    for group, rate in zip(of.param_groups, rates, strict=True):
        group["lr"] = rate


def test_groups_of_one_rate_share_a_name():
    rates = LearningRates()
    assert rates.read(optimizer(0.1, 0.2, 0.1)) == ({"lr": 0.1, "lr.1": 0.2}, {"lr": (0, 2), "lr.1": (1,)})


def test_rates_that_meet_keep_their_names():
    rates, watched = LearningRates(), optimizer(0.1, 0.2)
    rates.read(watched)
    set_rates(watched, 0.1, 0.1)
    assert rates.read(watched) == ({"lr": 0.1, "lr.1": 0.1}, None)
    set_rates(watched, 0.3, 0.1)
    assert rates.read(watched) == ({"lr": 0.3, "lr.1": 0.1}, None)


def test_groups_that_part_get_names_that_no_other_had():
    rates, watched = LearningRates(), optimizer(0.1, 0.1, 0.2, 0.1)
    assert rates.read(watched)[0] == {"lr": 0.1, "lr.1": 0.2}
    set_rates(watched, 0.1, 0.3, 0.2, 0.4)
    assert rates.read(watched) == (
        {"lr": 0.1, "lr.1": 0.2, "lr.2": 0.3, "lr.3": 0.4},
        {"lr": (0,), "lr.1": (2,), "lr.2": (1,), "lr.3": (3,)},
    )


def test_rates_that_are_no_number_are_one_rate():
    rates, watched = LearningRates(), optimizer(0.1, 0.1)
    set_rates(watched, float("nan"), float("nan"))
    assert rates.read(watched)[1] == {"lr": (0, 1)}
    assert rates.read(watched)[1] is None


def test_a_group_that_is_added_has_a_name_of_its_own():
    rates, watched = LearningRates(), optimizer(0.1)
    rates.read(watched)
    watched.add_param_group({"params": [torch.nn.Parameter(torch.zeros(1))], "lr": 0.1})
    assert rates.read(watched) == ({"lr": 0.1, "lr.1": 0.1}, {"lr": (0,), "lr.1": (1,)})


def test_a_run_that_goes_on_keeps_the_names_of_the_one_before():
    rates = LearningRates({"lr": (0,), "lr.1": (1,)})
    assert rates.read(optimizer(0.1, 0.1)) == ({"lr": 0.1, "lr.1": 0.1}, None)
