/* tests/unit/proxy/process/worker_keys_test.c
 *
 * The keyholder is the test: it answers by hand, or is gone.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "proxy/process/worker_keys.h"

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "crypto/key_channel.h"
#include "support/turns.h"

enum { LOGGED = 8192 };

struct stage {
    struct turns turns;
    int logged[2]; /* a pipe */
    struct log *log;
    struct worker_keys *keys;
    int asked; /* times that a new channel was asked for */
};

static void on_detached(void *self)
{
    struct stage *stage = self;
    stage->asked++;
}

static void stage_init(struct stage *stage)
{
    struct crypto_error error = {{0}};
    *stage = (struct stage){0};
    turns_init(&stage->turns);
    assert_int_equal(pipe2(stage->logged, O_CLOEXEC | O_NONBLOCK), 0);
    stage->log = log_new(LOG_INFO, LOG_JSON, stage->logged[1], "worker 1");
    assert_non_null(stage->log);
    stage->keys = worker_keys_new(stage->turns.loop, stage->log, NULL, on_detached, stage, &error);
    assert_non_null(stage->keys);
}

/* Ends the stage; returns how often a loss was logged. */
static int losses(struct stage *stage)
{
    char text[LOGGED] = "";
    worker_keys_free(stage->keys);
    log_free(stage->log);
    ssize_t len = read(stage->logged[0], text, sizeof(text) - 1);
    (void)close(stage->logged[0]);
    (void)close(stage->logged[1]);
    turns_fini(&stage->turns);
    int count = 0;
    for (const char *at = text; len > 0 && (at = strstr(at, "keyholder_lost")) != NULL; at++) {
        count++;
    }
    return count;
}

/* A channel to a keyholder that lives, whose end is returned. */
static int attach(struct stage *stage)
{
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    worker_keys_attach(stage->keys, ends[0]);
    turns_settle(&stage->turns, NULL, NULL);
    return ends[1];
}

/* Answers one question for keys. */
static void answer(struct stage *stage, int keyholder)
{
    uint8_t packet[KEY_CHANNEL_PACKET_MAX];
    static struct key_message message;
    ssize_t len = recv(keyholder, packet, sizeof(packet), MSG_DONTWAIT);
    assert_true(len > 0);
    assert_true(key_message_decode(&message, packet, (size_t)len, true));
    assert_int_equal(message.kind, KEY_MESSAGE_ASK_TICKETS);
    message.kind = KEY_MESSAGE_TICKETS;
    message.tickets.status = KEY_STATUS_DONE;
    size_t answer_len = key_message_encode(&message, packet);
    assert_true(answer_len > 0);
    assert_int_equal(send(keyholder, packet, answer_len, MSG_NOSIGNAL), answer_len);
    turns_settle(&stage->turns, NULL, NULL);
}

static void lose(struct stage *stage, int keyholder)
{
    assert_int_equal(close(keyholder), 0);
    turns_settle(&stage->turns, NULL, NULL);
}

static void a_lost_keyholder_is_told_once(void **state)
{
    (void)state;
    struct stage stage;
    stage_init(&stage);
    lose(&stage, attach(&stage));
    lose(&stage, attach(&stage)); /* one that was dying when the channel was made */
    assert_int_equal(stage.asked, 2);
    assert_int_equal(losses(&stage), 1);
}

static void each_keyholder_that_has_answered_is_a_loss_of_its_own(void **state)
{
    (void)state;
    enum { TIMES = 3, EPOCHS = 3 };
    struct stage stage;
    stage_init(&stage);
    for (int i = 0; i < TIMES; i++) {
        int keyholder = attach(&stage);
        /* The first one is asked for all keys, the next ones to show that they live. */
        for (int epochs = i == 0 ? EPOCHS : 1; epochs > 0; epochs--) {
            answer(&stage, keyholder);
        }
        lose(&stage, keyholder);
    }
    assert_int_equal(stage.asked, TIMES);
    assert_int_equal(losses(&stage), TIMES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lost_keyholder_is_told_once),
        cmocka_unit_test(each_keyholder_that_has_answered_is_a_loss_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
