"""BiSeNetV1 with ResNet-18 in its context path, and two auxiliary heads on that path."""

norm_cfg = dict(type="SyncBN", requires_grad=True)
head = dict(
    type="FCNHead",
    num_convs=1,
    concat_input=False,
    dropout_ratio=0.1,
    num_classes=19,
    align_corners=False,
    loss_decode=dict(type="CrossEntropyLoss", loss_weight=1.0),
)
model = dict(
    type="EncoderDecoder",
    norm_cfg=norm_cfg,
    data_preprocessor=dict(
        type="SegDataPreProcessor", mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], bgr_to_rgb=True
    ),
    backbone=dict(
        type="BiSeNetV1",
        spatial_channels=(64, 64, 64, 128),
        context_channels=(128, 256, 512),
        out_channels=256,
        backbone_cfg=dict(type="ResNet", depth=18, strides=(1, 2, 2, 2), dilations=(1, 1, 1, 1)),
    ),
    decode_head=dict(in_channels=256, in_index=0, channels=256, **head),
    auxiliary_head=[
        dict(in_channels=128, in_index=1, channels=64, **head),
        dict(in_channels=128, in_index=2, channels=64, **head),
    ],
    test_cfg=dict(mode="whole"),
)
