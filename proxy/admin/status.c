/* proxy/admin/status.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/admin/status.h"

#include <jansson.h>
#include <time.h>

/* Adds a value to an object, taking it; a value that could not be made spoils the whole. */
static bool put(json_t *object, const char *key, json_t *value)
{
    return json_object_set_new(object, key, value) == 0;
}

static bool put_number(json_t *object, const char *key, uint64_t number)
{
    return put(object, key, json_integer((json_int_t)number));
}

static bool put_counters(json_t *object, const struct counters *counters)
{
    return put_number(object, "conns", counter_get(counters, COUNTER_CONNS_OPEN)) &&
           put_number(object, "conns_total", counter_get(counters, COUNTER_CONNS_ACCEPTED)) &&
           put_number(object, "exchanges", counter_get(counters, COUNTER_EXCHANGES)) &&
           put_number(object, "exchanges_open", counter_get(counters, COUNTER_EXCHANGES_OPEN)) &&
           put_number(object, "tunnels", counter_get(counters, COUNTER_TUNNELS_OPEN)) &&
           put_number(object, "server_certificates_near",
                      counter_get(counters, COUNTER_SERVER_CERTIFICATES_NEAR));
}

static json_t *batches_to_json(uint32_t batch_lanes)
{
    return batch_lanes == 0 ? json_string("openssl")
                            : json_sprintf("batches of %u (libcrypto-mb)", (unsigned)batch_lanes);
}

static json_t *child_to_json(const struct status_child *child)
{
    json_t *object = json_object();
    bool is_put =
        put(object, "role", json_string(child->role)) &&
        put(object, "pid", child->pid > 0 ? json_integer(child->pid) : json_null()) &&
        put(object, "ready", json_boolean(child->is_ready)) &&
        put_number(object, "restarts", child->restarts) &&
        put(object, "sandbox", child->is_ready ? json_string(child->sandbox) : json_null()) &&
        (child->memory == NULL ||
         put(object, "memory", child->is_ready ? json_string(child->memory) : json_null())) &&
        (child->batched == NULL ||
         put(object, child->batched,
             child->is_ready ? batches_to_json(child->batch_lanes) : json_null())) &&
        (child->counters == NULL || put_counters(object, child->counters));
    if (!is_put) {
        json_decref(object);
        return NULL;
    }
    return object;
}

