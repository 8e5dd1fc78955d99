// The pages as bytes of the program. .incbin is what both compilers know; C23's #embed is not there
// yet.
__asm__(
    ".section .rodata\n"
    ".global manako_server_page_begin\n"
    ".global manako_server_page_end\n"
    "manako_server_page_begin:\n"
    ".incbin \"" MANAKO_SERVER_PAGE_PATH
    "\"\n"
    "manako_server_page_end:\n"
    ".byte 0\n"
    ".global manako_site_page_begin\n"
    ".global manako_site_page_end\n"
    "manako_site_page_begin:\n"
    ".incbin \"" MANAKO_SITE_PAGE_PATH
    "\"\n"
    "manako_site_page_end:\n"
    ".byte 0\n"
    ".previous\n");
