#!/usr/bin/env bash
# Train in several processes on this machine, one a GPU (or on the CPU where there is none).
#     bash tools/dist_train.sh configs/rtmpose-s-carpose.py 2 [options of tools/train.py]
set -eu
[ $# -ge 2 ] || { sed -n '2,3p' "$0"; exit 2; }
config=$1 processes=$2
shift 2
exec "${PYTHON:-python}" -m torch.distributed.run --nnodes="${NNODES:-1}" --node_rank="${NODE_RANK:-0}" \
    --master_addr="${MASTER_ADDR:-127.0.0.1}" --master_port="${PORT:-29500}" --nproc_per_node="$processes" \
    "$(dirname "$0")/train.py" "$config" --launcher pytorch "$@"
