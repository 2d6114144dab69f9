/* proxy/http/framing.c
 *
 * Three steps for each message: survey (one walk over the fields finds those that matter), decide,
 * sweep (one walk removes what belongs to the hop).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "proxy/http/framing.h"

#include "proxy/http/uri.h"

/* Bounds the work that Connection can make us do: each name is looked for in all fields. */
enum { NAMED_FIELDS_MAX = 32, NAME_COPY_BYTES = 32 };

/* What the walk over the fields found. The pointers are to the last of their name. */
struct survey {
    const struct field *host;
    const struct field *length;
    const struct field *coding;
    const struct field *expect;
    size_t hosts;
    size_t lengths;
    size_t codings;
    bool has_connection;
    bool has_upgrade;
    bool has_te;
    bool has_other_hop; /* Keep-Alive, Proxy-Connection */
    bool must_sweep;
};

/* What Connection said. */
struct options {
    bool close;
    bool keep_alive;
    bool upgrade;
    bool te;
    size_t named;
};

static bool is_hop_by_hop(enum field_token token)
{
    /* clang-format off */
    static const bool hop_by_hop[FIELD_TOKENS] = {
        [FIELD_CONNECTION] = true, [FIELD_HTTP2_SETTINGS] = true, [FIELD_KEEP_ALIVE] = true,
        [FIELD_PROXY_AUTHENTICATE] = true, [FIELD_PROXY_AUTHORIZATION] = true,
        [FIELD_PROXY_CONNECTION] = true, [FIELD_TE] = true, [FIELD_TRANSFER_ENCODING] = true,
        [FIELD_UPGRADE] = true,
    };
    /* clang-format on */
    return hop_by_hop[token];
}

/* Of any case, and with `_` for `-` if `from` is `_`; FIELD_OTHER: none that we act on. */
static enum field_token token_of_spelling(slice name, char from)
{
    char copy[NAME_COPY_BYTES];
    if (name.len > sizeof(copy)) {
        return FIELD_OTHER;
    }
    for (size_t i = 0; i < name.len; i++) {
        copy[i] = name.at[i] == from ? '-' : slice_lower(name.at[i]);
    }
    return field_token_of((slice){copy, name.len});
}

static bool is_underscore_spelling(const struct field *field)
{
    return field->token == FIELD_OTHER && slice_find(field->name, '_') != field->name.len &&
           token_of_spelling(field->name, '_') != FIELD_OTHER;
}

/* A removed field has no name until the sweep. */
static void mark_removed(struct field *field, struct survey *survey)
{
    field->name.len = 0;
    survey->must_sweep = true;
}

static bool survey_field(struct field *field, struct survey *survey)
{
    switch ((unsigned)field->token) {
    case FIELD_HOST:
        survey->host = field;
        survey->hosts++;
        return true;
    case FIELD_CONTENT_LENGTH:
        survey->length = field;
        survey->lengths++;
        return true;
    case FIELD_TRANSFER_ENCODING:
        survey->coding = field;
        survey->codings++;
        return true;
    case FIELD_EXPECT:
        survey->expect = field;
        return true;
    case FIELD_CONNECTION:
        survey->has_connection = true;
        return true;
    case FIELD_UPGRADE:
        survey->has_upgrade = true;
        return true;
    case FIELD_TE:
        survey->has_te = true;
        return true;
    case FIELD_KEEP_ALIVE:
    case FIELD_PROXY_CONNECTION:
        survey->has_other_hop = true;
        return true;
    default:
        return is_hop_by_hop(field->token);
    }
}

static void survey_fields(struct fields *fields, bool is_request, struct survey *survey)
{
    for (size_t i = 0; i < fields->count; i++) {
        struct field *field = &fields->at[i];
        survey->must_sweep |= survey_field(field, survey);
        if (is_request && (field->token == FIELD_PROXY || is_underscore_spelling(field))) {
            mark_removed(field, survey);
        }
    }
}

/* Removes what is marked, what belongs to the hop, and what codecs write from the message. */
static void sweep(struct fields *fields, bool is_request)
{
    size_t kept = 0;
    for (size_t i = 0; i < fields->count; i++) {
        const struct field *field = &fields->at[i];
        bool is_ours = field->token == FIELD_CONTENT_LENGTH ||
                       (is_request && (field->token == FIELD_HOST || field->token == FIELD_EXPECT));
        if (field->name.len > 0 && !is_ours && !is_hop_by_hop(field->token)) {
            fields->at[kept++] = *field;
        }
    }
    fields->count = kept;
}

