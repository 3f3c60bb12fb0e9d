_base_ = './_base_/carpose/det.py'
model = _base_.sizes.tiny
