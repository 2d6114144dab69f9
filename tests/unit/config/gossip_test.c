/* tests/unit/config/gossip_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "config/gossip.h"

#include "config/check.h"

static uint16_t ports[] = {7946, 7947};

static struct config_gossip base(struct config_gossip_peer *peers)
{
    *peers = (struct config_gossip_peer){
        .stand_in = {.kind = CONFIG_ADDRESS_IP4, .ip = {127, 0, 0, 2}, .port = 7946},
        .address = {.kind = CONFIG_ADDRESS_IP4, .ip = {10, 0, 0, 2}, .port = 7946}};
    return (struct config_gossip){
        .name = "c",
        .keyring = {.path = "/k"},
        .ports = ports,
        .port_count = 1,
        .mode = CONFIG_GOSSIP_RELAY,
        .version = 1,
        .peers = peers,
        .peer_count = 1,
    };
}

static void places_and_copies_make_no_difference(void **state)
{
    (void)state;
    struct config_gossip_peer peers[2];
    struct config_gossip left = base(&peers[0]);
    struct config_gossip right = base(&peers[1]);
    char name[] = "c";
    right.name = name;
    right.place = (struct place){"other", 4, 5};
    assert_true(gossip_is_same(&left, &right));
}

static void whatever_differs_is_seen(void **state)
{
    (void)state;
    struct config_gossip_peer peers[2];
    struct config_gossip left = base(&peers[0]);
    enum { WAYS = 12 };
    for (int way = 0; way < WAYS; way++) {
        struct config_gossip right = base(&peers[1]);
        switch (way) {
        case 0:
            right.name = "d";
            break;
        case 1:
            right.keyring.path = "/l";
            break;
        case 2:
            right.port_count = 2;
            break;
        case 3:
            right.mode = CONFIG_GOSSIP_TRANSPARENT;
            break;
        case 4:
            right.version = 0;
            break;
        case 5:
            peers[1].address.port = 1;
            break;
        case 6:
            peers[1].stand_in.ip[3] = 9;
            break;
        case 7:
            right.peer_count = 0;
            break;
        case 8:
            right.label = "";
            break;
        case 9:
            right.takes_plaintext = true;
            break;
        case 10:
            right.user = "u";
            break;
        default:
            right.replay_window = 5;
            break;
        }
        assert_false(gossip_is_same(&left, &right));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(places_and_copies_make_no_difference),
        cmocka_unit_test(whatever_differs_is_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
