# SPDX-License-Identifier: BSD-2-Clause
# What a domain says when its configuration is wrong: which key, and what to do about it.
. ./lib.sh
vif="vif=['mac=00:16:3e:00:01:01,bridge=xenbr0,ip=10.8.0.77']"
mkdir files
head -c 300000 /dev/urandom | od -x >files/data
mkfs.erofs --quiet good.img files >/dev/null

# complains NAME TEXT...: all of it on the console; then the domain goes
complains() {
    name=$1
    shift
    for text; do
        await says "$name" "$text" || die "not said: $text: $(tail -n 5 "$(console_of "$name")")"
    done
    never_says "$name" panic
    xl destroy "$name"
}

disk() {
    echo "disk=['$PWD/$1,raw,xvda,r']"
}

test_no_disk() {
    create wrong httpd "$vif"
    await says wrong 'only /-/status'
    [ "$(curl -s -o /dev/null -w '%{http_code}' http://10.8.0.77/)" = 503 ]
    curl -sf -o /dev/null http://10.8.0.77/-/status
    complains wrong 'no file system' 'device/vbd' 'disk=\['
}

test_a_disk_of_zeroes() {
    truncate -s 1M zero.img
    create wrong httpd "$vif" "$(disk zero.img)"
    complains wrong 'no EROFS' 'mkfs.erofs'
}

test_a_disk_of_noise() {
    head -c 1048576 /dev/urandom >noise.img
    create wrong httpd "$vif" "$(disk noise.img)"
    complains wrong 'no EROFS' 'mkfs.erofs'
}

test_another_file_system() {
    truncate -s 4M ext.img
    mke2fs -q ext.img
    create wrong httpd "$vif" "$(disk ext.img)"
    complains wrong 'no EROFS' 'mkfs.erofs'
}

test_half_a_file_system() {
    head -c $(($(stat -c %s good.img) / 8192 * 4096)) good.img >half.img
    create wrong httpd "$vif" "$(disk half.img)"
    complains wrong 'erofs' 'cut\|truncated\|shorter\|beyond\|larger'
}

test_a_compressed_file_system() {
    mkfs.erofs --quiet -zlz4 small.img files >/dev/null
    create wrong httpd "$vif" "$(disk small.img)"
    complains wrong 'compress' 'mkfs.erofs'
}

test_no_vif() {
    create wrong httpd "$(disk good.img)"
    complains wrong 'no key below device/vif' 'vif='
}

test_address_on_the_command_line_is_nonsense() {
    create wrong netserver "$vif" "cmdline='ip=nonsense paravane.net-wait=1'"
    complains wrong 'ip=nonsense is not understood' 'ip=ADDRESS/PREFIX'
}

test_address_of_the_vif_is_nonsense() {
    create wrong netserver "vif=['bridge=xenbr0,ip=10.8.0.999']" "cmdline='paravane.net-wait=1'"
    complains wrong 'key "ip" is not an address' '10.8.0.999'
}

test_root_is_nonsense() {
    create wrong httpd "$vif" "$(disk good.img)" "cmdline='paravane.root=nonsense'"
    complains wrong 'nonsense cannot be opened' 'paravane.root= must be'
}

test_root_is_a_disk_that_is_not_there() {
    create wrong httpd "$vif" "$(disk good.img)" "cmdline='paravane.root=51728 paravane.disk-timeout=soon'"
    complains wrong '51728 cannot be opened' 'paravane.root= must be' 'disk-timeout=soon is not a number of seconds'
}

test_root_is_a_ramdisk_that_is_not_there() {
    create wrong httpd "$vif" "cmdline='paravane.root=ramdisk'"
    complains wrong 'the domain has none' 'ramdisk='
}

test_address_on_the_command_line_outranks_that_of_the_vif() {
    create own netserver "$vif" "cmdline='ip=10.8.0.78/24'"
    await says own serving
    says own 'vif0: 10.8.0.78 (static)'
    await nc -z -w 5 10.8.0.78 13
    if nc -z -w 2 10.8.0.77 13; then die 'the key won'; fi
    xl destroy own
}

