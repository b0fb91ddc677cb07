#!/bin/bash
# One worker on each of four nodes, with all GPUs of the node. From a checkout that all nodes share:
#   sbatch deploy/slurm.sh
#SBATCH --job-name=sagan
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=8
#SBATCH --exclusive
#SBATCH --time=24:00:00
#SBATCH --open-mode=append
# Back to the queue when a node fails or another job comes first; on from the newest checkpoint.
#SBATCH --requeue
# Before the time is up all workers get SIGTERM, stop at the same step and write a checkpoint.
#SBATCH --signal=TERM@300
run_dir=runs/imagenet

for attempt in 1 2 3 4 5; do
    # One worker that fails ends the others, so that all start again together.
    srun --kill-on-bad-exit=1 .venv/bin/python -m keras_sagan.train \
        --strategy=multi_worker \
        --flagfile=keras_sagan/configs/sagan.flags \
        --dataset=imagenet2012 \
        --run_dir=$run_dir
    code=$?
    case $code in
        0) break ;;
        2) exit 2 ;; # A wrong request, which stays wrong.
    esac
    echo "attempt $attempt ended with $code" >&2
    sleep 10
done
# A run that a signal stopped has this file, and is not at its end.
[ -e $run_dir/stop.json ] && scontrol requeue "$SLURM_JOB_ID"
exit $code
