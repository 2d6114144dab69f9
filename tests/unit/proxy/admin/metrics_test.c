/* tests/unit/proxy/admin/metrics_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/admin/metrics.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { NOW = 1800000000, DAY = 86400 };

static char *text_of(const struct instance_status *status, const struct posture *posture)
{
    static const struct metrics_staple STAPLES[] = {{"web", "revoked", NOW, 2}};
    const struct metrics_facts facts = {
        .status = status,
        .posture = posture,
        .staples = STAPLES,
        .staple_count = 1,
        .spent = {.spent = 5, .refused = 3, .no_room = 1},
        .ticket_epoch = 77,
        .reloads_done = 4,
        .reloads_failed = 2,
    };
    char *text = instance_metrics_text(&facts);
    assert_non_null(text);
    return text;
}

static void expect(const char *text, const char *line)
{
    if (strstr(text, line) == NULL) {
        fail_msg("no `%s` in:\n%s", line, text);
    }
}

static size_t count_of(const char *text, const char *part)
{
    size_t count = 0;
    for (const char *at = strstr(text, part); at != NULL; at = strstr(at + 1, part)) {
        count++;
    }
    return count;
}

static void tells_what_the_status_and_the_workers_have(void **state)
{
    (void)state;
    static struct counters counters[2];
    counter_add(&counters[0], COUNTER_CONNS_ACCEPTED, 9);
    counter_fault(&counters[0], FAULT_H1_METHOD);
    counter_fault(&counters[1], FAULT_H1_METHOD);
    const struct status_child children[] = {
        {.role = "keyholder", .is_ready = true, .restarts = 1},
        {.role = "worker 1", .is_ready = true, .counters = &counters[0]},
        {.role = "worker 2", .counters = &counters[1]},
    };
    const struct instance_status status = {
        .is_ready = true, .uptime_s = 12, .generation = 3, .children = children, .child_count = 3};
    const struct posture posture = {.count = 0};
    char *text = text_of(&status, &posture);
    expect(text, "\nsallyport_ready 1\n");
    expect(text, "\nsallyport_workers 2\n");
    expect(text, "\nsallyport_config_generation 3\n");
    expect(text, "sallyport_config_reloads_total{result=\"failed\"} 2\n");
    expect(text, "sallyport_process_restarts_total{role=\"keyholder\"} 1\n");
    expect(text, "sallyport_process_ready{role=\"worker 2\"} 0\n");
    expect(text, "# TYPE sallyport_conns_accepted_total counter\n"
                 "sallyport_conns_accepted_total{role=\"worker 1\"} 9\n"
                 "sallyport_conns_accepted_total{role=\"worker 2\"} 0\n");
    expect(text, "# TYPE sallyport_conns_open gauge\n");
    expect(text, "sallyport_faults_total{fault=\"h1_method\"} 2\n");
    expect(text, "sallyport_ocsp_state{certificate=\"web\",state=\"revoked\"} 1\n");
    expect(text, "sallyport_ocsp_state{certificate=\"web\",state=\"good\"} 0\n");
    expect(text, "sallyport_ocsp_failures{certificate=\"web\"} 2\n");
    expect(text, "\nsallyport_tickets_epoch 77\n");
    expect(text, "\nsallyport_tickets_reused_total 3\n");
    expect(text, "\nsallyport_upgrade_failed 0\n");
    free(text);
}

static void not_ready_while_it_drains_or_is_expired(void **state)
{
    (void)state;
    const struct posture posture = {.count = 0};
    const struct instance_status expired = {.is_ready = true, .is_expired = true};
    const struct instance_status draining = {.is_ready = true, .is_draining = true};
    char *text = text_of(&expired, &posture);
    expect(text, "\nsallyport_ready 0\n");
    free(text);
    text = text_of(&draining, &posture);
    expect(text, "\nsallyport_ready 0\n");
    expect(text, "\nsallyport_draining 1\n");
    free(text);
}

static void tells_verdicts(void **state)
{
    (void)state;
    struct judged_hop hops[] = {
        {.hop = {.name = "listener/web"}, .verdict = VERDICT_OK},
        {.hop = {.name = "backend/\"x\"/1"}, .verdict = VERDICT_VIOLATION},
        {.hop = {.name = "backend/y/1"}, .verdict = VERDICT_WAIVED},
    };
    const struct posture posture = {.hops = hops, .count = 3, .violations = 1, .waived = 1};
    const struct instance_status status = {.is_ready = true};
    char *text = text_of(&status, &posture);
    expect(text, "sallyport_hops{verdict=\"ok\"} 1\n");
    expect(text, "sallyport_hops{verdict=\"violation\"} 1\n");
    expect(text, "sallyport_hops{verdict=\"waived\"} 1\n");
    expect(text, "sallyport_hop_violation{hop=\"backend/\\\"x\\\"/1\"} 1\n");
    expect(text, "sallyport_hop_violation{hop=\"backend/y/1\"} 0\n");
    free(text);
}

static struct judged_date date(const char *subject, int64_t days)
{
    return (struct judged_date){
        .date = {EXPIRY_CLIENT_CA, "web", "ca.pem", subject, NOW + days * DAY},
        .view = {.days_left = days}};
}

/* A second sample with the same labels spoils the scrape. */
static void of_authorities_with_one_name_the_first_to_end_speaks(void **state)
{
    (void)state;
    struct judged_date dates[] = {date("CN=a", 30), date("CN=a", 20), date("CN=b", 5),
                                  date("CN=a", 20), date("CN=a", 40)};
    const struct posture posture = {.dates = dates, .date_count = 5};
    const struct instance_status status = {.is_ready = true};
    char *text = text_of(&status, &posture);
    expect(text, "sallyport_certificate_days_left{kind=\"client_ca\",name=\"web\",file=\"ca.pem\","
                 "subject=\"CN=a\"} 20\n");
    assert_int_equal(count_of(text, "sallyport_certificate_days_left{"), 2);
    assert_int_equal(count_of(text, "sallyport_certificate_expiry_timestamp_seconds{"), 2);
    free(text);
}

