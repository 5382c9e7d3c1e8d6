/* SPDX-License-Identifier: Apache-2.0 */
#include "CWebPage.h"

/* C23 has it; clang calls it an extension of older C. */
#pragma clang diagnostic ignored "-Wc23-extensions"

/* clang-format off */
static const unsigned char page[] = {
#embed "../../web/page.html"
};
static const unsigned char style[] = {
#embed "../../web/page.css"
};
static const unsigned char script[] = {
#embed "../../web/page.js"
};
static const unsigned char icon[] = {
#embed "../../web/icon.svg"
};
/* clang-format on */

static const struct cwebpage_file files[] = {
    {"/", "text/html; charset=utf-8", page, sizeof(page)},
    {"/page.css", "text/css; charset=utf-8", style, sizeof(style)},
    {"/page.js", "text/javascript; charset=utf-8", script, sizeof(script)},
    {"/icon.svg", "image/svg+xml", icon, sizeof(icon)},
};

size_t cwebpage_count(void) {
  return sizeof(files) / sizeof(files[0]);
}

struct cwebpage_file cwebpage_file(size_t index) {
  return files[index];
}
