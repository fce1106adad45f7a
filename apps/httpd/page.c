/* SPDX-License-Identifier: BSD-2-Clause */
#include "apps/httpd/page.h"
#include <http_parser.h>

static const char style[] =
    ":root{color-scheme:light dark;--bg:#f7f6f3;--fg:#1d2326;--dim:#5d686d;--line:#dcdad3;"
    "--card:#fff;--key:#0b6e63}"
    "@media(prefers-color-scheme:dark){:root{--bg:#14181a;--fg:#e4e6e3;--dim:#98a3a6;"
    "--line:#2c3336;--card:#1c2123;--key:#5ccfbb}}"
    "*{box-sizing:border-box}body{margin:0;background:var(--bg);color:var(--fg);"
    "font:16px/1.55 system-ui,sans-serif}"
    "main{max-width:62rem;margin:0 auto;padding:2rem 1.2rem 3rem}"
    "h1{font-size:1.7rem;margin:0 0 .2em;letter-spacing:-.02em}p{max-width:40rem}"
    "a{color:var(--key)}.dim,small{color:var(--dim)}code{font-family:ui-monospace,monospace}"
    ".cards{display:grid;gap:1rem;grid-template-columns:repeat(auto-fill,minmax(17rem,1fr));"
    "margin-top:1.4rem}"
    "section{background:var(--card);border:1px solid var(--line);border-radius:10px;"
    "padding:.9rem 1.1rem}"
    "h2{font-size:1rem;margin:0 0 .4em;color:var(--key)}"
    "dl{margin:0}dl div{display:flex;justify-content:space-between;gap:1rem;padding:.16rem 0}"
    "dl div+div{border-top:1px solid var(--line)}dt{color:var(--dim)}"
    "dd{margin:0;text-align:right;font-variant-numeric:tabular-nums;overflow-wrap:anywhere}"
    "dd small{font-size:.78rem;margin-right:.7em}"
    ".live{display:inline-block;width:.55em;height:.55em;border-radius:50%;"
    "background:var(--dim);margin-right:.4em}.live.on{background:#2fb344}";

void page_begin(struct text *t, const char *title, const char *head)
{
    text_add(t, "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n"
                "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n"
                "<link rel=\"icon\" href=\"data:,\">\n<title>");
    text_add_html(t, title);
    text_add(t, "</title>\n<style>%s</style>\n%s<body>\n<main>\n", style, head);
}

void page_end(struct text *t)
{
    text_add(t, "</main>\n</body>\n</html>\n");
}

/* In the words of a person; the protocol's word is the title. */
static const struct {
    int status;
    const char *words;
} explanations[] = {
    {301, "This is a directory; its address ends with a slash."},
    {400, "The request does not follow the rules of HTTP."},
    {403, "The file system does not allow this file to be read."},
    {404, "There is nothing at this address."},
    {405, "This server only reads files: it answers GET and HEAD."},
    {408, "The request took too long to arrive."},
    {413, "A request to read a file has no body."},
    {414, "The address is longer than this server reads."},
    {416, "The file does not have the bytes that were asked for."},
    {431, "The head of the request is longer than this server reads."},
    {500, "The disk returned an error, or its file system is damaged. The domain's console says "
          "more."},
    {503,
     "This domain has nothing to serve: its root file system is missing, damaged, or there is no "
     "memory left to read it. The server itself works. The domain's console says which "
     "it is; a root is a disk image made by <code>mkfs.erofs root.img DIR</code> and "
     "given to the domain by <code>disk = [ \"format=raw,vdev=xvda,access=ro,"
     "target=/path/to/root.img\" ]</code>."},
    {505, "This server speaks HTTP/1.0 and HTTP/1.1."},
};

void page_for_status(struct text *t, int status)
{
    const char *title = http_status_str((enum http_status)status);
    const char *words = "";

    for (size_t i = 0; i < sizeof(explanations) / sizeof(explanations[0]); i++) {
        if (explanations[i].status == status)
            words = explanations[i].words;
    }
    page_begin(t, title, "");
    text_add(t,
             "<p class=\"dim\">%d</p>\n<h1>%s</h1>\n<p>%s</p>\n"
             "<p><a href=\"/\">Front page</a> &middot; <a href=\"/-/status\">Status of this "
             "domain</a></p>\n",
             status, title, words);
    page_end(t);
}
