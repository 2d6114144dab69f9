/* proxy/route/cookie.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/route/cookie.h"

bool cookie_has_attribute(slice set_cookie, slice name)
{
    size_t end = slice_find(set_cookie, ';'); /* of name=value, which is no attribute */
    while (end < set_cookie.len) {
        set_cookie = slice_from(set_cookie, end + 1);
        end = slice_find(set_cookie, ';');
        slice attribute = slice_first(set_cookie, end);
        attribute = slice_trim(slice_first(attribute, slice_find(attribute, '=')));
        if (slice_equal_nocase(attribute, name)) {
            return true;
        }
    }
    return false;
}

slice cookie_make_secure(slice set_cookie, struct arena *arena)
{
    if (cookie_has_attribute(set_cookie, SLICE("secure"))) {
        return set_cookie;
    }
    bool ends_in_semicolon = set_cookie.len > 0 && set_cookie.at[set_cookie.len - 1] == ';';
    slice parts[] = {set_cookie, ends_in_semicolon ? SLICE(" Secure") : SLICE("; Secure")};
    return arena_join(arena, parts, 2);
}
