/* proxy/net/resolver.c
 *
 * A lookup walks through the full names that the search domains make of its name, and for each
 * through the name servers in their order; A and AAAA are asked together.
 *
 *      hosts file ──found──────────────────────────────────────────────► done
 *          │ not
 *          ▼
 *      ask full name ──addresses──────────────────────────────────────► done
 *        ▲     ▲  └──no such name, no address──► next full name, or ──► done (none)
 *        │     └─────────────────────────────────────┘
 *        └──no answer in time, server failed──► next server; after the last, next full name
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "proxy/net/resolver.h"

#include <stdlib.h>

#include "proxy/base/list.h"
#include "proxy/net/dns_question.h"
#include "proxy/net/resolver_settings.h"
#include "proxy/net/timer.h"

enum {
    TTL_LEAST_MS = 1000,
    TTL_MOST_MS = 24 * 60 * 60 * 1000,
    /* A backend's name often appears a moment after its first use, when it is started together
     * with us: whatever the zone says, do not believe in its absence for long. */
    TTL_NEGATIVE_MOST_MS = 10 * 1000,
    /* How long the second family may lag behind the first: some networks drop AAAA. */
    SECOND_FAMILY_MS = 200,
};

enum { QUESTION_AAAA, QUESTION_A, QUESTIONS };

struct resolver {
    struct loop *loop;
    struct resolver_settings settings;
    struct list lookups;
};

struct lookup {
    struct resolver *resolver;
    struct list_link link;
    char name[DNS_NAME_TEXT];
    bool is_absolute; /* ended in a dot: no search */
    bool is_asked;    /* questions are out */
    size_t candidate; /* which full name */
    unsigned attempt; /* of this full name: servers times rounds */
    struct dns_question questions[QUESTIONS];
    struct loop_post post; /* goes on with step */
    struct deadline limit;
    struct deadline patience;
    struct resolved resolved;
    void (*on_done)(void *self, const struct resolved *resolved);
    void *self;
};

static void step(void *self);

/* ---- results ---- */

static uint64_t ttl_within(uint64_t ttl_ms, uint64_t most_ms)
{
    ttl_ms = ttl_ms < most_ms ? ttl_ms : most_ms;
    return ttl_ms > TTL_LEAST_MS ? ttl_ms : TTL_LEAST_MS;
}

static void add_addresses(struct resolved *out, const struct dns_answer *answer, bool is_v6,
                          size_t most)
{
    for (size_t i = 0; i < answer->count && i < most; i++) {
        struct sockaddr_storage *to = &out->at[out->count++];
        *to = (struct sockaddr_storage){0};
        if (is_v6) {
            to->ss_family = AF_INET6;
            memcpy(&((struct sockaddr_in6 *)to)->sin6_addr, answer->at[i], 16);
        } else {
            to->ss_family = AF_INET;
            memcpy(&((struct sockaddr_in *)to)->sin_addr, answer->at[i], 4);
        }
    }
}

/* Joins both answers. False: no address. */
static bool collect(struct lookup *lookup)
{
    const struct dns_answer *v6 = &lookup->questions[QUESTION_AAAA].answer;
    const struct dns_answer *v4 = &lookup->questions[QUESTION_A].answer;
    /* Many addresses of one family must not push out all of the other. */
    size_t half = RESOLVER_ADDRESSES_MAX / 2;
    size_t of_v4 = v4->count < half ? v4->count : half;
    struct resolved *out = &lookup->resolved;
    add_addresses(out, v6, true, RESOLVER_ADDRESSES_MAX - of_v4);
    add_addresses(out, v4, false, RESOLVER_ADDRESSES_MAX - out->count);
    uint64_t ttl_s = UINT32_MAX;
    ttl_s = v6->count > 0 && v6->ttl_s < ttl_s ? v6->ttl_s : ttl_s;
    ttl_s = v4->count > 0 && v4->ttl_s < ttl_s ? v4->ttl_s : ttl_s;
    if (out->count == 0) {
        return false;
    }
    out->ttl_ms = ttl_within(ttl_s * 1000, TTL_MOST_MS);
    return true;
}

