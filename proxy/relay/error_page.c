/* proxy/relay/error_page.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/relay/error_page.h"

enum page_form { PAGE_TEXT, PAGE_HTML, PAGE_JSON };

struct page {
    slice status_digits;
    slice reason;
    slice sentence;
    slice advice;
    slice fault;
    slice id; /* empty: none */
};

/* --- words --- */

static slice reason_of(unsigned status)
{
    switch (status) {
    case 400:
        return SLICE("Bad Request");
    case 404:
        return SLICE("Not Found");
    case 405:
        return SLICE("Method Not Allowed");
    case 408:
        return SLICE("Request Timeout");
    case 413:
        return SLICE("Content Too Large");
    case 414:
        return SLICE("URI Too Long");
    case 417:
        return SLICE("Expectation Failed");
    case 431:
        return SLICE("Request Header Fields Too Large");
    case 500:
        return SLICE("Internal Server Error");
    case 501:
        return SLICE("Not Implemented");
    case 502:
        return SLICE("Bad Gateway");
    case 503:
        return SLICE("Service Unavailable");
    case 504:
        return SLICE("Gateway Timeout");
    case 505:
        return SLICE("HTTP Version Not Supported");
    default:
        return status < 500 ? SLICE("Request Refused") : SLICE("Server Error");
    }
}

/* Whose move it is. */
static slice advice_of(enum fault_code fault, unsigned status)
{
    if (fault == FAULT_HTTP_ON_TLS_PORT) {
        return SLICE("Use https:// for this address.");
    }
    if (fault == FAULT_NO_ROUTE) {
        return SLICE("Check the address; nothing is served under it.");
    }
    if (status >= 502 && status <= 504) {
        return SLICE("The request itself was fine. Try again shortly; if this stays, show the "
                     "operator the lines below.");
    }
    if (status >= 500) {
        return SLICE("If this stays, show the operator the lines below.");
    }
    return SLICE("The request was refused before it reached the application.");
}

/* --- forms --- */

/* The first kind in Accept that we can make. Preferences (q) are not weighed: whoever lists HTML
 * or JSON at all can read it. */
static enum page_form form_of(slice accept)
{
    slice member;
    while (slice_next_member(&accept, &member)) {
        slice type = slice_trim(slice_first(member, slice_find(member, ';')));
        if (slice_equal_nocase(type, SLICE("text/html")) ||
            slice_equal_nocase(type, SLICE("application/xhtml+xml"))) {
            return PAGE_HTML;
        }
        if (slice_equal_nocase(type, SLICE("application/json")) ||
            slice_equal_nocase(type, SLICE("application/problem+json"))) {
            return PAGE_JSON;
        }
        if (slice_equal_nocase(type, SLICE("text/plain")) ||
            slice_equal_nocase(type, SLICE("*/*"))) {
            return PAGE_TEXT;
        }
    }
    return PAGE_TEXT;
}

static slice type_of(enum page_form form)
{
    static const slice types[] = {
        [PAGE_TEXT] = SLICE("text/plain; charset=utf-8"),
        [PAGE_HTML] = SLICE("text/html; charset=utf-8"),
        [PAGE_JSON] = SLICE("application/json"),
    };
    return types[form];
}

#define HTML_HEAD                                                                                  \
    "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"                      \
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"                   \
    "<meta name=\"color-scheme\" content=\"light dark\">\n<style>\n"                               \
    ":root{--ink:#16202c;--soft:#5b6876;--line:#d9dfe6;--paper:#f5f7f9;--card:#fff;--mark:#"       \
    "b4472e}\n"                                                                                    \
    "@media(prefers-color-scheme:dark){:root{--ink:#e8edf2;--soft:#93a1b0;--line:#2c3743;"         \
    "--paper:#11171d;--card:#19212a;--mark:#ef8a6f}}\n"                                            \
    "*{box-sizing:border-box}\n"                                                                   \
    "body{margin:0;min-height:100vh;display:grid;place-items:center;padding:24px;"                 \
    "background:var(--paper);color:var(--ink);font:16px/1.55 system-ui,sans-serif}\n"              \
    "main{width:100%;max-width:560px;padding:36px 40px;background:var(--card);"                    \
    "border:1px solid var(--line);border-top:4px solid var(--mark);border-radius:10px}\n"          \
    ".status{margin:0;color:var(--mark);font-size:54px;font-weight:700;line-height:1;"             \
    "letter-spacing:-.02em}\n"                                                                     \
    "h1{margin:10px 0 18px;font-size:22px;line-height:1.25}\n"                                     \
    "p{margin:0 0 10px}\n.advice{color:var(--soft)}\n"                                             \
    "dl{display:grid;grid-template-columns:max-content 1fr;gap:4px 18px;margin:26px 0 0;"          \
    "padding-top:18px;border-top:1px solid var(--line);font-size:14px}\n"                          \
    "dt{color:var(--soft)}\ndd{margin:0;overflow-wrap:anywhere;"                                   \
    "font-family:ui-monospace,monospace}\n</style>\n<title>"

