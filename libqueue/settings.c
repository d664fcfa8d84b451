/*
 * Settings of mail servers: postconf and exim -bP are asked, and say which queue their answer is about.
 */
#include "settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

const char *const settings_postconf[] = {
    "/usr/sbin/postconf", "/usr/local/sbin/postconf", "/opt/sbin/postconf", NULL
};
const char *const settings_exim[] = {
    "/usr/sbin/exim4", "/usr/sbin/exim", "/usr/local/sbin/exim", "/usr/exim/bin/exim", "/usr/lib/exim", NULL
};

static const struct find_places usual_programs = { .postconf = settings_postconf, .exim = settings_exim, .timeout_ms = SETTINGS_TIMEOUT_MS };

char *settings_line(char **text)
{
    char *line = *text, *end, *value;

    if (*line == '\0')
        return NULL;
    end = strchr(line, '\n');
    *text = end ? end + 1 : line + strlen(line);
    if (end)
        *end = '\0';
    value = line[0] == '/' ? NULL : strstr(line, " = ");
    line = value ? value + 3 : line;
    for (end = line + strlen(line);
         end > line && (end[-1] == ' ' || end[-1] == '\t' || end[-1] == '\r');)
        *--end = '\0';
    return line + strspn(line, " \t");
}

bool settings_postconf_ask(const char *program, const char *config, const struct find_places *places,
                         const char *const *names, char text[PROGRAM_ANSWER_MAX])
{
    static char h[] = "-h", xh[] = "-xh", c[] = "-c";
    char *argv[SETTINGS_MAX + 5];
    size_t n;

    for (int expand = 0; expand < 2; expand++) {
        n = 0;
        argv[n++] = (char *)program;
        if (config) {
            argv[n++] = c;
            argv[n++] = (char *)config;
        }
        argv[n++] = expand ? xh : h;
        for (size_t i = 0; i < SETTINGS_MAX && names[i]; i++)
            argv[n++] = (char *)names[i];
        argv[n] = NULL;
        if (!program_ask(argv, places->timeout_ms, text))
            return false;
        if (!strchr(text, '$'))
            return true;
    }
    return false;
}

static bool is_queue(const char *dir, int rootfd)
{
    struct stat a, b;

    return dir && dir[0] == '/' && stat(dir, &a) == 0 && fstat(rootfd, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/* A line for each, in the order in which they were asked for. */
static void take_values(char **text, struct setting *settings, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const char *value = settings_line(text);

        snprintf(settings[i].value, sizeof(settings[i].value), "%s", value && strlen(value) < sizeof(settings[i].value) ? value : "");
    }
}

static bool postfix_settings(int rootfd, struct setting *settings, size_t n, const struct find_places *places)
{
    const char *names[SETTINGS_MAX + 1] = { "queue_directory", "multi_instance_directories" };
    const char *program = program_first(places->postconf);
    char text[PROGRAM_ANSWER_MAX], list[PROGRAM_ANSWER_MAX], *at = text, *line, *rest = NULL;
    size_t count = 2;
    int instances = 0;

    for (size_t i = 0; i < n && count < SETTINGS_MAX; i++)
        names[count++] = settings[i].name;
    if (!program || !settings_postconf_ask(program, NULL, places, names, text))
        return false;
    line = settings_line(&at);
    if (is_queue(line, rootfd)) {
        settings_line(&at);
        take_values(&at, settings, n);
        return true;
    }
    line = line ? settings_line(&at) : NULL;
    snprintf(list, sizeof(list), "%s", line ? line : "");
    for (char *config = strtok_r(list, ", \t", &rest); config && instances < SETTINGS_INSTANCES_MAX;
         config = strtok_r(NULL, ", \t", &rest), instances++) {
        if (config[0] != '/' || !settings_postconf_ask(program, config, places, names, text))
            continue;
        at = text;
        line = settings_line(&at);
        if (is_queue(line, rootfd)) {
            settings_line(&at);
            take_values(&at, settings, n);
            return true;
        }
    }
    return false;
}

static bool exim_settings(int rootfd, struct setting *settings, size_t n, const struct find_places *places)
{
    static char quiet[] = "-n", bp[] = "-bP", dir[] = "spool_directory";
    const char *program = program_first(places->exim);
    char *argv[SETTINGS_MAX + 5] = { (char *)program, quiet, bp, dir };
    char text[PROGRAM_ANSWER_MAX], *at = text;

    for (size_t i = 0; i < n && i < SETTINGS_MAX; i++)
        argv[4 + i] = (char *)settings[i].name;
    if (!program || !program_ask(argv, places->timeout_ms, text) || !is_queue(settings_line(&at), rootfd))
        return false;
    take_values(&at, settings, n);
    return true;
}

bool settings_ask(const char *mta, int rootfd, struct setting *settings, size_t n, const struct find_places *places)
{
    if (!places)
        places = &usual_programs;
    for (size_t i = 0; i < n; i++)
        settings[i].value[0] = '\0';
    if (strcmp(mta, "postfix") == 0)
        return postfix_settings(rootfd, settings, n, places);
    return strcmp(mta, "exim") == 0 && exim_settings(rootfd, settings, n, places);
}

bool settings_duration(const char *text, int64_t alone, int64_t *seconds)
{
    static const struct { char name; int64_t seconds; } units[] = {
        { 's', 1 }, { 'm', 60 }, { 'h', 60 * 60 }, { 'd', 24 * 60 * 60 }, { 'w', 7 * 24 * 60 * 60 },
    };
    enum { MOST = 1 << 30 };

    *seconds = 0;
    do {
        char *end;
        long n = *text >= '0' && *text <= '9' ? strtol(text, &end, 10) : -1;
        int64_t unit = 0;

        if (n < 0 || n > MOST)
            return false;
        for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
            if (*end == units[i].name)
                unit = units[i].seconds;
        if (unit == 0 && *end != '\0')
            return false;
        *seconds += n * (unit ? unit : alone);
        text = end + (unit != 0);
    } while (*text);
    return true;
}
