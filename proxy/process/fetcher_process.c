/* proxy/process/fetcher_process.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/process/fetcher_process.h"

int fetcher_process_run(size_t index)
{
    (void)index;
    return 2;
}
