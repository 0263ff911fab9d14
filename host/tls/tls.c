// SPDX-License-Identifier: MIT
// TLS 1.2 servers for connections of a guest that end in its page: tls.wasm,
// which web/src/network/tls-module.ts loads if its owner asks for it. BearSSL
// does the work. A connection has all that it needs in one slot of a fixed
// size, so that there is no malloc().
#include <bearssl.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

#define EXPORT(name) __attribute__((export_name(name), used))

/* A name of DNS, and its end. */
#define LONGEST_NAME 254
/* certificate.ts makes them, with one name of at most that length. */
#define LONGEST_CERTIFICATE 1024
#define SEED 32
#define KEY 32
#define WASM_PAGE 65536

struct connection {
	br_ssl_server_context server;
	br_x509_certificate chain;
	/* Or the next free slot, while this is one. */
	struct connection *next;
	char name[LONGEST_NAME];
	unsigned char certificate[LONGEST_CERTIFICATE];
	unsigned char records[BR_SSL_BUFSIZE_BIDI];
};

/* Arguments that are bytes, from JavaScript. */
static struct {
	unsigned char seed[SEED];
	char name[LONGEST_NAME];
	unsigned char certificate[LONGEST_CERTIFICATE];
} arguments;

/* That of all certificates. */
static unsigned char private_key[KEY];
static const br_ec_private_key key = { BR_EC_secp256r1, private_key, sizeof private_key };

static struct connection *free_slots;
/* Of what is at the end of the memory and no slot yet. */
static uintptr_t fresh;

static struct connection *take_slot(void)
{
	struct connection *slot = free_slots;
	if (slot) {
		free_slots = slot->next;
		return slot;
	}
	uintptr_t end = __builtin_wasm_memory_size(0) * WASM_PAGE;
	if (fresh == 0) fresh = end;
	if (end - fresh < sizeof *slot) {
		uintptr_t pages = (sizeof *slot - (end - fresh) + WASM_PAGE - 1) / WASM_PAGE;
		if (__builtin_wasm_memory_grow(0, pages) == SIZE_MAX) return NULL;
	}
	slot = (struct connection *)fresh;
	/* All of it is aligned then. */
	fresh += (sizeof *slot + 15) & ~(uintptr_t)15;
	return slot;
}

/* BearSSL's policy for one key and one chain, but for the name. */
static br_ssl_server_policy_class policy;
static int (*choose_any)(const br_ssl_server_policy_class **, const br_ssl_server_context *, br_ssl_server_choices *);

/*
 * The client must ask for the name of the address that it has connected to. 0
 * sends the alert handshake_failure.
 */
static int choose(const br_ssl_server_policy_class **context, const br_ssl_server_context *server,
		  br_ssl_server_choices *choices)
{
	const struct connection *connection = (const struct connection *)server;
	if (strcasecmp(br_ssl_engine_get_server_name(&server->eng), connection->name) != 0) return 0;
	return choose_any(context, server, choices);
}

static void set_algorithms(br_ssl_server_context *server)
{
	/* BusyBox has only the second; the first is 3 times as fast here. */
	static const uint16_t suites[] = {
		BR_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
		BR_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
	};
	static const char *protocols[] = { "http/1.1" };
	br_ssl_engine_context *engine = &server->eng;
	br_ssl_server_zero(server);
	br_ssl_engine_set_versions(engine, BR_TLS12, BR_TLS12);
	br_ssl_engine_set_suites(engine, suites, sizeof suites / sizeof *suites);
	br_ssl_engine_set_ec(engine, &br_ec_p256_m31);
	br_ssl_engine_set_hash(engine, br_sha256_ID, &br_sha256_vtable);
	br_ssl_engine_set_prf_sha256(engine, &br_tls12_sha256_prf);
	br_ssl_engine_set_chacha20(engine, &br_chacha20_ct_run);
	br_ssl_engine_set_poly1305(engine, &br_poly1305_ctmul_run);
	br_ssl_engine_set_chapol(engine, &br_sslrec_in_chapol_vtable, &br_sslrec_out_chapol_vtable);
	br_ssl_engine_set_aes_ctr(engine, &br_aes_ct64_ctr_vtable);
	br_ssl_engine_set_ghash(engine, &br_ghash_ctmul64);
	br_ssl_engine_set_gcm(engine, &br_sslrec_in_gcm_vtable, &br_sslrec_out_gcm_vtable);
	br_ssl_engine_set_protocol_names(engine, protocols, 1);
	br_ssl_engine_set_all_flags(engine, BR_OPT_ENFORCE_SERVER_PREFERENCES | BR_OPT_NO_RENEGOTIATION |
						    BR_OPT_FAIL_ON_ALPN_MISMATCH);
}

