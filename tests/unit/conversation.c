/* SPDX-License-Identifier: ISC */
#include "conversation.h"

const struct facts conversation_facts = {
	.client = {.family = FACTS_IPV4,
		   .ip = {192, 0, 2, 7},
		   .port = 51234,
		   .text_len = 9,
		   .text = "192.0.2.7"},
	.server = {.family = FACTS_IPV4,
		   .ip = {198, 51, 100, 1},
		   .port = 443,
		   .text_len = 12,
		   .text = "198.51.100.1"},
	.sni = {"www.example.test", 16},
	.alpn = {"http/1.1", 8},
	.tls_version = {"TLSv1.3", 7},
	.tls_cipher = {"TLS_AES_256_GCM_SHA384", 22},
	.group = {"x25519", 6},
};

const struct h1_limits conversation_limits = {
	.max_head = 4096, .max_fields = 64, .max_answer_head = 4096, .in_flight = H1_PIPELINE_MAX};

struct script script_of(const struct rewrite *rewrite, const struct step *steps)
{
	return (struct script){
		.rewrite = rewrite,
		.facts = &conversation_facts,
		.limits = conversation_limits,
		.driving = DRIVE_EXACT,
		.steps = steps,
	};
}

void conversation_begin(struct conversation *c, const struct script *script)
{
	*c = (struct conversation){.script = *script};
	h1_init(&c->h1, script->rewrite, script->facts, script->limits);
}

void conversation_end(struct conversation *c)
{
	for (int dir = 0; dir < 2; dir++) {
		text_free(&c->pending[dir]);
		text_free(&c->sent[dir]);
	}
}

/*
 * An empty `out` before a guard page, or in DRIVE_CRAMPED one that is full but for `room` bytes;
 * only an empty one obliges the machine to make progress.
 */
static struct out new_out(const struct script *script, size_t room)
{
	static struct guard guard;
	size_t cap = h1_out_min(script->rewrite, script->limits);
	struct out out;

	if (guard.size < cap)
		guard = guard_new(cap);
	out = out_of(guard.end - cap, cap);
	out.len = room < cap ? cap - room : 0;
	return out;
}

static bool is_answer_error(enum error error)
{
	return error >= ERR_ANSWER_FIRST && error <= ERR_ANSWER_LAST;
}

/* One call of the machine, that leaves in *in what was not consumed. */
static void feed_once(struct conversation *c, enum h1_dir dir, struct span *in, size_t room)
{
	struct out out = new_out(&c->script, room);
	size_t begin = out.len;
	const char *end = in->p + in->len;
	int rc = h1_feed(&c->h1, dir, in, &out);

	assert_int_equal(rc,
			 dir == H1_REQUEST || is_answer_error(c->h1.error) ? -(int)c->h1.error : 0);
	assert_false(out.full);
	assert_true(out.len >= begin && out.len <= out.cap);
	assert_ptr_equal(in->p + in->len, end);
	text_add(&c->sent[dir], span_of(out.p + begin, out.len - begin));
}

/* Offers what is pending; whether anything moved, in or out. */
static bool feed(struct conversation *c, enum h1_dir dir)
{
	static const size_t rooms[] = {0, 1, 10, H1_CHUNK_LINE_MAX - 1, H1_CHUNK_LINE_MAX, 400};
	static struct guard guard;
	size_t sent = c->sent[dir].len, pending = c->pending[dir].len;
	struct span in;

	if (!guard.end)
		guard = guard_new(1 << 18);
	in = guard_place(&guard, text_span(&c->pending[dir]));
	if (c->script.driving == DRIVE_CRAMPED)
		for (size_t i = 0; i < sizeof rooms / sizeof rooms[0]; i++)
			feed_once(c, dir, &in, rooms[i]);
	feed_once(c, dir, &in, SIZE_MAX);
	text_take(&c->pending[dir], pending - in.len);
	return in.len != pending || c->sent[dir].len != sent;
}

static bool pass_by(struct conversation *c, enum h1_dir dir)
{
	size_t n = h1_bypass(&c->h1, dir);

	if (c->script.driving != DRIVE_BYPASS || n == 0 || c->pending[dir].len == 0)
		return false;
	if (n > c->pending[dir].len)
		n = c->pending[dir].len;
	text_add(&c->sent[dir], span_of(c->pending[dir].p, n));
	text_take(&c->pending[dir], n);
	h1_bypassed(&c->h1, dir, n);
	return true;
}

static void drive(struct conversation *c, enum h1_dir dir)
{
	while (pass_by(c, dir) || feed(c, dir))
		if (c->pending[dir].len == 0)
			break;
}

void conversation_feed(struct conversation *c, enum h1_dir dir, struct span bytes)
{
	text_add(&c->pending[dir], bytes);
	drive(c, dir);
	if (c->script.gives_up && h1_spare(&c->h1))
		h1_renew(&c->h1);
	if (dir == H1_RESPONSE && c->pending[H1_REQUEST].len != 0)
		drive(c, H1_REQUEST);
}

