#!/usr/bin/env bash
# Train on a Slurm cluster, one process a GPU.
#     GPUS=8 bash tools/slurm_train.sh PARTITION JOB_NAME configs/rtmpose-s-carpose.py [options of tools/train.py]
set -eu
[ $# -ge 3 ] || { sed -n '2,3p' "$0"; exit 2; }
partition=$1 job=$2 config=$3
shift 3
gpus=${GPUS:-8} per_node=${GPUS_PER_NODE:-8}
[ "$per_node" -le "$gpus" ] || per_node=$gpus
# SRUN_ARGS is a list of options, so it has to be split.
# shellcheck disable=SC2086
exec srun -p "$partition" --job-name="$job" --gres="gpu:$per_node" --ntasks="$gpus" --ntasks-per-node="$per_node" \
    --cpus-per-task="${CPUS_PER_TASK:-5}" --kill-on-bad-exit=1 ${SRUN_ARGS:-} \
    "${PYTHON:-python}" -u "$(dirname "$0")/train.py" "$config" --launcher slurm "$@"
