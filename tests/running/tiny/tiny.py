"""A config of a user's own, outside the project."""

custom_imports = dict(imports=["tiny_parts"])
default_scope = "mmengine"
model = dict(type="TinySegmentor")
train_dataloader = dict(
    batch_size=2,
    num_workers=0,
    sampler=dict(type="InfiniteSampler", shuffle=True),
    collate_fn=dict(type="default_collate"),
    dataset=dict(type="TinyDataset"),
)
optim_wrapper = dict(type="OptimWrapper", optimizer=dict(type="SGD", lr=0.01, momentum=0.9, weight_decay=5e-4))
param_scheduler = [dict(type="PolyLR", eta_min=1e-4, power=0.9, begin=0, end=40000, by_epoch=False)]
train_cfg = dict(type="IterBasedTrainLoop", max_iters=40)
alignment = dict(iterations=12, repeats=5, tiers=("fp32",), tier="fp32", reference="cpu", fp64_iterations=2)
