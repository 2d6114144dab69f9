/* tests/unit/crypto/spent_tickets_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "crypto/spent_tickets.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <openssl/rand.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { NOW = 1800000000, LIFE = 3600, IV = SPENT_TICKETS_IV_BYTES };

static struct spent_tickets *list_new(size_t tickets)
{
    int descriptor = spent_tickets_create(tickets);
    assert_true(descriptor >= 0);
    struct spent_tickets *list = spent_tickets_attach(descriptor);
    assert_non_null(list);
    (void)close(descriptor);
    return list;
}

static enum spent_verdict spend_at(struct spent_tickets *list, uint64_t start, uint64_t tag,
                                   time_t ends, time_t now)
{
    uint8_t iv[IV];
    memcpy(iv, &start, 8);
    memcpy(iv + 8, &tag, 8);
    return spent_tickets_spend(list, iv, ends, now);
}

static void a_ticket_is_spent_once(void **state)
{
    (void)state;
    struct spent_tickets *list = list_new(1000);
    uint8_t iv[IV];
    for (size_t i = 0; i < 1000; i++) {
        assert_int_equal(RAND_bytes(iv, sizeof(iv)), 1);
        assert_int_equal(spent_tickets_spend(list, iv, NOW + LIFE, NOW), SPENT_NOW);
        assert_int_equal(spent_tickets_spend(list, iv, NOW + LIFE, NOW), SPENT_BEFORE);
        assert_int_equal(spent_tickets_spend(list, iv, NOW + LIFE, NOW + LIFE - 1), SPENT_BEFORE);
    }
    struct spent_facts facts = spent_tickets_facts(list);
    assert_int_equal(facts.spent, 1000);
    assert_int_equal(facts.refused, 2000);
    assert_int_equal(facts.no_room, 0);
    assert_true(facts.room >= 2000);
    spent_tickets_detach(list);
}

static void tickets_that_come_to_the_same_place_are_told_apart(void **state)
{
    (void)state;
    struct spent_tickets *list = list_new(1000);
    for (uint64_t tag = 0; tag < 50; tag++) {
        assert_int_equal(spend_at(list, 77, tag, NOW + LIFE, NOW), SPENT_NOW);
    }
    for (uint64_t tag = 0; tag < 50; tag++) {
        assert_int_equal(spend_at(list, 77, tag, NOW + LIFE, NOW), SPENT_BEFORE);
    }
    spent_tickets_detach(list);
}

static void the_list_goes_round(void **state)
{
    (void)state;
    struct spent_tickets *list = list_new(SPENT_TICKETS_MIN);
    uint64_t last = spent_tickets_facts(list).room - 1;
    for (uint64_t tag = 0; tag < 10; tag++) {
        assert_int_equal(spend_at(list, last, tag, NOW + LIFE, NOW), SPENT_NOW);
        assert_int_equal(spend_at(list, last, tag, NOW + LIFE, NOW), SPENT_BEFORE);
    }
    spent_tickets_detach(list);
}

static void a_full_list_lets_nothing_through(void **state)
{
    (void)state;
    struct spent_tickets *list = list_new(SPENT_TICKETS_MIN);
    uint64_t room = spent_tickets_facts(list).room;
    for (uint64_t i = 0; i < room; i++) {
        assert_int_equal(spend_at(list, i, i, NOW + LIFE, NOW), SPENT_NOW);
    }
    for (uint64_t i = 0; i < room; i++) {
        assert_int_equal(spend_at(list, i, i, NOW + LIFE, NOW), SPENT_BEFORE);
        assert_int_equal(spend_at(list, i, i + room, NOW + LIFE, NOW), SPENT_NO_ROOM);
        assert_int_equal(spend_at(list, i, i + room, NOW + LIFE, NOW), SPENT_NO_ROOM);
    }
    assert_int_equal(spent_tickets_facts(list).no_room, 2 * room);
    spent_tickets_detach(list);
}

static void there_is_room_again_when_tickets_have_ended(void **state)
{
    (void)state;
    struct spent_tickets *list = list_new(SPENT_TICKETS_MIN);
    uint64_t room = spent_tickets_facts(list).room;
    for (uint64_t i = 0; i < room; i++) {
        assert_int_equal(spend_at(list, i, i, NOW + (i % 2 == 0 ? LIFE : 10 * LIFE), NOW),
                         SPENT_NOW);
    }
    time_t later = NOW + 2 * LIFE;
    for (uint64_t i = 0; i < room / 2; i++) {
        assert_int_equal(spend_at(list, i, room + i, later + LIFE, later), SPENT_NOW);
    }
    assert_int_equal(spend_at(list, 0, 5 * room, later + LIFE, later), SPENT_NO_ROOM);
    for (uint64_t i = 1; i < room; i += 2) { /* those that last are remembered all the same */
        assert_int_equal(spend_at(list, i, i, NOW + 10 * LIFE, later), SPENT_BEFORE);
    }
    spent_tickets_detach(list);
}