static bool is_negative(const struct dns_answer *answer)
{
    return answer->outcome == DNS_NO_NAME || answer->outcome == DNS_NO_ADDRESS;
}

static bool are_negative(const struct lookup *lookup)
{
    return is_negative(&lookup->questions[QUESTION_AAAA].answer) &&
           is_negative(&lookup->questions[QUESTION_A].answer);
}

/* ---- life ---- */

static void drop_questions(struct lookup *lookup)
{
    for (size_t i = 0; i < QUESTIONS; i++) {
        dns_question_drop(&lookup->questions[i]);
    }
}

void lookup_cancel(struct lookup *lookup)
{
    if (lookup == NULL) {
        return;
    }
    drop_questions(lookup);
    deadline_disarm(&lookup->limit);
    deadline_disarm(&lookup->patience);
    loop_unpost(&lookup->post);
    list_remove(&lookup->link);
    free(lookup);
}

static void finish(struct lookup *lookup)
{
    struct resolved resolved = lookup->resolved;
    void (*on_done)(void *, const struct resolved *) = lookup->on_done;
    void *self = lookup->self;
    if (resolved.ttl_ms < TTL_LEAST_MS) {
        resolved.ttl_ms = TTL_LEAST_MS;
    }
    lookup_cancel(lookup);
    on_done(self, &resolved);
}

static void on_limit(void *self)
{
    struct lookup *lookup = self;
    (void)collect(lookup); /* one of the families may be here */
    finish(lookup);
}

/* ---- asking ---- */

static size_t candidate_count(const struct lookup *lookup)
{
    return lookup->is_absolute ? 1 : 1 + lookup->resolver->settings.domain_count;
}

/* The full name to ask for now: the name as it is comes first if it has dots enough, else last.
 * Empty: it would be too long. */
static slice full_name(const struct lookup *lookup, char out[2 * DNS_NAME_TEXT])
{
    const struct resolver_settings *settings = &lookup->resolver->settings;
    slice name = slice_of(lookup->name);
    unsigned dots = 0;
    for (size_t i = 0; i < name.len; i++) {
        dots += name.at[i] == '.';
    }
    bool is_first = lookup->is_absolute || dots >= settings->dots;
    size_t own_place = is_first ? 0 : settings->domain_count;
    memcpy(out, name.at, name.len);
    if (lookup->candidate == own_place) {
        return (slice){out, name.len};
    }
    slice domain = slice_of(settings->domains[lookup->candidate - (is_first ? 1 : 0)]);
    out[name.len] = '.';
    memcpy(out + name.len + 1, domain.at, domain.len);
    return (slice){out, name.len + 1 + domain.len};
}

static void on_answer(void *self)
{
    struct lookup *lookup = self;
    size_t answered = 0;
    bool is_found = false;
    for (size_t i = 0; i < QUESTIONS; i++) {
        enum dns_outcome outcome = lookup->questions[i].answer.outcome;
        answered += outcome != DNS_UNANSWERED;
        is_found = is_found || outcome == DNS_FOUND;
    }
    if (answered == QUESTIONS) {
        loop_post(lookup->resolver->loop, &lookup->post);
    } else if (is_found) {
        deadline_arm(&lookup->patience, lookup->resolver->loop, SECOND_FAMILY_MS, step, lookup);
    }
}

static void ask(struct lookup *lookup)
{
    const struct resolver_settings *settings = &lookup->resolver->settings;
    struct loop *loop = lookup->resolver->loop;
    static const enum dns_type types[QUESTIONS] = {
        [QUESTION_AAAA] = DNS_TYPE_AAAA, [QUESTION_A] = DNS_TYPE_A};
    char text[2 * DNS_NAME_TEXT];
    slice name = full_name(lookup, text);
    size_t server = lookup->attempt % settings->server_count;
    lookup->is_asked = true;
    deadline_arm(&lookup->patience, loop, settings->patience_ms, step, lookup);
    for (size_t i = 0; i < QUESTIONS; i++) {
        if (!dns_question_ask(&lookup->questions[i], loop, &settings->servers[server], name,
                              types[i], on_answer, lookup)) {
            lookup->questions[i].answer.outcome = DNS_FAILED;
        }
    }
    on_answer(lookup); /* neither may have been sent */
}

