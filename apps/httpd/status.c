/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Every value of the page carries its place in the JSON (data-k="memory.free_bytes") and its unit,
 * so that the script only fetches the JSON and fills it in. Without the script the page is whole,
 * and loads itself again.
 */
#include "apps/httpd/status.h"
#include <stdio.h>
#include <string.h>
#include "apps/httpd/counters.h"
#include "apps/httpd/page.h"

static void comma(struct status *s)
{
    text_add(s->out, s->first ? "" : ",");
    s->first = false;
}

static void open_object(struct status *s, const char *key)
{
    comma(s);
    text_add(s->out, "\n\"");
    text_add_json(s->out, key);
    text_add(s->out, "\":{");
    s->first = true;
}

static void close_object(struct status *s)
{
    text_add(s->out, "}");
    s->first = false;
}

/* "a.b." with (key): "a.b.key."; and back. */
static void enter(struct status *s, const char *key)
{
    size_t len = strlen(s->prefix);

    snprintf(s->prefix + len, sizeof(s->prefix) - len, "%s.", key);
}

static void leave(struct status *s)
{
    size_t len = strlen(s->prefix);

    if (len > 0)
        s->prefix[len - 1] = '\0';
    char *dot = strrchr(s->prefix, '.');
    *(dot == NULL ? s->prefix : dot + 1) = '\0';
}

void status_begin(struct status *s, const char *key, const char *title)
{
    enter(s, key);
    if (!s->html) {
        open_object(s, key);
        return;
    }
    text_add(s->out, "<section><h2>");
    text_add_html(s->out, title);
    text_add(s->out, "</h2><dl>\n");
}

void status_end(struct status *s)
{
    leave(s);
    if (s->html)
        text_add(s->out, "</dl></section>\n");
    else
        close_object(s);
}

void status_begin_list(struct status *s, const char *key)
{
    enter(s, key);
    if (!s->html)
        open_object(s, key);
}

void status_end_list(struct status *s)
{
    leave(s);
    if (!s->html)
        close_object(s);
}

/* As the script does it. */
static void add_human(struct text *t, uint64_t value, enum status_unit unit)
{
    static const char *const suffixes[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
    unsigned i = 0;

    if (unit == STATUS_NSEC) {
        uint64_t tenths = value / 100000000;
        text_add(t, "%llu.%llu s", (unsigned long long)tenths / 10,
                 (unsigned long long)tenths % 10);
        return;
    }
    if (unit != STATUS_BYTES && unit != STATUS_BYTES_COUNT) {
        text_add(t, "%llu", (unsigned long long)value);
        return;
    }
    for (value *= 10; value >= 10240 && i < 4; i++)
        value /= 1024;
    if (i == 0)
        text_add(t, "%llu bytes", (unsigned long long)value / 10);
    else
        text_add(t, "%llu.%llu %s", (unsigned long long)value / 10, (unsigned long long)value % 10,
                 suffixes[i]);
}

static void begin_row(struct status *s, const char *key, const char *label, char unit)
{
    text_add(s->out, "<div><dt>%s</dt><dd data-k=\"", label);
    text_add_html(s->out, s->prefix);
    text_add(s->out, "%s\" data-u=\"%c\">", key, unit);
}

void status_number(struct status *s, const char *key, const char *label, uint64_t value,
                   enum status_unit unit)
{
    if (!s->html) {
        comma(s);
        text_add(s->out, "\"%s\":%llu", key, (unsigned long long)value);
        return;
    }
    begin_row(s, key, label, "clbBt"[unit]);
    add_human(s->out, value, unit);
    text_add(s->out, "</dd></div>\n");
}

void status_string(struct status *s, const char *key, const char *label, const char *value)
{
    if (!s->html) {
        comma(s);
        text_add(s->out, "\"%s\":\"", key);
        text_add_json(s->out, value);
        text_add(s->out, "\"");
        return;
    }
    begin_row(s, key, label, 's');
    text_add_html(s->out, value);
    text_add(s->out, "</dd></div>\n");
}

static void tell(struct status *s)
{
    status_tell_system(s);
    status_begin(s, "httpd", "This server");
    status_number(s, "accepted", "connections", counters.accepted, STATUS_COUNT);
    status_number(s, "open", "open now", counters.open, STATUS_LEVEL);
    status_number(s, "answers", "requests answered", counters.answers, STATUS_COUNT);
    status_number(s, "errors", "with an error", counters.errors, STATUS_COUNT);
    status_number(s, "bytes_sent", "sent", counters.bytes_sent, STATUS_BYTES_COUNT);
    status_number(s, "timed_out", "too slow, closed", counters.timed_out, STATUS_COUNT);
    status_number(s, "evicted", "closed to make room", counters.evicted, STATUS_COUNT);
    status_end(s);
}

void status_write_json(struct text *out)
{
    struct status s = {.out = out, .first = true};

    text_add(out, "{");
    tell(&s);
    text_add(out, "\n}\n");
}

static const char script[] =
    "<script>\n"
    "let last={},when=0;\n"
    "const bytes=n=>{let i=0;while(n>=1024&&i<4){n/=1024;i++}"
    "return(i?n.toFixed(1):Math.round(n))+' '+['bytes','KiB','MiB','GiB','TiB'][i]};\n"
    "const count=n=>Math.round(n).toLocaleString('en');\n"
    "const show={c:count,l:count,b:bytes,B:bytes,t:n=>(n/1e9).toFixed(1)+' s',s:x=>x};\n"
    "async function tick(){\n"
    " const dot=document.querySelector('.live');\n"
    " try{\n"
    "  const j=await(await fetch('/-/status.json')).json(),now=performance.now();\n"
    "  for(const e of document.querySelectorAll('[data-k]')){\n"
    "   const k=e.dataset.k,u=e.dataset.u,v=k.split('.').reduce((o,p)=>o?.[p],j);\n"
    "   if(v===undefined)continue;\n"
    "   e.textContent=show[u](v);\n"
    "   const d=(v-last[k])*1000/(now-when);\n"
    "   if((u=='c'||u=='B')&&d>=.05){const s=document.createElement('small');\n"
    "    s.textContent='+'+(u=='B'?bytes(d):d<10?d.toFixed(1):count(d))+'/s';e.prepend(s)}\n"
    "   last[k]=v}\n"
    "  when=now;dot.classList.add('on');document.getElementById('how').textContent='live'\n"
    " }catch(x){dot.classList.remove('on');"
    "document.getElementById('how').textContent='no answer'}\n"
    " setTimeout(tick,1000)}\n"
    "tick()\n"
    "</script>\n";

void status_write_page(struct text *out)
{
    struct status s = {.out = out, .html = true};

    page_begin(out, "Status of this domain",
               "<noscript><meta http-equiv=\"refresh\" content=\"3\"></noscript>\n");
    text_add(out, "<h1>Status of this domain</h1>\n"
                  "<div class=\"dim\"><span class=\"live\"></span><span id=\"how\">as of now</span>"
                  " &middot; the same as <a href=\"/-/status.json\">JSON</a>"
                  " &middot; <a href=\"/\">front page</a></div>\n<div class=\"cards\">\n");
    tell(&s);
    text_add(out, "</div>\n%s", script);
    page_end(out);
}
