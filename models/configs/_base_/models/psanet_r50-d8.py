"""PSANet on ResNetV1c-50 with an output stride of 8, and an auxiliary head on its third stage."""

norm_cfg = dict(type="SyncBN", requires_grad=True)
head = dict(
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
        type="ResNetV1c",
        depth=50,
        strides=(1, 2, 1, 1),
        dilations=(1, 1, 2, 4),
        contract_dilation=True,
        checkpoint=None,
    ),
    decode_head=dict(
        type="PSAHead", in_channels=2048, in_index=3, channels=512, mask_size=(97, 97), shrink_factor=2, **head
    ),
    auxiliary_head=dict(
        type="FCNHead",
        in_channels=1024,
        in_index=2,
        channels=256,
        num_convs=1,
        concat_input=False,
        dropout_ratio=0.1,
        num_classes=19,
        align_corners=False,
        loss_decode=dict(type="CrossEntropyLoss", loss_weight=0.4),
    ),
    test_cfg=dict(mode="whole"),
)
