_base_ = "./ocrnet_hr18_4xb2-40k_cityscapes-512x1024.py"
model = dict(
    backbone=dict(
        extra=dict(
            stage1=dict(num_blocks=(2,)),
            stage2=dict(num_blocks=(2, 2)),
            stage3=dict(num_modules=3, num_blocks=(2, 2, 2)),
            stage4=dict(num_modules=2, num_blocks=(2, 2, 2, 2)),
        )
    )
)
alignment = dict(summary="OCRNet on HRNet-W18-small, the field's recipe")
