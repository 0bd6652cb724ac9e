"""Small crops, whose pixels are the same numbers on every machine: cut, flipped, and normalised by powers of two."""

crop_size = (64, 128)
train_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="LoadAnnotations"),
    dict(type="RandomCrop", crop_size=crop_size, cat_max_ratio=0.75),
    dict(type="RandomFlip", prob=0.5),
    dict(type="PackSegInputs"),
]
train_dataloader = dict(
    batch_size=4,
    num_workers=0,
    sampler=dict(type="TicketSampler", shuffle=True),
    dataset=dict(
        type="CityscapesDataset",
        data_root=None,
        split="train",
        scenes=dict(count=24, height=128, width=256, seed=0),
        pipeline=train_pipeline,
    ),
)
