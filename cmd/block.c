/* What to paste so that clients and accounts are refused. */
#include "block.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "report.h"

enum {
    LITERALS = 50,          /* more are not pasted, but a network or another key is looked for */
    SHARE = 100             /* one in so many messages makes a client or an account worth blocking */
};

struct literals {
    char *items[LITERALS];
    size_t n;
    size_t left;            /* that are no safe literal, or too many */
};

/* The address as the C library writes it, in the caller's buffer; 4, 6 or 0. */
static int address(const struct counted *e, char out[INET6_ADDRSTRLEN])
{
    char text[64];
    unsigned char bytes[16];
    size_t n = count_kept(e);

    if (n == 0 || n >= sizeof(text) || count_cut(e))
        return 0;
    memcpy(text, e->text, n);
    text[n] = '\0';
    if (inet_pton(AF_INET, text, bytes) == 1 && inet_ntop(AF_INET, bytes, out, INET6_ADDRSTRLEN))
        return 4;
    if (inet_pton(AF_INET6, text, bytes) == 1 && inet_ntop(AF_INET6, bytes, out, INET6_ADDRSTRLEN))
        return 6;
    return 0;
}

/* Letters, digits and what has no meaning in an access map, an Exim expansion, an Exim list or a shell. */
static bool plain_account(const struct counted *e)
{
    size_t n = count_kept(e);

    for (size_t i = 0; i < n; i++) {
        char c = e->text[i];

        if (!((c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || (c && i > 0 && strchr("._-+@", c))))
            return false;
    }
    return n > 0 && n < 200 && !count_cut(e);
}

static void keep(struct literals *l, const char *p, size_t n)
{
    if (l->n == LITERALS) {
        l->left++;
        return;
    }
    l->items[l->n] = strndup(p, n);
    if (!l->items[l->n++])
        report_no_memory();
}

/* The largest entries; family 4 or 6: of addresses those of that kind; 0: accounts. */
static void collect(struct literals *l, const struct tally *tally, int family)
{
    char text[INET6_ADDRSTRLEN];
    size_t n, of = 0;
    uint32_t *sorted = tally_sorted(tally, &n);

    for (size_t i = 0; i < n; i++)
        of += tally_group(tally, sorted[i]).sums->messages;
    for (size_t i = 0; i < n; i++) {
        const struct counted *e = tally_group(tally, sorted[i]).sums;

        if (!e->text || e->messages < of / SHARE)
            continue;
        if (family == 0 && plain_account(e))
            keep(l, e->text, count_kept(e));
        else if (family != 0 && address(e, text) == family)
            keep(l, text, strlen(text));
        else
            l->left += family == 0;
    }
    free(sorted);
}

static void forget(struct literals *l)
{
    for (size_t i = 0; i < l->n; i++)
        free(l->items[i]);
}

static void list(struct text *t, const struct literals *l, const char *before, const char *between, const char *after)
{
    for (size_t i = 0; i < l->n; i++)
        text_format(t, "%s%s%s", i == 0 ? before : between, l->items[i], i + 1 == l->n ? after : "");
}

static void postfix(struct text *t, const struct literals *v4, const struct literals *v6, const struct literals *accounts)
{
    if (v4->n + v6->n > 0) {
        text_put(t, "# Postfix, file /etc/postfix/block_clients:\n");
        list(t, v4, "", "/32 REJECT\n", "/32 REJECT\n");
        list(t, v6, "", "/128 REJECT\n", "/128 REJECT\n");
        text_put(t, "# and in main.cf, first in the list: smtpd_client_restrictions = check_client_access cidr:/etc/postfix/block_clients\n");
    }
    if (accounts->n > 0) {
        text_put(t, "# Postfix, file /etc/postfix/block_accounts (then: postmap /etc/postfix/block_accounts):\n");
        list(t, accounts, "", " REJECT\n", " REJECT\n");
        text_put(t, "# and in main.cf, first in the list: smtpd_sender_restrictions = check_sasl_access hash:/etc/postfix/block_accounts\n"
                    "# then: postfix reload\n");
    }
}

static void exim(struct text *t, const struct literals *v4, const struct literals *v6, const struct literals *accounts)
{
    text_put(t, "# Exim, first in the ACL that acl_smtp_mail names:\n");
    if (v4->n + v6->n > 0) {
        text_put(t, "  deny hosts = <; ");
        list(t, v4, "", " ; ", v6->n ? " ; " : "");
        list(t, v6, "", " ; ", "");
        text_char(t, '\n');
    }
    if (accounts->n > 0) {
        text_put(t, "  deny authenticated = *\n       condition = ${if inlisti{$authenticated_id}{<; ");
        list(t, accounts, "", " ; ", "");
        text_put(t, "}}\n");
    }
}

/* Of the access map's forms for IPv6 none is safe to compose from what the queue stores. */
static void sendmail(struct text *t, const struct literals *v4, const struct literals *v6, const struct literals *accounts)
{
    (void)v6;
    if (accounts->n > 0)
        text_put(t, "# Sendmail's access map knows no accounts: change the password of each, or its mail comes from the next address\n");
    if (v4->n > 0) {
        text_put(t, "# Sendmail, file /etc/mail/access (then: makemap hash /etc/mail/access </etc/mail/access):\n");
        list(t, v4, "Connect:", " REJECT\nConnect:", " REJECT\n");
    }
}

/* A set for each kind of address; single quotes keep the shell from the braces. */
static void nft(struct text *t, const struct literals *v4, const struct literals *v6)
{
    static const char port[] = "tcp dport '{ 25, 465, 587 }'";

    if (v4->n + v6->n == 0)
        return;
    text_put(t, "# any server, at the firewall (nftables); nft delete table inet mqtools takes it away:\n"
                "nft add table inet mqtools\n"
                "nft add chain inet mqtools input '{ type filter hook input priority -10 ; }'\n");
    if (v4->n > 0) {
        list(t, v4, "nft add set inet mqtools block4 '{ type ipv4_addr ; elements = { ", ", ", " } ; }'\n");
        text_format(t, "nft add rule inet mqtools input ip saddr @block4 %s drop\n", port);
    }
    if (v6->n > 0) {
        list(t, v6, "nft add set inet mqtools block6 '{ type ipv6_addr ; elements = { ", ", ", " } ; }'\n");
        text_format(t, "nft add rule inet mqtools input ip6 saddr @block6 %s drop\n", port);
    }
}

bool block_show(struct text *t, const char *mta, const struct tally *clients, const struct tally *accounts)
{
    struct literals v4 = { 0 }, v6 = { 0 }, names = { 0 };
    size_t left;
    bool any;

    collect(&v4, clients, 4);
    collect(&v6, clients, 6);
    collect(&names, accounts, 0);
    left = v4.left + v6.left + names.left;
    any = v4.n + v6.n + names.n > 0;
    if (any && strcmp(mta, "postfix") == 0)
        postfix(t, &v4, &v6, &names);
    else if (any && strcmp(mta, "exim") == 0)
        exim(t, &v4, &v6, &names);
    else if (any)
        sendmail(t, &v4, &v6, &names);
    nft(t, &v4, &v6);
    if (left > 0)
        text_format(t, "# %zu more client%s or account%s left out: too many, or not safe to paste\n", left, left == 1 ? "" : "s",
                    left == 1 ? "" : "s");
    /* Lines of messages that are skipped may follow; they must not be pasted. */
    if (any)
        text_put(t, "\n");
    forget(&v4);
    forget(&v6);
    forget(&names);
    return any;
}
