/* A client of Pomelo's protocol over raw TCP, as demanding as those in C that are in the field.
 *
 * It ends with a complaint where they would crash: when only some of the keys of the dictionary or
 * of the schemas come, when something is in use that was neither sent nor stored, when a text is
 * not UTF-8, when a server's message has a bit set that has no meaning. It reads every answer as
 * JSON, whatever the schemas say. Its heartbeats follow a timer of its own.
 *
 *     strict_client HOST PORT STORE < commands
 *
 * STORE is a folder in which the dictionary and the schemas are kept between runs. A line of the
 * input is one command, and leads to one line of output:
 *
 *     request ROUTE JSON    ask, and print the answer
 *     notify ROUTE JSON     tell
 *     push ROUTE            print the body of the next push with that route
 *     beats N               stay until the server has answered N heartbeats of ours
 *     kicked                print why, when the server kicks and closes
 */

#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { HANDSHAKE = 1, ACK, HEARTBEAT, DATA, KICK };
enum { REQUEST, NOTIFY, RESPONSE, PUSH };

#define PATIENCE 60.0

static void broken(const char *format, ...) {
    va_list words;
    va_start(words, format);
    fputs("broken: ", stdout);
    vprintf(format, words);
    putchar('\n');
    va_end(words);
    fflush(stdout);
    exit(1);
}

static void *claim(void *old, size_t size) {
    void *space = realloc(old, size);
    if (!space) broken("no memory");
    return space;
}

/* Bytes that grow. */

typedef struct {
    unsigned char *data;
    size_t size, room;
} bytes;

static void add(bytes *to, const void *data, size_t size) {
    if (to->size + size > to->room) {
        to->room = 2 * (to->size + size);
        to->data = claim(to->data, to->room);
    }
    if (size) memcpy(to->data + to->size, data, size);
    to->size += size;
}

static void add_byte(bytes *to, unsigned byte) {
    unsigned char one = (unsigned char)byte;
    add(to, &one, 1);
}

static void add_text(bytes *to, const char *text) { add(to, text, strlen(text)); }

static void add_varint(bytes *to, uint64_t number) {
    for (; number > 0x7f; number >>= 7) add_byte(to, (number & 0x7f) | 0x80);
    add_byte(to, (unsigned)number);
}

static uint64_t take_varint(const bytes *from, size_t *at) {
    uint64_t number = 0;
    for (int shift = 0; shift < 64; shift += 7) {
        if (*at >= from->size) broken("a number that is cut short");
        unsigned char byte = from->data[(*at)++];
        number |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) return number;
    }
    broken("a number without an end");
    return 0;
}

/* JSON. */

typedef struct node {
    enum { NOTHING, TRUE, FALSE, NUMBER, TEXT, ARRAY, OBJECT } kind;
    char *key, *text;
    double number;
    struct node *first, *last, *next;
} node;

static node *make(int kind) {
    node *made = claim(NULL, sizeof *made);
    memset(made, 0, sizeof *made);
    made->kind = kind;
    return made;
}

static node *append(node *to, node *child) {
    if (to->last) to->last->next = child;
    else to->first = child;
    return to->last = child;
}

static node *member(const node *object, const char *key) {
    if (!object || object->kind != OBJECT) return NULL;
    for (node *each = object->first; each; each = each->next)
        if (!strcmp(each->key, key)) return each;
    return NULL;
}

static const char *word(const node *object, const char *key) {
    node *found = member(object, key);
    return found && found->kind == TEXT ? found->text : NULL;
}

typedef struct {
    const unsigned char *at, *end;
} source;

static void skip(source *from) {
    while (from->at < from->end && strchr(" \t\r\n", *from->at)) from->at++;
}

static int next_is(source *from, const char *text) {
    size_t size = strlen(text);
    if ((size_t)(from->end - from->at) < size || memcmp(from->at, text, size)) return 0;
    from->at += size;
    return 1;
}

static void add_point(bytes *to, uint32_t point) {
    if (point < 0x80) add_byte(to, point);
    else if (point < 0x800) add_byte(to, 0xc0 | point >> 6);
    else if (point < 0x10000) add_byte(to, 0xe0 | point >> 12);
    else add_byte(to, 0xf0 | point >> 18);
    if (point >= 0x10000) add_byte(to, 0x80 | (point >> 12 & 0x3f));
    if (point >= 0x800) add_byte(to, 0x80 | (point >> 6 & 0x3f));
    if (point >= 0x80) add_byte(to, 0x80 | (point & 0x3f));
}

