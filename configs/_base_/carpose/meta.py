# carpose: the facts about this keypoint set. To train on your own, copy this folder and edit this file only.
dataset_name = 'carpose'
classes = ('car', )

# Names and order of the keypoints, exactly as they are labelled in labelme.
keypoints = (
    'left-front-bumper', 'left-rear-bumper', 'left-front-tire', 'left-rear-tire',
    'right-front-bumper', 'right-rear-bumper', 'right-front-tire', 'right-rear-tire',
)
# Pairs that change places when the picture is mirrored; () when the object has no left and right.
swaps = (
    ('left-front-bumper', 'right-front-bumper'),
    ('left-rear-bumper', 'right-rear-bumper'),
    ('left-front-tire', 'right-front-tire'),
    ('left-rear-tire', 'right-rear-tire'),
)
# Whether a mirrored picture could be a real one; False, for a clock face say, trains and tests without mirroring.
mirror = True
# Lines to draw.
links = (
    ('left-front-bumper', 'left-rear-bumper'),
    ('left-front-tire', 'left-rear-tire'),
    ('right-front-bumper', 'right-rear-bumper'),
    ('right-front-tire', 'right-rear-tire'),
)
# OKS sigma of each keypoint: how far annotators differ, as a share of the object's scale (sqrt of its area).
sigmas = (0.05, ) * len(keypoints)
# Where the keypoints of a typical car are, in metres: x forward, y to its own left, z up, from the ground below its
# middle; predict.py --pnp finds heading and position with them. The mean of the rendered demo's cars, which are as
# large as real ones (here 4.56 m long, wheelbase 2.83 m); () when unknown.
model_points = (
    (2.28, 0.75, 0.53), (-2.28, 0.82, 0.53), (1.44, 0.93, 0.345), (-1.39, 0.93, 0.345),
    (2.28, -0.75, 0.53), (-2.28, -0.82, 0.53), (1.44, -0.93, 0.345), (-1.39, -0.93, 0.345),
)

data_root = 'data/carpose/'
train_ann_file = 'train_coco.json'
val_ann_file = 'val_coco.json'
image_dir = 'images/'

# ---- derived: nothing to edit below ----
num_classes = len(classes)
num_keypoints = len(keypoints)
dataset_info = dict(
    dataset_name=dataset_name,
    keypoint_info={
        i: dict(
            name=name,
            id=i,
            # RGB: orange for the first of a swap pair, blue for the second, green for what has no partner.
            color=next(((255, 153, 51) if a == name else (51, 153, 255) for a, b in swaps if name in (a, b)),
                       (100, 220, 80)),
            type='',
            swap=next((b if a == name else a for a, b in swaps if name in (a, b)), ''))
        for i, name in enumerate(keypoints)
    },
    skeleton_info={i: dict(link=link, id=i, color=(0, 255, 0))
                   for i, link in enumerate(links)},
    joint_weights=[1.0] * num_keypoints,
    sigmas=list(sigmas))