# spoil NAME KIND/NUMBER SIDE KEY [VALUE]: remove or overwrite a key before the domain runs
spoil() {
    id=$(xl domid "$1")
    case $3 in
    front) path=/local/domain/$id/device/$2/$4 ;;
    back) path=/local/domain/0/backend/${2%/*}/$id/${2#*/}/$4 ;;
    esac
    if [ $# = 5 ]; then
        xenstore-write "$path" "$5"
    else
        xenstore-rm "$path"
    fi
    xl unpause "$1"
}

create_paused() {
    rm -f "$(console_of "$1")"
    {
        echo "name='$1'"
        echo "type='pv'"
        echo "kernel='$PWD/$2'"
        echo "memory=16"
        echo "on_crash='preserve'"
        echo "$vif"
        disk good.img
    } >"$1.cfg"
    xl create -p -q "$1.cfg"
}

test_devices_that_are_not_trusted() {
    create_paused careful httpd
    xenstore-write "/local/domain/$(xl domid careful)/device/vbd/51712/trusted" 0
    spoil careful vif/0 front trusted 0
    await says careful 'serving / on'
    says careful 'xvda: .*, bounced'
    says careful 'vif0: .*, bounced'
    curl -sf -o data http://10.8.0.77/data
    cmp data files/data
    xl destroy careful
}

test_vbd_without_a_backend_key() {
    create_paused wrong httpd
    spoil wrong vbd/51712 front backend
    complains wrong 'vbd/51712' 'backend'
}

test_vbd_with_a_backend_id_that_is_no_number() {
    create_paused wrong httpd
    spoil wrong vbd/51712 front backend-id twelve
    complains wrong 'vbd/51712' 'backend-id'
}

test_vif_without_a_mac() {
    create_paused wrong httpd
    spoil wrong vif/0 front mac
    complains wrong 'vif/0' 'mac'
}

test_vif_with_a_mac_that_is_none() {
    create_paused wrong httpd
    spoil wrong vif/0 front mac 00:16:3e:zz:00:01
    complains wrong 'vif/0' 'mac'
}

test_vif_with_an_mtu_that_is_none() {
    create_paused wrong httpd
    spoil wrong vif/0 front mtu large
    complains wrong 'vif/0' 'mtu' 'ignored' 'vif='
}

test_vif_without_a_backend() {
    create_paused wrong httpd
    spoil wrong vif/0 front backend /local/domain/0/backend/vif/9999/0
    complains wrong 'vif/0' 'backend'
}

test_state_of_the_backend_removed_before_it_starts() {
    create_paused wrong httpd
    spoil wrong vbd/51712 back state
    complains wrong 'vbd/51712' 'state'
}

test_state_of_the_backend_removed_while_it_runs() {
    create wrong httpd "$vif" "$(disk good.img)"
    await says wrong 'serving / on'
    xenstore-rm "/local/domain/0/backend/vbd/$(xl domid wrong)/51712/state"
    await curl -sf -m 60 -o /dev/null http://10.8.0.77/-/status
    complains wrong 'xvda: the backend has left'
}

# What `make bundle` made, handled as README says. The domain is gone when it has ended.
unpack() {
    mkdir -p bundles
    cd bundles
    tar xzf "../$1.tar.gz" && cd "$1"
}

test_unpacked_bundle_starts_unedited() {
    unpack hello
    xl create -c hello.cfg | tr -d '\r' | tee output
    grep -qx 'Hello from Paravane.' output
    grep -qx 'exit status 0' output
    await is_gone hello
    sed -i 's/^#extra/extra/' hello.cfg
    xl create -c hello.cfg | grep -q 'argv.1. = one'
}

test_commented_lines_of_a_bundle_are_right() {
    unpack httpd
    sed -i "s/^#\(vif\|disk\|tsc_mode\) =/\1 =/; s,192.0.2.10,10.8.0.77,; s,/path/to/root.img,$work/good.img," httpd.cfg
    xl create -q httpd.cfg
    await says httpd 'serving / on'
    curl -sf -o data http://10.8.0.77/data
    cmp data "$work/files/data"
    xl destroy httpd
}

run_checks
