// SPDX-License-Identifier: ISC
// title: Options for the client's address in HTTP requests and PROXY headers
//
// Where a section keeps its options and a connection its state, where the file is read, and how a
// connection is given up.

// hook: service member
// file: src/prototypes.h
// makes: 1 struct forward_options *forward
// wants: struct service_options_struct
@@
@@
 struct service_options_struct {
     ...
+    struct forward_options *forward;
 };

// hook: connection member
// file: src/prototypes.h
// makes: 1 struct forward *forward
// wants: struct client_data_struct
// releases: 5.54 and later
@@
@@
 struct client_data_struct {
     ...
+    struct forward *forward;
 };

// hook: connection member
// file: src/prototypes.h
// makes: 1 struct forward *forward
// wants: the struct without a tag that is CLI
// releases: 4.44 to 5.53
@@
@@
 typedef struct {
     ...
+    struct forward *forward;
 } CLI;

// hook: options include
// file: src/options.c
// makes: 1 #include "forward.h"
// wants: #include "prototypes.h"
@@
@@
 #include "prototypes.h"
+#include "forward.h"

// hook: service option
// file: src/options.c
// makes: 1 forward_option(
// wants: parse_service_option(), and in it the section and what is told of the command
// releases: 5.50 and later
// spatch: --undefined USE_FIPS
@header@
type text;
typedef CMD, SERVICE_OPTIONS;
identifier command, given, name, value;
@@
 text parse_service_option(CMD command, SERVICE_OPTIONS **given, char *name, char *value) { ... }

// Not within the function: to walk all ways through it takes a quarter of a minute.
@@
type header.text;
identifier header.command, header.given, header.name, header.value, options;
expression which;
statement tell, other;
@@
 options = given ? *given : NULL;
 if(which) tell else other
+{
+    text forward_error=(text)forward_option(FORWARD_COMMAND(command),
+        options, &new_service_options, &name, &value);
+    if(forward_error!=forward_go_on)
+        return forward_error;
+}

// hook: service option
// file: src/options.c
// makes: 1 forward_option(
// wants: parse_service_option() of one pointer, and in it the heading of the options in -help
// releases: 4.36 to 5.49
@header@
type text;
typedef CMD, SERVICE_OPTIONS;
identifier command, options, name, value;
@@
 text parse_service_option(CMD command, SERVICE_OPTIONS *options, char *name, char *value) { ... }

// Also where the first `if` has no `else`.
@@
type header.text;
identifier header.command, header.options, header.name, header.value;
constant char[] heading =~ "^\"Service-level options";
expression which, level;
statement other;
@@
 if(which) {
     ...
     s_log(level, heading);
 } else other
+{
+    text forward_error=(text)forward_option(FORWARD_COMMAND(command),
+        options, &new_service_options, &name, &value);
+    if(forward_error!=forward_go_on)
+        return forward_error;
+}

// hook: section check
// file: src/options.c
// makes: 1 forward_refuses(
// wants: the condition that makes a section's context
// releases: 4.36 to 4.53
// unless: CMD_END CMD_SET_VALUE
//
// Later ones have a command of parse_service_option() for the end of a section.
@@
expression section;
statement failed;
@@
 if(
(
-   context_init(section)
+   forward_refuses(section, &new_service_options) || context_init(section)
|
-   !context_init(section)
+   forward_refuses(section, &new_service_options) || !context_init(section)
)
 ) failed

// hook: context
// file: src/options.c
// makes: 1 forward_context(
// wants: the call of context_init()
// spatch: --undefined USE_FIPS
@@
expression section;
@@
(
- !context_init(section)
+ !context_init(section) || forward_context(section)
|
- context_init(section)
+ context_init(section) || forward_context(section)
)

// hook: client include
// file: src/client.c
// makes: 1 #include "forward.h"
// wants: #include "prototypes.h"
@@
@@
 #include "prototypes.h"
+#include "forward.h"

// hook: abort
// file: src/client.c
// makes: 1 void forward_abort(
// wants: transfer(), and in it throw_exception() or longjmp()
@thrower exists@
typedef CLI;
identifier relay =~ "^transfer(_tcp)?$";
identifier link;
@@
 relay(CLI *link)
 {
     ... when any
     throw_exception(link, 1);
     ... when any
 }

@jumper exists@
typedef CLI;
identifier relay =~ "^transfer(_tcp)?$";
identifier link;
@@
 relay(CLI *link)
 {
     ... when any
     longjmp(link->err, 1);
     ... when any
 }

@depends on thrower@
typedef CLI;
identifier relay =~ "^transfer(_tcp)?$";
identifier link;
@@
+void forward_abort(CLI *link) {
+    throw_exception(link, 1);
+}
+
 relay(CLI *link) { ... }

@depends on jumper@
typedef CLI;
identifier relay =~ "^transfer(_tcp)?$";
identifier link;
@@
+void forward_abort(CLI *link) {
+    longjmp(link->err, 1);
+}
+
 relay(CLI *link) { ... }

// hook: session address
// file: src/ssl.c
// makes: 1 stock_copy_address
// wants: SSL_SESSION_get_ex_new_index() with a function that frees, and none that copies
// releases: 5.15 to 5.48
// unless: COPIES_ADDRESS
//
// OpenSSL 1.1.1 copies the session of a client that resumes with TLS 1.3: both then had one address,
// which was freed with either.
@session@
expression number, name;
identifier release =~ "free";
@@
 SSL_SESSION_get_ex_new_index(number, name, NULL,
-    NULL,
+    stock_copy_address,
     release)

@depends on session@
@@
 #include "prototypes.h"
+#include "forward_stock.h"
