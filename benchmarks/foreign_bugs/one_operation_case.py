"""The case of ``one_operation.py``; `--cfg-options model.operation=elu` chooses the operation."""

custom_imports = dict(imports=["one_operation"])
default_scope = "mmengine"
model = dict(type="OneOperation", operation="relu", norm=False)
train_dataloader = dict(
    batch_size=4,
    num_workers=0,
    sampler=dict(type="InfiniteSampler", shuffle=True),
    collate_fn=dict(type="default_collate"),
    dataset=dict(type="Noise"),
)
optim_wrapper = dict(type="OptimWrapper", optimizer=dict(type="SGD", lr=0.01, momentum=0.9))
train_cfg = dict(type="IterBasedTrainLoop", max_iters=3)
alignment = dict(iterations=3, repeats=5, tiers=("fp32",), tier="fp32", fp64_iterations=1)