static uint32_t hexadecimal(source *from) {
    char digits[5] = {0}, *end;
    if (from->end - from->at < 4) broken("an escape that is cut short");
    memcpy(digits, from->at, 4);
    from->at += 4;
    uint32_t unit = (uint32_t)strtoul(digits, &end, 16);
    if (end != digits + 4) broken("an escape that is none");
    return unit;
}

static void unescape(source *from, bytes *to) {
    static const char from_letters[] = "\"\\/bfnrt", to_bytes[] = "\"\\/\b\f\n\r\t";
    unsigned char letter = *from->at++;
    const char *found = strchr(from_letters, letter);
    if (letter && found) {
        add_byte(to, (unsigned char)to_bytes[found - from_letters]);
        return;
    }
    if (letter != 'u') broken("an escape that is none");
    uint32_t unit = hexadecimal(from);
    if (unit >= 0xd800 && unit < 0xdc00) {
        if (!next_is(from, "\\u")) broken("half a surrogate pair");
        uint32_t low = hexadecimal(from);
        if (low < 0xdc00 || low > 0xdfff) broken("half a surrogate pair");
        unit = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
    } else if (unit >= 0xdc00 && unit < 0xe000) {
        broken("half a surrogate pair");
    }
    add_point(to, unit);
}

/* Complain about what is not UTF-8, surrogates included. */
static void check_text(const unsigned char *at, size_t size) {
    const unsigned char *end = at + size;
    while (at < end) {
        unsigned char lead = *at++;
        int more = lead < 0x80 ? 0 : lead < 0xc2 ? -1 : lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : lead < 0xf5 ? 3 : -1;
        if (more < 0 || end - at < more) broken("a text that is not UTF-8");
        uint32_t point = more ? lead & (0x3f >> more) : lead;
        for (int n = 0; n < more; n++, at++) {
            if ((*at & 0xc0) != 0x80) broken("a text that is not UTF-8");
            point = point << 6 | (*at & 0x3f);
        }
        if ((more == 2 && (point < 0x800 || (point >= 0xd800 && point < 0xe000))) ||
            (more == 3 && (point < 0x10000 || point > 0x10ffff)))
            broken("a text that is not UTF-8");
    }
}

static char *parse_text(source *from) {
    bytes text = {0};
    if (!next_is(from, "\"")) broken("JSON without a quote where one has to be");
    while (from->at < from->end && *from->at != '"') {
        unsigned char byte = *from->at++;
        if (byte < 0x20) broken("a control character in JSON");
        if (byte == '\\') unescape(from, &text);
        else add_byte(&text, byte);
    }
    if (!next_is(from, "\"")) broken("a text in JSON that does not end");
    check_text(text.data, text.size);
    add_byte(&text, 0);
    return (char *)text.data;
}

static node *parse(source *from) {
    node *made;
    char *end;
    skip(from);
    if (next_is(from, "null")) return make(NOTHING);
    if (next_is(from, "true")) return make(TRUE);
    if (next_is(from, "false")) return make(FALSE);
    if (from->at < from->end && *from->at == '"') {
        made = make(TEXT);
        made->text = parse_text(from);
        return made;
    }
    if (next_is(from, "[") || next_is(from, "{")) {
        char close = from->at[-1] == '[' ? ']' : '}';
        made = make(close == ']' ? ARRAY : OBJECT);
        skip(from);
        while (from->at < from->end && *from->at != (unsigned char)close) {
            char *key = NULL;
            if (made->first && !next_is(from, ",")) broken("JSON without a comma");
            skip(from);
            if (close == '}') {
                key = parse_text(from);
                skip(from);
                if (!next_is(from, ":")) broken("JSON without a colon");
            }
            append(made, parse(from))->key = key;
            skip(from);
        }
        if (from->at++ >= from->end) broken("JSON that does not end");
        return made;
    }
    made = make(NUMBER);
    made->number = strtod((const char *)from->at, &end);
    if (end == (const char *)from->at) broken("bytes that are not JSON");
    from->at = (const unsigned char *)end;
    return made;
}

