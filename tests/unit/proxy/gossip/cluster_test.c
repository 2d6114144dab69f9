/* tests/unit/proxy/gossip/cluster_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "support/cluster_rig.h"

static int set_up(void **state)
{
    struct cluster_rig *rig = malloc(sizeof(*rig));
    assert_non_null(rig);
    cluster_rig_init(rig, NULL, NULL, CLUSTER_KEY_A CLUSTER_KEY_SHORT);
    *state = rig;
    return 0;
}

static int tear_down(void **state)
{
    cluster_rig_fini(*state);
    free(*state);
    return 0;
}

static enum status set_ring(struct cluster_rig *rig, const char *text)
{
    struct crypto_error error = {{0}};
    enum status status = cluster_set_ring(
        &rig->cluster, (struct bytes){(const uint8_t *)text, strlen(text)}, &error);
    assert_int_equal(status == STATUS_OK, error.text[0] == '\0');
    return status;
}

static void a_keyring_is_told_by_fingerprint_and_never_by_key(void **state)
{
    struct cluster_rig *rig = *state;
    cluster_rig_expect(rig, "\"event\":\"keyring_taken\",\"cluster\":\"test\",\"primary\":\"");
    cluster_rig_expect(rig, "\"bits\":256,\"keys\":2");
    assert_int_equal(cluster_rig_count(rig, "ERER"), 0);
    assert_int_equal(rig->pages->key_count, 2);
    assert_int_equal(rig->pages->keys[1].bits, 128);
}

static void what_is_no_keyring_leaves_the_former_one_in_use(void **state)
{
    struct cluster_rig *rig = *state;
    struct gossip_cipher *cipher = rig->cluster.cipher;
    static const char *const BAD[] = {"", "no key\n", CLUSTER_KEY_A CLUSTER_KEY_A, "ERER\n"};
    for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++) {
        assert_int_equal(set_ring(rig, BAD[i]), STATUS_REFUSED);
        assert_ptr_equal(rig->cluster.cipher, cipher);
        assert_int_equal(rig->pages->generation, 1);
        assert_int_equal(rig->pages->key_count, 2);
    }
    assert_int_equal(set_ring(rig, CLUSTER_KEY_B), STATUS_OK);
    assert_int_equal(rig->pages->generation, 2);
}

static void next_second(struct cluster_rig *rig)
{
    rig->cluster.uptime_s = UINT32_MAX;
    cluster_tick(&rig->cluster);
}

static void a_key_that_wears_out_is_told_at_each_doubling_and_no_more(void **state)
{
    struct cluster_rig *rig = *state;
    static const struct {
        uint64_t sealed;
        size_t warnings;
    } ROWS[] = {{(1ULL << 30) - 1, 0}, {1ULL << 30, 1}, {(1ULL << 30) + 5, 1},
                {(1ULL << 31) - 1, 1}, {1ULL << 31, 2}, {1ULL << 33, 3},
                {(1ULL << 34) - 1, 3}, {1ULL << 34, 4}};
    for (size_t i = 0; i < sizeof(ROWS) / sizeof(ROWS[0]); i++) {
        rig->pages->keys[0].sealed = ROWS[i].sealed;
        next_second(rig);
        next_second(rig);
        assert_int_equal(cluster_rig_count(rig, "\"event\":\"key_wears_out\""), ROWS[i].warnings);
    }
    assert_int_equal(set_ring(rig, CLUSTER_KEY_B), STATUS_OK); /* a fresh one */
    next_second(rig);
    assert_int_equal(cluster_rig_count(rig, "key_wears_out"), 4);
}

/* Whatever a process that was compromised has left in the pages, its successor runs. */
static void a_count_near_the_end_of_all_numbers_stops_nothing(void **state)
{
    struct cluster_rig *rig = *state;
    (void)alarm(20);
    rig->pages->keys[0].sealed = UINT64_MAX;
    next_second(rig);
    next_second(rig);
    (void)alarm(0);
    assert_int_equal(cluster_rig_count(rig, "key_wears_out"), 1);
}

static void trials_of_strangers_come_back_with_the_second(void **state)
{
    struct cluster_rig *rig = *state;
    next_second(rig);
    uint64_t trials = rig->cluster.trials;
    rig->cluster.trials = 0;
    next_second(rig);
    assert_int_equal(rig->cluster.trials, trials);
    assert_true(trials > 0);
}