static enum fault_code remove_named(slice name, struct fields *fields, struct options *options,
                                    struct survey *survey)
{
    enum field_token token = token_of_spelling(name, '\0');
    if (token != FIELD_OTHER) {
        bool is_allowed = is_hop_by_hop(token) || token == FIELD_TRAILER || token == FIELD_PROXY;
        return is_allowed ? FAULT_NONE : FAULT_CONNECTION_MALFORMED;
    }
    if (++options->named > NAMED_FIELDS_MAX) {
        return FAULT_CONNECTION_MALFORMED;
    }
    for (size_t i = 0; i < fields->count; i++) {
        if (slice_equal_nocase(fields->at[i].name, name)) {
            mark_removed(&fields->at[i], survey);
        }
    }
    return FAULT_NONE;
}

static enum fault_code read_option(slice option, struct fields *fields, struct options *options,
                                   struct survey *survey)
{
    if (slice_equal_nocase(option, SLICE("keep-alive"))) {
        options->keep_alive = true;
    } else if (slice_equal_nocase(option, SLICE("close"))) {
        options->close = true;
    } else if (slice_equal_nocase(option, SLICE("upgrade"))) {
        options->upgrade = true;
    } else if (slice_equal_nocase(option, SLICE("te"))) {
        options->te = true;
    } else if (option.len > 0) { /* RFC 9110 §5.6.1.2: empty members are passed over */
        return field_is_token(option) ? remove_named(option, fields, options, survey)
                                      : FAULT_CONNECTION_MALFORMED;
    }
    return FAULT_NONE;
}

/* RFC 9110 §7.6.1 */
static enum fault_code read_connection(struct fields *fields, struct options *options,
                                       struct survey *survey)
{
    for (size_t i = 0; survey->has_connection && i < fields->count; i++) {
        if (fields->at[i].token != FIELD_CONNECTION) {
            continue;
        }
        slice rest = fields->at[i].value;
        slice option;
        while (slice_next_member(&rest, &option)) {
            enum fault_code fault = read_option(option, fields, options, survey);
            if (fault != FAULT_NONE) {
                return fault;
            }
        }
    }
    return FAULT_NONE;
}

/* RFC 9112 §6.1: exactly `chunked`, once. Whatever else there is, a proxy that guesses and a
 * server that guesses differently are a smuggler's tool. */
static enum fault_code read_coding(const struct survey *survey, bool is_http10)
{
    if (is_http10) {
        return FAULT_CODING_IN_HTTP10;
    }
    if (survey->codings > 1) {
        return FAULT_CODING_MALFORMED;
    }
    slice value = survey->coding->value;
    if (slice_equal_nocase(value, SLICE("chunked"))) {
        return FAULT_NONE;
    }
    size_t chunked = 0;
    slice rest = value;
    slice member;
    while (slice_next_member(&rest, &member)) {
        if (!field_is_token(slice_first(member, slice_find(member, ';')))) {
            return FAULT_CODING_MALFORMED;
        }
        chunked += slice_starts_with(member, SLICE("chunked"));
    }
    return chunked > 1 ? FAULT_CODING_MALFORMED : FAULT_CODING_UNKNOWN;
}

/* RFC 9110 §8.6. Repeated lengths are refused even when equal: who sends them has a reason. */
static enum fault_code read_length(const struct survey *survey, uint64_t *length)
{
    if (survey->lengths > 1 ||
        slice_find(survey->length->value, ',') != survey->length->value.len) {
        return FAULT_LENGTH_REPEATED;
    }
    return slice_to_number(survey->length->value, length) ? FAULT_NONE : FAULT_LENGTH_MALFORMED;
}

/* RFC 9112 §6.3: what Content-Length and Transfer-Encoding say, before the exceptions. */
static enum fault_code read_framing(const struct survey *survey, const struct framing_facts *facts,
                                    struct framing *framing)
{
    if (survey->codings > 0 && survey->lengths > 0) {
        return FAULT_LENGTH_AND_CODING;
    }
    if (survey->codings > 0) {
        framing->kind = FRAMING_STREAMED;
        return facts->has_stream_ends ? FAULT_CODING_MALFORMED
                                      : read_coding(survey, facts->is_http10);
    }
    if (survey->lengths > 0) {
        framing->kind = FRAMING_LENGTH;
        return read_length(survey, &framing->length);
    }
    framing->kind = facts->has_stream_ends ? FRAMING_STREAMED : FRAMING_NONE;
    return FAULT_NONE;
}

/* Every member is protocol-name["/"version] (RFC 9110 §7.8). */
static bool upgrade_is_valid(const struct fields *fields)
{
    for (size_t i = 0; i < fields->count; i++) {
        if (fields->at[i].token != FIELD_UPGRADE) {
            continue;
        }
        slice rest = fields->at[i].value;
        slice member;
        while (slice_next_member(&rest, &member)) {
            size_t slash = slice_find(member, '/');
            bool has_version = slash < member.len;
            if (!field_is_token(slice_first(member, slash)) ||
                (has_version && !field_is_token(slice_from(member, slash + 1)))) {
                return false;
            }
        }
    }
    return true;
}