static node *parse_all(const void *data, size_t size) {
    bytes copy = {0};
    add(&copy, data, size);
    add_byte(&copy, 0); /* for strtod */
    source from = {copy.data, copy.data + size};
    node *made = parse(&from);
    skip(&from);
    if (from.at != from.end) broken("bytes behind JSON");
    return made;
}

static void write_text(bytes *to, const char *text) {
    add_byte(to, '"');
    for (; *text; text++) {
        char escaped[8];
        if (*text == '"' || *text == '\\') add_byte(to, '\\');
        if ((unsigned char)*text >= 0x20) add_byte(to, (unsigned char)*text);
        else snprintf(escaped, sizeof escaped, "\\u%04x", *text), add_text(to, escaped);
    }
    add_byte(to, '"');
}

static void write_json(bytes *to, const node *value) {
    static const char *const words[] = {"null", "true", "false"};
    char number[32];
    if (value->kind <= FALSE) add_text(to, words[value->kind]);
    else if (value->kind == TEXT) write_text(to, value->text);
    else if (value->kind == NUMBER) {
        snprintf(number, sizeof number, "%.15g", value->number);
        add_text(to, number);
    } else {
        add_byte(to, value->kind == ARRAY ? '[' : '{');
        for (const node *each = value->first; each; each = each->next) {
            if (each != value->first) add_byte(to, ',');
            if (value->kind == OBJECT) write_text(to, each->key), add_byte(to, ':');
            write_json(to, each);
        }
        add_byte(to, value->kind == ARRAY ? ']' : '}');
    }
}

static void print(const char *what, const node *value) {
    bytes text = {0};
    write_json(&text, value);
    printf("%s %.*s\n", what, (int)text.size, text.data);
    fflush(stdout);
}

/* Protobuf, as Pomelo has it. `protos` are all schemas of one direction. */

static node *nested(const node *protos, const node *schema, const char *type) {
    char name[300];
    node *found = member(member(schema, "__messages"), type);
    snprintf(name, sizeof name, "message %s", type);
    if (!found) found = member(protos, name);
    if (!found) broken("a schema without its message %s", type);
    return found;
}

static int wire_of(const char *type) {
    if (!strcmp(type, "uInt32") || !strcmp(type, "int32") || !strcmp(type, "sInt32")) return 0;
    return !strcmp(type, "double") ? 1 : !strcmp(type, "float") ? 5 : 2;
}

static void encode(bytes *to, const node *protos, const node *schema, const node *value);

static void encode_one(bytes *to, const node *protos, const node *schema, const char *type, const node *item) {
    bytes inner = {0};
    float half = (float)item->number;
    switch (wire_of(type)) {
    case 0:
        if (*type == 'u') add_varint(to, (uint64_t)item->number);
        else add_varint(to, (uint64_t)(item->number < 0 ? -item->number * 2 - 1 : item->number * 2));
        return;
    case 1:
        add(to, &item->number, 8);
        return;
    case 5:
        add(to, &half, 4);
        return;
    }
    if (!strcmp(type, "string")) add_text(&inner, item->text);
    else encode(&inner, protos, nested(protos, schema, type), item);
    add_varint(to, inner.size);
    add(to, inner.data, inner.size);
}

static void encode(bytes *to, const node *protos, const node *schema, const node *value) {
    for (const node *item = value->first; item; item = item->next) {
        const node *field = member(schema, item->key), *each;
        if (!field) continue;
        const char *type = word(field, "type");
        int wire = wire_of(type), count = 0;
        uint64_t head = (uint64_t)member(field, "tag")->number << 3 | (unsigned)wire;
        if (strcmp(word(field, "option"), "repeated")) {
            add_varint(to, head);
            encode_one(to, protos, schema, type, item);
            continue;
        }
        for (each = item->first; each; each = each->next) count++;
        if (wire != 2 && count) add_varint(to, head), add_varint(to, (uint64_t)count);
        for (each = item->first; each; each = each->next) {
            if (wire == 2) add_varint(to, head);
            encode_one(to, protos, schema, type, each);
        }
    }
}

static node *decode(const node *protos, const node *schema, const bytes *from);

