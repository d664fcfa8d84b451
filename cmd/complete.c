/* What shells offer behind a command: options, the words that an argument can be, files and directories. */
#include "complete.h"

#include <string.h>

/* Every option of a program. */
struct all {
    const struct opts_program *program;
    const struct opt *const *rows;
    size_t n;
};

/* --- what an argument can be --- */

enum kind { KIND_NONE, KIND_ANYTHING, KIND_OPTIONAL, KIND_WORDS, KIND_FIELDS, KIND_DIR, KIND_FILE };

static enum kind kind_of(const struct opt *o)
{
    if (!o->arg)
        return KIND_NONE;
    if (o->arg[0] == '[')
        return KIND_OPTIONAL;
    if (o->words)
        return KIND_WORDS;
    if (strcmp(o->arg, "DIR") == 0)
        return KIND_DIR;
    if (strcmp(o->arg, "FILE") == 0)
        return KIND_FILE;
    return strcmp(o->arg, OPTS_FIELDS) == 0 ? KIND_FIELDS : KIND_ANYTHING;
}

static void put_words(struct text *t, const struct opt *o)
{
    if (o->words) {
        text_put(t, o->words);
        return;
    }
    text_put(t, "id size client user age");
    for (enum lq_field f = 0; f <= LQ_RECIPIENT; f++)
        text_format(t, " %s", lq_field_name(f));
}

/* "FIELD,...": several words with commas between. */
static bool takes_list(const struct opt *o)
{
    return o->arg && strstr(o->arg, ",...");
}

/* Inside single quotes of a shell, with a backslash before each of `special`. */
static void put_quoted(struct text *t, const char *s, const char *special, const char *quote)
{
    for (; *s; s++) {
        if (*s == '\'') {
            text_put(t, quote);
        } else {
            if (strchr(special, *s))
                text_char(t, '\\');
            text_char(t, *s);
        }
    }
}

/* --- bash --- */

/* What compgen is asked for. */
static void bash_argument(struct text *t, const struct opt *o)
{
    enum kind kind = kind_of(o);

    if (kind == KIND_NONE || kind == KIND_ANYTHING || (kind == KIND_OPTIONAL && !o->words))
        return;
    text_format(t, "        --%s", o->name);
    if (o->letter)
        text_format(t, "|-%c", o->letter);
    text_put(t, ") COMPREPLY=($(compgen ");
    if (kind == KIND_DIR || kind == KIND_FILE) {
        text_put(t, kind == KIND_DIR ? "-d" : "-f");
    } else {
        /* Of a list its last word is completed; what stands before it comes back with each. */
        text_put(t, takes_list(o) ? "-P \"${cur%\"${cur##*,}\"}\" -W '" : "-W '");
        put_words(t, o);
        text_put(t, "'");
    }
    text_format(t, " -- \"%s\")); return ;;\n", takes_list(o) ? "${cur##*,}" : "$cur");
}

static void bash(struct text *t, const struct all *all)
{
    const char *name = all->program->name;

    text_format(t, "_%s()\n{\n    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n", name);
    text_put(t, "    COMPREPLY=()\n");
    text_put(t, "    [[ $cur == = ]] && cur=\n");
    text_put(t, "    [[ $prev == = ]] && prev=${COMP_WORDS[COMP_CWORD-2]}\n    case $prev in\n");
    for (size_t i = 0; i < all->n; i++)
        if (all->rows[i]->name)
            bash_argument(t, all->rows[i]);
    text_put(t, "    esac\n");
    if (all->program->verbs)
        text_format(t, "    [[ $cur == -* || $COMP_CWORD -gt 1 ]] || { COMPREPLY=($(compgen -W '%s' -- \"$cur\")); return; }\n",
                    all->program->verbs);
    text_put(t, "    [[ $cur == -* ]] || return\n    COMPREPLY=($(compgen -W '");
    for (size_t i = 0, any = 0; i < all->n; i++)
        if (all->rows[i]->name)
            text_format(t, "%s--%s", any++ ? " " : "", all->rows[i]->name);
    text_format(t, "' -- \"$cur\"))\n}\ncomplete -F _%s %s\n", name, name);
}

/* --- zsh --- */