static struct peer_pages *pages_new(void)
{
    int descriptor = peer_pages_new();
    struct peer_pages *pages = peer_pages_map(descriptor, true);
    assert_non_null(pages);
    (void)close(descriptor);
    return pages;
}

static void tells_of_every_cluster_in_one_family(void **state)
{
    (void)state;
    struct peer_pages *pages[] = {pages_new(), pages_new()};
    const struct config_gossip clusters[] = {{.name = "alerts"}, {.name = "mesh"}};
    const struct gossip_facts gossip[] = {{.settings = &clusters[0], .pages = pages[0]},
                                          {.settings = &clusters[1], .pages = pages[1]}};
    pages[1]->used = 3;
    pages[1]->peers[1] = (struct peer){.is_used = 1};
    pages[1]->peers[2] = (struct peer){.is_used = 1, .is_stranger = 1};
    pages[1]->peers[1].at[PEER_SEALED] = 7;
    pages[1]->peers[2].refused[1] = 2;
    pages[0]->used = UINT32_MAX; /* whoever took the process over may have written that */
    const struct posture posture = {.count = 0};
    const struct instance_status status = {.is_ready = true, .gossip = gossip, .gossip_count = 2};
    char *text = text_of(&status, &posture);
    expect(text, "sallyport_gossip_peers{cluster=\"mesh\",kind=\"peer\"} 1\n");
    expect(text, "sallyport_gossip_peers{cluster=\"mesh\",kind=\"stranger\"} 1\n");
    expect(text, "sallyport_gossip_peers{cluster=\"alerts\",kind=\"peer\"} 0\n");
    expect(text, "sallyport_gossip_refused_total{cluster=\"mesh\"} 2\n");
    expect(text, "sallyport_gossip_events_total{cluster=\"mesh\",event=\"sealed\"} 7\n");
    assert_int_equal(count_of(text, "# TYPE sallyport_gossip_peers "), 1);
    free(text);
    peer_pages_unmap(pages[0]);
    peer_pages_unmap(pages[1]);
}

static void goes_as_one_line_of_json(void **state)
{
    (void)state;
    const struct posture posture = {.count = 0};
    const struct instance_status status = {.is_ready = true};
    const struct metrics_facts facts = {.status = &status, .posture = &posture};
    char *line = instance_metrics_to_json(&facts);
    assert_non_null(line);
    assert_null(strchr(line, '\n'));
    json_t *object = json_loads(line, 0, NULL);
    char *text = instance_metrics_text(&facts);
    assert_string_equal(json_string_value(json_object_get(object, "metrics")), text);
    json_decref(object);
    free(text);
    free(line);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tells_what_the_status_and_the_workers_have),
        cmocka_unit_test(not_ready_while_it_drains_or_is_expired),
        cmocka_unit_test(tells_verdicts),
        cmocka_unit_test(of_authorities_with_one_name_the_first_to_end_speaks),
        cmocka_unit_test(tells_of_every_cluster_in_one_family),
        cmocka_unit_test(goes_as_one_line_of_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
