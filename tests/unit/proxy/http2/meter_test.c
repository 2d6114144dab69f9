/* tests/unit/proxy/http2/meter_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/http2/meter.h"

#include "proxy/http2/limits.h"
#include "support/wire.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* The same frames cost the same, whoever sends them. */
static struct meter make_meter(void)
{
    struct meter meter;
    meter_init(&meter, false, 0);
    return meter;
}

static struct wire_bytes said;

static slice bytes_of(const char *script)
{
    said.len = 0;
    wire_write(&said, script);
    return (slice){said.at, said.len};
}

static enum fault_code take(struct meter *meter, const char *script)
{
    return meter_take(meter, bytes_of(script), 0);
}

/* What frames cost; less than nothing: they give back. */
static const struct row {
    const char *name;
    const char *said;
    int cost;
} rows[] = {
    {"PING", "ping 01234567\n", 1},
    {"PING's answer", "ping+ack 01234567\n", 1},
    {"SETTINGS", "settings 4=1\n", H2_SETTINGS_COST},
    {"SETTINGS' answer", "settings+ack\n", H2_SETTINGS_COST},
    {"PRIORITY", "frame 2 0 1 0000000000\n", 1},
    {"RST_STREAM", "reset 1 8\n", 1}, /* what it resets is charged by who knows */
    {"WINDOW_UPDATE", "window 0 1\n", 1},
    {"GOAWAY", "goaway 0 0\n", 1},
    {"PUSH_PROMISE", "frame 5 4 1 00000002\n", 1},
    {"PRIORITY_UPDATE", "frame 16 0 0 00000001\n", 1},
    {"a type that nobody knows", "frame 99 255 1 00\n", 1},
    {"one without a payload", "frame 99 0 0 -\n", 1},
    {"DATA", "data 1 x\n", -H2_USEFUL_FRAME_PAYS},
    {"DATA that ends", "data 1 end x\n", -H2_USEFUL_FRAME_PAYS},
    {"empty DATA", "data 1\n", 1},
    {"empty DATA that ends", "data 1 end\n", 0},
    {"DATA with padding", "frame 0 8 1 01780000\n", -H2_USEFUL_FRAME_PAYS},
    {"DATA that is nothing but padding", "frame 0 8 1 020000\n", 1},
    {"padding of no bytes", "frame 0 8 1 00\n", 1},
    {"padding that ends", "frame 0 9 1 0100\n", 0},
    {"padding without its length", "frame 0 8 1 -\n", 1},
    {"padding that is longer than its frame", "frame 0 8 1 ff00\n", 1},
    {"HEADERS of a new stream", "headers 1 x=y\n", -H2_USEFUL_FRAME_PAYS},
    {"HEADERS of the same again", "headers 1 x=y\nheaders 1 end x=y\n", -H2_USEFUL_FRAME_PAYS},
    {"HEADERS of an older one", "headers 3 x=y\nheaders 1 x=y\n", -H2_USEFUL_FRAME_PAYS},
    {"CONTINUATION", "headers 1 part x=y\ncontinuation 1 x=y\n", -H2_USEFUL_FRAME_PAYS},
    {"empty CONTINUATION", "headers 1 part x=y\ncontinuation 1\n", 1 - H2_USEFUL_FRAME_PAYS},
    {"some together", "ping 01234567\ndata 1\ndata 1\ndata 1 x\n", 3 - H2_USEFUL_FRAME_PAYS},
};

enum { SPENT = 1000 };

static void check_row(const struct row *row, const struct meter *meter, size_t at)
{
    if (H2_PATIENCE - SPENT - meter->patience != row->cost) {
        fail_msg("%s, cut at %zu: cost %d", row->name, at, H2_PATIENCE - SPENT - meter->patience);
    }
}

static void frames_cost_what_they_are_of_use(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        slice bytes = bytes_of(rows[i].said);
        for (size_t at = 0; at < bytes.len; at++) {
            struct meter meter = make_meter();
            meter.patience -= SPENT;
            assert_int_equal(meter_take(&meter, slice_first(bytes, at), 0), FAULT_NONE);
            assert_int_equal(meter_take(&meter, slice_from(bytes, at), 0), FAULT_NONE);
            check_row(&rows[i], &meter, at);
            assert_int_equal(meter.payload_left, 0);
            assert_int_equal(meter.head_len, 0);
        }
    }
}