static struct config_address address_of(uint8_t last, uint16_t port)
{
    return (struct config_address){
        .kind = CONFIG_ADDRESS_IP4, .ip = {127, 0, 0, last}, .port = port};
}

static struct endpoint endpoint_at(uint8_t last, uint16_t port)
{
    struct config_address address = address_of(last, port);
    struct endpoint endpoint;
    endpoint_from_config(&endpoint, &address);
    return endpoint;
}

static void members_are_found_by_real_ip_and_by_the_very_stand_in(void **state)
{
    (void)state;
    struct config_gossip_peer members[2] = {
        {.stand_in = address_of(2, 7946), .address = address_of(102, 7946)},
        {.stand_in = address_of(2, 7947), .address = address_of(103, 7946)},
    };
    const struct config_gossip settings = {
        .mode = CONFIG_GOSSIP_RELAY,
        .node = {.stand_in = address_of(1, 7946), .address = address_of(101, 7946)},
        .peers = members,
        .peer_count = 2,
    };
    struct cluster_rig rig;
    cluster_rig_init(&rig, NULL, &settings, CLUSTER_KEY_A);
    const struct cluster *cluster = &rig.cluster;
    struct endpoint at = endpoint_at(103, 1); /* a conn comes from any port */
    assert_ptr_equal(member_map_at(&cluster->members, &at), &members[1]);
    at = endpoint_at(101, 7946);
    assert_null(member_map_at(&cluster->members, &at));
    at = endpoint_at(2, 7946);
    assert_ptr_equal(member_map_for(&cluster->members, &at), &members[0]);
    at = endpoint_at(2, 7947);
    assert_ptr_equal(member_map_for(&cluster->members, &at), &members[1]);
    at = endpoint_at(1, 7946);
    assert_ptr_equal(member_map_for(&cluster->members, &at), &rig.settings.node);
    at = endpoint_at(2, 7948);
    assert_null(member_map_for(&cluster->members, &at));
    at = endpoint_at(102, 7946);
    assert_null(member_map_for(&cluster->members, &at));
    cluster_rig_fini(&rig);
}

static void a_label_of_the_settings_is_the_clusters_from_the_start(void **state)
{
    (void)state;
    struct cluster_rig rig;
    cluster_rig_init(&rig, NULL, &(struct config_gossip){.label = "prod"}, CLUSTER_KEY_A);
    const struct bytes prod = {(const uint8_t *)"prod", 4};
    const struct bytes other = {(const uint8_t *)"prof", 4};
    const struct bytes begun = {(const uint8_t *)"pro", 3};
    for (int i = 0; i < 2; i++) {
        enum cluster_direction direction = i == 0 ? CLUSTER_OUT : CLUSTER_IN;
        assert_true(cluster_take_label(&rig.cluster, direction, prod));
        assert_false(cluster_take_label(&rig.cluster, direction, other));
        assert_false(cluster_take_label(&rig.cluster, direction, begun));
        assert_false(cluster_take_label(&rig.cluster, direction, (struct bytes){0}));
    }
    cluster_rig_fini(&rig);
}

static void too_large_a_replay_window_is_refused(void **state)
{
    struct cluster_rig *rig = *state;
    struct cluster cluster;
    const struct config_gossip settings = {.replay_window = REPLAY_WINDOW_NONCES_MAX + 1ULL};
    assert_int_equal(cluster_init(&cluster, &settings, NULL, rig->log, rig->pages), STATUS_REFUSED);
}

#define TEST(claim) cmocka_unit_test_setup_teardown(claim, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_keyring_is_told_by_fingerprint_and_never_by_key),
        TEST(what_is_no_keyring_leaves_the_former_one_in_use),
        TEST(a_key_that_wears_out_is_told_at_each_doubling_and_no_more),
        TEST(a_count_near_the_end_of_all_numbers_stops_nothing),
        TEST(trials_of_strangers_come_back_with_the_second),
        cmocka_unit_test(members_are_found_by_real_ip_and_by_the_very_stand_in),
        cmocka_unit_test(a_label_of_the_settings_is_the_clusters_from_the_start),
        TEST(too_large_a_replay_window_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
