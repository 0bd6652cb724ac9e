"""What a config lays around its training: averaged weights, mixed precision, gradients over several iterations.

And batches that a sampler of batches puts together, as mmdetection's recipes do: the loader then has no batch size.
"""

import pytest

from harness.running.cases import find_case
from harness.running.folder import PROVENANCE
from harness.running.verification import verify_alone
from harness.store.provenance_file import read_provenance
from harness.values.verdict import Status

WRAPPERS = {
    "custom_hooks = [dict(type='EMAHook', momentum=0.1)]": (Status.PASS, "100 % of the calls checked"),
    "optim_wrapper = dict(type='AmpOptimWrapper', dtype='bfloat16')": (Status.PASS, "100 % of the calls checked"),
    "train_dataloader = dict(batch_sampler=dict(type='torch.utils.data.sampler.BatchSampler', drop_last=True))": (
        Status.PASS,
        "100 % of the calls checked",
    ),
    "optim_wrapper = dict(accumulative_counts=2)": (
        Status.INCONCLUSIVE,
        "only a baseline would show what these made of the step: SGD (gradients are accumulated over iterations)",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("line", WRAPPERS)
def test_it_is_judged_or_the_verdict_says_what_is_not(tiny, changed, tmp_path, line):
    config = tmp_path / "wrapped.py"
    config.write_text(f"_base_ = [{str(tiny.config)!r}]\n{line}\n", encoding="utf-8")
    order = changed(config=str(config), iterations=2, shadow=(0, 1), shadow_tier="fp32")
    verdict = verify_alone(find_case(str(config)), order, folder=tmp_path / "run").verdict
    assert read_provenance(tmp_path / "run" / PROVENANCE).global_batch == 2
    status, said = WRAPPERS[line]
    assert verdict.status is status, verdict.reason
    assert said in verdict.reason
