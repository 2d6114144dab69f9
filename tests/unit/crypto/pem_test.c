/* tests/unit/crypto/pem_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "crypto/pem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <openssl/err.h>
#include <openssl/pem.h>

static void tells_the_end_of_the_text_from_a_malformed_object(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool is_end;
    } rows[] = {
        {"", true},
        {"a remark\n", true},
        {"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", false},
        {"-----BEGIN CERTIFICATE-----\nAAAA\n", false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        BIO *bio = BIO_new_mem_buf(rows[i].text, -1);
        ERR_clear_error();
        assert_null(PEM_read_bio_X509(bio, NULL, pem_no_password, NULL));
        assert_int_equal(pem_is_end(), rows[i].is_end);
        ERR_clear_error();
        BIO_free(bio);
    }
}

static void refuses_every_question_for_a_password(void **state)
{
    (void)state;
    char out[8] = "";
    assert_int_equal(pem_no_password(out, sizeof(out), 0, NULL), -1);
    assert_string_equal(out, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tells_the_end_of_the_text_from_a_malformed_object),
        cmocka_unit_test(refuses_every_question_for_a_password),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
