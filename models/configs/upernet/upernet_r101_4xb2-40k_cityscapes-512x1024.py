_base_ = "./upernet_r50_4xb2-40k_cityscapes-512x1024.py"
model = dict(backbone=dict(depth=101))
alignment = dict(summary="UPerNet on ResNet-101, the field's recipe")
