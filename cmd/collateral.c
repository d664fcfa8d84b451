/* Whose mail is hit beside that of who floods. */
#include "collateral.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

/* Problems are those of the message itself, which flags and state need; to ask for all of them would mean to read every log before acting. */
uint64_t collateral_fields(void)
{
    return LQ_FIELD_BIT(LQ_CLIENT_ADDRESS) | LQ_FIELD_BIT(LQ_SENDER) | LQ_FIELD_BIT(LQ_FLAGS) | LQ_FIELD_BIT(LQ_STATE) |
           LQ_FIELD_BIT(LQ_RECIPIENT);
}

/* Addresses that no stranger has: loopback, private, link-local, shared (RFC 1918, 3927, 4193, 4291, 6598). */
static bool inside(const char *address)
{
    static const struct { const char *net; int family; unsigned bits; } nets[] = {
        { "127.0.0.0", AF_INET, 8 },    { "10.0.0.0", AF_INET, 8 },  { "172.16.0.0", AF_INET, 12 },
        { "192.168.0.0", AF_INET, 16 }, { "169.254.0.0", AF_INET, 16 }, { "100.64.0.0", AF_INET, 10 },
        { "::1", AF_INET6, 128 },       { "fc00::", AF_INET6, 7 },   { "fe80::", AF_INET6, 10 },
    };
    unsigned char a[16], net[16];

    for (size_t i = 0; i < sizeof(nets) / sizeof(nets[0]); i++) {
        unsigned whole = nets[i].bits / 8, mask = 0xff00u >> nets[i].bits % 8 & 0xff;

        if (inet_pton(nets[i].family, address, a) == 1 && inet_pton(nets[i].family, nets[i].net, net) == 1 &&
            memcmp(a, net, whole) == 0 && (mask == 0 || (a[whole] & mask) == (net[whole] & mask)))
            return true;
    }
    return false;
}

static bool has_flag(const struct lq_record *rec, const char *flag)
{
    struct lq_str s;

    for (size_t i = 0; (s = lq_record_text_at(rec, LQ_FLAGS, i)).p; i++)
        if (strcmp(s.p, flag) == 0)
            return true;
    return false;
}

void collateral_note(struct collateral *c, const struct lq_record *rec)
{
    struct lq_str client = lq_record_text(rec, LQ_CLIENT_ADDRESS), sender = lq_record_text(rec, LQ_SENDER);
    struct lq_str state = lq_record_text(rec, LQ_STATE);

    c->messages++;
    c->local += has_flag(rec, "local");
    c->internal += client.p && inside(client.p);
    c->bounces += sender.p && sender.n == 0;
    c->held += state.p && strcmp(state.p, "held") == 0;
    c->damaged += lq_record_text_at(rec, LQ_PROBLEMS, 0).p != NULL;
    c->many += lq_record_recipient_count(rec, LQ_RECIPIENT) > 1;
}

/* --- in sentences --- */

static void finding(struct text *t, uint64_t n, const char *one, const char *several)
{
    if (n == 0)
        return;
    text_put(t, "  collateral  ");
    text_count(t, n);
    text_format(t, " %s\n", n == 1 ? one : several);
}

enum { ACCOUNTS_SHOWN = 5 };

/* The account with most messages is taken for the one that is meant. */
static void other_accounts(struct text *t, const struct tally *accounts)
{
    size_t n, shown = 0;
    uint32_t *sorted = tally_sorted(accounts, &n);
    size_t named = 0, first = SIZE_MAX;

    for (size_t i = 0; i < n; i++)
        if (tally_group(accounts, sorted[i]).sums->text) {
            first = first == SIZE_MAX ? i : first;
            named++;
        }
    if (named > 1) {
        text_put(t, "  collateral  ");
        text_count(t, named - 1);
        text_format(t, " other account%s:", named > 2 ? "s" : "");
    }
    for (size_t i = first + 1; named > 1 && i < n && shown < ACCOUNTS_SHOWN; i++) {
        const struct counted *e = tally_group(accounts, sorted[i]).sums;

        if (!e->text)
            continue;
        text_put(t, shown++ ? ", " : " ");
        text_escape(t, e->text, count_kept(e), ESCAPE_BLANKS);
        text_put(t, count_cut(e) ? "... (" : " (");
        text_count(t, e->messages);
        text_char(t, ')');
    }
    if (named > 1)
        text_put(t, named - 1 > shown ? ", ...\n" : "\n");
    free(sorted);
}

/* Messages of which some pending recipient does not fit -r: their mail goes with the others'. */
static uint64_t other_recipients(const struct collateral *c, struct selection *sel)
{
    uint64_t all;

    if (!select_has(sel, LQ_SEL_RECIPIENT) || c->many == 0)
        return 0;
    all = select_count_as(sel, LQ_SEL_RECIPIENT, LQ_SEL_RECIPIENT_ALL);
    return c->messages > all ? c->messages - all : 0;
}

void collateral_show(struct text *t, const struct collateral *c, struct selection *sel, const struct tally *accounts)
{
    size_t before = t->n;

    if (!select_has(sel, LQ_SEL_USER))
        other_accounts(t, accounts);
    finding(t, other_recipients(c, sel), "has recipients still to be delivered to that the selection does not name",
            "have recipients still to be delivered to that the selection does not name");
    if (!select_has(sel, LQ_SEL_LOCAL))
        finding(t, c->local, "was submitted on this machine", "were submitted on this machine");
    if (!select_has(sel, LQ_SEL_CLIENT))
        finding(t, c->internal, "came from an address inside (loopback or private)",
                "came from addresses inside (loopback or private)");
    if (!select_has(sel, LQ_SEL_BOUNCES))
        finding(t, c->bounces, "is a delivery report (null sender)", "are delivery reports (null sender)");
    if (!select_has(sel, LQ_SEL_HELD))
        finding(t, c->held, "is held already", "are held already");
    if (!select_has(sel, LQ_SEL_DAMAGED))
        finding(t, c->damaged, "is damaged: mqgrep --damaged -l shows how", "are damaged: mqgrep --damaged -l shows how");
    if (t->n == before)
        text_put(t, "  collateral  none seen\n");
}