static node *decode_one(const node *protos, const node *schema, const char *type, const bytes *from, size_t *at) {
    node *made = make(NUMBER);
    int wire = wire_of(type), width = wire == 1 ? 8 : 4;
    float half;
    if (wire == 1 || wire == 5) {
        if (from->size - *at < (size_t)width) broken("a %s that is cut short", type);
        if (wire == 1) memcpy(&made->number, from->data + *at, 8);
        else memcpy(&half, from->data + *at, 4), made->number = half;
        *at += (size_t)width;
        return made;
    }
    uint64_t number = take_varint(from, at);
    if (wire == 0) {
        made->number = (double)number;
        if (*type != 'u') made->number = number & 1 ? -(double)((number + 1) / 2) : (double)(number / 2);
        return made;
    }
    if (from->size - *at < number) broken("a %s that is cut short", type);
    bytes part = {from->data + *at, number, number};
    *at += number;
    if (strcmp(type, "string")) return decode(protos, nested(protos, schema, type), &part);
    check_text(part.data, part.size);
    made->kind = TEXT;
    made->text = strndup((const char *)part.data, part.size);
    return made;
}

static node *decode(const node *protos, const node *schema, const bytes *from) {
    node *made = make(OBJECT);
    for (size_t at = 0; at < from->size;) {
        char tag[24];
        snprintf(tag, sizeof tag, "%llu", (unsigned long long)(take_varint(from, &at) >> 3));
        const char *name = word(member(schema, "__tags"), tag);
        if (!name) broken("a field with the unknown tag %s", tag);
        const node *field = member(schema, name);
        const char *type = word(field, "type");
        uint64_t count = 1;
        node *list = NULL;
        if (!strcmp(word(field, "option"), "repeated")) {
            if (wire_of(type) != 2) count = take_varint(from, &at);
            list = member(made, name);
            if (!list) list = append(made, make(ARRAY)), list->key = strdup(name);
        }
        while (count--) {
            node *item = decode_one(protos, schema, type, from, &at);
            if (list) append(list, item);
            else append(made, item)->key = strdup(name);
        }
    }
    return made;
}

/* The connection. */

static struct {
    int socket;
    bytes in;
    const char *store;
    node *codes, *names, *server, *client;
    double interval, next_beat, overdue;
    int beats, closed, last_id;
    char *routes[1000];
    node *pushes, *answer, *kick, *handshake;
} my = {.pushes = NULL};

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void send_package(int kind, const bytes *body) {
    bytes whole = {0};
    size_t size = body ? body->size : 0, done = 0;
    uint32_t head = htonl((uint32_t)kind << 24 | (uint32_t)size);
    add(&whole, &head, 4);
    if (body) add(&whole, body->data, size);
    while (done < whole.size) {
        ssize_t sent = send(my.socket, whole.data + done, whole.size - done, MSG_NOSIGNAL);
        if (sent < 0) broken("sending: %s", strerror(errno));
        done += (size_t)sent;
    }
}

static node *stored(const char *name) {
    char path[1000];
    bytes data = {0};
    snprintf(path, sizeof path, "%s/%s", my.store, name);
    FILE *file = fopen(path, "r");
    if (!file) return NULL;
    for (int byte; (byte = getc(file)) != EOF;) add_byte(&data, (unsigned)byte);
    fclose(file);
    return parse_all(data.data, data.size);
}

static void keep(const char *name, const node *value) {
    char path[1000];
    bytes data = {0};
    snprintf(path, sizeof path, "%s/%s", my.store, name);
    write_json(&data, value);
    FILE *file = fopen(path, "w");
    if (!file || fwrite(data.data, 1, data.size, file) != data.size || fclose(file))
        broken("writing %s: %s", path, strerror(errno));
}

/* All of these keys, or none; what was sent, or what is stored if it is in use. */
static node *all_or_none(node *sent, const char *const keys[3], const char *use, const char *file, node *sys) {
    int there = 0;
    for (int n = 0; n < 3; n++) there += member(sent, keys[n]) != NULL;
    if (there == 3) {
        node *kept = make(OBJECT);
        for (int n = 0; n < 3; n++) {
            node *copy = claim(NULL, sizeof *copy);
            *copy = *member(sent, keys[n]);
            copy->next = NULL;
            append(kept, copy);
        }
        keep(file, kept);
        return kept;
    }
    if (there) broken("only some of %s, %s and %s", keys[0], keys[1], keys[2]);
    if (!member(sys, use)) return NULL;
    node *known = stored(file);
    if (!known) broken("%s without what is used", use);
    return known;
}

