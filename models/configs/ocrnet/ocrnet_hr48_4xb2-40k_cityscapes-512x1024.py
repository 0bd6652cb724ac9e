_base_ = "./ocrnet_hr18_4xb2-40k_cityscapes-512x1024.py"
channels = [48, 96, 192, 384]
model = dict(
    backbone=dict(
        extra=dict(
            stage2=dict(num_channels=(48, 96)),
            stage3=dict(num_channels=(48, 96, 192)),
            stage4=dict(num_channels=(48, 96, 192, 384)),
        )
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
alignment = dict(summary="OCRNet on HRNet-W48, the field's recipe")