static slice make_html(const struct page *page, struct arena *arena)
{
    bool has_id = page->id.len > 0;
    slice parts[] = {
        SLICE(HTML_HEAD),
        page->status_digits,
        SLICE(" "),
        page->reason,
        SLICE("</title>\n</head>\n<body>\n<main>\n<p class=\"status\">"),
        page->status_digits,
        SLICE("</p>\n<h1>"),
        page->reason,
        SLICE("</h1>\n<p>Reason: "),
        page->sentence,
        SLICE(".</p>\n<p class=\"advice\">"),
        page->advice,
        SLICE("</p>\n<dl>\n<dt>Fault</dt><dd>"),
        page->fault,
        has_id ? SLICE("</dd>\n<dt>Request id</dt><dd>") : SLICE(""),
        page->id,
        SLICE("</dd>\n</dl>\n</main>\n</body>\n</html>\n"),
    };
    return arena_join(arena, parts, sizeof(parts) / sizeof(parts[0]));
}

/* None of the words in it needs escaping: they come from our tables. */
static slice make_json(const struct page *page, struct arena *arena)
{
    bool has_id = page->id.len > 0;
    slice parts[] = {
        SLICE("{\"status\":"),
        page->status_digits,
        SLICE(",\"error\":\""),
        page->reason,
        SLICE("\",\"reason\":\""),
        page->sentence,
        SLICE("\",\"fault\":\""),
        page->fault,
        has_id ? SLICE("\",\"id\":\"") : SLICE(""),
        page->id,
        SLICE("\"}\n"),
    };
    return arena_join(arena, parts, sizeof(parts) / sizeof(parts[0]));
}

static slice make_text(const struct page *page, struct arena *arena)
{
    bool has_id = page->id.len > 0;
    slice parts[] = {
        page->status_digits,
        SLICE(" "),
        page->reason,
        SLICE("\nReason: "),
        page->sentence,
        SLICE(".\n"),
        page->advice,
        SLICE("\nFault: "),
        page->fault,
        has_id ? SLICE("\nRequest id: ") : SLICE(""),
        page->id,
        SLICE("\n"),
    };
    return arena_join(arena, parts, sizeof(parts) / sizeof(parts[0]));
}

static slice make_body(enum page_form form, const struct page *page, struct arena *arena)
{
    switch (form) {
    case PAGE_HTML:
        return make_html(page, arena);
    case PAGE_JSON:
        return make_json(page, arena);
    case PAGE_TEXT:
        break;
    }
    return make_text(page, arena);
}

/* --- the response --- */

static enum status add_fields(unsigned status, enum page_form form, struct fields *fields,
                              struct arena *arena)
{
    const struct {
        slice name;
        slice value;
    } named[] = {
        {SLICE("content-type"), type_of(form)},
        {SLICE("cache-control"), SLICE("no-store")},
        {SLICE("x-content-type-options"), SLICE("nosniff")},
        {SLICE("content-security-policy"),
         SLICE("default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")},
        /* RFC 9110 §15.5.6 asks for it with 405. */
        {SLICE("allow"), SLICE("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")},
    };
    size_t count = sizeof(named) / sizeof(named[0]);
    if (status != 405) {
        count--;
    }
    for (size_t i = 0; i < count; i++) {
        enum status added = fields_add_named(fields, arena, named[i].name, named[i].value);
        if (added != STATUS_OK) {
            return added;
        }
    }
    return STATUS_OK;
}

/* Our ids are letters, digits and dashes; anything else did not come from us. */
static bool is_plain_id(slice id)
{
    for (size_t i = 0; i < id.len; i++) {
        char c = slice_lower(id.at[i]);
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c == '-' || c == '_')) {
            return false;
        }
    }
    return true;
}

