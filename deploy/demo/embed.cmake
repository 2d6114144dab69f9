# Writes the file INPUT as a C array into OUTPUT: cmake -DINPUT=.. -DOUTPUT=.. -P embed.cmake
file(READ ${INPUT} hex HEX)
string(REGEX REPLACE "(................................)" "\\1\n" hex "${hex}")
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1, " hex "${hex}")
file(WRITE ${OUTPUT} "#include \"deploy/demo/page.h\"\n\nconst unsigned char page_bytes[] = {\n${hex}\n};\nconst size_t page_len = sizeof(page_bytes);\n")
