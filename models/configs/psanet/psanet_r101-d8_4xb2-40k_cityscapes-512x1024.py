_base_ = "./psanet_r50-d8_4xb2-40k_cityscapes-512x1024.py"
model = dict(backbone=dict(depth=101))
alignment = dict(summary="PSANet on ResNet-101, the field's recipe")
