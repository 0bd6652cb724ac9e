"""Cityscapes as the field's recipes train on it; without a data root, generated street scenes of its size."""

crop_size = (512, 1024)
train_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="LoadAnnotations"),
    dict(type="RandomResize", scale=(2048, 1024), ratio_range=(0.5, 2.0), keep_ratio=True),
    dict(type="RandomCrop", crop_size=crop_size, cat_max_ratio=0.75),
    dict(type="RandomFlip", prob=0.5),
    dict(type="PhotoMetricDistortion"),
    dict(type="PackSegInputs"),
]
train_dataloader = dict(
    batch_size=2,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type="TicketSampler", shuffle=True),
    dataset=dict(
        type="CityscapesDataset",
        data_root=None,
        split="train",
        scenes=dict(count=24, height=1024, width=2048, seed=0),
        pipeline=train_pipeline,
    ),
)