static void frames_cost_the_same_byte_by_byte(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        slice bytes = bytes_of(rows[i].said);
        struct meter meter = make_meter();
        meter.patience -= SPENT;
        for (size_t at = 0; at < bytes.len; at++) {
            assert_int_equal(meter_take(&meter, (slice){bytes.at + at, 1}, 0), FAULT_NONE);
        }
        check_row(&rows[i], &meter, 1);
    }
}

static void a_clients_preface_is_no_frame(void **state)
{
    (void)state;
    slice bytes = bytes_of("preface\nsettings\nping 01234567\n");
    for (size_t at = 0; at < bytes.len; at++) {
        struct meter meter;
        meter_init(&meter, true, 0);
        assert_int_equal(meter_take(&meter, slice_first(bytes, at), 0), FAULT_NONE);
        assert_int_equal(meter_take(&meter, slice_from(bytes, at), 0), FAULT_NONE);
        assert_int_equal(meter.patience, H2_PATIENCE - H2_SETTINGS_COST - 1);
    }
}

static void patience_ends(void **state)
{
    (void)state;
    struct meter meter = make_meter();
    for (int i = 0; i < H2_PATIENCE; i++) {
        assert_int_equal(take(&meter, "ping 01234567\n"), FAULT_NONE);
    }
    assert_true(meter_is_patient(&meter));
    assert_int_equal(take(&meter, "ping 01234567\n"), FAULT_H2_FLOOD);
    assert_false(meter_is_patient(&meter));
}

static void patience_is_never_more_than_at_the_start(void **state)
{
    (void)state;
    struct meter meter = make_meter();
    for (int i = 0; i < 100; i++) {
        assert_int_equal(take(&meter, "data 1 x\n"), FAULT_NONE);
        meter_pay(&meter, H2_CRUMB_BYTES);
    }
    assert_int_equal(meter_take(&meter, (slice){"", 0}, 1000 * 1000), FAULT_NONE);
    assert_int_equal(meter.patience, H2_PATIENCE);
}

static void content_that_we_send_pays_for_the_windows_that_it_needs(void **state)
{
    (void)state;
    struct meter meter = make_meter();
    for (int i = 0; i < 2 * H2_PATIENCE; i++) {
        meter_pay(&meter, H2_CRUMB_BYTES);
        assert_int_equal(take(&meter, "window 0 16384\nwindow 1 16384\n"), FAULT_NONE);
    }
    assert_true(meter.patience > H2_PATIENCE - 10);
}

static void updates_that_answer_content_may_come_all_at_once(void **state)
{
    (void)state;
    struct meter meter = make_meter();
    for (int i = 0; i < 4 * H2_PATIENCE; i++) {
        meter_pay(&meter, H2_CRUMB_BYTES);
    }
    for (int i = 0; i < 4 * H2_PATIENCE; i++) {
        assert_int_equal(take(&meter, "window 0 1\nwindow 1 1\n"), FAULT_NONE);
    }
    assert_int_equal(meter.patience, H2_PATIENCE);
    assert_int_equal(take(&meter, "window 0 1\n"), FAULT_NONE);
    assert_int_equal(meter.patience, H2_PATIENCE - 1);
}

static void crumbs_pay_together_what_one_frame_does(void **state)
{
    (void)state;
    struct meter meter = make_meter();
    meter.patience -= SPENT;
    for (int i = 0; i < H2_CRUMB_BYTES - 1; i++) {
        meter_pay(&meter, 1);
    }
    assert_int_equal(meter.patience, H2_PATIENCE - SPENT);
    assert_int_equal(meter.updates_due, 0);
    meter_pay(&meter, 1);
    assert_int_equal(meter.patience, H2_PATIENCE - SPENT + H2_USEFUL_FRAME_PAYS);
    assert_int_equal(meter.updates_due, H2_UPDATES_A_FRAME);
}

static void the_updates_that_are_due_are_bounded(void **state)
{
    (void)state;
    struct meter meter = make_meter();
    for (int i = 0; i < H2_UPDATES_MAX; i++) {
        meter_pay(&meter, H2_CRUMB_BYTES);
    }
    assert_int_equal(meter.updates_due, H2_UPDATES_MAX);
}

