"""The original ANN's recipe for Cityscapes (github MendelXu/ANN, scripts/seg/cityscapes/run_fs_annn_cityscapes_seg.sh).

OHEM and class weights on the main head, class weights on the auxiliary one, a stem of 64, 64 and 128, BGR with the mean
of caffe's models, aspect, brightness and random padding, 8 images together, 60,000 iterations, the whole image every
4,000. Where a checkpoint's tensors have other names or an additional bias (the original's convolutions before a batch
norm have one, which the norm takes out again), its own weights don't load.

For the model that goes to the benchmark's server the original trains on train and val, for 120,000 iterations
(…_seg_test.sh): `--cfg-options train_dataloader.dataset.split=train+val param_scheduler.0.end=120000 --iterations
120000`. It is asked for the test images by `align evaluate … --mode slide --crop 864 864 --stride 576 576 --scales 0.75
1 1.25 --flip --fuse logits`.
"""

_base_ = [
    "../_base_/models/ann_r50-d8.py",
    "../_base_/datasets/cityscapes.py",
    "../_base_/default_runtime.py",
    "../_base_/schedules/schedule_40k.py",
]
crop_size = (769, 769)
class_weight = [
    *(0.8373, 0.9180, 0.8660, 1.0345, 1.0166, 0.9969, 0.9754, 1.0489, 0.8786, 1.0023),
    *(0.9539, 0.9843, 1.1116, 0.9037, 1.0865, 1.0955, 1.0865, 1.1529, 1.0507),
]
model = dict(
    test_cfg=dict(mode="whole"),
    data_preprocessor=dict(mean=[102.9801, 115.9465, 122.7717], std=[1.0, 1.0, 1.0], bgr_to_rgb=False),
    backbone=dict(depth=101, stem_channels=128, ceil_mode=True, multi_grid=(1, 1, 1)),
    decode_head=dict(
        dropout_ratio=0.05,
        align_corners=True,
        loss_decode=dict(
            _delete_=True,
            type="OHEMCrossEntropyLoss",
            loss_weight=1.0,
            thresh=0.7,
            min_kept=100000,
            class_weight=class_weight,
        ),
    ),
    auxiliary_head=dict(
        channels=512,
        dropout_ratio=0.05,
        align_corners=True,
        loss_decode=dict(type="CrossEntropyLoss", loss_weight=0.4, avg_non_ignore=True, class_weight=class_weight),
    ),
)
train_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="LoadAnnotations"),
    dict(type="RandomAspectResize", scale_range=(0.5, 2.0), aspect_range=(0.9, 1.1)),
    dict(type="RandomCrop", crop_size=crop_size),
    dict(type="RandomBrightness", shift_value=10),
    dict(type="RandomFlip", prob=0.5),
    dict(type="RandomPad", size=crop_size, pad_val=(103, 116, 123)),
    dict(type="PackSegInputs"),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
param_scheduler = [dict(type="PolyLR", eta_min=0.0, power=0.9, begin=0, end=60000, by_epoch=False)]
train_cfg = dict(type="IterBasedTrainLoop", max_iters=60000, val_interval=4000)
val_cfg = dict(type="ValidationLoop")
alignment = dict(
    iterations=50,
    repeats=8,
    tier="tf32",
    tiers=("fp32", "tf32"),
    reference="cuda",
    summary="ANN on ResNet-101, the original authors' recipe: OHEM, class weights, BGR, 769×769",
)
