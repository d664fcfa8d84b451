/* sendmail.cf: any bytes are understood, or name no queue. */
#include <stdlib.h>

#include "sendmail.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sendmail_cf cf;

    if (!sendmail_cf_parse(&cf, bytes_from(data, size)))
        abort();
    if (cf.count > 0 && (cf.base[0] != '/' || !*sendmail_cf_group(&cf, "q1")))
        abort();
    sendmail_cf_done(&cf);
    return 0;
}
