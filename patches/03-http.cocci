// SPDX-License-Identifier: ISC
// title: The client's address in every HTTP request
//
// transfer() reads requests through the HTTP machine, and lets it watch the responses.

// hook: client include
// file: src/client.c
// makes: 1 #include "forward.h"
// wants: #include "prototypes.h"
@@
@@
 #include "prototypes.h"
+#include "forward.h"

// hook: begin
// file: src/client.c
// makes: 1 forward_begin(
// wants: the call of transfer()
@@
expression c;
@@
+forward_begin(c);
 transfer(c);

// hook: end
// file: src/client.c
// makes: 1 forward_end(
// wants: s_poll_free() of the connection's descriptors
@@
expression c;
@@
 s_poll_free(c->fds);
+forward_end(c);

// hook: abort
// file: src/client.c
// makes: 1 void forward_abort(
// wants: transfer(), and in it throw_exception(c, 1)
@thrower exists@
typedef CLI;
identifier c;
@@
 transfer(CLI *c)
 {
     ... when any
     throw_exception(c, 1);
     ... when any
 }

@depends on thrower@
typedef CLI;
identifier c;
@@
+void forward_abort(CLI *c) {
+    throw_exception(c, 1);
+}
+
 transfer(CLI *c) { ... }

// hook: read
// file: src/client.c
// makes: 1 FORWARD_READ(
// wants: SSL_read() in transfer()
@@
typedef CLI;
identifier c;
expression p, n;
@@
 transfer(CLI *c)
 {
     <...
-    SSL_read(c->ssl, p, n)
+    FORWARD_READ(c, p, n)
     ...>
 }

// hook: pending
// file: src/client.c
// makes: 1+ FORWARD_PENDING(
// wants: SSL_pending() in transfer()
@@
typedef CLI;
identifier c;
@@
 transfer(CLI *c)
 {
     <...
-    SSL_pending(c->ssl)
+    FORWARD_PENDING(c)
     ...>
 }

// hook: received shutdown
// file: src/client.c
// makes: 2+ FORWARD_GET_SHUTDOWN(
// wants: SSL_get_shutdown() in transfer()
@@
typedef CLI;
identifier c;
@@
 transfer(CLI *c)
 {
     <...
-    SSL_get_shutdown(c->ssl)
+    FORWARD_GET_SHUTDOWN(c)
     ...>
 }

// hook: wants input
// file: src/client.c
// makes: 1+ FORWARD_WANTS_INPUT(
// wants: the comparison of ssl_ptr with BUFFSIZE in transfer()
@@
typedef CLI;
identifier c;
@@
 transfer(CLI *c)
 {
     <...
-    c->ssl_ptr < BUFFSIZE
+    FORWARD_WANTS_INPUT(c, c->ssl_ptr < BUFFSIZE)
     ...>
 }

// hook: readsocket
// file: src/client.c
// makes: 1 FORWARD_READSOCKET(
// wants: readsocket() in transfer()
@@
typedef CLI;
identifier c;
expression fd, p, n;
@@
 transfer(CLI *c)
 {
     <...
-    readsocket(fd, p, n)
+    FORWARD_READSOCKET(c, fd, p, n)
     ...>
 }

// hook: send shutdown
// file: src/client.c
// makes: 1 FORWARD_SHUTDOWN(
// wants: SSL_shutdown() in transfer()
@@
typedef CLI;
identifier c;
@@
 transfer(CLI *c)
 {
     <...
-    SSL_shutdown(c->ssl)
+    FORWARD_SHUTDOWN(c)
     ...>
 }
