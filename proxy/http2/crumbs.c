/* proxy/http2/crumbs.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/http2/crumbs.h"

#include "proxy/http2/framer.h"
#include "proxy/http2/limits.h"

void crumbs_init(struct crumbs *crumbs)
{
    *crumbs = (struct crumbs){0};
    list_init(&crumbs->lanes);
}

void crumbs_fini(struct crumbs *crumbs)
{
    deadline_disarm(&crumbs->deadline);
}

int32_t crumbs_frame_limit(struct crumbs *crumbs, int32_t conn_window, int32_t own_window,
                           int32_t frame_max)
{
    int32_t window = conn_window < own_window ? conn_window : own_window;
    crumbs->conn_window = conn_window;
    crumbs->own_window = own_window;
    if (window <= frame_max) {
        return window;
    }
    return window - frame_max < H2_WHOLE_BYTES ? window / 2 : frame_max;
}

/* ---- going on ---- */

static void let_send(struct lane *lane)
{
    crumbs_forget(lane);
    if (!lane->is_closed) {
        (void)nghttp2_session_resume_data(lane->framer->library, lane->id);
    }
}

static void let_all_send(struct framer *framer, bool has_waited)
{
    struct list *lanes = &framer->crumbs.lanes;
    for (struct list_link *link = list_first(lanes); link != NULL; link = list_first(lanes)) {
        struct lane *lane = LIST_OBJECT(link, struct lane, crumbs.link);
        lane->crumbs.has_waited = has_waited;
        let_send(lane);
    }
    framer_wake(framer);
}

void crumbs_window_opened(struct framer *framer, int32_t id)
{
    if (list_is_empty(&framer->crumbs.lanes)) {
        return;
    }
    if (id == 0) {
        /* A conn's window begins large (RFC 9113 §6.9.2): so little is never all of it. */
        if (nghttp2_session_get_remote_window_size(framer->library) >= H2_WHOLE_BYTES) {
            let_all_send(framer, false);
        }
        return;
    }
    struct lane *lane = nghttp2_session_get_stream_user_data(framer->library, id);
    if (lane != NULL && list_has(&lane->crumbs.link)) {
        let_send(lane); /* and is asked again */
        framer_wake(framer);
    }
}

void crumbs_settings_came(struct framer *framer)
{
    for (struct list_link *link = framer->lanes.head.next; link != &framer->lanes.head;
         link = link->next) {
        LIST_OBJECT(link, struct lane, link)->crumbs.window_most = 0;
    }
    let_all_send(framer, false);
}

void crumbs_forget(struct lane *lane)
{
    list_remove(&lane->crumbs.link);
}

static void on_deadline(void *self)
{
    let_all_send(self, true);
}

/* ---- keeping back ---- */

/* Is this about all that the peer ever lets us send at once? Then nothing more is to be waited
 * for, however little it is. */
static bool is_large(int32_t window, int32_t *most)
{
    if (window > *most) {
        *most = window;
    }
    return window >= *most - *most / 2;
}

static bool is_window_large(struct lane *lane)
{
    struct crumbs *crumbs = &lane->framer->crumbs;
    bool is_conn_large = is_large(crumbs->conn_window, &crumbs->window_most);
    bool is_own_large = is_large(crumbs->own_window, &lane->crumbs.window_most);
    return crumbs->conn_window < crumbs->own_window ? is_conn_large : is_own_large;
}

bool crumbs_keep(struct lane *lane, size_t len)
{
    struct crumbs *crumbs = &lane->framer->crumbs;
    bool is_window_small = !is_window_large(lane);
    bool is_cut_short = len < H2_WHOLE_BYTES && len < body_bytes(lane->out).len;
    bool has_waited = lane->crumbs.has_waited;
    lane->crumbs.has_waited = false;
    if (!is_cut_short || !is_window_small || has_waited) {
        return false;
    }
    list_append(&crumbs->lanes, &lane->crumbs.link);
    if (!deadline_is_armed(&crumbs->deadline)) {
        deadline_arm(&crumbs->deadline, lane->framer->loop, H2_KEPT_MS, on_deadline, lane->framer);
    }
    return true;
}