/* One specification of _arguments: how the option takes its argument, what it is for, what the argument can be. */
static void zsh_option(struct text *t, const struct opt *o, const char *dashes, const char *name, size_t n)
{
    enum kind kind = kind_of(o);
    bool is_long = dashes[1];

    /* Letters take no optional argument. */
    if (kind == KIND_OPTIONAL && !is_long)
        kind = KIND_NONE;
    text_format(t, "        '*%s%.*s%s[", dashes, (int)n, name,
                kind == KIND_NONE ? "" : kind == KIND_OPTIONAL ? "=-" : is_long ? "=" : "+");
    put_quoted(t, o->help, "[]\\", "'\\''");
    text_char(t, ']');
    if (kind != KIND_NONE) {
        text_put(t, kind == KIND_OPTIONAL ? "::" : ":");
        put_quoted(t, o->arg, "[]:\\", "'\\''");
        text_char(t, ':');
    }
    if (kind == KIND_WORDS || kind == KIND_FIELDS || (kind == KIND_OPTIONAL && o->words)) {
        text_put(t, takes_list(o) ? "_sequence compadd - " : "(");
        put_words(t, o);
        text_put(t, takes_list(o) ? "" : ")");
    } else if (kind == KIND_DIR || kind == KIND_FILE) {
        text_put(t, kind == KIND_DIR ? "_files -/" : "_files");
    } else if (kind != KIND_NONE) {
        text_char(t, ' ');
    }
    text_put(t, "' \\\n");
}

static void zsh(struct text *t, const struct all *all)
{
    const char *name = all->program->name;

    text_format(t, "_%s()\n{\n    _arguments -s -S \\\n", name);
    for (size_t i = 0; i < all->n; i++) {
        const struct opt *o = all->rows[i];

        if (!o->name)
            continue;
        if (o->letter)
            zsh_option(t, o, "-", &o->letter, 1);
        zsh_option(t, o, "--", o->name, strlen(o->name));
    }
    if (all->program->verbs)
        text_format(t, "        '1:verb:(%s)' \\\n", all->program->verbs);
    /* Sourced, it makes itself known; in a directory of fpath its first line does. */
    text_format(t, "        '*:id: '\n}\nif [[ $funcstack[1] = _%s ]]; then _%s \"$@\"; else compdef _%s %s; fi\n", name, name, name, name);
}

/* --- fish --- */

static void fish_option(struct text *t, const char *command, const struct opt *o)
{
    enum kind kind = kind_of(o);

    text_format(t, "complete -c %s", command);
    if (o->letter)
        text_format(t, " -s %c", o->letter);
    text_format(t, " -l %s", o->name);
    if (kind == KIND_FILE)
        text_put(t, " -r -F");
    else if (kind == KIND_DIR)
        text_put(t, " -x -a '(__fish_complete_directories)'");
    else if (kind != KIND_NONE && kind != KIND_OPTIONAL)
        text_put(t, " -x");
    if (kind == KIND_WORDS || kind == KIND_FIELDS || (kind == KIND_OPTIONAL && o->words)) {
        text_put(t, takes_list(o) ? " -a '(__fish_complete_list , \"string split \\\" \\\" \\\"" : " -a '");
        put_words(t, o);
        text_put(t, takes_list(o) ? "\\\"\")'" : "'");
    }
    text_put(t, " -d '");
    put_quoted(t, o->help, "\\", "\\'");
    text_put(t, "'\n");
}

static void fish(struct text *t, const struct all *all)
{
    const char *name = all->program->name;

    text_format(t, "complete -c %s -f\n", name);
    if (all->program->verbs)
        text_format(t, "complete -c %s -n __fish_use_subcommand -a '%s'\n", name, all->program->verbs);
    for (size_t i = 0; i < all->n; i++)
        if (all->rows[i]->name)
            fish_option(t, name, all->rows[i]);
}

/* --- which --- */

static const struct {
    const char *name, *first;
    void (*put)(struct text *t, const struct all *all);
} shells[] = {
    { "bash", "", bash },
    { "zsh", "#compdef ", zsh },
    { "fish", "", fish },
};

bool complete_script(struct text *t, const char *shell, const struct opts_program *p, const struct opt *const *rows, size_t n)
{
    const struct all all = { p, rows, n };

    for (size_t i = 0; i < sizeof(shells) / sizeof(shells[0]); i++) {
        if (strcmp(shells[i].name, shell) != 0)
            continue;
        if (shells[i].first[0])
            text_format(t, "%s%s\n", shells[i].first, p->name);
        text_format(t, "# %s completion for %s, made by %s --completion %s\n", shell, p->name, p->name, shell);
        shells[i].put(t, &all);
        return true;
    }
    return false;
}