static void time_gives_patience_back(void **state)
{
    (void)state;
    static const struct {
        uint64_t step_ms;
        int steps;
        int32_t back;
    } times[] = {
        {0, 100, 0},
        {1000, 1, H2_PATIENCE_PER_S},
        {500, 2, H2_PATIENCE_PER_S},
        {10, 100, H2_PATIENCE_PER_S},
        {3, 1000, 3 * H2_PATIENCE_PER_S}, /* less than one each: little is lost */
        {1000 * 1000, 1, SPENT},
    };
    for (size_t i = 0; i < COUNT(times); i++) {
        struct meter meter = make_meter();
        meter.patience -= SPENT;
        for (int step = 1; step <= times[i].steps; step++) {
            uint64_t now_ms = times[i].step_ms * (uint64_t)step;
            assert_int_equal(meter_take(&meter, (slice){"", 0}, now_ms), FAULT_NONE);
        }
        int32_t back = meter.patience - (H2_PATIENCE - SPENT);
        if (back > times[i].back || back < times[i].back * 3 / 4) {
            fail_msg("%d times %d ms: %d", times[i].steps, (int)times[i].step_ms, back);
        }
    }
}

static void a_block_has_so_many_parts_and_no_more(void **state)
{
    (void)state;
    struct meter meter = make_meter();
    for (int block = 0; block < 3; block++) {
        assert_int_equal(take(&meter, "headers 1 part x=y\n"), FAULT_NONE);
        assert_true(meter.in_block);
        for (int i = 0; i < H2_CONTINUATIONS_MAX - 1; i++) {
            assert_int_equal(take(&meter, "continuation 1 part x=y\n"), FAULT_NONE);
            assert_true(meter.in_block);
        }
        assert_int_equal(take(&meter, "continuation 1 x=y\n"), FAULT_NONE);
        assert_false(meter.in_block);
    }
    assert_int_equal(take(&meter, "headers 1 part x=y\n"), FAULT_NONE);
    for (int i = 0; i < H2_CONTINUATIONS_MAX; i++) {
        assert_int_equal(take(&meter, "continuation 1 part x=y\n"), FAULT_NONE);
    }
    assert_int_equal(take(&meter, "continuation 1 x=y\n"), FAULT_H2_FLOOD);
}

/* Rapid Reset: each costs more than the request that it takes back has given. */
static void resets_use_patience_up(void **state)
{
    (void)state;
    struct meter meter = make_meter();
    uint32_t count = 0;
    for (; count < 1000 && meter_is_patient(&meter); count++) {
        char script[64];
        (void)snprintf(script, sizeof(script), "headers %u x=y\nreset %u 8\n", 2 * count + 1,
                       2 * count + 1);
        (void)take(&meter, script);
        meter_charge_reset(&meter);
    }
    assert_true(count >= 200 && count < 300);
}

/* However much is charged at the end, the number does not run away. */
static void patience_that_has_ended_stays_so(void **state)
{
    (void)state;
    struct meter meter = make_meter();
    for (int i = 0; i < 100 * 1000; i++) {
        meter_charge_reset(&meter);
    }
    assert_false(meter_is_patient(&meter));
    assert_true(meter.patience >= -H2_SETTINGS_COST);
}

static void a_large_payload_is_passed_over(void **state)
{
    (void)state;
    struct meter meter = make_meter();
    slice bytes = bytes_of("data 1 #16384\nping 01234567\ndata 1 #100\n");
    for (size_t step = 1; step < 20000; step = step * 3 + 1) {
        meter = make_meter();
        for (slice rest = bytes; rest.len > 0;) {
            slice part = slice_first(rest, rest.len < step ? rest.len : step);
            assert_int_equal(meter_take(&meter, part, 0), FAULT_NONE);
            rest = slice_from(rest, part.len);
        }
        assert_int_equal(meter.patience, H2_PATIENCE);
        assert_int_equal(meter.payload_left, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_cost_what_they_are_of_use),
        cmocka_unit_test(frames_cost_the_same_byte_by_byte),
        cmocka_unit_test(a_clients_preface_is_no_frame),
        cmocka_unit_test(patience_ends),
        cmocka_unit_test(patience_is_never_more_than_at_the_start),
        cmocka_unit_test(content_that_we_send_pays_for_the_windows_that_it_needs),
        cmocka_unit_test(updates_that_answer_content_may_come_all_at_once),
        cmocka_unit_test(crumbs_pay_together_what_one_frame_does),
        cmocka_unit_test(the_updates_that_are_due_are_bounded),
        cmocka_unit_test(time_gives_patience_back),
        cmocka_unit_test(a_block_has_so_many_parts_and_no_more),
        cmocka_unit_test(resets_use_patience_up),
        cmocka_unit_test(patience_that_has_ended_stays_so),
        cmocka_unit_test(a_large_payload_is_passed_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
