# SPDX-License-Identifier: BSD-2-Clause
# The program `talk` hears what is typed into its console, which dom0 has as a pseudo terminal.
. ./lib.sh
await says "$DOM" listening
tty=$(xenstore-read "/local/domain/$(xl domid "$DOM")/console/tty")

test_a_line_arrives() {
    echo 'good morning' >"$tty"
    await says "$DOM" '^heard: good morning$'
}

test_return_ends_a_line() {
    printf 'good night\r' >"$tty"
    await says "$DOM" '^heard: good night$'
}

test_a_line_in_pieces() {
    for letter in p i e c e s; do
        printf %s $letter >"$tty"
        sleep 0.1
    done
    echo >"$tty"
    await says "$DOM" '^heard: pieces$'
}

# Far more than the ring holds: whoever types waits, nothing is lost.
test_a_long_line_is_whole() {
    { printf 'sum '; head -c 20000 /dev/zero | tr '\0' a; echo; } >"$tty"
    await says "$DOM" '^20000 letters, sum 1940000$'
}

test_many_lines_in_order() {
    seq 500 | sed 's,^,line ,' >"$tty"
    await says "$DOM" '^heard: line 500$'
    grep '^heard: line ' "$CONSOLE" | tr -d '\r' | cut -d ' ' -f 3 >heard
    seq 500 | cmp - heard
}

test_poll_sees_what_is_typed() {
    echo poll >"$tty"
    await says "$DOM" '^waiting$'
    echo awake >"$tty"
    await says "$DOM" '^1 ready: input$'
    await says "$DOM" '^heard: awake$'
}

test_status_that_was_typed() {
    echo 'quit 42' >"$tty"
    await is_shut "$DOM"
    [ "$(xenstore-read "/local/domain/$(xl domid "$DOM")/data/exit-status")" = 42 ]
}

run_checks
