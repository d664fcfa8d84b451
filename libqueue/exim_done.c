/*
 * The addresses of an Exim message that are done: a set that tree and journal fill and recipients
 * are looked up in. Sorted, not hashed, because a tree may hold 200,000 and a stranger chose their
 * names. Knows no file.
 */
#include "exim.h"

#include <stdlib.h>
#include <string.h>

#include "addr.h"

enum { SET_MAX = 8 << 20 };     /* bytes that are kept for comparison */

struct node {
    uint32_t at, n;             /* in names */
};

/* Domain in lower case from `fold` on: so journals name addresses, and Exim compares. */
struct key {
    struct bytes address;
    size_t fold;
};

static size_t domain_at(struct bytes address)
{
    struct bytes domain = addr_domain(address);

    return address.n - domain.n;
}

void exim_done_add(struct exim_parse *p, struct bytes name, bool fold)
{
    struct node node = { (uint32_t)p->names->n, (uint32_t)name.n };
    size_t max = p->done_max ? p->done_max : SET_MAX;

    if (!(p->want & EXIM_RECIPIENT_FIELDS) || name.n == 0)
        return;
    if (p->names->n + p->nodes->n + name.n > max) {
        if (!p->too_many)
            record_problem(p->rec, "%s%s%s: more than %zu bytes of delivered addresses: some recipients may be done",
                           p->dir, *p->dir ? "/" : "", p->name, max);
        p->too_many = true;
        record_broken(p->rec, SEC_CONTROL);
        return;
    }
    buf_add(p->names, name.p, name.n);
    buf_add(p->nodes, &node, sizeof(node));
    if (p->names->failed || p->nodes->failed) {
        record_broken(p->rec, SEC_CONTROL);
        return;
    }
    if (fold)
        for (size_t i = domain_at(name); i < name.n; i++)
            p->names->p[node.at + i] = (char)ascii_lower((unsigned char)p->names->p[node.at + i]);
}

static size_t set_count(const struct exim_parse *p)
{
    return p->nodes->failed || p->names->failed ? 0 : p->nodes->n / sizeof(struct node);
}

static int by_name(const void *x, const void *y, void *names)
{
    const struct node *a = x, *b = y;
    int d = memcmp((char *)names + a->at, (char *)names + b->at, a->n < b->n ? a->n : b->n);

    return d ? d : (a->n > b->n) - (a->n < b->n);
}

void exim_done_close(struct exim_parse *p)
{
    if (set_count(p) > 1)
        qsort_r(p->nodes->p, set_count(p), sizeof(struct node), by_name, p->names->p);
}

static int compare(const struct key *key, const unsigned char *name, size_t n)
{
    size_t less = key->address.n < n ? key->address.n : n;

    for (size_t i = 0; i < less; i++) {
        unsigned char c = key->address.p[i];

        if (i >= key->fold)
            c = ascii_lower(c);
        if (c != name[i])
            return c < name[i] ? -1 : 1;
    }
    return (key->address.n > n) - (key->address.n < n);
}

static bool set_has_key(const struct exim_parse *p, const struct key *key)
{
    const struct node *nodes = (const struct node *)(void *)p->nodes->p;
    size_t low = 0, high = set_count(p);

    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int d = compare(key, (unsigned char *)p->names->p + nodes[mid].at, nodes[mid].n);

        if (d == 0)
            return true;
        if (d < 0)
            high = mid;
        else
            low = mid + 1;
    }
    return false;
}

bool exim_done_has(const struct exim_parse *p, struct bytes address)
{
    return set_count(p) > 0 && (set_has_key(p, &(struct key){ address, address.n }) ||
                                set_has_key(p, &(struct key){ address, domain_at(address) }));
}
