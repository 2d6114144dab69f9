/* tests/unit/proxy/process/staple_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/process/staple.h"

#include "crypto/tls_rig.h"

#include <openssl/ocsp.h>
#include <time.h>
#include <unistd.h>

#include "proxy/process/memory_file.h"

struct fixture {
    struct rig_authority authority;
    EVP_PKEY *key;
    X509 *leaf;
    struct certificate *certificate;
    time_t now;
};

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    rig_authority_init(&fixture->authority, "rig authority");
    fixture->key = rig_ec_new();
    struct rig_wish wish = {.common_name = "web",
                            .names = "DNS:web.example",
                            .ocsp_url = "OCSP;URI:http://ocsp.example/"};
    fixture->leaf =
        rig_issue(&wish, fixture->key, fixture->authority.certificate, fixture->authority.key);
    fixture->certificate = rig_certificate(fixture->leaf, fixture->authority.certificate);
    fixture->now = time(NULL);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    certificate_unref(fixture->certificate);
    X509_free(fixture->leaf);
    EVP_PKEY_free(fixture->key);
    rig_authority_fini(&fixture->authority);
    free(fixture);
    return 0;
}

static struct staple staple_of(const struct fixture *fixture)
{
    return (struct staple){.certificate = certificate_ref(fixture->certificate), .response = -1};
}

/* Sealed, as a fetcher gives it: from `age` seconds ago, good for an hour. */
static int answer_new(const struct fixture *fixture, int status, long age)
{
    OCSP_BASICRESP *basic = OCSP_BASICRESP_new();
    OCSP_CERTID *id = OCSP_cert_to_id(EVP_sha1(), fixture->leaf, fixture->authority.certificate);
    ASN1_TIME *from = X509_time_adj_ex(NULL, 0, -age, NULL);
    ASN1_TIME *to = X509_time_adj_ex(NULL, 0, 3600, NULL);
    assert_non_null(OCSP_basic_add1_status(
        basic, id, status, 0, status == V_OCSP_CERTSTATUS_REVOKED ? from : NULL, from, to));
    assert_int_equal(OCSP_basic_sign(basic, fixture->authority.certificate, fixture->authority.key,
                                     EVP_sha256(), NULL, 0),
                     1);
    OCSP_RESPONSE *response = OCSP_response_create(OCSP_RESPONSE_STATUS_SUCCESSFUL, basic);
    unsigned char *der = NULL;
    int len = i2d_OCSP_RESPONSE(response, &der);
    assert_true(len > 0);
    int descriptor = memory_file_new("answer", der, (size_t)len);
    assert_true(descriptor >= 0);
    OPENSSL_free(der);
    OCSP_RESPONSE_free(response);
    OCSP_BASICRESP_free(basic);
    OCSP_CERTID_free(id);
    ASN1_TIME_free(from);
    ASN1_TIME_free(to);
    return descriptor;
}

static bool take(const struct fixture *fixture, struct staple *staple, int status, long age)
{
    struct crypto_error error = {{0}};
    return staple_take(staple, answer_new(fixture, status, age), fixture->now, &error);
}

static void good_holds_until_its_end_and_revoked_for_ever(void **state)
{
    const struct fixture *fixture = *state;
    struct staple staple = staple_of(fixture);
    assert_int_equal(staple_state(&staple, fixture->now), STAPLE_WAITING);
    assert_true(take(fixture, &staple, V_OCSP_CERTSTATUS_GOOD, 60));
    assert_int_equal(staple_state(&staple, fixture->now), STAPLE_GOOD);
    assert_int_equal(staple_state(&staple, fixture->now + 7200), STAPLE_WAITING);
    assert_true(take(fixture, &staple, V_OCSP_CERTSTATUS_REVOKED, 30));
    assert_int_equal(staple_state(&staple, fixture->now), STAPLE_REVOKED);
    assert_int_equal(staple_state(&staple, fixture->now + 7200), STAPLE_REVOKED);
    assert_false(take(fixture, &staple, V_OCSP_CERTSTATUS_GOOD, 60)); /* an old one */
    assert_int_equal(staple_state(&staple, fixture->now), STAPLE_REVOKED);
    assert_true(take(fixture, &staple, V_OCSP_CERTSTATUS_GOOD, 10)); /* it was a mistake */
    assert_int_equal(staple_state(&staple, fixture->now), STAPLE_GOOD);
    staple_fini(&staple);
}

static void what_says_nothing_changes_nothing(void **state)
{
    const struct fixture *fixture = *state;
    struct staple staple = staple_of(fixture);
    struct crypto_error error = {{0}};
    assert_true(take(fixture, &staple, V_OCSP_CERTSTATUS_GOOD, 60));
    int kept = staple.response;
    assert_false(take(fixture, &staple, V_OCSP_CERTSTATUS_UNKNOWN, 30));
    int noise = memory_file_new("answer", "noise", 5);
    assert_false(staple_take(&staple, noise, fixture->now, &error));
    assert_non_null(strstr(error.text, "not an OCSP response"));
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    assert_false(staple_take(&staple, ends[0], fixture->now, &error));
    assert_non_null(strstr(error.text, "not sealed"));
    (void)close(ends[1]);
    assert_int_equal(staple.response, kept);
    assert_int_equal(staple_state(&staple, fixture->now), STAPLE_GOOD);
    staple_fini(&staple);
}

static void a_successor_has_response_and_schedule(void **state)
{
    const struct fixture *fixture = *state;
    struct staple former = staple_of(fixture);
    struct staple next = staple_of(fixture);
    former.schedule = (struct staple_schedule){.failures = 3, .ask_at = fixture->now + 99};
    assert_true(staple_succeed(&next, &former));
    assert_int_equal(next.response, -1);
    assert_int_equal(next.schedule.failures, 3);
    assert_true(take(fixture, &former, V_OCSP_CERTSTATUS_REVOKED, 30));
    assert_true(staple_succeed(&next, &former));
    assert_true(next.response >= 0 && next.response != former.response);
    assert_int_equal(next.schedule.ask_at, fixture->now + 99);
    staple_fini(&former);
    assert_int_equal(staple_state(&next, fixture->now), STAPLE_REVOKED);
    struct certificate *another = rig_certificate(fixture->authority.certificate, NULL);
    struct staple other = {.certificate = another, .response = -1};
    assert_false(staple_succeed(&other, &next));
    assert_int_equal(other.response, -1);
    staple_fini(&other);
    staple_fini(&next);
}

static void says_why_nobody_can_be_asked(void **state)
{
    const struct fixture *fixture = *state;
    assert_null(staple_why_not(fixture->certificate));
    struct certificate *alone = rig_certificate(fixture->leaf, NULL);
    assert_string_equal(staple_why_not(alone), "the chain does not hold the issuer");
    certificate_unref(alone);
    struct certificate *silent = rig_certificate(fixture->authority.certificate, NULL);
    assert_string_equal(staple_why_not(silent), "the certificate names no OCSP responder");
    certificate_unref(silent);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_holds_until_its_end_and_revoked_for_ever),
        cmocka_unit_test(what_says_nothing_changes_nothing),
        cmocka_unit_test(a_successor_has_response_and_schedule),
        cmocka_unit_test(says_why_nobody_can_be_asked),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
