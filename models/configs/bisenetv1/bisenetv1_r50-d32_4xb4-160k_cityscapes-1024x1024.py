_base_ = "./bisenetv1_r18-d32_4xb4-160k_cityscapes-1024x1024.py"
auxiliary = dict(
    type="FCNHead",
    in_channels=512,
    channels=256,
    num_convs=1,
    concat_input=False,
    dropout_ratio=0.1,
    num_classes=19,
    align_corners=False,
    loss_decode=dict(type="CrossEntropyLoss", loss_weight=1.0),
)
model = dict(
    backbone=dict(
        backbone_cfg=dict(depth=50),
        spatial_channels=(256, 256, 256, 512),
        context_channels=(512, 1024, 2048),
        out_channels=1024,
    ),
    decode_head=dict(in_channels=1024, channels=1024),
    auxiliary_head=[dict(in_index=1, **auxiliary), dict(in_index=2, **auxiliary)],
)
optim_wrapper = dict(optimizer=dict(lr=0.05))
alignment = dict(summary="BiSeNetV1 on ResNet-50, the field's recipe")
