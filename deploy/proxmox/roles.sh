#!/bin/sh
# Run on a node, as root: roles.sh [--dry-run] TIER [POOL]. Makes the user mcp@pve, the role of a tier and those below it, and a token with
# exactly these. With a pool, guests are only those of the pool; storages and networks are granted as a whole: narrow them with
# PROXMOX_SCOPE_STORAGES. It may run again. The token's value is shown once. --dry-run shows the commands of a first run on this
# node, or of 9 where there is no Proxmox VE, and does nothing.
#
#   read       sees guests, storages, nodes and tasks
#   operate    power, snapshots, backups, tags, moves
#   provision  new guests, disks, network, cloud-init, the guest agent
#   destroy    deletes guests, snapshots and backups
set -eu
run() { "$@"; }
if [ "${1:-}" = --dry-run ]; then
    shift
    # As a shell would read it again.
    run() { for word; do case $word in *[!A-Za-z0-9_/@.:=,-]*) printf "'%s' " "$word" ;; *) printf '%s ' "$word" ;; esac; done; echo; }
    pveum() { false; }
    command -v pveversion >/dev/null || pveversion() { echo pve-manager/9; }
fi
tier=${1:?say a tier: read, operate, provision or destroy}
guests=${2:+/pool/$2}
guests=${guests:-/vms}
user=mcp@pve

# The privileges of the guest agent and of monitors are others from 9 on.
case $(pveversion) in
pve-manager/8.*) look=VM.Monitor agent=VM.Monitor ;;
*) look=VM.GuestAgent.Audit agent="VM.GuestAgent.Unrestricted VM.GuestAgent.FileWrite" ;;
esac
read_="VM.Audit $look Datastore.Audit Pool.Audit Sys.Audit SDN.Audit"
operate="VM.PowerMgmt VM.Snapshot VM.Backup VM.Config.Options VM.Migrate"
provision="VM.Clone VM.Allocate VM.Config.Cloudinit VM.Config.CPU VM.Config.Memory VM.Config.Disk VM.Config.Network
VM.Config.CDROM VM.Config.HWType $agent Datastore.AllocateSpace Pool.Allocate SDN.Use"
# Deleting a guest takes VM.Allocate, deleting a backup Datastore.Allocate.
destroy="VM.Snapshot.Rollback Datastore.Allocate"

case $tier in
read) privileges=$read_ ;;
operate) privileges="$read_ $operate" ;;
provision) privileges="$read_ $operate $provision" ;;
destroy) privileges="$read_ $operate $provision $destroy" ;;
*) echo "$tier is no tier: say read, operate, provision or destroy" >&2; exit 2 ;;
esac

role=Quarterdeck-$tier
token=$tier
pveum role modify "$role" --privs "$(echo $privileges)" 2>/dev/null || run pveum role add "$role" --privs "$(echo $privileges)"
pveum user list --output-format json | grep -q "\"$user\"" || run pveum user add "$user"
# A token with privilege separation has what its user and it both have.
pveum user token list "$user" --output-format json | grep -q "\"$token\"" ||
    run pveum user token add "$user" "$token" --privsep 1
for path in "$guests" /storage /nodes /sdn/zones /pool; do
    run pveum acl modify "$path" --users "$user" --roles "$role"
    run pveum acl modify "$path" --tokens "$user!$token" --roles "$role"
done
echo "PROXMOX_USER=$user PROXMOX_TOKEN_NAME=$token"