static bool has_no_content(const struct framing *framing)
{
    return framing->kind == FRAMING_NONE ||
           (framing->kind == FRAMING_LENGTH && framing->length == 0);
}

static enum fault_code decide_upgrade(struct message *request, const struct survey *survey,
                                      const struct options *options,
                                      const struct framing_facts *facts)
{
    if (!survey->has_upgrade || !options->upgrade || facts->is_http10) {
        return FAULT_NONE;
    }
    if (!upgrade_is_valid(&request->fields)) {
        return FAULT_UPGRADE_MALFORMED;
    }
    if (request->method == METHOD_GET && has_no_content(&request->framing) &&
        fields_has_member(&request->fields, FIELD_UPGRADE, SLICE("websocket"))) {
        request->upgrade = SLICE("websocket");
        request->framing = (struct framing){.kind = FRAMING_NONE};
    }
    return FAULT_NONE;
}

static bool has_upper_case(slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] >= 'A' && text.at[i] <= 'Z') {
            return true;
        }
    }
    return false;
}

static enum fault_code set_authority(struct message *request, slice text, struct arena *arena)
{
    request->authority = text;
    if (!has_upper_case(text)) {
        return FAULT_NONE;
    }
    char *lower = arena_take(arena, text.len);
    if (lower == NULL) {
        return FAULT_LIMIT_MEMORY;
    }
    for (size_t i = 0; i < text.len; i++) {
        lower[i] = slice_lower(text.at[i]);
    }
    request->authority = (slice){lower, text.len};
    return FAULT_NONE;
}

/* RFC 9112 §3.2: one Host, valid, and the same as in the target if that has one. */
static enum fault_code decide_authority(struct message *request, struct arena *arena,
                                        const struct survey *survey,
                                        const struct framing_facts *facts)
{
    struct authority parsed;
    bool may_lack_host = facts->is_http10 || (facts->has_stream_ends && request->authority.len > 0);
    if (survey->hosts > 1) {
        return FAULT_HOST_REPEATED;
    }
    if (survey->hosts == 0 && !may_lack_host) {
        return FAULT_HOST_MISSING;
    }
    if (survey->hosts == 0) {
        bool is_valid = request->authority.len == 0 || authority_parse(request->authority, &parsed);
        return is_valid ? set_authority(request, request->authority, arena) : FAULT_HOST_MALFORMED;
    }
    slice host = survey->host->value;
    if (!authority_parse(host, &parsed)) {
        return FAULT_HOST_MALFORMED;
    }
    if (request->authority.len > 0 && !slice_equal_nocase(request->authority, host)) {
        return FAULT_HOST_CLASH;
    }
    return set_authority(request, host, arena);
}

/* RFC 9110 §10.1.1: HTTP/1.0 knows no expectations; without a body there is nothing to wait for. */
static enum fault_code decide_expectation(struct message *request, const struct survey *survey,
                                          const struct framing_facts *facts)
{
    if (survey->expect == NULL || facts->is_http10) {
        return FAULT_NONE;
    }
    if (!slice_equal_nocase(survey->expect->value, SLICE("100-continue"))) {
        return FAULT_EXPECT_UNKNOWN;
    }
    request->expects_continue = !has_no_content(&request->framing);
    return FAULT_NONE;
}

/* RFC 9110 §10.1.4 */
static void decide_trailers(struct message *request, const struct survey *survey,
                            const struct options *options, const struct framing_facts *facts)
{
    request->accepts_trailers = survey->has_te && (options->te || facts->has_stream_ends) &&
                                fields_has_member(&request->fields, FIELD_TE, SLICE("trailers"));
}

/* RFC 9113 §8.2.2: nothing about the conn in messages of HTTP/2. */
static bool breaks_stream_rules(const struct survey *survey, const struct framing_facts *facts)
{
    return facts->has_stream_ends &&
           (survey->has_connection || survey->has_upgrade || survey->has_other_hop);
}

/* RFC 9112 §9.3 */
static bool is_last(const struct options *options, bool is_http10)
{
    return options->close || (is_http10 && !options->keep_alive);
}

