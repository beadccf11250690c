#!/usr/bin/env bash
# Stop what start.sh started, and nothing else: by the process numbers in its folder.
#
#   tests/slurm/stop.sh FOLDER
set -uo pipefail
folder=$(cd "${1:?usage: stop.sh FOLDER}" && pwd)
for daemon in slurmd slurmctld munged; do
    file=$folder/$daemon.pid
    [ -s "$file" ] || continue
    pid=$(cat "$file")
    kill "$pid" 2>/dev/null || continue
    for _ in $(seq 50); do
        kill -0 "$pid" 2>/dev/null || continue 2
        sleep 0.1
    done
    kill -9 "$pid" 2>/dev/null
done
exit 0
