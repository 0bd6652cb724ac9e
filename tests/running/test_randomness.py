"""What a config says of its randomness holds, and is compared."""

import pytest
from mmengine.config import Config

from harness.running.experiment import _adapt
from harness.running.settings_of_config import effective_settings
from harness.running.watchdog import execute
from harness.values.provenance import Device

CPU = Device("cpu", "a processor")


def config(**randomness):
    return Config({"model": {"type": "Tiny"}, "train_cfg": {"max_iters": 3}, "randomness": randomness})


@pytest.mark.parametrize("training", [False, True])
def test_what_the_config_says_is_kept_with_the_cases_seed(changed, tiny, tmp_path, training):
    told = config(seed=7, deterministic=True, diff_rank_seed=True)
    _adapt(told, changed(training=training), tiny, CPU, 3, tmp_path)
    assert told.randomness == {"seed": tiny.seed, "deterministic": True, "diff_rank_seed": True}


def test_without_a_word_on_it_there_is_the_cases_seed(changed, tiny, tmp_path):
    told = Config({"train_cfg": {"max_iters": 3}})
    _adapt(told, changed(), tiny, CPU, 3, tmp_path)
    assert told.randomness == {"seed": tiny.seed}


def test_it_is_compared_but_for_the_seed_which_is_by_itself_and_for_what_is_off():
    assert effective_settings(config()) == {"model.type": "'Tiny'"}
    assert effective_settings(config(seed=3, deterministic=False)) == {"model.type": "'Tiny'"}
    assert effective_settings(config(deterministic=True)) == {
        "model.type": "'Tiny'",
        "randomness.deterministic": "True",
    }


@pytest.mark.slow
def test_ranks_with_seeds_of_their_own_draw_their_own(changed, tmp_path):
    """Two processes on the CPU, each with dropout masks of its own: another training than with equal ones."""
    losses = []
    for place, options in enumerate(((), ("randomness.diff_rank_seed=True",))):
        order = changed(options=options, launcher="pytorch", processes=2, iterations=2)
        run = execute(order, tmp_path / str(place))
        assert run.error is None, run.output
        assert run.provenance.settings.get("randomness.diff_rank_seed") == ("True" if options else None)
        losses.append(run.trace.loss.tolist())
    assert losses[0] != losses[1]
