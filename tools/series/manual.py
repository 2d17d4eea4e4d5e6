# SPDX-License-Identifier: ISC
"""The manual, in the three forms that upstream ships."""

import re
import tempfile

from .tree import Refusal, run


def rendered_man(pod):
    text = run("pod2man", "-u", "-n", "stunnel", "-s", "8", "-r", "0", "-c", "0", "-d", "0", pod)
    return text[text.index(".SH ") :]


def rendered_html(pod, folder):
    text = run("pod2html", "--noindex", f"--infile={pod}", cwd=folder)
    body = text[text.index("<h1 ") : text.index("</body>")]
    return body.strip() + "\n\n"


class Manual:
    """Our section stands before RETURN VALUE, behind the options."""

    HOOK = "manual"
    POD, MAN, HTML = "doc/stunnel.pod", "doc/stunnel.8", "doc/stunnel.html"

    def __init__(self, tree):
        self.tree = tree

    def add(self, pod):
        self._insert(self._source(self.POD), r"^=head1 RETURN VALUE$", pod.read_text())
        man, html = self._source(self.MAN), self._source(self.HTML)
        if self.tree.path(man).is_file():
            self._insert(man, r'^\.SH "?RETURN VALUE"?$', rendered_man(pod))
        if self.tree.path(html).is_file():
            with tempfile.TemporaryDirectory() as folder:
                text = rendered_html(pod, folder)
            self._insert(html, r'^.*<h1(?: id="RETURN-VALUE">|><a name="return_value">)', text)

    def _source(self, name):
        """What configure makes the file of (5.18 and later), or the file."""
        return f"{name}.in" if self.tree.path(f"{name}.in").is_file() else name

    def _insert(self, name, anchor, text):
        old = self.tree.read(name, self.HOOK)
        found = list(re.finditer(anchor, old, re.M))
        if len(found) != 1:
            raise Refusal(
                f"hook '{self.HOOK}': the heading RETURN VALUE was found {len(found)} times in {name}"
            )
        self.tree.write(name, old[: found[0].start()] + text + old[found[0].start() :])
