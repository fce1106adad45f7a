# SPDX-License-Identifier: BSD-2-Clause
# httpd serves the file system of $DISK; `urls` and `sums` were made from the same files.
. ./lib.sh
base=http://$IP
await curl -sf -o /dev/null "$base/-/status"

test_every_file_arrives_byte_for_byte() {
    mkdir got
    curl -sS --fail -K urls
    sha256sum -c sums | grep -v ': OK$' && die "they differ"
    [ "$(ls got | wc -l)" = "$(wc -l <sums)" ]
    rm -r got
}

test_ten_thousand_requests_none_failed() {
    ./peer http "$IP" /size/4097 file-4097 32 10000
}

test_512_connections_at_once() {
    ./peer http "$IP" /size/512 file-512 512 2048
}

test_ip6() {
    local address=$(grep -o 'fd00[0-9a-f:]*' "$CONSOLE" | head -n 1)
    [ "$address" ] || address=fe80::216:3eff:fe00:1%xenbr0
    curl -6 -sf --interface xenbr0 -o six "http://[$address]/size/1048576"
    cmp six file-1048576
}

test_head_and_range_and_conditions() {
    curl -sf -I "$base/size/4097" | tr -d '\r' | grep -qi '^content-length: 4097$'
    curl -sf -r 4090-4096 -o range "$base/size/4097"
    tail -c 7 file-4097 | cmp - range
    [ "$(curl -s -o /dev/null -w '%{http_code}' -r 5000- "$base/size/4097")" = 416 ]
    local tag=$(curl -sf -I "$base/size/4097" | tr -d '\r' | sed -n 's/^[Ee][Tt]ag: //p')
    [ "$(curl -s -o /dev/null -w '%{http_code}' -H "If-None-Match: $tag" "$base/size/4097")" = 304 ]
    [ "$(curl -s -o /dev/null -w '%{http_code}' "$base/none")" = 404 ]
    [ "$(curl -s -o /dev/null -w '%{http_code}' -X POST "$base/")" = 405 ]
}

test_slow_clients_are_served() {
    { printf 'GET /size/4097 HT'; sleep 1; printf 'TP/1.1\r\nHost: '; sleep 1
      printf 'x\r\nConnection: close\r\n\r\n'; sleep 1; } | nc "$IP" 80 >slow
    tail -c 4097 slow | cmp - file-4097
    curl -sf --limit-rate 500k -o slow "$base/size/1048576"
    cmp slow file-1048576
}

test_half_open_clients_do_not_matter() {
    ./peer trickle "$IP" 80 50 0 >held 2>&1 &
    await grep -q '^50 of 50 connections stood' held
    ./peer http "$IP" /size/4096 file-4096 32 500
    # Whoever closes one half still gets the whole answer.
    printf 'GET /size/1048576 HTTP/1.0\r\n\r\n' | nc -N "$IP" 80 >half
    tail -c 1048576 half | cmp - file-1048576
    kill $!
}

# number KEY FILE: the first of that name in the status as JSON
number() {
    grep -o "\"$1\":[0-9]*" "$2" | head -n 1 | cut -d : -f 2
}

test_status_counts_what_happens() {
    curl -sf -o before "$base/-/status.json"
    curl -sf -o /dev/null "$base/size/1048576"
    curl -sf -o after "$base/-/status.json"
    for key in uptime_ns hypercalls upcalls events rx_frames tx_frames notifies answers; do
        [ "$(number $key after)" -gt "$(number $key before)" ] ||
            die "$key: $(number $key before), then $(number $key after)"
    done
    [ "$(number reads after)" -gt 0 ]
    [ "$(number free_bytes after)" -lt "$(number total_bytes after)" ]
    curl -sf "$base/-/status" | grep -q 'data-k="xen.hypercalls"'
    never_says "$DOM" panic
}

run_checks