static void shaken(const node *reply) {
    static const char *const dictionary[] = {"routeToCode", "codeToRoute", "dictVersion"};
    static const char *const schemas[] = {"server", "client", "version"};
    node *code = member(reply, "code"), *sys = member(reply, "sys"), *beat;
    if (!code || code->kind != NUMBER || code->number != 200) broken("the handshake is refused");
    if (!sys || sys->kind != OBJECT) broken("a handshake without sys");
    node *found = all_or_none(sys, dictionary, "useDict", "dictionary.json", sys);
    my.codes = member(found, "routeToCode");
    my.names = member(found, "codeToRoute");
    node *protos = all_or_none(member(sys, "protos"), schemas, "useProto", "protos.json", sys);
    my.server = member(protos, "server");
    my.client = member(protos, "client");
    if ((beat = member(sys, "heartbeat")) != NULL) {
        my.interval = beat->number;
        my.next_beat = now() + my.interval;
        my.overdue = INFINITY;
    }
    send_package(ACK, NULL);
    my.handshake = sys;
}

static node *read_body(const node *schema, const bytes *body) {
    return schema ? decode(my.server, schema, body) : parse_all(body->data, body->size);
}

static void message(const bytes *data) {
    if (!data->size) broken("an empty message");
    size_t at = 1;
    int kind = data->data[0] >> 1; /* unmasked: a bit above the kind makes it an unknown one */
    if (kind == RESPONSE) {
        if (take_varint(data, &at) != (uint64_t)my.last_id) broken("an answer that nobody waits for");
        bytes body = {data->data + at, data->size - at, 0};
        my.answer = read_body(NULL, &body);
        return;
    }
    if (kind != PUSH) broken("a message of the kind %d", kind);
    char route[256];
    if (data->data[0] & 1) {
        if (data->size < 3) broken("a push that is cut short");
        char code[8];
        snprintf(code, sizeof code, "%d", data->data[1] << 8 | data->data[2]);
        const char *name = word(my.names, code);
        if (!name) broken("a push with the unknown route code %s", code);
        snprintf(route, sizeof route, "%s", name);
        at = 3;
    } else {
        if (data->size < 2 || data->size < 2u + data->data[1]) broken("a push that is cut short");
        memcpy(route, data->data + 2, data->data[1]);
        route[data->data[1]] = 0;
        at = 2 + data->data[1];
    }
    bytes body = {data->data + at, data->size - at, 0};
    append(my.pushes, read_body(member(my.server, route), &body))->key = strdup(route);
}

static void take_package(int kind, const bytes *body) {
    if (kind == HANDSHAKE) shaken(parse_all(body->data, body->size));
    else if (kind == DATA) message(body);
    else if (kind == KICK) my.kick = parse_all(body->data, body->size);
    else if (kind != HEARTBEAT) broken("a package of the type %d", kind);
    else if (!isinf(my.overdue)) my.beats++, my.overdue = INFINITY; /* others are not answers */
}

static void cut(void) {
    while (my.in.size >= 4) {
        size_t size = (size_t)my.in.data[1] << 16 | (size_t)my.in.data[2] << 8 | my.in.data[3];
        if (my.in.size < 4 + size) return;
        bytes body = {my.in.data + 4, size, 0};
        take_package(my.in.data[0], &body);
        my.in.size -= 4 + size;
        memmove(my.in.data, my.in.data + 4 + size, my.in.size);
    }
}

/* Let the connection live until something is there. */
static void wait_for(int (*there)(void), const char *what) {
    double end = now() + PATIENCE;
    while (!there()) {
        double time = now(), due = my.next_beat < my.overdue ? my.next_beat : my.overdue;
        if (my.closed) broken("closed instead of %s", what);
        if (time > end) broken("waited in vain for %s", what);
        if (time > my.overdue) broken("the server did not answer a heartbeat");
        if (my.interval && time >= my.next_beat) {
            send_package(HEARTBEAT, NULL);
            my.next_beat = time + my.interval;
            if (isinf(my.overdue)) my.overdue = time + 2 * my.interval;
            continue;
        }
        struct pollfd one = {my.socket, POLLIN, 0};
        double wait = (due < end ? due : end) - time;
        if (poll(&one, 1, (int)(wait * 1000) + 1) <= 0) continue;
        unsigned char data[65536];
        ssize_t size = recv(my.socket, data, sizeof data, 0);
        if (size <= 0) my.closed = 1;
        else add(&my.in, data, (size_t)size), cut();
    }
}

