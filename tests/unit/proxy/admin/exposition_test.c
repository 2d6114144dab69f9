/* tests/unit/proxy/admin/exposition_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/admin/exposition.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* What one label's value becomes. */
static void expect(const char *value, const char *escaped)
{
    char *text = NULL;
    size_t len = 0;
    char line[256];
    FILE *out = open_memstream(&text, &len);
    assert_non_null(out);
    const struct exposition_label label = {"name", value};
    exposition_sample(out, "x_total", &label, 1, 7);
    assert_int_equal(fclose(out), 0);
    (void)snprintf(line, sizeof(line), "x_total{name=\"%s\"} 7\n", escaped);
    assert_string_equal(text, line);
    free(text);
}

static void values_are_escaped(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        const char *escaped;
    } ROWS[] = {
        {"", ""},
        {"listener/web", "listener/web"},
        {"a \"b\" c", "a \\\"b\\\" c"},
        {"C:\\x", "C:\\\\x"},
        {"\\\"\n", "\\\\\\\"\\n"},
        {"two\nlines", "two\\nlines"},
        {"x\"} 1\ny{a=\"", "x\\\"} 1\\ny{a=\\\""},
        {"Größe, 大", "Größe, 大"},
    };
    for (size_t i = 0; i < sizeof(ROWS) / sizeof(ROWS[0]); i++) {
        expect(ROWS[i].value, ROWS[i].escaped);
    }
}

/* Nothing that a parser has no word for: each backslash is followed by one of its three letters,
 * and what is left is UTF-8 without control characters. */
static void whatever_stands_in_it_the_line_can_be_read(void **state)
{
    (void)state;
    for (int first = 1; first < 256; first++) {
        for (int second = 1; second < 256; second += 13) {
            const char value[] = {(char)first, (char)second, '\0'};
            const struct exposition_label label = {"name", value};
            char *text = NULL;
            size_t len = 0;
            FILE *out = open_memstream(&text, &len);
            assert_non_null(out);
            exposition_sample(out, "x", &label, 1, 1);
            assert_int_equal(fclose(out), 0);
            const char *at = strchr(text, '"') + 1;
            for (; *at != '"'; at++) {
                unsigned char c = (unsigned char)*at;
                assert_true(c >= ' ' && c != 0x7f);
                if (c == '\\') {
                    at++;
                    assert_non_null(strchr("\\\"n", *at));
                }
            }
            assert_string_equal(at, "\"} 1\n");
            free(text);
        }
    }
}

static void a_family_has_its_head_and_samples_their_labels(void **state)
{
    (void)state;
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    assert_non_null(out);
    const struct exposition_label labels[] = {{"a", "1"}, {"b", "2"}};
    exposition_family(out, "x", "gauge", "what it is");
    exposition_sample(out, "x", NULL, 0, -3);
    exposition_sample(out, "x", labels, 2, INT64_MAX);
    assert_int_equal(fclose(out), 0);
    assert_string_equal(text, "# HELP x what it is\n# TYPE x gauge\nx -3\n"
                              "x{a=\"1\",b=\"2\"} 9223372036854775807\n");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_escaped),
        cmocka_unit_test(whatever_stands_in_it_the_line_can_be_read),
        cmocka_unit_test(a_family_has_its_head_and_samples_their_labels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
