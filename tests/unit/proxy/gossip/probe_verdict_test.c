/* tests/unit/proxy/gossip/probe_verdict_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/gossip/probe_verdict.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct {
    const char *claim;
    enum probe_answer tcp;
    enum probe_answer udp;
    enum probe_verdict verdict;
} cases[] = {
    {"both answer", PROBE_ACK, PROBE_ACK, PROBE_VERDICT_FINE},
    {"a firewall drops UDP", PROBE_ACK, PROBE_SILENT, PROBE_VERDICT_UDP_BLOCKED},
    {"a firewall rejects UDP", PROBE_ACK, PROBE_UNREACHABLE, PROBE_VERDICT_UDP_BLOCKED},
    {"UDP is not forwarded", PROBE_ACK, PROBE_REFUSED, PROBE_VERDICT_UDP_BLOCKED},
    {"UDP is forwarded elsewhere", PROBE_ACK, PROBE_FOREIGN, PROBE_VERDICT_UDP_BLOCKED},
    {"UDP is forwarded to another cluster", PROBE_ACK, PROBE_OTHER_KEY, PROBE_VERDICT_OTHER_KEY},
    {"UDP is answered in plaintext", PROBE_ACK, PROBE_ACK_PLAIN, PROBE_VERDICT_PLAINTEXT},
    {"a firewall drops TCP", PROBE_NO_CONN, PROBE_ACK, PROBE_VERDICT_TCP_BLOCKED},
    {"a firewall rejects TCP", PROBE_REFUSED, PROBE_ACK, PROBE_VERDICT_TCP_BLOCKED},
    {"TCP is prohibited", PROBE_UNREACHABLE, PROBE_ACK, PROBE_VERDICT_TCP_BLOCKED},
    {"TCP is forwarded elsewhere", PROBE_FOREIGN, PROBE_ACK, PROBE_VERDICT_TCP_BLOCKED},
    {"TCP is forwarded to what closes", PROBE_CLOSED, PROBE_ACK, PROBE_VERDICT_TCP_BLOCKED},
    {"TCP is forwarded to what is silent", PROBE_SILENT, PROBE_ACK, PROBE_VERDICT_TCP_BLOCKED},
    {"TCP leads to another cluster", PROBE_OTHER_KEY, PROBE_ACK, PROBE_VERDICT_OTHER_KEY},
    {"another key", PROBE_OTHER_KEY, PROBE_SILENT, PROBE_VERDICT_OTHER_KEY},
    {"a rotation on the way", PROBE_LACKS_KEY, PROBE_SILENT, PROBE_VERDICT_OTHER_KEY},
    {"another key, seen over UDP alone", PROBE_NO_CONN, PROBE_OTHER_KEY, PROBE_VERDICT_OTHER_KEY},
    {"another label", PROBE_OTHER_LABEL, PROBE_SILENT, PROBE_VERDICT_OTHER_LABEL},
    {"plaintext", PROBE_PLAINTEXT, PROBE_SILENT, PROBE_VERDICT_PLAINTEXT},
    {"plaintext answers", PROBE_ACK_PLAIN, PROBE_ACK_PLAIN, PROBE_VERDICT_PLAINTEXT},
    {"a web server", PROBE_FOREIGN, PROBE_REFUSED, PROBE_VERDICT_NOT_GOSSIP},
    {"a web server behind a firewall", PROBE_FOREIGN, PROBE_SILENT, PROBE_VERDICT_NOT_GOSSIP},
    {"what takes conns and is silent", PROBE_SILENT, PROBE_SILENT, PROBE_VERDICT_NOT_GOSSIP},
    {"what closes, where UDP is closed", PROBE_CLOSED, PROBE_REFUSED, PROBE_VERDICT_NOT_GOSSIP},
    {"what closes", PROBE_CLOSED, PROBE_SILENT, PROBE_VERDICT_CLOSED},
    {"a name server at UDP alone", PROBE_REFUSED, PROBE_FOREIGN, PROBE_VERDICT_NOT_GOSSIP},
    {"a closed port", PROBE_REFUSED, PROBE_REFUSED, PROBE_VERDICT_NOTHING},
    {"a firewall that drops all", PROBE_NO_CONN, PROBE_SILENT, PROBE_VERDICT_NOTHING},
    {"no route", PROBE_UNREACHABLE, PROBE_UNREACHABLE, PROBE_VERDICT_NOTHING},
};

static void tells_apart_what_an_operator_would_mend_differently(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        enum probe_verdict verdict = probe_verdict(cases[i].tcp, cases[i].udp);
        if (verdict != cases[i].verdict) {
            fail_msg("%s: %s", cases[i].claim, probe_verdict_name(verdict));
        }
    }
}

static void is_fine_in_one_case_alone(void **state)
{
    (void)state;
    for (int tcp = 0; tcp < PROBE_ANSWERS; tcp++) {
        for (int udp = 0; udp < PROBE_ANSWERS; udp++) {
            enum probe_verdict verdict =
                probe_verdict((enum probe_answer)tcp, (enum probe_answer)udp);
            assert_int_equal(verdict == PROBE_VERDICT_FINE, tcp == PROBE_ACK && udp == PROBE_ACK);
        }
    }
}

static void has_words_for_all(void **state)
{
    (void)state;
    for (int answer = 0; answer < PROBE_ANSWERS; answer++) {
        assert_true(strlen(probe_answer_name((enum probe_answer)answer)) > 0);
        assert_true(strlen(probe_answer_sentence((enum probe_answer)answer)) > 0);
    }
    for (int verdict = 0; verdict < PROBE_VERDICTS; verdict++) {
        assert_true(strlen(probe_verdict_name((enum probe_verdict)verdict)) > 0);
        assert_true(strlen(probe_verdict_sentence((enum probe_verdict)verdict)) > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tells_apart_what_an_operator_would_mend_differently),
        cmocka_unit_test(is_fine_in_one_case_alone),
        cmocka_unit_test(has_words_for_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
