/* proxy/route/route_table.c
 *
 * Groups of routes with the same host, sorted by host for binary search; within a group the
 * longest path comes first, so the first that matches is the answer.
 *
 *   groups    ""            ".example.com"       "chat.example.com"
 *             (any host)    (*.example.com)      (exact)
 *               │              │                    │
 *   prefixes  [ ""         │ "/api"  ""          │ "/api/v4"  "/api"  "" ]     "" is "/"
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "proxy/route/route_table.h"

#include <stdlib.h>

#include "proxy/http/uri.h"

/* A longer name cannot exist (RFC 1035 §2.3.4), so it is found under "any host" only. */
enum { HOST_BYTES_MAX = 255 };

struct prefix {
    slice host; /* the group's */
    slice path; /* without its trailing slash */
    const struct config_route *route;
};

struct group {
    slice host; /* exact; or with a leading dot: wildcard; or empty: any */
    size_t first;
    size_t count;
};

struct route_table {
    bool has_default;
    size_t default_backend;
    bool has_wildcards;
    const struct group *any; /* NULL: no route without host */
    struct group *groups;
    size_t group_count;
    struct prefix *prefixes;
    size_t prefix_count;
};

/* --- building --- */

static slice host_key(const struct config_route *route)
{
    if (route->host_kind == CONFIG_HOST_ANY || route->host == NULL) {
        return SLICE("");
    }
    slice host = slice_of(route->host);
    if (host.len > 1 && host.at[0] == '[' && host.at[host.len - 1] == ']') {
        return (slice){host.at + 1, host.len - 2};
    }
    if (host.len > 0 && host.at[host.len - 1] == '.') {
        host.len--;
    }
    return host;
}

static slice path_key(const struct config_route *route)
{
    slice path = slice_of(route->path);
    if (path.len > 0 && path.at[path.len - 1] == '/') {
        path.len--;
    }
    return path;
}

static int compare_text(slice a, slice b)
{
    if (a.len != b.len) {
        return a.len < b.len ? -1 : 1;
    }
    return a.len == 0 ? 0 : memcmp(a.at, b.at, a.len);
}

/* By host; then the longest path first; then in the order of the configuration. */
static int compare_prefixes(const void *left, const void *right)
{
    const struct prefix *a = left;
    const struct prefix *b = right;
    int order = compare_text(a->host, b->host);
    if (order == 0) {
        order = compare_text(b->path, a->path);
    }
    if (order == 0) {
        order = a->route < b->route ? -1 : 1;
    }
    return order;
}

static void fill_prefixes(struct route_table *table, const struct config_listener *listener)
{
    for (size_t i = 0; i < listener->route_count; i++) {
        const struct config_route *route = &listener->routes[i];
        table->prefixes[i] = (struct prefix){host_key(route), path_key(route), route};
    }
    table->prefix_count = listener->route_count;
    qsort(table->prefixes, table->prefix_count, sizeof(struct prefix), compare_prefixes);
}

static void fill_groups(struct route_table *table)
{
    for (size_t i = 0; i < table->prefix_count; i++) {
        slice host = table->prefixes[i].host;
        struct group *last = table->group_count > 0 ? &table->groups[table->group_count - 1] : NULL;
        if (last != NULL && slice_equal(last->host, host)) {
            last->count++;
            continue;
        }
        struct group *group = &table->groups[table->group_count++];
        *group = (struct group){.host = host, .first = i, .count = 1};
        if (host.len == 0) {
            table->any = group;
        }
        table->has_wildcards |= host.len > 0 && host.at[0] == '.';
    }
}

enum status route_table_new(struct route_table **out, const struct config_listener *listener)
{
    struct route_table *table = calloc(1, sizeof(*table));
    if (table == NULL) {
        return STATUS_NOMEM;
    }
    size_t room = listener->route_count > 0 ? listener->route_count : 1;
    table->prefixes = calloc(room, sizeof(*table->prefixes));
    table->groups = calloc(room, sizeof(*table->groups));
    if (table->prefixes == NULL || table->groups == NULL) {
        route_table_free(table);
        return STATUS_NOMEM;
    }
    table->has_default = listener->has_default_backend;
    table->default_backend = listener->default_backend;
    fill_prefixes(table, listener);
    fill_groups(table);
    *out = table;
    return STATUS_OK;
}

void route_table_free(struct route_table *table)
{
    if (table != NULL) {
        free(table->prefixes);
        free(table->groups);
        free(table);
    }
}

/* --- asking --- */

static bool is_below(slice path, slice prefix)
{
    return slice_starts_with(path, prefix) &&
           (path.len == prefix.len || path.at[prefix.len] == '/');
}

static bool match_group(const struct route_table *table, const struct group *group, slice path,
                        struct route_match *out)
{
    for (size_t i = 0; group != NULL && i < group->count; i++) {
        const struct prefix *prefix = &table->prefixes[group->first + i];
        if (is_below(path, prefix->path)) {
            *out = (struct route_match){prefix->route->backend, prefix->route};
            return true;
        }
    }
    return false;
}

static const struct group *find_group(const struct route_table *table, slice host)
{
    size_t low = 0;
    size_t high = table->group_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = compare_text(table->groups[middle].host, host);
        if (order == 0) {
            return &table->groups[middle];
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return NULL;
}

/* `host` lower case and not empty. A leading dot would name a wildcard's group: no such host. */
static bool match_named(const struct route_table *table, slice host, slice path,
                        struct route_match *out)
{
    if (host.at[0] != '.' && match_group(table, find_group(table, host), path, out)) {
        return true;
    }
    for (size_t i = 1; table->has_wildcards && i < host.len; i++) {
        if (host.at[i] == '.' &&
            match_group(table, find_group(table, slice_from(host, i)), path, out)) {
            return true;
        }
    }
    return false;
}

static bool has_named_groups(const struct route_table *table)
{
    return table->group_count > (table->any != NULL ? 1U : 0U);
}

bool route_table_match(const struct route_table *table, slice host, slice path,
                       struct route_match *out)
{
    if (host.len > 0 && host.at[host.len - 1] == '.') {
        host.len--;
    }
    if (path.len == 1 && path.at[0] == '*') {
        path = SLICE("/");
    }
    if (host.len > 0 && host.len <= HOST_BYTES_MAX && has_named_groups(table)) {
        char lower[HOST_BYTES_MAX];
        for (size_t i = 0; i < host.len; i++) {
            lower[i] = slice_lower(host.at[i]);
        }
        if (match_named(table, (slice){lower, host.len}, path, out)) {
            return true;
        }
    }
    if (match_group(table, table->any, path, out)) {
        return true;
    }
    *out = (struct route_match){table->default_backend, NULL};
    return table->has_default;
}

enum fault_code route_table_find(const struct route_table *table, const struct message *request,
                                 struct arena *arena, struct route_match *out)
{
    struct authority authority = {.host = {"", 0}};
    if (request->authority.len > 0 && !authority_parse(request->authority, &authority)) {
        return FAULT_HOST_MALFORMED;
    }
    slice path = request->path;
    if (path.len > 0 && path.at[0] == '/') {
        char *normal = arena_take(arena, path.len);
        if (normal == NULL) {
            return FAULT_LIMIT_MEMORY;
        }
        size_t len = 0;
        if (!uri_normalise_path(path, normal, &len)) {
            return FAULT_URI_MALFORMED;
        }
        path = (slice){normal, len};
    }
    return route_table_match(table, authority.host, path, out) ? FAULT_NONE : FAULT_NO_ROUTE;
}