static void a_clock_that_is_not_set_forgets_nothing(void **state)
{
    (void)state;
    struct spent_tickets *list = list_new(SPENT_TICKETS_MIN);
    assert_int_equal(spend_at(list, 1, 1, LIFE, 0), SPENT_NOW); /* 1970 */
    assert_int_equal(spend_at(list, 1, 1, LIFE, LIFE - 1), SPENT_BEFORE);
    time_t far = (time_t)5000000000; /* 2128 */
    assert_int_equal(spend_at(list, 2, 2, far + LIFE, far), SPENT_NOW);
    assert_int_equal(spend_at(list, 2, 2, far + LIFE, far), SPENT_BEFORE);
    spent_tickets_detach(list);
}

/* ---- several processes ---- */

enum { RACERS = 6, RACES = 4000 };

/* In shared memory: how many won each race, and who has arrived at it. */
struct board {
    uint32_t arrived[RACES];
    uint32_t winners[RACES];
};

static void race_all(int descriptor, struct board *board, int turns)
{
    struct spent_tickets *list = spent_tickets_attach(descriptor);
    for (uint64_t i = 0; list != NULL && i < RACES; i++) {
        __atomic_add_fetch(&board->arrived[i], 1, __ATOMIC_SEQ_CST);
        for (int wait = 0;
             wait < 20000 && __atomic_load_n(&board->arrived[i], __ATOMIC_SEQ_CST) < RACERS;
             wait++) {
        }
        /* A hundred tickets to a place, so that the racers meet on their way too. */
        for (int turn = 0; turn < turns; turn++) {
            if (spend_at(list, i / 100 * 100, i, NOW + LIFE, NOW) == SPENT_NOW) {
                __atomic_add_fetch(&board->winners[i], 1, __ATOMIC_SEQ_CST);
            }
        }
    }
    _exit(list == NULL ? 1 : 0);
}

static void of_several_processes_exactly_one_wins_each_ticket(void **state)
{
    (void)state;
    int descriptor = spent_tickets_create(4 * RACES);
    struct board *board =
        mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(board != MAP_FAILED);
    pid_t racers[RACERS];
    for (size_t i = 0; i < RACERS; i++) {
        racers[i] = fork();
        if (racers[i] == 0) {
            race_all(descriptor, board, 2);
        }
    }
    for (size_t i = 0; i < RACERS; i++) {
        int status = 1;
        assert_int_equal(waitpid(racers[i], &status, 0), racers[i]);
        assert_int_equal(status, 0);
    }
    for (size_t i = 0; i < RACES; i++) {
        assert_int_equal(board->winners[i], 1);
    }
    struct spent_tickets *list = spent_tickets_attach(descriptor);
    struct spent_facts facts = spent_tickets_facts(list);
    assert_int_equal(facts.spent, RACES);
    assert_int_equal(facts.refused, (2ULL * RACERS - 1) * RACES);
    assert_int_equal(facts.no_room, 0);
    spent_tickets_detach(list);
    (void)munmap(board, sizeof(*board));
    (void)close(descriptor);
}

/* ---- descriptors ---- */

static void maps_nothing_but_such_a_list(void **state)
{
    (void)state;
    assert_null(spent_tickets_attach(-1));
    int file = memfd_create("other", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    assert_int_equal(ftruncate(file, 4096), 0);
    assert_null(spent_tickets_attach(file)); /* it could be cut under us */
    assert_int_equal(fcntl(file, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW), 0);
    assert_null(spent_tickets_attach(file)); /* 504 slots are no power of two */
    (void)close(file);
    int descriptor = spent_tickets_create(100);
    assert_true((fcntl(descriptor, F_GETFD) & FD_CLOEXEC) != 0);
    assert_int_not_equal(ftruncate(descriptor, 1), 0);
    (void)close(descriptor);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_ticket_is_spent_once),
        cmocka_unit_test(tickets_that_come_to_the_same_place_are_told_apart),
        cmocka_unit_test(the_list_goes_round),
        cmocka_unit_test(a_full_list_lets_nothing_through),
        cmocka_unit_test(there_is_room_again_when_tickets_have_ended),
        cmocka_unit_test(a_clock_that_is_not_set_forgets_nothing),
        cmocka_unit_test(of_several_processes_exactly_one_wins_each_ticket),
        cmocka_unit_test(maps_nothing_but_such_a_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
