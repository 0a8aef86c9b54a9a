#!/bin/sh
# Run on a node, as root: template.sh [--dry-run] NUMBER STORAGE BRIDGE [PROGRAM]. Makes the template NUMBER from Debian's cloud image, with
# the guest agent, git, curl and bubblewrap, on STORAGE and BRIDGE. PROGRAM is a file that becomes
# /usr/local/bin/quarterdeck; without it, set PROXMOX_TEAM_BINARY_URL and PROXMOX_TEAM_BINARY_SHA256.
# It wants the package libguestfs-tools. Whoever wants another image sets IMAGE and IMAGE_SHA512. --dry-run fetches nothing and
# shows the commands that would make the template.
set -eu
run() { "$@"; }
if [ "${1:-}" = --dry-run ]; then
    shift
    run() { echo "$*"; }
fi
number=${1:?say the number of the template}
storage=${2:?say a storage for its disk}
bridge=${3:?say a bridge}
program=${4:-}
base=https://cloud.debian.org/images/cloud/trixie/latest
image=${IMAGE:-$base/debian-13-genericcloud-amd64.qcow2}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
run curl --fail --silent --show-error --location --output "$work/image.qcow2" "$image"
verify() {
    sum=${IMAGE_SHA512:-$(curl --fail --silent --show-error "$base/SHA512SUMS" | sed -n "s/ *$(basename "$image")\$//p")}
    echo "$sum  $work/image.qcow2" | sha512sum --check --status
}
run verify

# Without an id of its own each clone makes one at its first start.
run virt-customize --quiet --add "$work/image.qcow2" \
    --install qemu-guest-agent,git,curl,bubblewrap,ca-certificates \
    ${program:+--upload "$program:/usr/local/bin/quarterdeck"} ${program:+--chmod 0755:/usr/local/bin/quarterdeck} \
    --truncate /etc/machine-id

run qm create "$number" --name quarterdeck-template --ostype l26 --cores 2 --memory 2048 --scsihw virtio-scsi-single \
    --net0 "virtio,bridge=$bridge,firewall=1" --agent enabled=1 --serial0 socket --vga serial0
run qm set "$number" --scsi0 "$storage:0,import-from=$work/image.qcow2,discard=on,iothread=1"
run qm set "$number" --ide2 "$storage:cloudinit" --boot order=scsi0 --tags quarterdeck
run qm template "$number"
