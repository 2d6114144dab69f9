/* proxy/http2/limits.h
 *
 * Every number that bounds what a peer of HTTP/2 can make us do or hold, with its reason. What an
 * operator may want to change is in the configuration instead (limits.streams,
 * limits.connection_buffer_bytes, limits.header_bytes, timeouts.ping).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

enum {
    /* ---- frames that carry nothing: see meter.h ---- */

    /* A browser that opens a page sends some dozens of WINDOW_UPDATE, PRIORITY and RST_STREAM at
     * once; a flood sends hundreds of thousands. */
    H2_PATIENCE = 2000,
    /* Given back each second: a client that pings ten times a second never runs out. */
    H2_PATIENCE_PER_S = 100,
    /* A frame that carries something pays for what its peer has to say beside it, as the PINGs that
     * measure a path. */
    H2_USEFUL_FRAME_PAYS = 2,
    /* WINDOW_UPDATE frames that answer content of ours cost nothing: one for its stream, one for
     * the conn. */
    H2_UPDATES_A_FRAME = 2,
    /* They may all come at once: a response that came in pieces of a byte, heard by a client that
     * has slept meanwhile, has as many frames as its window has bytes. */
    H2_UPDATES_MAX = 2 * 64 * 1024,
    /* A frame of ours that is shorter than this, though there was more to send, is all that a
     * window lets through: the WINDOW_UPDATE behind it costs more than it moves. Such frames pay
     * together what one of this size does; a peer whose windows are below half of it cannot go on
     * for long. */
    H2_CRUMB_BYTES = 256,
    /* SETTINGS change all streams and must be acknowledged; one or two are sent in a conn's life.
     */
    H2_SETTINGS_COST = 50,
    H2_FRAME_COST = 1,
    /* A reset costs us an exchange that began and a backend's work, not only a frame (Rapid Reset,
     * CVE-2023-44487): with these, some 220 at once and then 11 a second pass for ever. */
    H2_RESET_COST = 10,

    /* ---- header blocks ---- */

    /* A block of 64 KiB, the default limit, needs four full frames; some split it into smaller
     * ones. Builds of the library that count them (Debian's 1.52 does, unless it is not patched)
     * end the conn after as many, with a code that says nothing of a flood. */
    H2_CONTINUATIONS_MAX = 8,
    /* Decoded bytes of one block that is too large are thrown away, but decoding them costs: after
     * this many times limits.header_bytes the conn ends. */
    H2_BLOCK_FACTOR = 4,

    /* ---- memory ---- */

    /* What the library may allocate for a conn: 100 streams of about 0.5 KiB, two tables of 4 KiB,
     * one frame, and header blocks that wait to be sent. */
    H2_LIBRARY_BYTES_MAX = 2 * 1024 * 1024,
    /* Answers to PING and SETTINGS that wait because the peer does not read. */
    H2_ANSWERS_MAX = 100,

    /* ---- windows ---- */

    /* RFC 9113 §6.9.2: what a stream begins with if nobody says otherwise. */
    H2_WINDOW_DEFAULT = 65535,
    /* From a server of ours a stream begins with little, since a hundred of them may belong to one
     * client that takes nothing, and grows to what a body holds while its client keeps up. */
    H2_SERVER_WINDOW_FIRST = 32 * 1024,
    H2_SERVER_WINDOW_MOST = 256 * 1024,
    /* Of all streams together: given back as the bytes come, so that an exchange whose client is
     * slow does not stop the others on the conn; what is held is bounded by the streams' windows.
     */
    H2_SERVER_CONN_WINDOW = 4 * 1024 * 1024,
    /* Of the bytes that a conn of a client may have outstanding, the part of one stream. */
    H2_STREAM_SHARE = 2,

    /* ---- sending ---- */

    /* Payload of a DATA frame that fills one TLS record together with its header. */
    H2_DATA_BYTES = 16 * 1024 - 9,
    /* A frame that a window makes shorter than this is kept back (crumbs.h): sixteen of them are
     * the smallest window that a conn has, and their headers less than half a per cent. */
    H2_WHOLE_BYTES = 4 * 1024,
    /* For how long: RFC 9293 §3.8.6.2.1 has 0.1 to 1 second. */
    H2_KEPT_MS = 100,
    /* Frames gather up to here before they go to the stream: four records. */
    H2_GATHER_BYTES = 64 * 1024,

    /* ---- time ---- */

    /* Between the two GOAWAY frames of a drain (RFC 9113 §6.8): a round trip and a half of a slow
     * path; the second one follows at once when the PING between them is answered. */
    H2_GOAWAY_MS = 1000,
    /* Servers of gRPC take more than three PINGs less than five minutes apart, with nothing to say
     * between them, for an attack and close ("too_many_pings"): a conn whose calls are quiet is
     * asked soon once, and from then on as seldom as this. */
    H2_GRPC_PING_MS = 310 * 1000,

    /* A conn that was idle this long gives back memory that the next exchange would have to ask for
     * again; a second is longer than a page waits for its next request. */
    H2_REST_MS = 1000,

    /* Exchanges on one conn to a server before it has said how many it takes. */
    H2_SERVER_STREAMS = 100,
};
