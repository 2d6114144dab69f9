/* tests/unit/proxy/base/list_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/base/list.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct item {
    int number;
    struct list_link link;
};

static int number_of(struct list_link *link)
{
    return link != NULL ? LIST_OBJECT(link, struct item, link)->number : 0;
}

static void keeps_its_order(void **state)
{
    (void)state;
    struct list list;
    list_init(&list);
    assert_true(list_is_empty(&list));
    assert_null(list_take_first(&list));
    struct item items[] = {{1, {0}}, {2, {0}}, {3, {0}}};
    list_append(&list, &items[1].link);
    list_append(&list, &items[2].link);
    list_prepend(&list, &items[0].link);
    assert_int_equal(number_of(list_first(&list)), 1);
    for (int i = 1; i <= 3; i++) {
        assert_int_equal(number_of(list_take_first(&list)), i);
        assert_false(list_has(&items[i - 1].link));
    }
    assert_true(list_is_empty(&list));
}

static void removes_from_anywhere_and_twice(void **state)
{
    (void)state;
    struct list list;
    list_init(&list);
    struct item items[] = {{1, {0}}, {2, {0}}, {3, {0}}};
    list_remove(&items[0].link); /* in no list */
    for (size_t i = 0; i < 3; i++) {
        list_append(&list, &items[i].link);
        assert_true(list_has(&items[i].link));
    }
    list_remove(&items[1].link);
    list_remove(&items[1].link);
    assert_int_equal(number_of(list_take_first(&list)), 1);
    assert_int_equal(number_of(list_take_first(&list)), 3);
    list_append(&list, &items[1].link); /* and back again */
    assert_int_equal(number_of(list_first(&list)), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(keeps_its_order),
                                       cmocka_unit_test(removes_from_anywhere_and_twice)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
