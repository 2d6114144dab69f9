/* tests/unit/proxy/relay/error_page_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/relay/error_page.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <jansson.h>

struct page {
    struct arena_pool pool;
    struct arena arena;
    struct message response;
    slice body;
};

static enum status make(struct page *page, enum fault_code fault, const char *accept,
                        const char *id)
{
    *page = (struct page){0};
    arena_init(&page->arena, &page->pool, 1 << 20);
    struct error_page_facts facts = {
        .fault = fault, .id = slice_of(id), .accept = slice_of(accept)};
    return error_page_make(&facts, &page->response, &page->body, &page->arena);
}

static void page_fini(struct page *page)
{
    arena_reset(&page->arena);
    arena_pool_fini(&page->pool);
}

static bool has(const struct page *page, const char *text)
{
    return memmem(page->body.at, page->body.len, text, strlen(text)) != NULL;
}

static void expect_field(const struct page *page, const char *name, const char *value)
{
    const struct field *field = fields_find_named(&page->response.fields, slice_of(name));
    if (value == NULL) {
        assert_null(field);
        return;
    }
    assert_non_null(field);
    assert_true(slice_equal(field->value, slice_of(value)));
}

static void the_form_follows_accept(void **state)
{
    (void)state;
    static const struct {
        const char *accept;
        const char *type;
    } cases[] = {
        {"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
         "text/html; charset=utf-8"},
        {"TEXT/HTML", "text/html; charset=utf-8"},
        {"application/json", "application/json"},
        {"application/json, text/plain, */*", "application/json"},
        {"application/problem+json;q=0.5", "application/json"},
        {"*/*", "text/plain; charset=utf-8"},
        {"text/plain, text/html", "text/plain; charset=utf-8"},
        {"image/png, image/*", "text/plain; charset=utf-8"},
        {"", "text/plain; charset=utf-8"},
        {"text/html2", "text/plain; charset=utf-8"},
        {",,;q=1,\"", "text/plain; charset=utf-8"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct page page;
        assert_int_equal(make(&page, FAULT_BACKEND_REFUSED, cases[i].accept, "id-1"), STATUS_OK);
        expect_field(&page, "content-type", cases[i].type);
        page_fini(&page);
    }
}

static void every_fault_with_a_status_says_why(void **state)
{
    (void)state;
    static const char *const accepts[] = {"", "text/html", "application/json"};
    for (int code = 0; code < FAULT_CODES; code++) {
        enum fault_code fault = (enum fault_code)code;
        for (size_t i = 0; i < sizeof(accepts) / sizeof(accepts[0]); i++) {
            struct page page;
            enum status status = make(&page, fault, accepts[i], "id-1");
            assert_int_equal(status, error_page_exists(fault) ? STATUS_OK : STATUS_REFUSED);
            if (status == STATUS_OK) {
                assert_int_equal(page.response.status, fault_http_status(fault));
                assert_true(has(&page, fault_sentence(fault)));
                assert_true(has(&page, fault_name(fault)));
                assert_true(has(&page, "id-1"));
                assert_false(has(&page, "Request Refused")); /* each status has its own name */
                assert_false(has(&page, ">Server Error<"));
                assert_int_equal(page.response.framing.kind, FRAMING_LENGTH);
                assert_int_equal(page.response.framing.length, page.body.len);
                expect_field(&page, "cache-control", "no-store");
                expect_field(&page, "x-content-type-options", "nosniff");
            }
            page_fini(&page);
        }
    }
}

static void json_parses(void **state)
{
    (void)state;
    for (int code = 0; code < FAULT_CODES; code++) {
        struct page page;
        if (make(&page, (enum fault_code)code, "application/json", "id-1") == STATUS_OK) {
            json_t *body = json_loadb(page.body.at, page.body.len, JSON_REJECT_DUPLICATES, NULL);
            assert_non_null(body);
            assert_int_equal(json_integer_value(json_object_get(body, "status")),
                             page.response.status);
            assert_string_equal(json_string_value(json_object_get(body, "id")), "id-1");
            json_decref(body);
        }
        page_fini(&page);
    }
}

static void an_id_of_others_is_left_out(void **state)
{
    (void)state;
    static const char *const ids[] = {"", "<script>", "a b", "\"", "a\nb"};
    static const char *const accepts[] = {"", "text/html", "application/json"};
    for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
        for (size_t j = 0; j < sizeof(accepts) / sizeof(accepts[0]); j++) {
            struct page page;
            assert_int_equal(make(&page, FAULT_NO_ROUTE, accepts[j], ids[i]), STATUS_OK);
            assert_false(has(&page, "<script>"));
            assert_false(has(&page, "Request id"));
            assert_false(has(&page, "\"id\""));
            page_fini(&page);
        }
    }
}

static void names_the_methods_with_405(void **state)
{
    (void)state;
    struct page page;
    assert_int_equal(make(&page, FAULT_METHOD_REFUSED, "", "x"), STATUS_OK);
    assert_int_equal(page.response.status, 405);
    expect_field(&page, "allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
    page_fini(&page);
    assert_int_equal(make(&page, FAULT_NO_ROUTE, "", "x"), STATUS_OK);
    expect_field(&page, "allow", NULL);
    page_fini(&page);
}

static void head_gets_the_length_only(void **state)
{
    (void)state;
    struct page get;
    struct page head = {0};
    struct error_page_facts facts = {.fault = FAULT_NO_ROUTE, .id = SLICE("x"), .is_head = true};
    assert_int_equal(make(&get, FAULT_NO_ROUTE, "", "x"), STATUS_OK);
    arena_init(&head.arena, &head.pool, 1 << 20);
    assert_int_equal(error_page_make(&facts, &head.response, &head.body, &head.arena), STATUS_OK);
    assert_int_equal(head.body.len, 0);
    assert_int_equal(head.response.framing.kind, FRAMING_NONE);
    assert_true(head.response.framing.tells_length);
    assert_int_equal(head.response.framing.length, get.body.len);
    page_fini(&get);
    page_fini(&head);
}

static void reports_a_full_arena_at_every_point(void **state)
{
    (void)state;
    struct error_page_facts facts = {.fault = FAULT_NO_ROUTE, .accept = SLICE("text/html")};
    bool has_succeeded = false;
    for (size_t limit = 0; limit < 8192; limit += 16) {
        struct page page = {0};
        arena_init(&page.arena, &page.pool, limit);
        enum status status = error_page_make(&facts, &page.response, &page.body, &page.arena);
        page_fini(&page);
        assert_int_equal(status, has_succeeded || status == STATUS_OK ? STATUS_OK : STATUS_NOMEM);
        has_succeeded = status == STATUS_OK;
    }
    assert_true(has_succeeded);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_form_follows_accept),
        cmocka_unit_test(every_fault_with_a_status_says_why),
        cmocka_unit_test(json_parses),
        cmocka_unit_test(an_id_of_others_is_left_out),
        cmocka_unit_test(names_the_methods_with_405),
        cmocka_unit_test(head_gets_the_length_only),
        cmocka_unit_test(reports_a_full_arena_at_every_point),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
