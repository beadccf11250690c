#!/usr/bin/env bash
# Start a real Slurm of one node: munged, slurmctld and slurmd, with everything they write in a folder of their own.
#
#   tests/slurm/start.sh FOLDER      then: export SLURM_CONF=FOLDER/slurm.conf; sinfo; ...; tests/slurm/stop.sh FOLDER
#
# For tests on a machine that is no cluster (Debian 12, root). Missing packages are installed where apt-get is there.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
folder=${1:?usage: start.sh FOLDER}
mkdir -p "$folder"
folder=$(cd "$folder" && pwd) # a relative path in slurm.conf makes the daemons hang

export PATH=$PATH:/usr/sbin:/sbin
packages=(slurmctld slurmd slurm-client munge)
if ! command -v slurmctld slurmd sbatch munged >/dev/null; then
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        echo "error: install ${packages[*]} first (no root or no apt-get here)" >&2
        exit 2
    fi
    # the packages would start daemons of their own without a configuration
    policy=/usr/sbin/policy-rc.d
    [ -e $policy ] || { printf '#!/bin/sh\nexit 101\n' >$policy && chmod +x $policy && trap 'rm -f $policy' EXIT; }
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
fi

mkdir -p "$folder"/{munge,state,spool}
chmod 755 "$folder" "$folder/munge"
head -c 1024 /dev/urandom >"$folder/munge/key"
chmod 400 "$folder/munge/key"
munged --force --key-file="$folder/munge/key" --socket="$folder/munge/socket" --pid-file="$folder/munged.pid" \
    --log-file="$folder/munged.log" --seed-file="$folder/munge/seed" --num-threads=1

cat >"$folder/slurm.conf" <<CONF
ClusterName=test
SlurmctldHost=$(hostname)(127.0.0.1)
SlurmctldPort=${SLURM_TEST_PORT:-26817}
SlurmdPort=$((${SLURM_TEST_PORT:-26817} + 1))
AuthType=auth/munge
AuthInfo=socket=$folder/munge/socket
CredType=cred/munge
SlurmUser=$(id -un)
SlurmdUser=$(id -un)
ProctrackType=proctrack/pgid
TaskPlugin=task/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
ReturnToService=2
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
KillWait=5
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.log
NodeName=$(hostname) NodeAddr=127.0.0.1 CPUs=$(nproc) RealMemory=1000 State=UNKNOWN
PartitionName=test Nodes=ALL Default=YES MaxTime=INFINITE State=UP
CONF

export SLURM_CONF=$folder/slurm.conf
slurmctld -f "$folder/slurm.conf"
slurmd -f "$folder/slurm.conf"
for _ in $(seq 60); do
    if [ "$(sinfo --noheader --format %T 2>/dev/null)" = idle ]; then
        echo "$folder/slurm.conf"
        exit 0
    fi
    sleep 0.5
done
echo "error: the node does not come up; see $folder/slurmctld.log and $folder/slurmd.log" >&2
tail -n 5 "$folder"/*.log >&2
"$here/stop.sh" "$folder"
exit 1
