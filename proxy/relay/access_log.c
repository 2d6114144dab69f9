/* proxy/relay/access_log.c
 *
 * Every text has a budget; the budgets, keys and numbers together stay below
 * ACCESS_LOG_LINE_BYTES, so that no part of a line needs a check of its own.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "proxy/relay/access_log.h"

#include <assert.h>

#include "proxy/relay/line.h"
#include "proxy/route/date.h"

/* Most bytes of one text when escaped. */
enum {
    BUDGET_WORD = 64,  /* ids, versions, suites, methods, addresses */
    BUDGET_ID = 136,   /* an X-Request-Id may be longer than our own ids */
    BUDGET_NAME = 200, /* hosts, servers, names of the configuration */
    BUDGET_TEXT = 224, /* user agents, subjects */
    BUDGET_PATH = 880, /* paths */
};

/* Of each kind at most this many are in one line; the rest is keys, numbers and marks. */
enum { WORDS = 9, IDS = 1, NAMES = 6, TEXTS = 2, PATHS = 1, OTHER_BYTES = 840 };
static_assert(WORDS * BUDGET_WORD + IDS * BUDGET_ID + NAMES * BUDGET_NAME + TEXTS * BUDGET_TEXT +
                      PATHS * BUDGET_PATH + OTHER_BYTES <=
                  ACCESS_LOG_LINE_BYTES,
              "a line may not fit");

static void put_time(struct line *line, uint64_t wall_us)
{
    char text[DATE_LOG_BYTES];
    date_write_log(wall_us, text);
    line_put(line, (slice){text, sizeof(text)});
}

/* --- JSON --- */

static void json_text(struct line *line, slice key, slice value, size_t budget)
{
    if (value.len > 0) {
        line_put(line, key);
        line_put(line, SLICE("\""));
        line_put_json(line, value, budget);
        line_put(line, SLICE("\""));
    }
}

static void json_number(struct line *line, slice key, uint64_t number)
{
    line_put(line, key);
    line_put_number(line, number);
}

static void json_flag(struct line *line, slice key, bool flag)
{
    line_put(line, key);
    line_put(line, flag ? SLICE("true") : SLICE("false"));
}

static void json_duration(struct line *line, slice key, uint64_t us)
{
    if (us != ACCESS_LOG_NEVER) {
        json_number(line, key, us);
    }
}

static void json_request(struct line *line, const struct exchange_facts *facts)
{
    json_text(line, SLICE(",\"id\":"), facts->id, BUDGET_WORD);
    if (!slice_equal(facts->request_id, facts->id)) {
        json_text(line, SLICE(",\"request_id\":"), facts->request_id, BUDGET_ID);
    }
    json_text(line, SLICE(",\"trace\":"), facts->trace_id, BUDGET_WORD);
    json_text(line, SLICE(",\"client\":"), facts->client, BUDGET_WORD);
    json_text(line, SLICE(",\"listener\":"), facts->listener, BUDGET_NAME);
    json_text(line, SLICE(",\"protocol\":"), facts->protocol, BUDGET_WORD);
    json_text(line, SLICE(",\"method\":"), facts->method, BUDGET_WORD);
    json_text(line, SLICE(",\"host\":"), facts->host, BUDGET_NAME);
    json_text(line, SLICE(",\"path\":"), facts->path, BUDGET_PATH);
    json_flag(line, SLICE(",\"query\":"), facts->has_query);
    json_text(line, SLICE(",\"user_agent\":"), facts->user_agent, BUDGET_TEXT);
}

static void json_tls(struct line *line, const struct exchange_facts *facts)
{
    json_flag(line, SLICE(",\"tls\":"), facts->is_tls);
    if (!facts->is_tls) {
        return;
    }
    json_text(line, SLICE(",\"tls_version\":"), facts->tls_version, BUDGET_WORD);
    json_text(line, SLICE(",\"tls_cipher\":"), facts->tls_cipher, BUDGET_WORD);
    json_text(line, SLICE(",\"tls_group\":"), facts->tls_group, BUDGET_WORD);
    json_flag(line, SLICE(",\"tls_resumed\":"), facts->tls_is_resumed);
    json_text(line, SLICE(",\"sni\":"), facts->sni, BUDGET_NAME);
    json_text(line, SLICE(",\"client_subject\":"), facts->client_subject, BUDGET_TEXT);
}

static void json_outcome(struct line *line, const struct exchange_facts *facts)
{
    json_number(line, SLICE(",\"status\":"), facts->status);
    json_number(line, SLICE(",\"bytes_in\":"), facts->bytes_in);
    json_number(line, SLICE(",\"bytes_out\":"), facts->bytes_out);
    json_text(line, SLICE(",\"route\":"), facts->route, BUDGET_NAME);
    json_text(line, SLICE(",\"backend\":"), facts->backend, BUDGET_NAME);
    json_text(line, SLICE(",\"server\":"), facts->server, BUDGET_NAME);
    if (facts->retries > 0) {
        json_number(line, SLICE(",\"retries\":"), facts->retries);
    }
    json_duration(line, SLICE(",\"tls_us\":"), facts->tls_us);
    json_duration(line, SLICE(",\"header_us\":"), facts->header_us);
    json_duration(line, SLICE(",\"queue_us\":"), facts->queue_us);
    json_duration(line, SLICE(",\"connect_us\":"), facts->connect_us);
    json_duration(line, SLICE(",\"first_byte_us\":"), facts->first_byte_us);
    json_duration(line, SLICE(",\"total_us\":"), facts->total_us);
    if (facts->is_tunnel) {
        json_flag(line, SLICE(",\"tunnel\":"), true);
    }
    if (facts->fault != FAULT_NONE) {
        json_text(line, SLICE(",\"fault\":"), slice_of(fault_name(facts->fault)), BUDGET_WORD);
    }
}

