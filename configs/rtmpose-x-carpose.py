_base_ = './_base_/carpose/pose.py'
model = _base_.sizes.x
