/* proxy/http2/crumbs.h
 *
 * Keeps small frames of content back while the peer's window is what makes them small, and more
 * of it is on its way back to us (the silly window of RFC 9293 §3.8.6.2.1). A peer that gives back
 * each frame's bytes by themselves returns a crumb for a crumb: its window would never again be
 * one piece, and both sides would move frames of a few bytes for ever.
 *
 * No peer is left to wait: a window that is as large as that peer's windows get is used whatever
 * its size, and what was kept back for a moment is sent as it is.
 *
 * Owner: the framer.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/base/list.h"
#include "proxy/net/timer.h"

struct framer;
struct lane;

/* Fields private to crumbs.c. */
struct crumbs {
    struct list lanes;   /* whose next frame is kept back */
    int32_t window_most; /* the conn's largest window that was seen */
    int32_t conn_window; /* for the frame that is being made */
    int32_t own_window;  /* the same of its stream */
    struct deadline deadline;
};

/* What a lane keeps of it; private to crumbs.c, zeroed at first. */
struct lane_crumbs {
    struct list_link link;
    int32_t window_most; /* the stream's, since SETTINGS came last */
    bool has_waited;
};

void crumbs_init(struct crumbs *crumbs);
void crumbs_fini(struct crumbs *crumbs);

/* The largest frame that leaves of both windows together nothing, or enough for another. */
int32_t crumbs_frame_limit(struct crumbs *crumbs, int32_t conn_window, int32_t own_window,
                           int32_t frame_max);

/* The lane could send `len` of the bytes that it has, in a frame whose limit was asked for just
 * before. True: not yet; the library is told when. */
bool crumbs_keep(struct lane *lane, size_t len);

/* The peer gave back some of a stream's window, or of the conn's (id 0). */
void crumbs_window_opened(struct framer *framer, int32_t id);

/* The peer's SETTINGS came: what its streams' windows once were says nothing of what they will be.
 */
void crumbs_settings_came(struct framer *framer);

/* The lane sends nothing any more. Harmless when repeated. */
void crumbs_forget(struct lane *lane);
