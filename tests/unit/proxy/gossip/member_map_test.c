/* tests/unit/proxy/gossip/member_map_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/gossip/member_map.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum { PEERS = 100 };

static struct config_address address_of(uint8_t third, uint8_t last, uint16_t port)
{
    return (struct config_address){
        .kind = CONFIG_ADDRESS_IP4, .ip = {127, 0, third, last}, .port = port};
}

static struct endpoint endpoint_at(uint8_t third, uint8_t last, uint16_t port)
{
    const struct config_address address = address_of(third, last, port);
    struct endpoint endpoint;
    endpoint_from_config(&endpoint, &address);
    return endpoint;
}

/* In no order: i × 37 goes round all of the numbers below 101. */
static uint8_t place_of(size_t number)
{
    return (uint8_t)(1 + (number * 37) % 101);
}

static void each_of_many_is_found_and_nobody_else(void **state)
{
    (void)state;
    struct config_gossip_peer peers[PEERS];
    for (size_t i = 0; i < PEERS; i++) {
        peers[i] = (struct config_gossip_peer){.stand_in = address_of(1, place_of(i), 7946),
                                               .address = address_of(2, place_of(i), 7946)};
    }
    const struct config_gossip settings = {.mode = CONFIG_GOSSIP_RELAY,
                                           .node = {.stand_in = address_of(3, 1, 7946)},
                                           .peers = peers,
                                           .peer_count = PEERS};
    struct member_map map;
    assert_int_equal(member_map_init(&map, &settings), STATUS_OK);
    for (size_t i = 0; i < PEERS; i++) {
        struct endpoint at = endpoint_at(2, place_of(i), 40000);
        assert_ptr_equal(member_map_at(&map, &at), &peers[i]);
        at = endpoint_at(1, place_of(i), 7946);
        assert_ptr_equal(member_map_for(&map, &at), &peers[i]);
        assert_null(member_map_at(&map, &at));
        at.port++;
        assert_null(member_map_for(&map, &at));
    }
    struct endpoint node = endpoint_at(3, 1, 7946);
    assert_ptr_equal(member_map_for(&map, &node), &settings.node);
    assert_null(member_map_at(&map, &node));
    struct endpoint last = endpoint_at(255, 255, 65535);
    assert_null(member_map_at(&map, &last));
    assert_null(member_map_for(&map, &last));
    member_map_fini(&map);
}

static void of_two_at_one_ip_the_first_is_meant(void **state)
{
    (void)state;
    struct config_gossip_peer peers[2] = {
        {.stand_in = address_of(1, 2, 7946), .address = address_of(2, 9, 7947)},
        {.stand_in = address_of(1, 1, 7946), .address = address_of(2, 9, 7946)},
    };
    const struct config_gossip settings = {
        .mode = CONFIG_GOSSIP_RELAY, .node = peers[0], .peers = peers, .peer_count = 2};
    struct member_map map;
    assert_int_equal(member_map_init(&map, &settings), STATUS_OK);
    const struct endpoint at = endpoint_at(2, 9, 1);
    assert_ptr_equal(member_map_at(&map, &at), &peers[0]);
    const struct endpoint both = endpoint_at(1, 2, 7946);
    assert_ptr_equal(member_map_for(&map, &both), &peers[0]);
    member_map_fini(&map);
}

static void there_is_none_where_nothing_is_relayed(void **state)
{
    (void)state;
    const struct config_gossip settings = {.mode = CONFIG_GOSSIP_TRANSPARENT};
    struct member_map map;
    assert_int_equal(member_map_init(&map, &settings), STATUS_OK);
    const struct endpoint any = {.port = 0};
    assert_null(member_map_at(&map, &any));
    assert_null(member_map_for(&map, &any));
    member_map_fini(&map);
    member_map_fini(&map);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_of_many_is_found_and_nobody_else),
        cmocka_unit_test(of_two_at_one_ip_the_first_is_meant),
        cmocka_unit_test(there_is_none_where_nothing_is_relayed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
