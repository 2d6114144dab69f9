/* tests/unit/proxy/upstream/client_codecs_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "crypto/tls_facts.h"
#include "proxy/net/stream.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* What the handshake has agreed on, without one. */
static const char *agreed;

static void agreed_facts(const struct stream *stream, struct tls_facts *facts)
{
    (void)stream;
    *facts = (struct tls_facts){0};
    (void)snprintf(facts->alpn, sizeof(facts->alpn), "%s", agreed);
}

#define stream_tls_facts agreed_facts
#include "proxy/upstream/client_codecs.c"

static const struct row {
    enum config_scheme scheme;
    const char *agreed;
    client_codec_open *codec;
} rows[] = {
    {CONFIG_SCHEME_HTTP, "", http1_client_open},
    {CONFIG_SCHEME_H2C, "", http2_client_open},
    {CONFIG_SCHEME_HTTPS, "", http1_client_open}, /* a server that knows no ALPN */
    {CONFIG_SCHEME_HTTPS, "http/1.1", http1_client_open},
    {CONFIG_SCHEME_HTTPS, "h2", http2_client_open},
    {CONFIG_SCHEME_H2, "h2", http2_client_open},
    {CONFIG_SCHEME_H2, "", NULL},
    {CONFIG_SCHEME_H2, "http/1.1", NULL},
};

static void the_codec_is_what_was_agreed_on(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        agreed = rows[i].agreed;
        assert_true(client_codec_for(NULL, rows[i].scheme) == rows[i].codec);
    }
}

static void only_http1_in_plaintext_is_known_not_to_share(void **state)
{
    (void)state;
    assert_false(client_codec_may_multiplex(CONFIG_SCHEME_HTTP));
    assert_true(client_codec_may_multiplex(CONFIG_SCHEME_HTTPS));
    assert_true(client_codec_may_multiplex(CONFIG_SCHEME_H2C));
    assert_true(client_codec_may_multiplex(CONFIG_SCHEME_H2));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_codec_is_what_was_agreed_on),
        cmocka_unit_test(only_http1_in_plaintext_is_known_not_to_share),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
