/* tests/unit/proxy/process/sandbox_plan_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/process/sandbox_plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static unsigned count_ports(const struct port_set *set)
{
    unsigned count = 0;
    for (unsigned port = 0; port <= UINT16_MAX; port++) {
        count += port_set_has(set, (uint16_t)port);
    }
    return count;
}

static void a_worker_gets_the_ports_of_all_servers(void **state)
{
    (void)state;
    struct config_server first[] = {{.host = "10.0.0.1", .host_is_ip = true, .port = 8080},
                                    {.host = "::1", .host_is_ip = true, .port = 65535}};
    struct config_server second[] = {{.host = "10.0.0.1", .host_is_ip = true, .port = 1}};
    struct config_backend backends[] = {{.servers = first, .server_count = 2},
                                        {.servers = second, .server_count = 1}};
    const struct config config = {.backends = backends, .backend_count = 2};
    struct sandbox_plan plan;
    sandbox_plan_worker(&plan, &config);
    assert_int_equal(plan.role, SANDBOX_WORKER);
    assert_int_equal(count_ports(&plan.ports), 3);
    assert_true(port_set_has(&plan.ports, 8080) && port_set_has(&plan.ports, 65535) &&
                port_set_has(&plan.ports, 1));
    assert_false(plan.asks_names);
    assert_false(plan.has_unix_server);
}

static void a_name_brings_dns_and_a_unix_socket_no_port(void **state)
{
    (void)state;
    struct config_server servers[] = {{.host = "app.example", .port = 8080},
                                      {.unix_path = "/run/app.sock"}};
    struct config_backend backend = {.servers = servers, .server_count = 2};
    const struct config config = {.backends = &backend, .backend_count = 1};
    struct sandbox_plan plan;
    sandbox_plan_worker(&plan, &config);
    assert_true(plan.asks_names);
    assert_true(plan.has_unix_server);
    assert_int_equal(count_ports(&plan.ports), 2);
    assert_true(port_set_has(&plan.ports, 53));
}

static void a_keyholder_gets_nothing(void **state)
{
    (void)state;
    struct sandbox_plan plan;
    memset(&plan, 0xff, sizeof(plan));
    sandbox_plan_keyholder(&plan);
    assert_int_equal(count_ports(&plan.ports), 0);
    assert_false(plan.asks_names);
    assert_false(plan.has_unix_server);
}

static void gossip_gets_the_ports_of_its_cluster_or_of_its_map(void **state)
{
    (void)state;
    uint16_t ports[] = {7946, 7947};
    struct config_gossip settings = {
        .mode = CONFIG_GOSSIP_TRANSPARENT, .ports = ports, .port_count = 2};
    struct sandbox_plan plan;
    sandbox_plan_gossip(&plan, &settings);
    assert_int_equal(count_ports(&plan.ports), 2);
    assert_true(port_set_has(&plan.ports, 7946) && port_set_has(&plan.ports, 7947));

    struct config_gossip_peer peer = {.stand_in = {.port = 1000}, .address = {.port = 2000}};
    settings.mode = CONFIG_GOSSIP_RELAY;
    settings.node =
        (struct config_gossip_peer){.stand_in = {.port = 3000}, .address = {.port = 4000}};
    settings.peers = &peer;
    settings.peer_count = 1;
    sandbox_plan_gossip(&plan, &settings);
    assert_int_equal(count_ports(&plan.ports), 2);
    assert_true(port_set_has(&plan.ports, 2000) && port_set_has(&plan.ports, 3000));
}

static void a_fetcher_gets_the_port_of_its_url(void **state)
{
    (void)state;
    struct sandbox_plan plan;
    sandbox_plan_fetcher(&plan, 80);
    assert_int_equal(count_ports(&plan.ports), 2);
    assert_true(port_set_has(&plan.ports, 80) && port_set_has(&plan.ports, 53));
}

static void a_plan_covers_what_needs_no_more(void **state)
{
    (void)state;
    struct sandbox_plan plan = {.role = SANDBOX_WORKER};
    port_set_add(&plan.ports, 80);
    port_set_add(&plan.ports, 8080);
    struct sandbox_plan other = plan;
    assert_true(sandbox_plan_covers(&plan, &other));
    other.ports = (struct port_set){{0}};
    port_set_add(&other.ports, 8080);
    assert_true(sandbox_plan_covers(&plan, &other));
    assert_false(sandbox_plan_covers(&other, &plan));
    port_set_add(&other.ports, 8081);
    assert_false(sandbox_plan_covers(&plan, &other));
    other = plan;
    other.asks_names = true;
    assert_false(sandbox_plan_covers(&plan, &other));
    assert_true(sandbox_plan_covers(&other, &plan));
    other = plan;
    other.has_unix_server = true;
    assert_false(sandbox_plan_covers(&plan, &other));
    other = plan;
    other.role = SANDBOX_GOSSIP;
    assert_false(sandbox_plan_covers(&plan, &other));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_worker_gets_the_ports_of_all_servers),
        cmocka_unit_test(a_name_brings_dns_and_a_unix_socket_no_port),
        cmocka_unit_test(a_keyholder_gets_nothing),
        cmocka_unit_test(gossip_gets_the_ports_of_its_cluster_or_of_its_map),
        cmocka_unit_test(a_plan_covers_what_needs_no_more),
        cmocka_unit_test(a_fetcher_gets_the_port_of_its_url),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
