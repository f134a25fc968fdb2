#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The first process of a machine of the test cluster. It runs in fresh network, mount, UTS, IPC and PID namespaces,
# gives itself what a machine has of its own (control groups, /run, /sys, disks, boot id, addresses), starts the
# machine's daemons and, as a system's first process does, restarts what ends and reaps what is left to it.
# Usage: machine.sh NAME ADDRESS GATEWAY FOLDER CGROUP
set -euo pipefail
name=$1 address=$2 gateway=$3 folder=$4 cgroup=$5 stage=${6:-outside}

# Joins CGROUP/NAME in every hierarchy: what a hard-killed machine leaves there can be found and removed by that name.
join_cgroups() {
  local mountpoint type level
  while read -r mountpoint type; do
    if [ "$type" = cgroup2 ] && [ -s "$mountpoint/cgroup.controllers" ]; then
      mkdir -p "$mountpoint/$cgroup"
      for level in "$mountpoint" "$mountpoint/$cgroup"; do delegate_controllers "$level"; done
    fi
    mkdir -p "$mountpoint/$cgroup/$name"
    if [ -e "$mountpoint/cpuset.cpus" ] && [ "$type" = cgroup ]; then # A v1 cpuset takes no process before it has both.
      for level in "$mountpoint/$cgroup" "$mountpoint/$cgroup/$name"; do
        cat "$level/../cpuset.cpus" >"$level/cpuset.cpus"
        cat "$level/../cpuset.mems" >"$level/cpuset.mems"
      done
    fi
    echo $$ >"$mountpoint/$cgroup/$name/cgroup.procs"
  done < <(findmnt -rn -t cgroup,cgroup2 -o TARGET,FSTYPE)
}

delegate_controllers() {
  local controller
  for controller in $(cat "$1/cgroup.controllers"); do
    echo "+$controller" >"$1/cgroup.subtree_control" 2>/dev/null || true # Some cannot be delegated; kubelet copes.
  done
}

if [ "$stage" = outside ]; then
  join_cgroups
  exec unshare --cgroup -- /bin/bash "$0" "$name" "$address" "$gateway" "$folder" "$cgroup" inside
fi

mount_cgroups() { # $1: the hierarchies as findmnt listed them before /sys was hidden
  local mountpoint type options wanted controller
  [ "$(echo "$1" | awk '$1 == "/sys/fs/cgroup" {print $2}')" = cgroup2 ] || mount -t tmpfs -o mode=755 tmpfs /sys/fs/cgroup
  while read -r mountpoint type options; do
    mkdir -p "$mountpoint"
    if [ "$type" = cgroup2 ]; then
      mount -t cgroup2 cgroup2 "$mountpoint"
      if [ -s "$mountpoint/cgroup.controllers" ]; then # v2 allows processes in leaves only.
        mkdir -p "$mountpoint/init"
        echo $$ >"$mountpoint/init/cgroup.procs"
        delegate_controllers "$mountpoint"
      fi
      continue
    fi
    wanted=$(echo "$options" | tr ',' '\n' | grep -vE '^(rw|ro|xattr|clone_children|release_agent=.*)$' | paste -sd,)
    case $wanted in name=*) wanted=none,$wanted ;; esac
    mount -t cgroup -o "$wanted" cgroup "$mountpoint"
    for controller in ${wanted//,/ }; do # Where controllers share a hierarchy each is also known by its own name.
      case $controller in none | name=*) continue ;; esac
      [ -e "/sys/fs/cgroup/$controller" ] || ln -s "$(basename "$mountpoint")" "/sys/fs/cgroup/$controller"
    done
  done <<<"$1"
}

hierarchies=$(findmnt -rn -t cgroup,cgroup2 -o TARGET,FSTYPE,FS-OPTIONS | awk '$1 ~ "^/sys/"') # Not those of containers' own roots.
hostname "$name"
mount -n -t proc proc /proc # -n: libmount would leave a folder in the /run of the host.
# Copies of the host's mounts would keep its network namespaces and maps alive: they go before they are covered.
for mountpoint in $(findmnt -rn -o TARGET | grep -E '^/run/' | tac); do umount -n -l "$mountpoint" || true; done
mount -n -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/netns /run/lock /run/containerd
umount -R -l /sys
mount -t sysfs sysfs /sys # A sysfs shows the network devices of the namespace that it was mounted in.
mount_cgroups "$hierarchies"
mount -t bpf bpf /sys/fs/bpf
while read -r disk target; do mount --bind "$folder/disk/$disk" "$target"; done <"$folder/disks"
# A machine that was switched on again is known by its boot id.
cat /proc/sys/kernel/random/uuid >/run/boot-id
mount --bind /run/boot-id /proc/sys/kernel/random/boot_id
[ ! -e /etc/machine-id ] || mount --bind "$folder/disk/machine-id" /etc/machine-id
mount --make-rshared /

for _ in $(seq 200); do ip link show eth0 >/dev/null 2>&1 && break; sleep 0.05; done
ip link set lo up
ip address add "$address/24" dev eth0
ip link set eth0 up
ip route add default via "$gateway"
echo 1 >/proc/sys/net/ipv4/ip_forward

supervise() { # $1: a daemon's start script
  local log code
  log=$folder/logs/$(basename "$1").log
  while :; do
    code=0
    "$1" >>"$log" 2>&1 </dev/null || code=$?
    echo "$(date -u +%FT%TZ) machine: $(basename "$1") ended with $code, starting it again" >>"$log"
    sleep 0.5
  done
}
for daemon in "$folder"/daemons/*; do supervise "$daemon" & done
touch /run/booted
while :; do wait || true; sleep 1; done
