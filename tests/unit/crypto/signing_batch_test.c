/* tests/unit/crypto/signing_batch_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "crypto/signing_batch.c"

#include "crypto/rsa_batch_fake.h"
#include "crypto/rsa_rig.h"

enum { KEYS = 3, RSA_SCHEMES = 6 };

struct fixture {
    EVP_PKEY *keys[KEYS];
    struct rsa_batch_key *numbers[KEYS];
    struct signing_batch *batch;
    struct signing_job jobs[RSA_BATCH_LANES];
    uint8_t hashes[RSA_BATCH_LANES][KEY_HASH_BYTES_MAX];
    uint8_t signatures[RSA_BATCH_LANES][KEY_SIGNATURE_BYTES_MAX];
};

static int set_up_keys(void **state)
{
    static struct fixture fixture;
    for (size_t i = 0; i < KEYS; i++) {
        fixture.keys[i] = rsa_rig_key_new(2048);
        fixture.numbers[i] = rsa_batch_key_new(fixture.keys[i]);
    }
    fixture.batch = signing_batch_new();
    assert_non_null(fixture.batch);
    *state = &fixture;
    return 0;
}

static int tear_down_keys(void **state)
{
    struct fixture *fixture = *state;
    for (size_t i = 0; i < KEYS; i++) {
        EVP_PKEY_free(fixture->keys[i]);
        rsa_batch_key_free(fixture->numbers[i]);
    }
    signing_batch_free(fixture->batch);
    return 0;
}

/* Job i: another key, another scheme, another hash than its neighbours. */
static int set_up(void **state)
{
    struct fixture *fixture = *state;
    memset(&fake_batch, 0, sizeof(fake_batch));
    memset(fixture->signatures, 0xee, sizeof(fixture->signatures));
    for (size_t i = 0; i < RSA_BATCH_LANES; i++) {
        memset(fixture->hashes[i], (int)(0x20 + i), KEY_HASH_BYTES_MAX);
        fixture->jobs[i] =
            (struct signing_job){.key = fixture->numbers[i % KEYS],
                                 .scheme = key_scheme_facts((unsigned)(1 + i % RSA_SCHEMES)),
                                 .hash = fixture->hashes[i],
                                 .signature = fixture->signatures[i],
                                 .signature_len = 77};
    }
    return 0;
}

static bool is_signed(const struct fixture *fixture, size_t i)
{
    const struct signing_job *job = &fixture->jobs[i];
    return job->signature_len == 256 &&
           rsa_rig_verifies(fixture->keys[i % KEYS], job->scheme, fixture->hashes[i],
                            job->signature, job->signature_len);
}

static bool is_wiped(const void *bytes, size_t len)
{
    const uint8_t *at = bytes;
    for (size_t i = 0; i < len; i++) {
        if (at[i] != 0) {
            return false;
        }
    }
    return true;
}

static bool is_refused(const struct fixture *fixture, size_t i)
{
    return fixture->jobs[i].signature_len == 0 &&
           is_wiped(fixture->signatures[i], KEY_SIGNATURE_BYTES_MAX);
}

static void keys_and_schemes_may_be_mixed(void **state)
{
    struct fixture *fixture = *state;
    for (size_t count = 1; count <= RSA_BATCH_LANES; count++) {
        set_up(state);
        signing_batch_sign(fixture->batch, fixture->jobs, count);
        assert_int_equal(fake_batch.calls, 1);
        assert_int_equal(fake_batch.last_count, count);
        for (size_t i = 0; i < count; i++) {
            assert_true(is_signed(fixture, i));
        }
        for (size_t i = count; i < RSA_BATCH_LANES; i++) {
            assert_int_equal(fixture->jobs[i].signature_len, 77); /* not looked at */
        }
    }
}

static void a_faulty_signature_is_not_let_out(void **state)
{
    struct fixture *fixture = *state;
    for (unsigned lane = 1; lane <= RSA_BATCH_LANES; lane++) {
        set_up(state);
        fake_batch.faulty_lane = lane;
        signing_batch_sign(fixture->batch, fixture->jobs, RSA_BATCH_LANES);
        for (size_t i = 0; i < RSA_BATCH_LANES; i++) {
            assert_true(i + 1 == lane ? is_refused(fixture, i) : is_signed(fixture, i));
        }
    }
}

static void a_refusal_of_the_library_lets_nothing_out(void **state)
{
    struct fixture *fixture = *state;
    for (int is_public = 0; is_public < 2; is_public++) {
        set_up(state);
        fake_batch.private_fails = is_public == 0;
        fake_batch.public_fails = is_public == 1;
        signing_batch_sign(fixture->batch, fixture->jobs, RSA_BATCH_LANES);
        for (size_t i = 0; i < RSA_BATCH_LANES; i++) {
            assert_true(is_refused(fixture, i));
        }
    }
}

static void a_job_that_cannot_be_encoded_leaves_the_others(void **state)
{
    struct fixture *fixture = *state;
    fixture->jobs[0].scheme = key_scheme_facts(KEY_SCHEME_ECDSA_SHA384);
    fixture->jobs[5].scheme = key_scheme_facts(KEY_SCHEME_ECDSA_SHA256);
    signing_batch_sign(fixture->batch, fixture->jobs, RSA_BATCH_LANES);
    assert_int_equal(fake_batch.last_count, RSA_BATCH_LANES - 2);
    for (size_t i = 0; i < RSA_BATCH_LANES; i++) {
        assert_true(i == 0 || i == 5 ? is_refused(fixture, i) : is_signed(fixture, i));
    }
    set_up(state);
    fixture->jobs[0].scheme = key_scheme_facts(KEY_SCHEME_ECDSA_SHA384);
    signing_batch_sign(fixture->batch, fixture->jobs, 1);
    assert_int_equal(fake_batch.calls, 0);
    assert_true(is_refused(fixture, 0));
}

static void nothing_is_kept_of_what_was_computed(void **state)
{
    struct fixture *fixture = *state;
    fake_batch.faulty_lane = 3;
    signing_batch_sign(fixture->batch, fixture->jobs, RSA_BATCH_LANES);
    assert_true(is_wiped(fixture->batch->encoded, sizeof(fixture->batch->encoded)));
    assert_true(is_wiped(fixture->batch->recovered, sizeof(fixture->batch->recovered)));
    assert_int_equal(ERR_peek_error(), 0);
}

static void there_is_none_where_the_machine_cannot(void **state)
{
    (void)state;
    fake_batch.is_missing = true;
    assert_null(signing_batch_new());
    signing_batch_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(keys_and_schemes_may_be_mixed, set_up),
        cmocka_unit_test_setup(a_faulty_signature_is_not_let_out, set_up),
        cmocka_unit_test_setup(a_refusal_of_the_library_lets_nothing_out, set_up),
        cmocka_unit_test_setup(a_job_that_cannot_be_encoded_leaves_the_others, set_up),
        cmocka_unit_test_setup(nothing_is_kept_of_what_was_computed, set_up),
        cmocka_unit_test_setup(there_is_none_where_the_machine_cannot, set_up),
    };
    return cmocka_run_group_tests(tests, set_up_keys, tear_down_keys);
}