static json_t *children_to_json(const struct status_child *children, size_t count)
{
    json_t *array = json_array();
    for (size_t i = 0; i < count; i++) {
        if (json_array_append_new(array, child_to_json(&children[i])) != 0) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}

/* Those that keep failing: a warning of their own, since each is ready again most of the time. */
static json_t *failing_to_json(const struct status_child *children, size_t count)
{
    json_t *array = json_array();
    for (size_t i = 0; i < count; i++) {
        const struct status_child *child = &children[i];
        if (child->keeps_failing &&
            json_array_append_new(array, json_pack("{s:s, s:I, s:I}", "child", child->role,
                                                   "restarts", (json_int_t)child->restarts,
                                                   "delay_ms", (json_int_t)child->delay_ms)) != 0) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}

static json_t *listeners_to_json(const struct instance_status *status)
{
    json_t *array = json_array();
    for (size_t i = 0; i < status->listener_count; i++) {
        const struct status_listener *listener = &status->listeners[i];
        if (json_array_append_new(array, json_pack("{ssss}", "name", listener->name, "address",
                                                   listener->address)) != 0) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}

enum { TIME_BYTES = 32 };

static void write_time(int64_t seconds, char text[TIME_BYTES])
{
    struct tm utc;
    time_t at = (time_t)seconds;
    text[0] = '\0';
    if (gmtime_r(&at, &utc) != NULL) {
        (void)strftime(text, TIME_BYTES, "%Y-%m-%dT%H:%M:%SZ", &utc);
    }
}

static json_t *certificate_to_json(const struct status_certificate *certificate)
{
    char text[TIME_BYTES];
    write_time(certificate->expires, text);
    const struct config_expiry none = {0};
    int64_t days = expiry_look(&none, certificate->expires, (int64_t)time(NULL)).days_left;
    return json_pack("{sssssssI}", "name", certificate->name, "file", certificate->file, "expires",
                     text, "days_left", (json_int_t)days);
}

static json_t *certificates_to_json(const struct instance_status *status)
{
    json_t *array = json_array();
    for (size_t i = 0; i < status->certificate_count; i++) {
        if (json_array_append_new(array, certificate_to_json(&status->certificates[i])) != 0) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}

/* Those alone whose end is near. */
static json_t *expiring_to_json(const struct instance_status *status)
{
    json_t *array = json_array();
    int64_t now = (int64_t)time(NULL);
    for (size_t i = 0; i < status->date_count; i++) {
        struct expiry_view view = expiry_look(status->expiry, status->dates[i].not_after, now);
        if (view.is_near &&
            json_array_append_new(array, expiry_to_json(&status->dates[i], &view)) != 0) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}

static json_t *notices_to_json(const struct instance_status *status)
{
    json_t *array = json_array();
    for (size_t i = 0; i < status->notice_count; i++) {
        if (json_array_append_new(array, json_string(status->notices[i])) != 0) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}

static json_t *gossip_to_json(const struct instance_status *status)
{
    json_t *array = json_array();
    for (size_t i = 0; i < status->gossip_count; i++) {
        if (json_array_append_new(array, gossip_report_summary(&status->gossip[i])) != 0) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}

static const char *state_name(const struct instance_status *status)
{
    if (status->is_draining) {
        return "draining";
    }
    if (status->is_ready && status->is_expired) {
        return "expired";
    }
    if (status->is_succeeding) {
        return "upgrading";
    }
    return status->is_ready ? "ready" : "starting";
}

static bool put_upgrade(json_t *object, const struct status_upgrade *upgrade)
{
    char text[TIME_BYTES];
    write_time(upgrade->since, text);
    return put(object, "upgrade",
               json_pack("{s:s, s:s, s:o, s:I}", "state", upgrade->state, "reason", upgrade->reason,
                         "since", upgrade->since > 0 ? json_string(text) : json_null(),
                         "former_processes", (json_int_t)upgrade->former_processes));
}

static bool put_generation(json_t *object, const struct instance_status *status)
{
    char text[TIME_BYTES];
    write_time(status->generation_since, text);
    return put_number(object, "generation", status->generation) &&
           put(object, "generation_since", json_string(text));
}

static bool put_all(json_t *object, const struct instance_status *status)
{
    return put(object, "version", json_string(SALLYPORT_VERSION)) &&
           put(object, "config", json_string(status->config)) &&
           put_number(object, "pid", (uint64_t)status->pid) &&
           put_number(object, "uptime_seconds", status->uptime_s) &&
           put(object, "state", json_string(state_name(status))) &&
           put(object, "ready",
               json_boolean((status->is_ready || status->is_succeeding) && !status->is_draining &&
                            !status->is_expired)) &&
           put_generation(object, status) &&
           put(object, "mode", json_string(status->is_report_mode ? "report" : "strict")) &&
           put_number(object, "hops", status->hops) &&
           put_number(object, "violations", status->violations) &&
           put_number(object, "waived", status->waived) &&
           put(object, "processes", children_to_json(status->children, status->child_count)) &&
           put(object, "failing", failing_to_json(status->children, status->child_count)) &&
           put(object, "listeners", listeners_to_json(status)) &&
           put(object, "certificates", certificates_to_json(status)) &&
           put(object, "expiring", expiring_to_json(status)) &&
           put(object, "gossip", gossip_to_json(status)) &&
           put(object, "notices", notices_to_json(status)) && put_upgrade(object, &status->upgrade);
}

/* Takes the object. */
static char *dump(json_t *object)
{
    char *text = object == NULL ? NULL : json_dumps(object, JSON_COMPACT);
    json_decref(object);
    return text;
}

char *instance_posture_to_json(const struct instance_posture *posture)
{
    json_t *object = posture_to_json(posture->judged);
    json_t *strangers = json_array();
    bool is_put = put(object, "strangers", strangers) &&
                  put(object, "failing", failing_to_json(posture->children, posture->child_count));
    for (size_t i = 0; i < posture->gossip_count && is_put; i++) {
        is_put = gossip_report_peers(&posture->gossip[i], posture->judged,
                                     json_object_get(object, "hops"), strangers);
    }
    if (!is_put) {
        json_decref(object);
        return NULL;
    }
    return dump(object);
}

char *instance_keyrings_to_json(const struct gossip_facts *gossip, size_t gossip_count)
{
    json_t *array = json_array();
    for (size_t i = 0; i < gossip_count; i++) {
        if (json_array_append_new(array, gossip_report_keyring(&gossip[i])) != 0) {
            json_decref(array);
            return NULL;
        }
    }
    return dump(json_pack("{s:o}", "gossip", array));
}

char *instance_status_to_json(const struct instance_status *status)
{
    json_t *object = json_object();
    if (!put_all(object, status)) {
        json_decref(object);
        return NULL;
    }
    return dump(object);
}

char *instance_holding_to_json(const struct holding_status *status)
{
    json_t *object = json_object();
    bool is_put =
        put(object, "version", json_string(SALLYPORT_VERSION)) &&
        put_number(object, "pid", (uint64_t)status->pid) &&
        put_number(object, "uptime_seconds", status->uptime_s) &&
        put(object, "state", json_string(status->is_draining ? "draining" : "holding")) &&
        put(object, "ready", json_boolean(status->serves && !status->is_draining)) &&
        put(object, "processes", children_to_json(status->children, status->child_count)) &&
        put_upgrade(object, &status->upgrade);
    if (!is_put) {
        json_decref(object);
        return NULL;
    }
    return dump(object);
}

char *instance_reload_to_json(const struct reload_outcome *outcome)
{
    return dump(json_pack("{s:b, s:i, s:I, s:I, s:s}", "ok", outcome->status == 0, "exit",
                          outcome->status, "generation", (json_int_t)outcome->generation, "ms",
                          (json_int_t)outcome->ms, "error", outcome->complaints));
}
