/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hostile net|blk DOMID ID SENTINEL all|starred [CASE]...
 *     A hostile backend in dom0 for the device (ID) of a domain that runs `victim`, whose real
 * backend was unbound. Each case is an attack in a life that was honest before, followed by an
 * honest life. A line PASS NAME or FAIL NAME: WHY for each.
 *
 * A case has passed when
 *
 *   - the guest accuses us, or does not, as the case says;
 *   - a backend that is honest again is served, byte for byte, in a new life;
 *   - from the attack until then the guest's heart beat at least 90 % as often as that of the
 *     domain (SENTINEL), which runs the same program on the same processor and is left alone: what
 * this machine or Xen takes away, it takes from both;
 *   - no page that was ever granted to us showed the guest's canary.
 *
 * hostile vitals DOMID
 *     What that domain has: a line "quarantined N grants N ports N threads N free N good N bad N",
 *     the last two being rounds over its disk.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "device.h"
#include "tests/system/vitals.h"

#define HONEST_MS 2100 /* longer than what the frontend takes for a short life */
#define VERDICT_MS 5000
#define BEATS_MIN 100
#define BEAT_NS 10000000

volatile struct vitals *victim;
static volatile struct vitals *sentinel;
static const char *wrong;
static char text[200];

void complain(const char *what)
{
    if (wrong == NULL)
        wrong = what;
}

/* ---- hearts ---- */

struct beats {
    uint64_t victim, sentinel;
    int64_t stolen; /* ns, more of the victim's time than of the other's */
};

static struct beats count_beats(void)
{
    return (struct beats){victim->beats, sentinel->beats,
                          (int64_t)(victim->stolen - sentinel->stolen)};
}

/* Both hearts since (from), which is long ago enough to tell. A domain that does not run cannot
 * beat: what was stolen from the victim alone counts as beats. */
static void judge_hearts(struct beats from)
{
    struct beats now = count_beats();
    uint64_t ours, others;
    int64_t lost;

    for (unsigned i = 0; i < 2000 && now.sentinel - from.sentinel < BEATS_MIN; i++) {
        sleep_us(10000);
        now = count_beats();
    }
    ours = now.victim - from.victim;
    others = now.sentinel - from.sentinel;
    lost = (now.stolen - from.stolen) / BEAT_NS;
    lost = lost > 0 ? lost : 0;
    snprintf(text, sizeof(text),
             "its heart beat %lu times, and %ld while it could not run, another beat %lu times",
             (unsigned long)ours, (long)lost, (unsigned long)others);
    if (others < BEATS_MIN || (ours + (uint64_t)lost) * 10 < others * 9)
        complain(text);
}

/* ---- one case ---- */

static bool is_accused_soon(const struct device *d)
{
    for (uint64_t end = now_ms() + VERDICT_MS; now_ms() < end; sleep_us(5000))
        if (device_is_accused(d))
            return true;
    return false;
}

static void judge_outcome(const struct play *play, enum outcome outcome)
{
    if (outcome == ACCUSED && !is_accused_soon(play->device))
        complain("the frontend did not say that the protocol was broken");
    if (outcome == STAYS &&
        (device_is_accused(play->device) || device_front_state(play->device) != CONNECTED))
        complain("the frontend left a backend that did nothing wrong");
    if (outcome == STAYS && wrong == NULL)
        wrong = play->honest(0);
}

static void begin_life(const struct play *play, const char *missing)
{
    const char *found;

    play->leave();
    if (!play->open()) {
        complain(missing);
        return;
    }
    device_forget_error(play->device);
    found = play->honest(HONEST_MS);
    if (found != NULL)
        complain(found);
}

static void report(const struct play *play, const char *name)
{
    printf("%s %s_%s%s%s\n", wrong == NULL ? "PASS" : "FAIL", play->device->class, name,
           wrong == NULL ? "" : ": ", wrong == NULL ? "" : wrong);
}

static bool run(const struct play *play, const struct test_case *c)
{
    struct beats before = count_beats();
    unsigned canaries = canaries_seen;
    uint64_t began = now_ms();

    wrong = NULL;
    c->attack();
    judge_outcome(play, c->outcome);
    begin_life(play, "the frontend does not connect to an honest backend any more");
    judge_hearts(before);
    if (canaries_seen != canaries)
        complain("a granted page shows what was never meant for us");
    printf("%s: %lu ms, %s\n", c->name, (unsigned long)(now_ms() - began), text);
    report(play, c->name);
    return wrong == NULL;
}

static bool is_wanted(const struct test_case *c, int argc, char **argv)
{
    if (argc == 6)
        return c->starred || strcmp(argv[5], "all") == 0;
    for (int i = 6; i < argc; i++)
        if (strcmp(argv[i], c->name) == 0)
            return true;
    return false;
}

static int print_vitals(unsigned dom)
{
    volatile struct vitals *v = vitals_of(dom);

    printf("quarantined %u grants %u ports %u threads %u free %lu good %lu bad %lu\n",
           v->quarantined, v->grants, v->ports, v->threads, (unsigned long)v->pages_free,
           (unsigned long)v->rounds_good, (unsigned long)v->rounds_bad);
    return 0;
}

int main(int argc, char **argv)
{
    const struct play *play;
    bool good = true;

    if (argc == 3)
        return print_vitals((unsigned)atoi(argv[2]));
    if (argc < 6) {
        fprintf(stderr, "usage: hostile net|blk DOMID ID SENTINEL all|starred [CASE]...\n       "
                        "hostile vitals DOMID\n");
        return 64;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    victim = vitals_of((unsigned)atoi(argv[2]));
    sentinel = vitals_of((unsigned)atoi(argv[4]));
    play = (argv[1][0] == 'n' ? play_net : play_blk)((unsigned)atoi(argv[2]), argv[3]);
    begin_life(play, "the frontend does not connect to us");
    report(play, "honest_backend");
    if (wrong != NULL)
        return 1;
    for (unsigned i = 0; i < play->nr_cases; i++)
        if (is_wanted(&play->cases[i], argc, argv))
            good &= run(play, &play->cases[i]);
    play->leave();
    return good ? 0 : 1;
}