static const char *wanted;
static int goal;

static int is_shaken(void) { return my.handshake != NULL; }
static int is_answered(void) { return my.answer != NULL; }
static int is_kicked(void) { return my.kick != NULL && my.closed; }
static int has_beaten(void) { return my.beats >= goal; }
static int is_pushed(void) { return member(my.pushes, wanted) != NULL; }

static void shake_hands(void) {
    bytes body = {0};
    node *dictionary = stored("dictionary.json"), *protos = stored("protos.json");
    add_text(&body, "{\"sys\":{\"type\":\"desktop\",\"version\":\"0.3.5\"");
    if (dictionary) add_text(&body, ",\"dictVersion\":"), write_text(&body, word(dictionary, "dictVersion"));
    if (protos) add_text(&body, ",\"protoVersion\":"), write_text(&body, word(protos, "version"));
    add_text(&body, "}}");
    send_package(HANDSHAKE, &body);
    wait_for(is_shaken, "the handshake");
    printf("handshake");
    for (node *each = my.handshake->first; each; each = each->next) printf(" %s", each->key);
    putchar('\n');
}

static void send_message(int kind, const char *route, const char *json) {
    bytes data = {0};
    node *code = member(my.codes, route), *schema = member(my.client, route);
    add_byte(&data, (unsigned)(kind << 1 | (code != NULL)));
    if (kind == REQUEST) add_varint(&data, (uint64_t)++my.last_id);
    if (code) add_byte(&data, (unsigned)code->number >> 8), add_byte(&data, (unsigned)code->number & 0xff);
    else add_byte(&data, (unsigned)strlen(route)), add_text(&data, route);
    if (schema) encode(&data, my.client, schema, parse_all(json, strlen(json)));
    else add_text(&data, json);
    send_package(DATA, &data);
}

static void take_push(const char *route) {
    wanted = route;
    wait_for(is_pushed, route);
    node *found = member(my.pushes, route), *rest = make(OBJECT), *each, *next;
    print("push", found);
    for (each = my.pushes->first; each; each = next) {
        next = each->next;
        each->next = NULL;
        if (each != found) append(rest, each);
    }
    my.pushes = rest;
}

static void obey(char *line) {
    char *command = strtok(line, " "), *first = strtok(NULL, " "), *rest = strtok(NULL, "");
    if (!command) return;
    if (!strcmp(command, "request")) {
        my.answer = NULL;
        send_message(REQUEST, first, rest);
        wait_for(is_answered, first);
        print("answer", my.answer);
    } else if (!strcmp(command, "notify")) {
        send_message(NOTIFY, first, rest);
        puts("told");
    } else if (!strcmp(command, "push")) {
        take_push(first);
    } else if (!strcmp(command, "beats")) {
        goal = my.beats + atoi(first);
        wait_for(has_beaten, "heartbeats");
        puts("beaten");
    } else if (!strcmp(command, "kicked")) {
        wait_for(is_kicked, "a kick");
        print("kicked", my.kick);
    } else {
        broken("there is no command %s", command);
    }
    fflush(stdout);
}

int main(int count, char **words) {
    if (count != 4) {
        fprintf(stderr, "strict_client HOST PORT STORE < commands\n");
        return 2;
    }
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(words[2]))};
    if (inet_pton(AF_INET, words[1], &to.sin_addr) != 1) broken("%s is no address", words[1]);
    my.socket = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(my.socket, (struct sockaddr *)&to, sizeof to)) broken("connecting: %s", strerror(errno));
    my.store = words[3];
    my.next_beat = my.overdue = INFINITY;
    my.pushes = make(OBJECT);
    shake_hands();
    fflush(stdout);
    char *line = NULL;
    size_t room = 0;
    for (ssize_t size; (size = getline(&line, &room, stdin)) > 0;) {
        if (line[size - 1] == '\n') line[size - 1] = 0;
        obey(line);
    }
    return 0;
}
