// The report's page as bytes of the program. .incbin is what both compilers know; C23's #embed is not there yet.
__asm__(
    ".section .rodata\n"
    ".global manako_report_page_begin\n"
    ".global manako_report_page_end\n"
    "manako_report_page_begin:\n"
    ".incbin \"" MANAKO_REPORT_TEMPLATE_PATH
    "\"\n"
    "manako_report_page_end:\n"
    ".byte 0\n"
    ".previous\n");