/* Which full name and which server come next, after an answer without addresses or none at all. */
static void advance(struct lookup *lookup)
{
    const struct resolver_settings *settings = &lookup->resolver->settings;
    lookup->attempt++;
    if (are_negative(lookup) || lookup->attempt >= settings->server_count * settings->rounds) {
        uint64_t ttl_ms = (uint64_t)lookup->questions[QUESTION_A].answer.ttl_s * 1000;
        lookup->resolved.ttl_ms = ttl_within(ttl_ms, TTL_NEGATIVE_MOST_MS);
        lookup->candidate++;
        lookup->attempt = 0;
    }
}

static void step(void *self)
{
    struct lookup *lookup = self;
    if (lookup->resolved.count > 0 || (lookup->is_asked && collect(lookup))) {
        finish(lookup);
        return;
    }
    if (lookup->is_asked) {
        drop_questions(lookup);
        advance(lookup);
    }
    if (lookup->name[0] == '\0' || lookup->candidate >= candidate_count(lookup)) {
        finish(lookup);
        return;
    }
    ask(lookup);
}

/* ---- public ---- */

struct resolver *resolver_new(struct loop *loop)
{
    return resolver_new_with(loop, &(struct resolver_sources){.resolv_conf = "/etc/resolv.conf",
                                                              .hosts = "/etc/hosts",
                                                              .port = 53});
}

struct resolver *resolver_new_with(struct loop *loop, const struct resolver_sources *sources)
{
    struct resolver *resolver = calloc(1, sizeof(*resolver));
    if (resolver != NULL) {
        resolver->loop = loop;
        list_init(&resolver->lookups);
        resolver_settings_read(&resolver->settings, sources->resolv_conf, sources->hosts,
                               sources->port);
    }
    return resolver;
}

void resolver_free(struct resolver *resolver)
{
    if (resolver == NULL) {
        return;
    }
    for (struct list_link *link = list_first(&resolver->lookups); link != NULL;
         link = list_first(&resolver->lookups)) {
        lookup_cancel(LIST_OBJECT(link, struct lookup, link));
    }
    resolver_settings_fini(&resolver->settings);
    free(resolver);
}

/* What needs no server: an address, or a name of the hosts file. */
static void find_locally(struct lookup *lookup, slice name)
{
    struct resolved *out = &lookup->resolved;
    if (resolver_parse_address(name, &out->at[0])) {
        out->count = 1;
    } else {
        out->count = resolver_settings_find(&lookup->resolver->settings, name, out->at,
                                            RESOLVER_ADDRESSES_MAX);
    }
    out->ttl_ms = out->count > 0 ? TTL_MOST_MS : 0;
}

struct lookup *resolver_lookup(struct resolver *resolver, const char *name, uint64_t limit_ms,
                               void (*on_done)(void *self, const struct resolved *resolved),
                               void *self)
{
    struct lookup *lookup = calloc(1, sizeof(*lookup));
    if (lookup == NULL) {
        return NULL;
    }
    lookup->resolver = resolver;
    lookup->on_done = on_done;
    lookup->self = self;
    lookup->post = (struct loop_post){.run = step, .self = lookup};
    slice asked = slice_of(name);
    if (asked.len > 1 && asked.at[asked.len - 1] == '.') {
        lookup->is_absolute = true;
        asked.len--;
    }
    find_locally(lookup, asked);
    if (dns_name_is_valid(asked)) {
        memcpy(lookup->name, asked.at, asked.len);
    }
    list_append(&resolver->lookups, &lookup->link);
    deadline_arm(&lookup->limit, resolver->loop, limit_ms, on_limit, lookup);
    loop_post(resolver->loop, &lookup->post);
    return lookup;
}