void conversation_reconnect(struct conversation *c)
{
	assert_int_equal(h1_backend_end(&c->h1), H1_END_RENEW);
	assert_int_equal(c->pending[H1_RESPONSE].len, 0);
	h1_renew(&c->h1);
	drive(c, H1_REQUEST);
}

size_t script_length(const struct script *script)
{
	size_t len = 0;

	for (const struct step *step = script->steps; step->bytes.p; step++)
		len += step->bytes.len;
	return len;
}

void conversation_run(struct conversation *c, struct cut cut)
{
	size_t total = script_length(&c->script), begin = 0, at = 0;

	for (const struct step *step = c->script.steps; step->bytes.p; step++) {
		size_t end = begin + step->bytes.len;

		while (at < end) {
			size_t next = cut_end(cut, at, total);

			if (next > end)
				next = end;
			conversation_feed(c, step->dir,
					  span_of(step->bytes.p + (at - begin), next - at));
			at = next;
		}
		begin = end;
	}
}

void conversation_state(const struct conversation *c, struct text *text)
{
	static const char *const phases[] = {
		[H1_IDLE] = "idle",
		[H1_HEAD] = "head",
		[H1_BODY] = "body",
		[H1_TUNNEL] = "tunnel",
		[H1_UNTIL_CLOSE] = "until close",
		[H1_CLOSED] = "closed",
	};
	static const char *const replies[] = {"now", "later", "never"};
	const struct h1 *h = &c->h1;

	if (h->error != ERR_NONE)
		text_printf(text, "%s, answered %s: ", errors_info[h->error].name,
			    replies[h1_reply(h)]);
	text_printf(text, "requests %s, responses %s", phases[h1_phase(h, H1_REQUEST)],
		    phases[h1_phase(h, H1_RESPONSE)]);
	text_printf(text, ", %u of %u in flight", h1_in_flight(h), (unsigned)h->requests);
	if (h1_blocked(h))
		text_printf(text, ", blocked");
	for (int dir = 0; dir < 2; dir++)
		if (c->pending[dir].len != 0 && h->error == ERR_NONE)
			text_printf(text, ", %s%zu held", dir ? "response " : "",
				    c->pending[dir].len);
}

/* What one cut of the script came to, all in one text. */
struct outcome {
	struct script script;
	struct span backend, client;
};

static void run_one(struct cut cut, struct text *seen, void *arg)
{
	const struct outcome *expected = arg;
	struct conversation c;

	conversation_begin(&c, &expected->script);
	conversation_run(&c, cut);
	assert_bytes(text_span(&c.sent[H1_REQUEST]), expected->backend, "to the backend");
	assert_bytes(text_span(&c.sent[H1_RESPONSE]), expected->client, "to the client");
	conversation_state(&c, seen);
	conversation_end(&c);
}

void check_script(struct script script, struct span backend, struct span client, const char *state,
		  const char *what)
{
	struct outcome expected = {script, backend, client};

	for (int driving = 0; driving < DRIVE_COUNT; driving++) {
		struct text seen = {0};

		expected.script.driving = (enum driving)driving;
		every_cut(script_length(&script), run_one, &expected, &seen);
		if (state)
			assert_bytes(text_span(&seen), span_str(state), what);
		text_free(&seen);
	}
}

void rewrite_compile(struct rewrite *rw, const char *lines)
{
	*rw = (struct rewrite){0};
	while (*lines != '\0') {
		struct span line = span_of(lines, strcspn(lines, "\n"));
		const char *equals = memchr(line.p, '=', line.len), *why;
		struct span name, value;

		assert_non_null(equals);
		name = span_of(line.p, (size_t)(equals - line.p));
		value = span_of(equals + 1, line.len - name.len - 1);
		while (name.len != 0 && name.p[name.len - 1] == ' ')
			name.len--;
		while (value.len != 0 && value.p[0] == ' ')
			span_skip(&value, 1);
		if (rewrite_option(rw, name, value, &why) != 0)
			fail_msg("%.*s: %s", (int)line.len, line.p, why);
		lines += line.len + (lines[line.len] == '\n');
	}
}

void check_dialogue(const struct dialogue *dialogue)
{
	struct step steps[9] = {{0}};
	struct rewrite rw = {0};
	struct script script = script_of(&rw, steps);

	rewrite_compile(&rw, "xForwardedFor = replace");
	for (size_t i = 0; dialogue->turns[i] != '\0'; i++) {
		steps[i].dir = dialogue->turns[i] == 'c' ? H1_REQUEST : H1_RESPONSE;
		steps[i].bytes = span_str(dialogue->bytes[i]);
	}
	check_script(script, span_str(dialogue->backend), span_str(dialogue->client),
		     dialogue->state, dialogue->what);
}