/* Where JavaScript writes a seed, a name with its 0, and a certificate. */
EXPORT("arguments") void *tls_arguments(void)
{
	return &arguments;
}

/* The private key: 32 bytes that are written there. */
EXPORT("key") void *tls_key(void)
{
	return private_key;
}

/*
 * A connection from a client that has connected to the name. Returns NULL if
 * there is no memory for it.
 */
EXPORT("open") struct connection *tls_open(size_t certificate_size)
{
	struct connection *connection = take_slot();
	if (!connection) return NULL;
	br_ssl_server_context *server = &connection->server;
	memcpy(connection->name, arguments.name, sizeof connection->name - 1);
	connection->name[sizeof connection->name - 1] = '\0';
	memcpy(connection->certificate, arguments.certificate, sizeof connection->certificate);
	connection->chain.data = connection->certificate;
	connection->chain.data_len =
		certificate_size < sizeof connection->certificate ? certificate_size : sizeof connection->certificate;
	set_algorithms(server);
	br_ssl_server_set_single_ec(server, &connection->chain, 1, &key, BR_KEYTYPE_SIGN, BR_KEYTYPE_EC, &br_ec_p256_m31,
				    &br_ecdsa_i31_sign_asn1);
	policy = *server->chain_handler.vtable;
	choose_any = policy.choose;
	policy.choose = choose;
	server->chain_handler.vtable = &policy;
	br_ssl_engine_set_buffer(&server->eng, connection->records, sizeof connection->records, 1);
	br_ssl_engine_inject_entropy(&server->eng, arguments.seed, sizeof arguments.seed);
	memset(arguments.seed, 0, sizeof arguments.seed);
	br_ssl_server_reset(server);
	return connection;
}

EXPORT("close") void tls_close(struct connection *connection)
{
	/* The next one must not see its bytes. */
	memset(connection, 0, sizeof *connection);
	connection->next = free_slots;
	free_slots = connection;
}

/* Bits of BR_SSL_CLOSED, SENDREC, RECVREC, SENDAPP and RECVAPP. */
EXPORT("state") unsigned tls_state(const struct connection *connection)
{
	return br_ssl_engine_current_state(&connection->server.eng);
}

static size_t size;

/* That of what buffer() has returned. */
EXPORT("size") size_t tls_size(void)
{
	return size;
}

/*
 * Where bytes of one kind, a bit of state(), are or go. JavaScript then says
 * how many it has read or written.
 */
EXPORT("buffer") unsigned char *tls_buffer(const struct connection *connection, unsigned kind)
{
	const br_ssl_engine_context *engine = &connection->server.eng;
	switch (kind) {
	case BR_SSL_SENDREC: return br_ssl_engine_sendrec_buf(engine, &size);
	case BR_SSL_RECVREC: return br_ssl_engine_recvrec_buf(engine, &size);
	case BR_SSL_SENDAPP: return br_ssl_engine_sendapp_buf(engine, &size);
	default: return br_ssl_engine_recvapp_buf(engine, &size);
	}
}

EXPORT("done") void tls_done(struct connection *connection, unsigned kind, size_t count)
{
	br_ssl_engine_context *engine = &connection->server.eng;
	switch (kind) {
	case BR_SSL_SENDREC: br_ssl_engine_sendrec_ack(engine, count); return;
	case BR_SSL_RECVREC: br_ssl_engine_recvrec_ack(engine, count); return;
	case BR_SSL_SENDAPP: br_ssl_engine_sendapp_ack(engine, count); return;
	default: br_ssl_engine_recvapp_ack(engine, count);
	}
}

/* A record is made of what was written until now. */
EXPORT("flush") void tls_flush(struct connection *connection)
{
	br_ssl_engine_flush(&connection->server.eng, 0);
}

/* close_notify follows what was written. */
EXPORT("finish") void tls_finish(struct connection *connection)
{
	br_ssl_engine_close(&connection->server.eng);
}

/* Why it is closed: 0 if by close_notify. */
EXPORT("error") int tls_error(const struct connection *connection)
{
	return br_ssl_engine_last_error(&connection->server.eng);
}
