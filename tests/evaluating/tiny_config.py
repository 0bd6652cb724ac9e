"""A model of one convolution on five scenes of 48 × 96 pixels."""

default_scope = "models"
custom_imports = dict(imports=["tiny_model"], allow_failed_imports=False)
model = dict(type="TinySegmentor")
train_dataloader = dict(
    batch_size=1,
    num_workers=0,
    sampler=dict(type="TicketSampler", shuffle=True),
    dataset=dict(type="CityscapesDataset", scenes=dict(count=5, height=48, width=96, seed=0)),
)
optim_wrapper = dict(type="OptimWrapper", optimizer=dict(type="SGD", lr=0.1))
train_cfg = dict(type="IterBasedTrainLoop", max_iters=30)