static struct framing frame(size_t len, bool is_head)
{
    return (struct framing){
        .kind = is_head ? FRAMING_NONE : FRAMING_LENGTH,
        .length = len,
        .tells_length = is_head,
    };
}

bool error_page_exists(enum fault_code fault)
{
    return fault_http_status(fault) != 0;
}

/* --- gRPC --- */

/* "Trailers only" of the protocol: 200, and the status in the head. The codes follow the mapping
 * from HTTP that its specification gives (http-grpc-status-mapping), and for what is told more
 * exactly by a fault, the meaning of the code. */
static slice grpc_status_of(enum fault_code fault, unsigned status)
{
    switch ((unsigned)fault) {
    case FAULT_BACKEND_CANCELLED:
        return SLICE("1"); /* CANCELLED */
    case FAULT_TIMEOUT_RESPONSE:
    case FAULT_TIMEOUT_CONNECT:
        return SLICE("4"); /* DEADLINE_EXCEEDED */
    case FAULT_LIMIT_BODY_BYTES:
    case FAULT_LIMIT_HEADER_BYTES:
    case FAULT_LIMIT_HEADER_COUNT:
    case FAULT_LIMIT_MEMORY:
        return SLICE("8"); /* RESOURCE_EXHAUSTED */
    default:
        break;
    }
    switch (status) {
    case 400:
        return SLICE("13"); /* INTERNAL */
    case 401:
        return SLICE("16"); /* UNAUTHENTICATED */
    case 403:
        return SLICE("7"); /* PERMISSION_DENIED */
    case 404:
        return SLICE("12"); /* UNIMPLEMENTED */
    case 429:
    case 502:
    case 503:
    case 504:
        return SLICE("14"); /* UNAVAILABLE */
    default:
        return SLICE("2"); /* UNKNOWN */
    }
}

static enum status make_grpc(const struct error_page_facts *facts, struct message *response,
                             struct arena *arena)
{
    enum { OK = 200 };
    /* Our sentences are of printable ASCII without a percent sign, so nothing needs escaping. */
    const slice parts[] = {slice_of(fault_sentence(facts->fault)), SLICE(" ("),
                           slice_of(fault_name(facts->fault)), SLICE(")")};
    slice text = arena_join(arena, parts, sizeof(parts) / sizeof(parts[0]));
    if (text.at == NULL) {
        return STATUS_NOMEM;
    }
    *response = (struct message){.status = OK, .framing = {.kind = FRAMING_NONE}};
    const struct {
        slice name;
        slice value;
    } named[] = {
        {SLICE("content-type"), SLICE("application/grpc")},
        {SLICE("grpc-status"), grpc_status_of(facts->fault, fault_http_status(facts->fault))},
        {SLICE("grpc-message"), text},
    };
    for (size_t i = 0; i < sizeof(named) / sizeof(named[0]); i++) {
        enum status added =
            fields_add_named(&response->fields, arena, named[i].name, named[i].value);
        if (added != STATUS_OK) {
            return added;
        }
    }
    return STATUS_OK;
}

enum status error_page_make(const struct error_page_facts *facts, struct message *response,
                            slice *body, struct arena *arena)
{
    unsigned status = fault_http_status(facts->fault);
    if (status == 0) {
        return STATUS_REFUSED;
    }
    if (facts->is_grpc) {
        *body = (slice){"", 0};
        return make_grpc(facts, response, arena);
    }
    char digits[3] = {(char)('0' + status / 100 % 10), (char)('0' + status / 10 % 10),
                      (char)('0' + status % 10)};
    struct page page = {
        .status_digits = {digits, sizeof(digits)},
        .reason = reason_of(status),
        .sentence = slice_of(fault_sentence(facts->fault)),
        .advice = advice_of(facts->fault, status),
        .fault = slice_of(fault_name(facts->fault)),
        .id = is_plain_id(facts->id) ? facts->id : SLICE(""),
    };
    enum page_form form = form_of(facts->accept);
    *body = make_body(form, &page, arena);
    if (body->at == NULL) {
        return STATUS_NOMEM;
    }
    *response = (struct message){.status = status, .framing = frame(body->len, facts->is_head)};
    body->len = facts->is_head ? 0 : body->len;
    return add_fields(status, form, &response->fields, arena);
}
