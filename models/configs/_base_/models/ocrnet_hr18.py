"""OCRNet on HRNet-W18; both heads look at all four resolutions, resized to the highest."""

norm_cfg = dict(type="SyncBN", requires_grad=True)
channels = [18, 36, 72, 144]
model = dict(
    type="EncoderDecoder",
    norm_cfg=norm_cfg,
    data_preprocessor=dict(
        type="SegDataPreProcessor", mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], bgr_to_rgb=True
    ),
    backbone=dict(
        type="HRNet",
        extra=dict(
            stage1=dict(num_modules=1, num_branches=1, block="BOTTLENECK", num_blocks=(4,), num_channels=(64,)),
            stage2=dict(num_modules=1, num_branches=2, block="BASIC", num_blocks=(4, 4), num_channels=(18, 36)),
            stage3=dict(num_modules=4, num_branches=3, block="BASIC", num_blocks=(4, 4, 4), num_channels=(18, 36, 72)),
            stage4=dict(
                num_modules=3, num_branches=4, block="BASIC", num_blocks=(4, 4, 4, 4), num_channels=(18, 36, 72, 144)
            ),
        ),
        checkpoint=None,
    ),
    decode_head=[
        dict(
            type="FCNHead",
            in_channels=channels,
            in_index=(0, 1, 2, 3),
            input_transform="resize_concat",
            channels=sum(channels),
            kernel_size=1,
            num_convs=1,
            concat_input=False,
            dropout_ratio=0.0,
            num_classes=19,
            align_corners=False,
            loss_decode=dict(type="CrossEntropyLoss", loss_weight=0.4),
        ),
        dict(
            type="OCRHead",
            in_channels=channels,
            in_index=(0, 1, 2, 3),
            input_transform="resize_concat",
            channels=512,
            ocr_channels=256,
            dropout_ratio=0.0,
            num_classes=19,
            align_corners=False,
            loss_decode=dict(type="CrossEntropyLoss", loss_weight=1.0),
        ),
    ],
)
