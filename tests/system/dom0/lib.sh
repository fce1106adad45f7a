# SPDX-License-Identifier: BSD-2-Clause
# Checks that run in dom0. A script sources this file, defines functions test_NAME and ends with
# run_checks: each runs in a shell of its own with set -e, and becomes a line PASS NAME or FAIL NAME: WHY.

LIMIT=150 # seconds; only ends what hangs

# The directory shared with the host is slow for many files: work in a copy of it.
shared=$PWD
work=/tmp/work
mkdir $work
cp -p ./* $work
cd $work || exit 70
chmod +x ./*

nc() {
    nc.openbsd "$@"
}

die() {
    echo "$*" >&2
    exit 1
}

# await COMMAND...: until it succeeds
await() {
    tries=0
    until "$@" >/dev/null 2>&1; do
        tries=$((tries + 1))
        [ $tries -lt $((LIMIT * 4)) ] || die "waited in vain for: $*"
        sleep 0.25
    done
}

# No domain of one check is there in the next.
remove_domains() {
    for domain in $(xl list | sed -n '3,$s/ .*//p'); do
        [ "$domain" = "$DOM" ] || xl destroy "$domain"
    done
}

run_checks() {
    failed=0
    for name in $(sed -n 's/^test_\([a-z0-9_]*\)() {$/\1/p' "$0"); do
        read -r begin rest </proc/uptime
        (set -e; "test_$name") >what-happened 2>&1 </dev/null
        status=$?
        read -r end rest </proc/uptime
        remove_domains
        echo "time $name $begin $end"
        if [ $status = 0 ]; then
            echo "PASS $name"
        else
            failed=1
            echo "FAIL $name: status $status: $(tail -n 12 what-happened | tr '\n' '|')"
        fi
    done
    return $failed
}

# create NAME IMAGE LINE...: one more domain; the last setting of a name wins
create() {
    name=$1 image=$2
    shift 2
    rm -f "$(console_of "$name")"
    {
        echo "name='$name'"
        echo "type='pv'"
        echo "kernel='$PWD/$image'"
        echo "memory=16"
        echo "on_poweroff='preserve'"
        echo "on_crash='preserve'"
        [ $# = 0 ] || printf '%s\n' "$@"
    } >"$name.cfg"
    xl create -q "$name.cfg"
}

console_of() {
    echo "/job/console/guest-$1.log"
}

# says NAME TEXT: it is on the console of that domain
says() {
    tr -d '\r' <"$(console_of "$1")" | grep -q -- "$2"
}

never_says() {
    ! says "$1" "$2" || die "$1 said: $2"
}

# The letters of xl list: r, b, p, s, c, d.
state_of() {
    # shellcheck disable=SC2046 # words: six of the heading, then the domain's
    set -- $(xl list "$1")
    echo "${11}"
}

is_shut() {
    case $(state_of "$1") in
    *s*) ;;
    *) return 1 ;;
    esac
}

is_gone() {
    ! xl domid "$1" 2>/dev/null
}

# exits NAME STATUS: it powers off and says so; then it is removed
exits() {
    await is_shut "$1"
    status=$(xenstore-read "/local/domain/$(xl domid "$1")/data/exit-status")
    [ "$status" = "$2" ] || die "exit status of $1 is $status, not $2: $(tail -n 5 "$(console_of "$1")")"
    says "$1" "exit status $2"
    xl destroy "$1"
}