enum fault_code framing_decide_request(struct message *request, struct arena *arena,
                                       const struct framing_facts *facts,
                                       struct framing_verdict *verdict)
{
    struct survey survey = {0};
    struct options options = {0};
    survey_fields(&request->fields, true, &survey);
    if (breaks_stream_rules(&survey, facts)) {
        return FAULT_CONNECTION_MALFORMED;
    }
    enum fault_code fault = read_framing(&survey, facts, &request->framing);
    if (fault == FAULT_NONE) {
        fault = decide_authority(request, arena, &survey, facts);
    }
    if (fault == FAULT_NONE) {
        fault = read_connection(&request->fields, &options, &survey);
    }
    if (fault == FAULT_NONE) {
        fault = decide_expectation(request, &survey, facts);
    }
    if (fault == FAULT_NONE) {
        fault = decide_upgrade(request, &survey, &options, facts);
    }
    if (fault != FAULT_NONE) {
        return fault;
    }
    decide_trailers(request, &survey, &options, facts);
    verdict->close_after = is_last(&options, facts->is_http10);
    if (survey.must_sweep) {
        sweep(&request->fields, true);
    }
    return FAULT_NONE;
}

/* RFC 9110 §15.2.2, §7.8: only to what was asked for, and only if both fields say so. */
static enum fault_code switch_protocols(struct message *response, const struct options *options,
                                        const struct framing_facts *facts)
{
    const struct field *upgrade = fields_find(&response->fields, FIELD_UPGRADE);
    if (!facts->upgrade_was_asked || !options->upgrade || upgrade == NULL ||
        fields_count(&response->fields, FIELD_UPGRADE) != 1 ||
        !slice_equal_nocase(upgrade->value, SLICE("websocket"))) {
        return FAULT_BACKEND_UPGRADE;
    }
    response->upgrade = SLICE("websocket");
    response->framing = (struct framing){.kind = FRAMING_TUNNEL};
    return FAULT_NONE;
}

/* RFC 9112 §6.3, the exceptions. `framing` is what the fields say. */
static enum fault_code decide_response_framing(struct message *response,
                                               const struct survey *survey,
                                               const struct framing_facts *facts)
{
    unsigned status = response->status;
    bool is_bodiless = status < 200 || status == 204;
    struct framing said = response->framing;
    /* RFC 9110 §8.6 and RFC 9112 §6.1 forbid both here; a length of zero does no harm */
    if (is_bodiless && survey->codings > 0) {
        return FAULT_CODING_MALFORMED;
    }
    if (is_bodiless && survey->lengths > 0 && said.length > 0) {
        return FAULT_LENGTH_MALFORMED;
    }
    if (facts->request_method == METHOD_CONNECT && status / 100 == 2) {
        response->framing = (struct framing){.kind = FRAMING_TUNNEL};
    } else if (is_bodiless) {
        response->framing = (struct framing){.kind = FRAMING_NONE};
    } else if (facts->request_method == METHOD_HEAD || status == 304) {
        response->framing = (struct framing){
            .kind = FRAMING_NONE, .length = said.length, .tells_length = survey->lengths > 0};
    } else if (said.kind == FRAMING_NONE) {
        response->framing = (struct framing){.kind = FRAMING_UNTIL_CLOSE};
    }
    return FAULT_NONE;
}

enum fault_code framing_decide_response(struct message *response, const struct framing_facts *facts,
                                        struct framing_verdict *verdict)
{
    struct survey survey = {0};
    struct options options = {0};
    survey_fields(&response->fields, false, &survey);
    if (breaks_stream_rules(&survey, facts)) {
        return FAULT_CONNECTION_MALFORMED;
    }
    enum fault_code fault = read_framing(&survey, facts, &response->framing);
    if (fault == FAULT_NONE) {
        fault = read_connection(&response->fields, &options, &survey);
    }
    if (fault == FAULT_NONE) {
        fault = decide_response_framing(response, &survey, facts);
    }
    if (fault == FAULT_NONE && response->status == 101) {
        fault = switch_protocols(response, &options, facts);
    }
    if (fault != FAULT_NONE) {
        return fault;
    }
    verdict->close_after = is_last(&options, facts->is_http10) ||
                           response->framing.kind == FRAMING_UNTIL_CLOSE ||
                           response->framing.kind == FRAMING_TUNNEL;
    if (survey.must_sweep) {
        sweep(&response->fields, false);
    }
    return FAULT_NONE;
}

bool framing_allows_trailer(const struct field *field)
{
    /* clang-format off */
    static const slice forbidden[] = {
        {"age", 3}, {"content-encoding", 16}, {"content-range", 13}, {"expires", 7},
        {"if-match", 8}, {"if-modified-since", 17}, {"if-none-match", 13}, {"if-range", 8},
        {"if-unmodified-since", 19}, {"max-forwards", 12}, {"pragma", 6}, {"range", 5},
        {"retry-after", 11}, {"vary", 4}, {"warning", 7}, {"www-authenticate", 16},
    };
    /* clang-format on */
    if (field->token != FIELD_OTHER || is_underscore_spelling(field)) {
        return false;
    }
    for (size_t i = 0; i < sizeof(forbidden) / sizeof(forbidden[0]); i++) {
        if (slice_equal(field->name, forbidden[i])) {
            return false;
        }
    }
    return true;
}
