/* deploy/demo/site.h
 *
 * The plain HTTP side of the demo app: the page, /api/session, /healthz. Exists apart from the
 * WebSocket so that each reads alone. A site_answer lives in libwebsockets' memory of one
 * connection and owns the bytes still to be sent.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stddef.h>

struct lws;

struct site_answer {
    unsigned char
        *bytes; /* LWS_PRE bytes of room, then the body; NULL when nothing is to be sent */
    size_t len; /* of the body */
};

/* Answers the request for `path` that has just arrived: sends the head, keeps the body for
 * site_answer_send. Returns what the libwebsockets callback must return (non-zero closes). */
int site_answer_start(struct site_answer *answer, struct lws *wsi, const char *path);

/* Sends the body once the connection is writable. Returns as above. */
int site_answer_send(struct site_answer *answer, struct lws *wsi);

/* Frees what was not sent. */
void site_answer_fini(struct site_answer *answer);
