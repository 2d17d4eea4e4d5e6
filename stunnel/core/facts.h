/* SPDX-License-Identifier: ISC */
#ifndef FACTS_H
#define FACTS_H

#include <stdbool.h>
#include <stdint.h>

#include "out.h"
#include "span.h"

#define FACTS_IP_TEXT_MAX 45 /* longest textual IPv6 address, RFC 4291 2.2 with a dotted tail */
#define FACTS_NAME_MAX 255   /* longest host name in a server_name extension, RFC 6066 3 */
#define FACTS_ALPN_MAX 255   /* longest protocol name, RFC 7301 3.1 */
#define FACTS_TLS_MAX 63     /* longest version or cipher name that is passed on */
#define FACTS_ID_MAX 40
#define FACTS_DN_MAX 2048   /* longest distinguished name that is passed on */
#define FACTS_SERIAL_MAX 64 /* RFC 5280 4.1.2.2: 20 octets, and what does not keep to that */
#define FACTS_VERIFY_MAX 128
#define FACTS_CN_MAX 255
#define FACTS_DER_MAX 8192
#define FACTS_PEM_MAX 12288   /* a certificate as text */
#define FACTS_CHAIN_MAX 24576 /* the certificates above it, as text */

enum facts_family {
	FACTS_NONE = 0, /* not an IP peer: a Unix socket */
	FACTS_IPV4,
	FACTS_IPV6,
};

/*
 * One end of the client's connection. An IPv4-mapped IPv6 address is stored as IPv4, and the text
 * has no zone index: several receivers refuse either form. Whoever fills the bytes fills the text.
 */
struct facts_addr {
	enum facts_family family;
	uint8_t ip[16]; /* network order; IPv4 uses the first four */
	uint16_t port;	/* host order */
	bool mapped;	/* IPv4 that came as IPv6 */
	uint8_t text_len;
	char text[FACTS_IP_TEXT_MAX + 1];
};

/* Texts on the client's certificate that are made only where they are needed; bits. */
enum facts_cert_text {
	FACTS_CERT_NAMES = 1, /* facts_cert's short ones, and facts.client_verify */
	FACTS_CERT_PEM = 2,
	FACTS_CERT_RFC9440 = 4,
	FACTS_CERT_CHAIN = 8,
	FACTS_CERT_CN = 16,
	FACTS_CERT_DER = 32,
};

/*
 * The client's certificate. Distinguished names are in the string form of RFC 4514, reduced to
 * ASCII. pem, rfc9440 and chain are empty where no template uses them.
 */
struct facts_cert {
	struct span subject, issuer;
	struct span serial;  /* upper-case hexadecimal */
	struct span sha256;  /* of the DER form; lower-case hexadecimal */
	struct span pem;     /* with its line ends */
	struct span rfc9440; /* a Byte Sequence, RFC 8941 3.3.5: what Client-Cert holds */
	struct span cn;	     /* the subject's, UTF-8 */
	struct span der;
	struct span chain; /* a list of Byte Sequences: what Client-Cert-Chain holds */
};

/*
 * What is known of one client connection: all that crosses from sockets and TLS into the core.
 * The spans point at memory of the connection's TLS state and live as long as the connection.
 */
struct facts {
	struct facts_addr client; /* the client, as a PROXY header says if one came */
	struct facts_addr server; /* the address of ours that was connected to */
	bool plain;		  /* the client comes without TLS: what is told of TLS is empty */
	struct span sni;	  /* empty if the client sent none */
	struct span alpn;	  /* the protocol that was agreed on, or empty */
	struct span tls_version;  /* as OpenSSL names it: TLSv1.3 */
	struct span tls_cipher;	  /* as OpenSSL names it */
	bool session_reused;
	bool client_trusted;		      /* a proxy whose X-Forwarded-For is believed */
	bool trace_begins;		      /* whatever the client says of one */
	const struct facts_cert *client_cert; /* NULL: none */
	bool cert_on_connection;	      /* the certificate was sent in this handshake */
	bool cert_in_session;		      /* in this handshake or the resumed session's */
	uint32_t verify_code;	   /* OpenSSL's result for the certificate; 0: verified */
	struct span sig_alg;	   /* of our certificate: RSA-SHA256 */
	struct span key_alg;	   /* of its key: RSA2048 */
	struct span group;	   /* of the key exchange */
	struct span sig_scheme;	   /* of our signature in the handshake */
	struct facts_addr peer;	   /* who connected to us: not `client` if a PROXY header came */
	struct span tlvs;	   /* of the PROXY header that came */
	struct span client_verify; /* NONE, SUCCESS or FAILED:REASON */
	struct span conn_id; /* unique over workers and restarts: the first part of request ids */
};

/*
 * Makes facts->conn_id, in id, of a number that no other process has and one that no other
 * connection of this process has.
 */
static inline void facts_identify(struct facts *facts, char id[FACTS_ID_MAX], uint64_t process,
				  uint64_t connection)
{
	struct out out = out_of(id, FACTS_ID_MAX);

	for (int shift = 60; shift >= 0; shift -= 4) /* all 16 digits */
		out_hex(&out, process >> shift & 15);
	out_char(&out, '-');
	out_hex(&out, connection);
	facts->conn_id = out_span(&out);
}

#endif