static void write_json(struct line *line, const struct exchange_facts *facts)
{
    line_put(line, SLICE("{\"time\":\""));
    put_time(line, facts->end_wall_us);
    line_put(line, SLICE("\",\"event\":\"access\""));
    json_request(line, facts);
    json_tls(line, facts);
    json_outcome(line, facts);
    line_put(line, SLICE("}\n"));
}

/* --- text --- */

static void text_word(struct line *line, slice before, slice value, size_t budget)
{
    if (value.len > 0) {
        line_put(line, before);
        line_put_word(line, value, budget);
    }
}

static void text_number(struct line *line, slice before, uint64_t number)
{
    line_put(line, before);
    line_put_number(line, number);
}

/* Milliseconds with two places: 5.27ms. */
static void text_duration(struct line *line, slice before, uint64_t us)
{
    if (us == ACCESS_LOG_NEVER) {
        return;
    }
    text_number(line, before, us / 1000);
    line_put(line, us / 10 % 100 < 10 ? SLICE(".0") : SLICE("."));
    line_put_number(line, us / 10 % 100);
    line_put(line, SLICE("ms"));
}

static void text_request(struct line *line, const struct exchange_facts *facts)
{
    text_number(line, SLICE(" "), facts->status);
    line_put(line, SLICE(" "));
    line_put_word(line, facts->method.len > 0 ? facts->method : SLICE("-"), BUDGET_WORD);
    line_put(line, facts->is_tls ? SLICE(" https://") : SLICE(" http://"));
    line_put_word(line, facts->host.len > 0 ? facts->host : SLICE("-"), BUDGET_NAME);
    line_put_word(line, facts->path, BUDGET_PATH);
    line_put(line, facts->has_query ? SLICE("?...") : SLICE(""));
    text_duration(line, SLICE(" "), facts->total_us);
    line_put(line, facts->is_tunnel ? SLICE(" tunnel") : SLICE(""));
    if (facts->fault != FAULT_NONE) {
        text_word(line, SLICE(" fault="), slice_of(fault_name(facts->fault)), BUDGET_WORD);
    }
}

static void text_tls(struct line *line, const struct exchange_facts *facts)
{
    if (!facts->is_tls) {
        return;
    }
    text_word(line, SLICE(" tls="), facts->tls_version, BUDGET_WORD);
    text_word(line, SLICE(" cipher="), facts->tls_cipher, BUDGET_WORD);
    text_word(line, SLICE(" group="), facts->tls_group, BUDGET_WORD);
    line_put(line, facts->tls_is_resumed ? SLICE(" resumed") : SLICE(""));
    if (!slice_equal_nocase(facts->sni, facts->host)) {
        text_word(line, SLICE(" sni="), facts->sni, BUDGET_NAME);
    }
    text_word(line, SLICE(" subject="), facts->client_subject, BUDGET_TEXT);
}

static void text_rest(struct line *line, const struct exchange_facts *facts)
{
    text_word(line, SLICE(" client="), facts->client, BUDGET_WORD);
    text_word(line, SLICE(" listener="), facts->listener, BUDGET_NAME);
    text_word(line, SLICE(" protocol="), facts->protocol, BUDGET_WORD);
    text_word(line, SLICE(" route="), facts->route, BUDGET_NAME);
    text_word(line, SLICE(" backend="), facts->backend, BUDGET_NAME);
    text_word(line, SLICE(" server="), facts->server, BUDGET_NAME);
    if (facts->retries > 0) {
        text_number(line, SLICE(" retries="), facts->retries);
    }
    text_number(line, SLICE(" in="), facts->bytes_in);
    text_number(line, SLICE(" out="), facts->bytes_out);
    text_duration(line, SLICE(" handshake="), facts->tls_us);
    text_duration(line, SLICE(" header="), facts->header_us);
    text_duration(line, SLICE(" queue="), facts->queue_us);
    text_duration(line, SLICE(" connect="), facts->connect_us);
    text_duration(line, SLICE(" first_byte="), facts->first_byte_us);
    text_word(line, SLICE(" agent="), facts->user_agent, BUDGET_TEXT);
    text_word(line, SLICE(" id="), facts->id, BUDGET_WORD);
    if (!slice_equal(facts->request_id, facts->id)) {
        text_word(line, SLICE(" request_id="), facts->request_id, BUDGET_ID);
    }
    text_word(line, SLICE(" trace="), facts->trace_id, BUDGET_WORD);
}

static void write_text(struct line *line, const struct exchange_facts *facts)
{
    put_time(line, facts->end_wall_us);
    text_request(line, facts);
    text_tls(line, facts);
    text_rest(line, facts);
    line_put(line, SLICE("\n"));
}

bool access_log_is_error(const struct exchange_facts *facts)
{
    return facts->status >= 400 || facts->status == 0 || facts->fault != FAULT_NONE;
}

size_t access_log_write(const struct exchange_facts *facts, enum log_format format, char *out)
{
    struct line line = {out, out + ACCESS_LOG_LINE_BYTES};
    if (format == LOG_JSON) {
        write_json(&line, facts);
    } else {
        write_text(&line, facts);
    }
    return (size_t)(line.at - out);
}

void access_log_add(const struct access_log *access, const struct exchange_facts *facts)
{
    if (access->log == NULL || (access->errors_only && !access_log_is_error(facts))) {
        return;
    }
    char line[ACCESS_LOG_LINE_BYTES];
    size_t len = access_log_write(facts, access->format, line);
    log_line(access->log, (slice){line, len});
}
