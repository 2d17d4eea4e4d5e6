// SPDX-License-Identifier: ISC
// title: Options for the client's address in HTTP requests and PROXY headers
//
// Where a section keeps its options, and where its file is read.

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
@@
@@
 struct client_data_struct {
     ...
+    struct forward *forward;
 };

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
// wants: parse_service_option(), and in it `section` and what is said of the command
@header@
typedef CMD, SERVICE_OPTIONS;
identifier cmd, section_ptr, opt, arg;
@@
 parse_service_option(CMD cmd, SERVICE_OPTIONS **section_ptr, char *opt, char *arg) { ... }

// Not within the function: to walk all ways through it takes a quarter of a minute.
@@
identifier header.cmd, header.section_ptr, header.opt, header.arg, section;
expression set;
statement told, other;
@@
 section = section_ptr ? *section_ptr : NULL;
 if(set) told else other
+{
+    const char *forward_error=forward_option(FORWARD_COMMAND(cmd),
+        section, &new_service_options, opt, arg);
+    if(forward_error!=forward_go_on)
+        return forward_error;
+}
