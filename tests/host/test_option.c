/* SPDX-License-Identifier: BSD-2-Clause */
/* The command line: whose words are whose. */
#include "kernel/option.h"

#include <stdio.h>
#include <string.h>
#include "tests/host/hostarch.h"
#include "tests/host/test.h"

TEST(option, gives_the_application_its_words_in_order)
{
    option_init("one paravane.log=debug two ip=dhcp  three ", "prog");
    CHECK_EQ(option_argc(), 4);
    CHECK_STR(option_argv()[0], "prog");
    CHECK_STR(option_argv()[1], "one");
    CHECK_STR(option_argv()[2], "two");
    CHECK_STR(option_argv()[3], "three");
    CHECK(option_argv()[4] == NULL);
}

TEST(option, keeps_its_own_words)
{
    option_init("paravane.evtchn=2l ip=10.0.0.2/24 paravane.debug paravane.log=", "prog");
    CHECK_EQ(option_argc(), 1);
    CHECK_STR(option_get("evtchn"), "2l");
    CHECK_STR(option_get("debug"), "");
    CHECK_STR(option_get("log"), "");
    CHECK(option_get("evt") == NULL);
    CHECK(option_get("evtchn2") == NULL);
    CHECK_STR(option_ip(), "10.0.0.2/24");
}

TEST(option, knows_on_from_off)
{
    option_init("paravane.a paravane.b=1 paravane.c=on paravane.d=yes paravane.e=0 paravane.f=off "
                "paravane.g=2",
                "prog");
    CHECK(option_on("a") && option_on("b") && option_on("c") && option_on("d"));
    CHECK(!option_on("e") && !option_on("f") && !option_on("g") && !option_on("h"));
}

TEST(option, keeps_quoted_blanks_together)
{
    option_init("\"a b\" c\" d \"e paravane.x=\"y z\" \"\" \" lead", "prog");
    CHECK_EQ(option_argc(), 5);
    CHECK_STR(option_argv()[1], "a b");
    CHECK_STR(option_argv()[2], "c d e");
    CHECK_STR(option_argv()[3], "");
    CHECK_STR(option_argv()[4], " lead");
    CHECK_STR(option_get("x"), "y z");
}

TEST(option, says_that_a_quote_is_not_closed)
{
    option_init("one \"two\"", "prog");
    CHECK(!host_logged("not closed"));
    option_init("one t\"wo paravane.x", "prog");
    CHECK_EQ(option_argc(), 3);
    CHECK_STR(option_argv()[2], "two paravane.x");
    CHECK(option_get("x") == NULL);
    CHECK(host_logged("not closed: the rest of the line is one word: two paravane.x"));
}

TEST(option, leaves_other_marks_alone)
{
    option_init("'a b' c\\ d", "prog");
    CHECK_EQ(option_argc(), 5);
    CHECK_STR(option_argv()[1], "'a");
    CHECK_STR(option_argv()[3], "c\\");
}

TEST(option, has_nothing_from_an_empty_line)
{
    option_init("", "prog");
    CHECK_EQ(option_argc(), 1);
    CHECK(option_get("log") == NULL && option_ip() == NULL);
    option_init(" \t\n", "prog");
    CHECK_EQ(option_argc(), 1);
}

TEST(option, names_a_word_that_it_does_not_know_and_those_that_it_does)
{
    option_init("paravane.log=debug paravane.resched-always paravane.stack=64 paravane.log",
                "prog");
    CHECK(!host_logged("ignored"));
    option_init("paravane.lgo=debug", "prog");
    CHECK(
        host_logged("paravane.lgo=debug is ignored; after paravane. these are known: log stack "));
    option_init("paravane.lo", "prog");
    CHECK(host_logged("paravane.lo is ignored"));
    option_init("paravane.=1", "prog");
    CHECK(host_logged("paravane.=1 is ignored"));
}

TEST(option, says_what_is_neither_on_nor_off)
{
    option_init("paravane.bounce=maybe", "prog");
    CHECK(host_logged("paravane.bounce=maybe is ignored; write =on or =off"));
    CHECK(!option_on("bounce") && !option_is_off(option_get("bounce")));
    option_init("paravane.xsave=of", "prog");
    CHECK(host_logged("paravane.xsave=of is ignored"));
    option_init("paravane.evtchn=2L", "prog");
    CHECK(host_logged("paravane.evtchn=2L is ignored; write =2l"));
}

TEST(option, knows_every_way_to_say_on_and_off)
{
    option_init("paravane.bounce=yes paravane.xsave=0 paravane.rdrand=1 paravane.fsgsbase=no "
                "paravane.hostname=maybe",
                "prog");
    CHECK(option_on("bounce") && option_on("rdrand"));
    CHECK(option_is_off(option_get("xsave")) && option_is_off(option_get("fsgsbase")));
    CHECK(!host_logged("ignored"));
}

TEST(option, leaves_out_what_is_too_much)
{
    char line[4096] = "";

    for (int i = 0; i < 100; i++)
        sprintf(line + strlen(line), "w%d paravane.o%d ", i, i);
    option_init(line, "prog");
    CHECK_EQ(option_argc(), OPTION_ARGS_MAX);
    CHECK_STR(option_argv()[OPTION_ARGS_MAX - 1], "w62");
    CHECK(option_argv()[OPTION_ARGS_MAX] == NULL);
    CHECK(option_get("o63") != NULL && option_get("o64") == NULL);
    CHECK(host_logged("too long"));
    memset(line, 'x', sizeof(line) - 1);
    option_init(line, "prog");
    CHECK_EQ(option_argc(), 2);
}
