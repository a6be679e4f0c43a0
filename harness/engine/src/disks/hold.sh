# Makes one file system for each argument (VOLUME:MIB) in a file of its own, attaches it to a loop device and
# keeps it mounted. Says "VOLUME DEVICE" for each, then "ready".
#
# `mount -o loop` sets the loop device to let itself go with its last user, at the very moment at which it is
# attached: whenever this container or the engine's mounts end, in whatever order and by whatever signal,
# no device is left.

# Another run may take the free device in between; then the next one is tried. Device nodes that were made
# after the start of this container have to be made in it too.
attach() {
    for _ in {1..20}; do
        device=$(losetup -f) || return
        [ -b "$device" ] || mknod "$device" b 7 "${device#/dev/loop}" || return
        mount -o loop "$1" "$2" 2>/tmp/why && return
    done
    cat /tmp/why >&2
    return 1
}

set -e
for disk in "$@"; do
    volume=${disk%:*}
    truncate -s "${disk##*:}M" "/images/$volume"
    # No blocks are set aside for root: full shall be full for everybody. The journal stays, so that a sync
    # is a real one.
    mkfs.ext4 -q -m 0 -E lazy_itable_init=1,lazy_journal_init=1 "/images/$volume"
    mkdir -p "/mnt/$volume"
    attach "/images/$volume" "/mnt/$volume"
    # The engine fills a new volume from the image, with its owner and mode, only where it is empty.
    rmdir "/mnt/$volume/lost+found"
    echo "$volume $(findmnt -n -o SOURCE "/mnt/$volume")"
done
echo ready
# From here on nothing is done but to be there, without any privilege. The shell collects the processes
# that faults leave behind.
exec setpriv --bounding-set=-all --inh-caps=-all --no-new-privs \
    bash -c 'trap "exit 0" TERM; while :; do sleep infinity & wait; done'
